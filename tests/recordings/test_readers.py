"""Reading files: values computed by hand, and files that are damaged, truncated or something else."""

import contextlib
import gzip
import struct

import nibabel
import numpy as np
import pytest
import soundfile
from PIL import Image

import seewhy
from seewhy.errors import ImageNotFoundError, MissingExtraError, RecordingError, SeewhyWarning
from seewhy.recordings import find_reader, recording

AFFINE = np.array([[-2, 0, 0, 90], [0, 2.5, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1.0]])
VALUES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
FRAMES = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), dtype=np.uint8)


def nifti(path, values=VALUES, affine=AFFINE, units="mm", slope=1.0, kind=nibabel.Nifti1Image):
    image = kind(values, affine)
    image.header.set_xyzt_units(units)
    image.header.set_slope_inter(slope, 10.0 if slope != 1 else 0.0)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_file_is_read_as_nibabel_reads_it(tmp_path, suffix, kind):
    path = nifti(tmp_path / f"scan{suffix}", kind=kind)
    volume, other = seewhy.read_volume(path), nibabel.load(path)
    np.testing.assert_array_equal(volume.values, other.get_fdata())
    np.testing.assert_array_equal(volume.affine, other.affine)
    assert (volume.spacing, volume.source) == ((2, 2.5, 4), str(path))


def test_values_are_scaled_and_units_are_mm(tmp_path):
    path = nifti(tmp_path / "scan.nii", affine=np.diag([0.002, 0.0025, 0.004, 1]), units="meter", slope=0.5)
    content = bytearray(path.read_bytes())
    content[352:] = VALUES.tobytes(order="F")  # nibabel divides what it writes by the slope
    content[112:120] = struct.pack("<ff", 0.5, 10)
    path.write_bytes(content)
    volume = seewhy.read_volume(path)
    assert volume.values[2, 3, 4] == 59 * 0.5 + 10
    np.testing.assert_allclose(volume.spacing, (2, 2.5, 4), rtol=1e-6)


def test_a_nifti_file_that_does_not_say_where_it_lies_has_its_spacing(tmp_path):
    image = nibabel.Nifti1Image(VALUES[..., None], None)
    image.header.set_zooms((2, 2.5, 4, 1))
    nibabel.save(image, tmp_path / "scan.nii")
    volume = seewhy.read_volume(tmp_path / "scan.nii")
    assert (volume.affine, volume.spacing, volume.values.shape) == (None, (2, 2.5, 4), (3, 4, 5))


def test_distances_that_a_nifti_file_does_not_say_are_assumed_and_said(tmp_path):
    content = bytearray(nibabel.Nifti1Image(VALUES, None).to_bytes())
    content[80:92] = struct.pack("<3f", 2, 2.5, 0)
    (tmp_path / "scan.nii").write_bytes(content)
    with pytest.warns(SeewhyWarning, match=r"scan.nii does not say how far apart its voxels are .*: 1 is assumed"):
        assert seewhy.read_volume(tmp_path / "scan.nii").spacing == (2, 2.5, 1)


def test_a_fourth_axis_holds_channels(tmp_path):
    values = np.stack([VALUES, VALUES + 100], axis=-1)
    volume = seewhy.read_volume(nifti(tmp_path / "scan.nii.gz", values))
    np.testing.assert_array_equal(volume.samples, values)


