import collections
import hashlib
import io
import pickle
import struct

import numpy as np
import pytest

from seewhy.errors import WeightsError
from seewhy.models.efficientnet_lite0 import WEIGHTS_SHA256, weights_path
from seewhy.models.legacy_torch_file import MAGIC_NUMBER, PROTOCOL_VERSION, read_state_dict


class GlobalName:
    """Pickles as a bare global name, as torch's classes do in a file."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class TorchPickler(pickle._Pickler):  # the Python one can be taught to write names that are not importable here
    def persistent_id(self, obj):
        return tuple(obj[1:]) if isinstance(obj, tuple) and obj and obj[0] == "persistent" else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, GlobalName):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


class Call(collections.namedtuple("Call", "function arguments")):
    """Pickles as a call of a function."""


def dump(value):
    file = io.BytesIO()
    TorchPickler(file, protocol=2).dump(value)
    return file.getvalue()


def storage(key, dtype="FloatStorage", count=6):
    return ("persistent", "storage", GlobalName("torch", dtype), key, "cpu", count, None)


def tensor(of, offset, shape, strides):
    rebuild = GlobalName("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, (of, offset, shape, strides, False, collections.OrderedDict()))


def write(path, state, storages, magic=MAGIC_NUMBER, version=PROTOCOL_VERSION):
    """Write a file as torch.save did before 1.6, and return its hash."""
    facts = {"protocol_version": PROTOCOL_VERSION, "little_endian": True, "type_sizes": {"int": 4}}
    content = b"".join(dump(part) for part in (magic, version, facts, state, list(storages)))
    for values in storages.values():
        content += struct.pack("<q", len(values)) + values.tobytes()
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


VALUES = np.arange(6, dtype="<f4")


def test_tensors_are_views_by_offset_shape_and_stride(tmp_path):
    state = collections.OrderedDict(
        whole=tensor(storage("0"), 0, (2, 3), (3, 1)),
        transposed=tensor(storage("0"), 0, (3, 2), (1, 3)),
        tail=tensor(storage("0"), 4, (2,), (1,)),
        scalar=tensor(storage("1", "LongStorage", 1), 0, (), ()),
    )
    sha256 = write(tmp_path / "w.pth", state, {"0": VALUES, "1": np.array([7], "<i8")})
    found = read_state_dict(tmp_path / "w.pth", sha256)
    assert list(found) == ["whole", "transposed", "tail", "scalar"]
    np.testing.assert_array_equal(found["whole"], VALUES.reshape(2, 3))
    np.testing.assert_array_equal(found["transposed"], VALUES.reshape(2, 3).T)
    np.testing.assert_array_equal(found["tail"], [4, 5])
    assert found["scalar"] == 7
    assert found["scalar"].dtype == np.int64


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load")])
def test_a_file_cannot_call_anything(tmp_path, module, name):
    called = Call(GlobalName(module, name), ("touch " + str(tmp_path / "called"),))
    sha256 = write(tmp_path / "evil.pth", collections.OrderedDict(a=called), {"0": VALUES})
    with pytest.raises(WeightsError, match=f"it refers to {module}.{name}, which is not part of a state dict"):
        read_state_dict(tmp_path / "evil.pth", sha256)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (7,), (1,)), (5, (2,), (1,)), (0, (2, 3), (4, 1)), (-1, (1,), (1,)), (0, (2,), (-1,))],
)
def test_a_tensor_cannot_exceed_its_storage(tmp_path, offset, shape, strides):
    state = collections.OrderedDict(a=tensor(storage("0"), offset, shape, strides))
    sha256 = write(tmp_path / "w.pth", state, {"0": VALUES})
    with pytest.raises(WeightsError, match="exceeds its storage of 6 values"):
        read_state_dict(tmp_path / "w.pth", sha256)


@pytest.mark.parametrize(
    ("changes", "message"), [({"magic": 1}, "magic number"), ({"version": 1002}, "protocol version")]
)
def test_another_format(tmp_path, changes, message):
    sha256 = write(tmp_path / "w.pth", collections.OrderedDict(), {}, **changes)
    with pytest.raises(WeightsError, match=message):
        read_state_dict(tmp_path / "w.pth", sha256)


def test_a_file_that_ends_too_early(tmp_path):
    path = tmp_path / "w.pth"
    write(path, collections.OrderedDict(a=tensor(storage("0"), 0, (6,), (1,))), {"0": VALUES})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="ends within a storage"):
        read_state_dict(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_hash_is_checked_before_anything_is_decoded(tmp_path):
    content = bytearray(weights_path().read_bytes())
    content[1_000_000] ^= 1
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"is damaged or is another file: .* expected {WEIGHTS_SHA256}\."):
        read_state_dict(tmp_path / "w.pth", WEIGHTS_SHA256)


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match=r"Cannot read the weights file .*none.pth: No such file"):
        read_state_dict(tmp_path / "none.pth", WEIGHTS_SHA256)


def test_the_real_file():
    state = read_state_dict(weights_path(), WEIGHTS_SHA256)
    assert len(state) == 296
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["_fc.weight"].shape == (1000, 1280)
    trained = [values.size for name, values in state.items() if "running" not in name and "tracked" not in name]
    assert sum(trained) == 4_652_008
