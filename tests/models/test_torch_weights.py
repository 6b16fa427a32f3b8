"""Weights of PyTorch in files: read without running code, and loaded into an architecture."""

import io
import os
import pickle
import sys
import zipfile

import numpy as np
import pytest
import torch

import seewhy
from seewhy.errors import MissingExtraError, ModelError, OptionError, WeightsError
from seewhy.models.torch_weights import class_count, read_state_dict, without_wrapper

NETS = """
import torch

def build(classes=3):
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, classes),
    )
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "small_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "small_nets", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(folder):
    """A model whose weights are not those that `build` makes."""
    assert (folder / "small_nets.py").exists()
    import small_nets

    torch.manual_seed(7)
    model = small_nets.build().eval()
    model[1].running_mean.uniform_()
    return model


def load(path, **options):
    return seewhy.load(path, architecture="small_nets:build", **options)


CHECKPOINTS = {
    "plain": lambda state: state,
    "a checkpoint": lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1, "betas": (0.9, 0.99)}},
    "DataParallel": lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
    "compiled, in a module": lambda state: {
        "state_dict": {f"model._orig_mod.{name}": tensor for name, tensor in state.items()}
    },
    "before batches were counted": lambda state: {
        name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")
    },
    "half": lambda state: {name: tensor.double() for name, tensor in state.items()},
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
@pytest.mark.parametrize("new_format", [True, False])
def test_weights_are_those_of_the_file(trained, kind, new_format):
    torch.save(CHECKPOINTS[kind](trained.state_dict()), "w.pt", _use_new_zipfile_serialization=new_format)
    classifier = load("w.pt", class_names=["a", "b", "c"], preprocessing="0..1", input_size=(8, 9))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    inputs = torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = torch.softmax(trained(inputs), dim=1)[0].numpy()
    found = {prediction.name: prediction.probability for prediction in classifier.predict([pixels])[0]}
    np.testing.assert_allclose([found[name] for name in "abc"], expected, rtol=1e-5)
    assert (classifier.name, classifier.input_size) == ("w", (8, 9))


def test_safetensors(folder, trained):
    save_file = pytest.importorskip("safetensors.torch", reason="the package safetensors is not installed").save_file
    save_file(trained.state_dict(), "w.safetensors")
    loaded = load("w.safetensors").model.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in trained.state_dict().items())
    (folder / "bad.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(WeightsError, match="is damaged, or is not a safetensors file"):
        load("bad.safetensors")


def test_safetensors_without_the_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    (folder / "w.safetensors").touch()
    with pytest.raises(MissingExtraError, match=r"For w.safetensors, safetensors is not installed.*\[hubs\]"):
        load("w.safetensors")


class Acts:
    """An object whose unpickling creates a folder."""

    def __reduce__(self):
        return (os.mkdir, ("created",))


@pytest.mark.parametrize("new_format", [True, False])
def test_a_file_that_acts_is_refused_and_does_nothing(folder, new_format):
    torch.save({"state_dict": {"0.weight": Acts()}}, "w.pt", _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelError, match=r"w.pt is refused: it (names posix.mkdir|contains other objects)"):
        load("w.pt")
    (folder / "p.pth").write_bytes(pickle.dumps(Acts()))
    with pytest.raises((ModelError, WeightsError), match=r"p.pth is (refused|damaged)"):
        load("p.pth")
    assert not (folder / "created").exists()


def test_a_whole_model_is_refused(trained):
    torch.save(trained, "w.pt")
    with pytest.raises(ModelError, match=r"it names torch.nn.\S*Sequential.*torch.save\(model.state_dict\(\), path\)"):
        load("w.pt")


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript_is_refused(trained):
    torch.jit.script(trained).save("w.pt")
    with pytest.raises(ModelError, match=r"w.pt is a TorchScript module"):
        load("w.pt")


def test_a_zip_file_that_would_fill_the_memory(trained):
    plain = io.BytesIO()
    torch.save(trained.state_dict(), plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile("w.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        new.writestr("archive/data/99", bytes(10_000_000))
    with pytest.raises(ModelError, match=r"w.pt is malicious: its entries would fill the memory"):
        load("w.pt")


def test_files_that_are_no_weights(folder, trained, monkeypatch):
    (folder / "empty.pt").touch()
    (folder / "text.pt").write_text("no weights")
    content = io.BytesIO()
    torch.save(trained.state_dict(), content)
    (folder / "cut.pt").write_bytes(content.getvalue()[:-200])
    for name in ("empty.pt", "text.pt", "cut.pt"):
        with pytest.raises((WeightsError, ModelError), match=rf"{name} is (damaged|refused)"):
            load(name)
    for value, kind in (([1, 2], "list"), ({"lr": 0.1}, "dict"), (torch.zeros(3), "Tensor")):
        torch.save(value, "other.pt")
        with pytest.raises(ModelError, match=f"other.pt contains no state dict.* but a {kind}"):
            load("other.pt")
    os.mkfifo("pipe.pt")
    with pytest.raises(ModelError, match=r"pipe.pt is not read: it is a FIFO"):
        load("pipe.pt")
    (folder / "folder.pt").mkdir()
    with pytest.raises(WeightsError, match=r"Cannot read folder.pt: Is a directory"):
        load("folder.pt")
    monkeypatch.setattr("seewhy.models.torch_weights.MAX_FILE_SIZE", 100)
    with pytest.raises(ModelError, match="the limit is 100"):
        load("cut.pt")


def test_weights_of_another_architecture(trained):
    state = trained.state_dict()
    state["5.weight"], state["extra"] = torch.zeros(7, 4), state.pop("0.bias")
    torch.save(state, "w.pt")
    with pytest.raises(WeightsError) as error:
        load("w.pt")
    assert (
        "missing: 0.bias; unknown to the architecture: extra; of another shape: 5.weight (7, 4) instead of (3, 4)"
        in str(error.value)
    )


@pytest.mark.usefixtures("folder")
def test_wrong_calls():
    torch.save({"a": torch.zeros(2)}, "w.pt")
    for options, error, message in [
        ({}, ModelError, "--architecture timm:resnet18 .* seewhy.load\\('w.pt', architecture='timm:resnet18'"),
        ({"architecture": "w.pt"}, ModelError, "The architecture 'w.pt' is a file"),
        (
            {"architecture": "small_nets:build", "weights": None},
            OptionError,
            "contains the weights; given weights=None",
        ),
        ({"architecture": "no thing"}, ModelError, "Unknown model 'no thing'"),
        ({"architecture": "mobilenet"}, ModelError, "contains weights of PyTorch, and mobilenet is a"),
    ]:
        with pytest.raises(error, match=message):
            seewhy.load("w.pt", **options)
    with pytest.raises(ModelError, match=r"There is no file none.pt"):
        load("none.pt")


def test_the_native_model_of_seewhy_with_weights_from_a_file(tmp_path):
    classifier = seewhy.load("efficientnet-lite0-torch", None)
    state = {name: tensor + 1 for name, tensor in classifier.model.state_dict().items()}
    torch.save(state, tmp_path / "w.pt")
    for loaded in (
        seewhy.load(tmp_path / "w.pt", architecture="efficientnet-lite0-torch"),
        seewhy.load(tmp_path / "w.pt", architecture="efficientnet-lite0"),
        seewhy.load("efficientnet-lite0-torch", tmp_path / "w.pt"),
    ):
        found = loaded.model.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_the_number_of_classes_of_the_weights():
    own = {"stem": torch.zeros(4, 3), "head.weight": torch.zeros(10, 4), "head.bias": torch.zeros(10)}
    assert class_count(own, own) is None
    assert class_count({**own, "head.weight": torch.zeros(5, 4), "head.bias": torch.zeros(5)}, own) == 5
    assert class_count({**own, "head.weight": torch.zeros(5, 9)}, own) is None
    assert class_count({"other": torch.zeros(3)}, own) is None


def test_a_wrapper_s_prefix_is_kept_where_the_model_has_it():
    state = {"model.a": torch.zeros(1)}
    assert list(without_wrapper(state, {"a": torch.zeros(1)})) == ["a"]
    assert list(without_wrapper(state, {"model.a": torch.zeros(1)})) == ["model.a"]


def test_a_state_dict_is_tensors_by_name(tmp_path):
    torch.save({"a": torch.arange(3.0)}, tmp_path / "w.pth")
    assert list(read_state_dict(tmp_path / "w.pth")) == ["a"]