def damaged_files(folder):
    """Yield files that cannot be read, each with what is said of it."""
    whole = nifti(folder / "whole.nii").read_bytes()
    pressed, huge = gzip.compress(whole), bytearray(whole)
    huge[40:48] = struct.pack("<hhhh", 3, 32767, 32767, 32767)
    complex_values = nifti(folder / "complex.nii", VALUES.astype(np.complex64)).read_bytes()
    flat = nifti(folder / "flat.nii", VALUES[0]).read_bytes()
    singular = bytearray(whole)
    singular[280:328] = struct.pack("<12f", *([0.0] * 12))
    for number, start in enumerate((0.0, np.inf, np.nan)):
        moved = bytearray(whole)
        moved[108:112] = struct.pack("<f", start)
        yield f"offset{number}.nii", bytes(moved), "expected real numbers after the header"
    yield "cut.nii", whole[:400], "is truncated: its header announces 472 bytes, and there are 400"
    yield "cut.nii.gz", pressed[: len(pressed) // 2], "is truncated or damaged"
    yield "short.nii", whole[:100], "or its header is truncated"
    yield "other.nii.gz", b"no NIfTI file at all", "is not a NIfTI file in one piece"
    yield "huge.nii", bytes(huge), "huge.nii, of 32767 x 32767 x 32767 voxels .* is too large"
    yield "complex.nii", complex_values, "values of the type complex64"
    yield "flat.nii", flat, r"has the shape \(4, 5\); expected three axes"
    yield "singular.nii", bytes(singular), "expected an invertible matrix"
    np.save(folder / "good.npy", VALUES)
    array = (folder / "good.npy").read_bytes()
    yield "cut.npy", array[:150], "is truncated: its header announces 120 bytes, and there are 22"
    yield "other.npy", b"\x93NUMPY\x09\x00" + array[8:], r"has the version \(9, 0\)"
    yield "header.npy", array[:10] + b"x" * 118, "or its header is damaged"
    yield "huge.npy", array.replace(b"(3, 4, 5), }", b"(9999999, 400, 9)}"), "values; the limit is 200,000,000"
    np.save(folder / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    yield "objects.npy", (folder / "objects.npy").read_bytes(), r"shape \(2,\) and type object; expected numbers"
    soundfile.write(folder / "good.wav", np.zeros(400, np.float32), 8000)
    yield "negative.npy", array.replace(b"(3, 4, 5), }", b"(-3, -4, 5)}"), r"holds an array of shape \(-3, -4, 5\)"
    for kind in ("AIFF", "RF64"):
        soundfile.write(folder / f"good.{kind}", np.zeros(400, np.float32), 8000, format=kind)
        yield f"cut{kind}.wav", (folder / f"good.{kind}").read_bytes()[:-300], "is truncated: its header announces"
    yield "cut.wav", (folder / "good.wav").read_bytes()[:300], "is truncated: its header announces 844 bytes"
    yield "other.wav", b"no sound at all", "other.wav is not a sound file, .*; libsndfile says: Format not recognised"
    soundfile.write(folder / "empty.wav", np.zeros(0, np.float32), 8000)
    yield "silent.wav", (folder / "empty.wav").read_bytes(), "silent.wav, of 0 samples, is empty"
    soundfile.write(folder / "nan.wav", np.full(9, np.nan, np.float32), 8000, subtype="FLOAT")
    yield "nan.wav", (folder / "nan.wav").read_bytes(), "holds values that are NaN, infinite, or too large for float32"
    np.save(folder / "large.npy", np.full((2, 2, 2), 1e300))
    yield "large.npy", (folder / "large.npy").read_bytes(), "infinite, or too large for float32"
    steep, negative = bytearray(whole), bytearray(whole)
    steep[112:120] = struct.pack("<ff", 3e38, 0)
    yield "steep.nii", bytes(steep), "infinite, or too large for float32"
    negative[42:44] = struct.pack("<h", -3)
    yield "negative.nii", bytes(negative), "The volume in .*negative.nii, of -3 x 4 x 5 voxels, is empty"


def test_damaged_files_are_errors_in_words(tmp_path):
    for name, content, message in damaged_files(tmp_path):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecordingError, match=message) as raised:
            find_reader.read_recording(tmp_path / name, None)
        assert name in str(raised.value)


def test_a_sound_that_makes_the_decoder_seek_before_its_beginning(tmp_path, capfd):
    """soundfile would print a traceback, and go on."""
    soundfile.write(tmp_path / "whole.aiff", np.zeros(400, np.float32), 8000)
    content = bytearray((tmp_path / "whole.aiff").read_bytes())
    content[38] = 0xFF
    (tmp_path / "sound.aif").write_bytes(content)
    with contextlib.suppress(RecordingError):
        seewhy.read_signal(tmp_path / "sound.aif")
    assert capfd.readouterr().err == ""


def test_what_is_not_there_or_no_file(tmp_path):
    with pytest.raises(ImageNotFoundError, match=r"There is no file at .*scan.nii"):
        seewhy.read_volume(tmp_path / "scan.nii")
    with pytest.raises(
        RecordingError, match=r"note.txt has no suffix of a volume, a signal or a video; known: .nii.gz"
    ):
        seewhy.read_volume(tmp_path / "note.txt")
    np.save(tmp_path / "signal.npy", np.zeros(5))
    with pytest.raises(RecordingError, match=r"signal.npy is a signal; expected a volume"):
        seewhy.read_volume(tmp_path / "signal.npy")


def test_a_compressed_file_is_not_decompressed_beyond_what_it_announces(tmp_path, monkeypatch):
    """A small file may decompress to any size: no more is read than the header announces."""
    content = nifti(tmp_path / "whole.nii").read_bytes()
    bomb = tmp_path / "bomb.nii.gz"
    bomb.write_bytes(gzip.compress(content + bytes(30_000_000), 1))
    read = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda file, size=-1: read.append(original(file, size)) or read[-1])
    assert seewhy.read_volume(bomb).values[2, 3, 4] == 59
    assert sum(map(len, read)) < 10_000


