import os

import pytest

from seewhy.errors import OutputError
from seewhy.images.writing import write_atomically


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


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match=r"Cannot write .*taken/file.bin: "):
        write_atomically(tmp_path / "taken" / "file.bin", lambda file: file.write(b""))
