"""Volumes, signals and videos of anyone: only regular files of limited size are read, and small ones take little."""

import io
import os
import zlib

import numpy as np
import pytest

import seewhy
from seewhy.errors import RecordingError
from seewhy.recordings import dicom_series, files
from seewhy.recordings.find_reader import read_recording

pydicom = pytest.importorskip("pydicom")

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


def dicom_bytes():
    """Return a slice of 2 x 2 pixels as a DICOM file, and where its data set begins."""
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = pydicom.uid.CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = "1.2.3"
    header.Rows = header.Columns = 2
    header.PixelSpacing, header.SliceThickness = [1, 1], 1
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    header.PixelData = np.arange(4, dtype=np.uint16).tobytes()
    file = io.BytesIO()
    header.save_as(file, enforce_file_format=True)
    content = file.getvalue()
    return content, content.index(b"\x08\x00\x16\x00UI")


def test_a_small_dicom_file_does_not_fill_the_memory(tmp_path, monkeypatch):
    """A file that is compressed as a whole may decompress to a thousand times its size; pydicom reads all of it."""
    content, start = dicom_bytes()
    (tmp_path / "plain.dcm").write_bytes(content)
    np.testing.assert_array_equal(seewhy.read_volume(tmp_path / "plain.dcm").samples.ravel(), np.arange(4))
    uid = b"1.2.840.10008.1.2.1\x00"
    deflated = content[:start].replace(b"UI\x14\x00" + uid, b"UI\x16\x00" + b"1.2.840.10008.1.2.1.99")
    assert len(deflated) == start + 2
    press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflated + press.compress(content[start:] + bytes(10_000_000)) + press.flush()
    assert len(bomb) < 15_000
    (tmp_path / "bomb.dcm").write_bytes(bomb)
    monkeypatch.setattr(dicom_series, "MAX_INFLATED", 1_000_000)
    with pytest.raises(
        RecordingError, match=r"bomb.dcm .* compressed as a whole, and becomes more than 1,000,000 bytes"
    ):
        seewhy.read_volume(tmp_path / "bomb.dcm")
