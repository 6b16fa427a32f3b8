"""Volumes, signals and videos of anyone: only regular files of limited size are read."""

import os

import pytest

import seewhy
from seewhy.errors import RecordingError
from seewhy.recordings import files
from seewhy.recordings.find_reader import read_recording

NAMES = ("scan.nii", "scan.nii.gz", "slice.dcm", "values.npy", "sound.wav", "sound.flac", "clip.gif", "clip.webp")


@pytest.mark.parametrize("name", NAMES)
def test_pipes_and_devices_are_refused_without_waiting(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(RecordingError, match=rf"{name} cannot be read: it is a FIFO, a device or a socket"):
        read_recording(tmp_path / name, 3)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(RecordingError, match=rf"{name} cannot be read: it is a FIFO, a device or a socket"):
        read_recording(tmp_path / name, 3)


@pytest.mark.parametrize("name", NAMES)
def test_files_above_the_limit_are_not_read(tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        file.truncate(2**41)
    with pytest.raises(RecordingError, match=rf"{name} is not read: it has 2,199,023,255,552 bytes; the limit is"):
        read_recording(tmp_path / name, 3)


def test_a_pipe_in_a_folder_of_slices_is_left_out(tmp_path):
    os.mkfifo(tmp_path / "1.dcm")
    with pytest.raises(RecordingError, match="contains no DICOM files"):
        seewhy.read_volume(tmp_path)


def test_a_file_that_becomes_a_pipe_is_refused_without_waiting(tmp_path, monkeypatch):
    """Between the look at the path and its opening another process may replace the file."""
    os.mkfifo(tmp_path / "scan.nii")
    regular = tmp_path / "regular"
    regular.write_bytes(b"")
    status = regular.stat()
    monkeypatch.setattr(type(regular), "stat", lambda *_, **__: status)
    with pytest.raises(RecordingError, match="it is a FIFO"), files.open_recording(tmp_path / "scan.nii", 100):
        pass