@pytest.mark.parametrize(
    ("values", "kind", "space"),
    [
        (np.zeros(7), seewhy.Signal, (7,)),
        (np.zeros((7, 2)), seewhy.Signal, (7,)),
        (np.zeros((3, 4, 5), bool), seewhy.Volume, (3, 4, 5)),
        (np.zeros((3, 4, 5, 3), np.float32), seewhy.Volume, (3, 4, 5)),
        (np.asfortranarray(FRAMES), seewhy.Video, (4, 6, 8)),
    ],
)
def test_arrays_are_told_apart_by_their_axes(tmp_path, values, kind, space):
    np.save(tmp_path / "data.npy", values)
    found = find_reader.read_recording(tmp_path / "data.npy", None)
    assert (type(found), found.space) == (kind, space)
    np.testing.assert_array_equal(found.samples.reshape(values.shape), values)


def test_a_sound_has_its_rate_and_channels(tmp_path):
    stereo = np.array([[0.5, -0.5], [0.25, 0]], np.float32)
    soundfile.write(tmp_path / "sound.wav", stereo, 8000, subtype="FLOAT")
    signal = seewhy.read_signal(tmp_path / "sound.wav")
    np.testing.assert_array_equal(signal.values, stereo)
    assert (signal.rate, signal.times.tolist()) == (8000, [0, 1 / 8000])


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_is_a_video_for_a_model_that_takes_videos(tmp_path, suffix):
    path = tmp_path / f"video.{suffix}"
    grey = [Image.fromarray(np.full((6, 8, 3), 60 * shade, np.uint8)) for shade in range(4)]
    grey[0].save(path, save_all=True, append_images=grey[1:], duration=80, lossless=True)
    video = seewhy.read_video(path)
    assert (video.space, video.fps) == ((4, 6, 8), 12.5)
    np.testing.assert_array_equal(video.frames[:, 3, 3, 0], [0, 60, 120, 180])
    assert [find_reader.is_recording(path, axes) for axes in (None, 2, 3)] == [False, False, True]
    (tmp_path / f"cut.{suffix}").write_bytes(path.read_bytes()[:-8])
    with pytest.raises(RecordingError, match=f"cut.{suffix} is truncated"):
        seewhy.read_video(tmp_path / f"cut.{suffix}")


def test_an_animation_with_too_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    frames = [Image.fromarray(frame) for frame in FRAMES]
    frames[0].save(tmp_path / "video.gif", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(recording, "MAX_VALUES", 500)
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("a frame was decoded"))
    with pytest.raises(RecordingError, match=r"4 x 6 x 8 frames x pixels and 3 channel\(s\), is too large"):
        seewhy.read_video(tmp_path / "video.gif")


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("nibabel", "scan.nii", "volumes"), ("pydicom", "scan.dcm", "volumes"), ("soundfile", "sound.wav", "signals")],
)
def test_the_error_for_a_missing_package_says_how_to_install_it(monkeypatch, package, name, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None if wanted == package else object())
    with pytest.raises(
        MissingExtraError, match=rf"{package} is not installed. Install it with: pip install .*\[{extra}\]"
    ):
        find_reader.read_recording(name, None)


def test_signs_and_sizes_of_voxels_that_nibabel_mends(tmp_path):
    image = nibabel.Nifti1Image(VALUES, None)
    image.set_qform(np.diag([2.0, 3, 4, 1]), code=1)
    content = bytearray(image.to_bytes())
    content[76:84] = struct.pack("<2f", 0, -2)  # the sign of the third axis, which 0 leaves as it is, and a size
    (tmp_path / "scan.nii").write_bytes(content)
    np.testing.assert_allclose(seewhy.read_volume(tmp_path / "scan.nii").affine, np.diag([2, 3, 4, 1]), atol=1e-6)


def test_frames_of_different_durations_and_transparent_ones(tmp_path):
    clear = Image.fromarray(np.zeros((6, 8, 4), np.uint8))
    grey = Image.fromarray(np.full((6, 8, 4), 255, np.uint8) // 2 + np.array([0, 0, 0, 128], np.uint8))
    clear.save(tmp_path / "video.gif", save_all=True, append_images=[grey], duration=[50, 800], disposal=2)
    with pytest.warns(SeewhyWarning, match="shown for 50 to 800 ms"):
        video = seewhy.read_video(tmp_path / "video.gif")
    assert video.fps is None
    np.testing.assert_array_equal(video.frames[:, 0, 0, 0], [255, 127])  # white, as in images
