import ast
import errno
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.errors import OutputError
from seewhy.images.writing import image_writer, write_atomically, write_together


def test_a_file_is_written_and_its_folder_created(tmp_path):
    path = tmp_path / "new" / "file.bin"
    write_atomically(path, lambda file: file.write(b"whole"))
    assert path.read_bytes() == b"whole"
    assert os.listdir(path.parent) == ["file.bin"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "ours", lambda file: file.write(b""))
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_half_a_file_is_never_left(tmp_path, error):
    """The disk is full, or the user loses patience, in the middle of writing over an older file."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def write_half(file):
        file.write(b"ha")
        raise error

    with pytest.raises((OutputError, KeyboardInterrupt)) as raised:
        write_atomically(path, write_half)
    assert isinstance(raised.value, KeyboardInterrupt) or "file.bin: No space left on device." in str(raised.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_path_with_a_null_character(tmp_path):
    with pytest.raises(OutputError, match=r"Cannot write '.*': a path cannot contain a null character"):
        write_atomically(tmp_path / "a\0.png", lambda file: file.write(b""))


def test_a_durable_file_is_on_the_disk_before_it_replaces_another(tmp_path, monkeypatch):
    """Its content, then its name."""
    path, synced = tmp_path / "file.bin", []
    path.write_bytes(b"old")

    def fsync(descriptor):
        synced.append(
            (os.path.realpath(f"/proc/self/fd/{descriptor}"), path.read_bytes(), os.fstat(descriptor).st_size)
        )

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, lambda file: file.write(b"content"), durable=True)
    (temporary, before, size), (folder, after, _) = synced
    assert os.path.dirname(temporary) == folder == str(tmp_path)
    assert (before, size, after) == (b"old", 7, b"content")
    write_atomically(path, lambda file: file.write(b""))
    assert len(synced) == 2


def fsync_that_fails_for_folders(number):
    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))

    return fsync


def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fsync_that_fails_for_folders(errno.EINVAL))
    write_atomically(tmp_path / "file.bin", lambda file: file.write(b"content"), durable=True)
    assert (tmp_path / "file.bin").read_bytes() == b"content"


def test_a_disk_that_fails_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fsync_that_fails_for_folders(errno.EIO))
    with pytest.raises(OutputError, match=r"Cannot write .*file.bin: Input/output error"):
        write_atomically(tmp_path / "file.bin", lambda file: file.write(b"content"), durable=True)


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o300)
    try:
        write_atomically(folder / "file.bin", lambda file: file.write(b"content"), durable=True)
    finally:
        folder.chmod(0o700)
    assert (folder / "file.bin").read_bytes() == b"content"


def test_files_that_belong_together(tmp_path):
    """All of them or none; a folder that was there is replaced."""

    def write(path):
        path.with_suffix(".bin").write_bytes(b"weights")
        path.write_bytes(b"graph")

    write_together(tmp_path / "new" / "model.xml", write)
    assert sorted(os.listdir(tmp_path / "new")) == ["model.bin", "model.xml"]

    def write_half(path):
        path.mkdir()
        raise KeyboardInterrupt

    (tmp_path / "folder" / "old").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        write_together(tmp_path / "folder", write_half)
    assert os.listdir(tmp_path / "folder") == ["old"]
    write_together(tmp_path / "folder", lambda path: (path / "new").mkdir(parents=True))
    assert (os.listdir(tmp_path / "folder"), sorted(os.listdir(tmp_path))) == (["new"], ["folder", "new"])


WRITING_CALLS = {"write_bytes", "write_text", "rename", "renames", "replace", "savefig", "save_weights", "tofile"}


def files_written(tree):
    """Yield the lines that open, write or rename a file other than by `write_atomically`."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        texts = [value.value for value in call.args if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        is_open = name == "open" and any(set(text) & set("wax+") and set(text) <= set("rwaxbt+") for text in texts)
        is_text = name == "replace" and len(call.args) == 2  # str.replace; Path.replace takes one
        is_dataclass = name == "replace" and (call.keywords or getattr(call.func, "id", "") == "replace")
        if is_open or (name in WRITING_CALLS and not (is_text or is_dataclass)):
            yield call.lineno


def test_one_function_writes_all_files():
    package = Path(seewhy.__file__).parent
    found = {
        path.relative_to(package).as_posix(): lines
        for path in package.rglob("*.py")
        if (lines := list(files_written(ast.parse(path.read_text("utf-8")))))
    }
    assert list(found) == ["images/writing.py"]
    # The opening and the renaming; and of files that belong together, the moving of each, and of a replaced folder.
    assert len(found["images/writing.py"]) == 4


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match=r"Cannot write .*taken/file.bin: "):
        write_atomically(tmp_path / "taken" / "file.bin", lambda file: file.write(b""))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (9, 1, 3), (1, 9, 3), (600, 500, 3), (600, 500), (2, 100_000, 3)])
def test_a_png_holds_its_pixels(shape):
    """Of one pixel, of one row or column, of several bands of rows, and of rows longer than a band."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    file = io.BytesIO()
    image_writer(pixels, ".png")(file)
    with Image.open(file) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_a_png_of_one_colour_is_small():
    file = io.BytesIO()
    image_writer(np.full((480, 640, 3), 255, np.uint8), ".png")(file)
    assert len(file.getvalue()) < 4000  # 900 kB of pixels


def test_a_png_whose_bands_are_compressed_in_different_ways():
    """Noise, in which no runs are looked for, between bands of one colour; and what libpng's checksums say of it."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 900, 3), np.uint8)
    pixels = np.concatenate([np.full_like(noise, 40), noise, np.full_like(noise, 90)])
    file = io.BytesIO()
    image_writer(pixels, ".png")(file)
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert noise.size < len(file.getvalue()) < 1.02 * noise.size
    start, parts = 8, []
    while start < len(content := file.getvalue()):
        length, kind = struct.unpack_from(">I4s", content, start)
        parts += [content[start + 8 : start + 8 + length]] if kind == b"IDAT" else []
        start += 12 + length
    lines = zlib.decompress(b"".join(parts))  # raises an error if the checksum of the whole is wrong
    assert len(lines) == 900 * (1 + 900 * 3)
