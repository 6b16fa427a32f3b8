"""NumPy's files, which anyone may have made: what is read of them, and that nothing else is."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import InputError
from seewhy.numpy_files import MAX_ARRAYS, MAX_HEADER, ArrayFileError, read_npy, read_npz
from seewhy.regular_files import FileTooLargeError, NotRegularFileError
from seewhy.results.foreign_maps import read_maps

VALUES = np.arange(12, dtype=np.float64).reshape(3, 4)


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize(
    "array",
    [
        VALUES,
        np.asfortranarray(VALUES),
        VALUES.astype(">f4"),
        np.array(7, np.uint8),
        np.zeros((0, 3)),
        np.array(["tabby", "ein Kätzchen"]),
        np.array([True, False]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_are_read_as_numpy_reads_them(tmp_path, array, version):
    (tmp_path / "a.npy").write_bytes(npy(array, version=version))
    found = read_npy(tmp_path / "a.npy")
    assert found.dtype == array.dtype
    assert found.flags.f_contiguous == np.load(tmp_path / "a.npy").flags.f_contiguous
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_several_arrays(tmp_path, save):
    save(tmp_path / "a.npz", first=VALUES, second=np.eye(2, dtype=np.float32))
    found = read_npz(tmp_path / "a.npz")
    assert list(found) == ["first", "second"]
    np.testing.assert_array_equal(found["first"], VALUES)
    np.testing.assert_array_equal(found["second"], np.eye(2))


class Acts:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_objects_are_not_unpickled(tmp_path):
    array = np.empty(1, object)
    array[0] = Acts(tmp_path / "acted")
    (tmp_path / "a.npy").write_bytes(npy(array, allow_pickle=True))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(array))
    np.savez(tmp_path / "a.npz", a=array)
    for read, name, message in (
        (read_npy, "a.npy", "it holds objects of Python"),
        (read_npy, "pickle.npy", "it is not a .npy file"),
        (read_npz, "a.npz", "it holds objects of Python"),
        (read_npz, "pickle.npy", "not a zip file"),
    ):
        with pytest.raises(ArrayFileError, match=message):
            read(tmp_path / name)
    assert not (tmp_path / "acted").exists()


def test_pipes_devices_and_folders_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_npy, read_npz):
        with pytest.raises(NotRegularFileError):
            read(tmp_path / "pipe")
        with pytest.raises(IsADirectoryError):
            read(tmp_path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "missing.npy")
    with pytest.raises(NotRegularFileError):
        read_npy(Path("/dev/zero"))


def test_what_is_too_large_takes_no_memory(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy(VALUES))
    with pytest.raises(ArrayFileError, match=r"96 bytes; the limit is 95"):
        read_npy(tmp_path / "a.npy", 95)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy", 96), VALUES)
    lies = npy(VALUES).replace(b"(3, 4), }       ", b"(99999999, 9), }")
    assert len(lies) == len(npy(VALUES))
    (tmp_path / "lies.npy").write_bytes(lies)
    with pytest.raises(ArrayFileError, match=r"7,199,999,928 bytes; the limit is 536,870,912"):
        read_npy(tmp_path / "lies.npy")
    with (tmp_path / "sparse.npy").open("wb") as file:
        file.truncate(2**40)
    for read in (read_npy, read_npz):
        with pytest.raises(FileTooLargeError):
            read(tmp_path / "sparse.npy")


def test_a_small_zip_file_does_not_fill_the_memory(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.npy", "b.npy"):
            archive.writestr(name, npy(np.zeros(60_000, np.uint8)))
    assert (tmp_path / "bomb.npz").stat().st_size < 2000
    with pytest.raises(ArrayFileError, match="60,000 bytes; the limit is 40,000"):  # both together
        read_npz(tmp_path / "bomb.npz", 100_000)
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as archive:
        for number in range(MAX_ARRAYS + 1):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(ArrayFileError, match="it has 1,001 arrays; the limit is 1,000"):
        read_npz(tmp_path / "many.npz")


def damaged():
    whole = npy(VALUES)
    yield "empty", b"", "it is not a .npy file"
    yield "cut in the header", whole[:30], "its header is damaged"
    yield "cut in the values", whole[:-1], "it is truncated: its header announces 96 bytes, and there are 95"
    yield "version", whole[:6] + b"\x03" + whole[7:], r"it has the version \(3, 0\)"
    yield "long header", b"\x93NUMPY\x02\x00" + struct.pack("<I", MAX_HEADER + 1), "its header has 65,537 bytes"
    yield "no header", b"\x93NUMPY\x01\x00\x76\x00" + b"(" * 118, "its header is damaged"
    yield "negative", whole.replace(b"(3, 4), } ", b"(-3, 4), }"), r"an array of shape \(-3, 4\)"


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in damaged()], ids=[case[0] for case in damaged()])
def test_a_damaged_file_is_an_error(tmp_path, content, message):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ArrayFileError, match=message):
        read_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ArrayFileError, match=message):
        read_npz(tmp_path / "a.npz")


def test_a_damaged_zip_file_is_an_error(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.arange(500.0))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    encrypted = content.copy()
    encrypted[6] |= 1
    encrypted[content.index(b"PK\x01\x02") + 8] |= 1
    content[200:300] = bytes(100)
    for name, changed in (("damaged", content), ("encrypted", encrypted), ("cut", content[:-30])):
        (tmp_path / name).write_bytes(changed)
        with pytest.raises(ArrayFileError):
            read_npz(tmp_path / name)


def test_maps_of_other_tools_are_read_like_that(tmp_path):
    """`report --maps` and `evaluate --maps`: what is no small regular file without objects is an error of the call."""
    objects = np.empty(1, object)
    objects[0] = Acts(tmp_path / "acted")
    np.savez(tmp_path / "objects.npz", a=objects)
    os.mkfifo(tmp_path / "pipe.npz")
    np.savez(tmp_path / "scalar.npz", names=np.array("cat"), heatmaps=np.zeros((1, 2, 2)))
    np.savez(tmp_path / "fewer.npz", names=np.array(["cat"]), heatmaps=np.zeros((2, 2, 2)))
    for name, message in (
        ("objects.npz", "objects of Python"),
        ("pipe.npz", "it is a FIFO"),
        ("scalar.npz", r"names of shape \(\) and heatmaps of shape \(1, 2, 2\)"),
        ("fewer.npz", r"names of shape \(1,\) and heatmaps of shape \(2, 2, 2\)"),
    ):
        with pytest.raises(InputError, match=message):
            read_maps(tmp_path / name)
    (tmp_path / "maps").mkdir()
    os.mkfifo(tmp_path / "maps" / "0.npy")
    (tmp_path / "maps" / "1.npy").write_bytes(npy(objects, allow_pickle=True))
    from seewhy.evaluate.study_sources import find_given_maps

    maps = find_given_maps("tool", tmp_path / "maps", ["0.png", "1.png"])
    assert len(maps.checksum) == len(
        find_given_maps("tool", [VALUES], ["0.png"]).checksum
    )  # which reads the files, too
    for name, message in (("0.png", "it is a FIFO"), ("1.png", "objects of Python")):
        with pytest.raises(InputError, match=message):
            maps._load(name)
    assert not (tmp_path / "acted").exists()


def test_inputs_of_the_command_line_are_read_like_that(tmp_path):
    from seewhy.cli.sample_option import read_arrays

    os.mkfifo(tmp_path / "pipe.npy")
    np.save(tmp_path / "a.npy", VALUES)
    np.testing.assert_array_equal(read_arrays({"left": tmp_path / "a.npy"})["left"], VALUES)
    with pytest.raises(InputError, match=r"pipe.npy is not an array that numpy.save wrote: it is a FIFO"):
        read_arrays([tmp_path / "pipe.npy"])


def test_the_heatmaps_that_were_saved_are_read(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    explanation = seewhy.from_maps(tmp_path / "a.png", {"cat": np.eye(3), "dog": np.ones((3, 3))})
    explanation.save(tmp_path / "a.npz")
    assert list(read_maps(tmp_path / "a.npz")) == ["cat", "dog"]
