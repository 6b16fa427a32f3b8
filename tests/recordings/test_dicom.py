"""DICOM: slices in their order, values in the units of the modality, windows, and folders that are no one volume."""

import struct

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

import seewhy
from seewhy.errors import RecordingError, SeewhyWarning
from seewhy.recordings.slices import slice_image

STORED = np.arange(12, dtype=np.uint16).reshape(3, 4)


def write(path, position=(-20.0, 30, 5), uid="1.2.3", pixels=STORED, **elements):
    """Write a slice of 3 x 4 pixels, of 1.5 mm between rows and 2 mm between columns."""
    slice_ = Dataset()
    slice_.file_meta = FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice_.file_meta.MediaStorageSOPClassUID = slice_.SOPClassUID = CTImageStorage
    slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID = generate_uid()
    slice_.SeriesInstanceUID, slice_.Rows, slice_.Columns, slice_.PixelSpacing = uid, 3, 4, [1.5, 2.0]
    slice_.ImagePositionPatient, slice_.ImageOrientationPatient = list(position), [1, 0, 0, 0, 1, 0]
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation, slice_.PixelRepresentation = 1, "MONOCHROME2", 0
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.SliceThickness = 16, 12, 11, 3
    slice_.PixelData = pixels.tobytes()
    for name, value in elements.items():
        if value is None:
            del slice_[name]
        else:
            setattr(slice_, name, value)
    path.parent.mkdir(exist_ok=True)
    slice_.save_as(path, enforce_file_format=True)
    return path


def test_slices_are_sorted_by_their_place_and_in_the_units_of_the_modality(tmp_path):
    for number, height in enumerate((10.0, 2.5, 5.0, 7.5)):  # neither the names nor the instances are in order
        pixels = np.full((3, 4), 100 * number, np.uint16)
        scaling = {"RescaleSlope": 2, "RescaleIntercept": -1024, "InstanceNumber": number}
        write(tmp_path / "scan" / f"{number}.dcm", (-20, 30, height), pixels=pixels, **scaling)
    (tmp_path / "scan" / "notes.txt").write_text("no slice")
    volume = seewhy.read_volume(tmp_path / "scan")
    np.testing.assert_array_equal(volume.values[:, 0, 0], [-824, -624, -424, -1024])
    assert (volume.values.shape, volume.spacing) == ((4, 3, 4), (2.5, 1.5, 2))
    # The first pixel of the lowest slice, and the last one of the highest; x grows to the left in DICOM, not here.
    first, last = (volume.affine @ [*position, 1] for position in ((0, 0, 0), (3, 2, 3)))
    np.testing.assert_allclose(first, [20, -30, 2.5, 1])
    np.testing.assert_allclose(last, [20 - 3 * 2, -30 - 2 * 1.5, 10, 1])


@pytest.mark.parametrize(
    ("function", "expected", "shown"),
    [
        # PS3.3 C.11.2.1.2.1 and C.11.2.1.3, of the values 0, 6 and 11, of a window of width 9 around 6.
        ("LINEAR", [0, (6 - 5.5) / 8 + 0.5, 1], (1.5, 9.5)),
        ("LINEAR_EXACT", [0, (6 - 6) / 9 + 0.5, 1], (1.5, 10.5)),
        ("SIGMOID", [1 / (1 + np.exp(24 / 9)), 0.5, 1 / (1 + np.exp(-20 / 9))], (1.5, 10.5)),
    ],
)
def test_values_through_the_window(tmp_path, function, expected, shown):
    path = write(tmp_path / "slice.dcm", WindowCenter=6, WindowWidth=9, VOILUTFunction=function)
    values = seewhy.read_volume(path, voi=True).values[0]
    np.testing.assert_allclose([values[0, 0], values[1, 2], values[2, 3]], expected, rtol=1e-6)
    plain = seewhy.read_volume(path)
    np.testing.assert_array_equal(plain.values[0], STORED)
    assert plain.window == shown


def test_monochrome1_is_inverted(tmp_path):
    window = {"WindowCenter": 6, "WindowWidth": 9, "VOILUTFunction": "LINEAR_EXACT"}
    path = write(tmp_path / "slice.dcm", PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_allclose(seewhy.read_volume(path, voi=True).values[0, [0, 1, 2], [0, 3, 3]], [1, 7 / 18, 0])
    plain = seewhy.read_volume(path)  # in the units of the modality; only what is drawn is inverted
    np.testing.assert_array_equal(plain.values[0], STORED)
    drawn = [slice_image(volume, 0, 0)[0, 0, 0] for volume in (plain, seewhy.read_volume(path, voi=True))]
    assert drawn == [255, 255]


def test_values_through_a_voi_lut(tmp_path):
    lut = Dataset()
    lut.LUTDescriptor = [12, 0, 8]
    lut.add_new("LUTData", "US", [255, *range(0, 220, 20)])
    path = write(tmp_path / "slice.dcm", VOILUTSequence=Sequence([lut]))
    np.testing.assert_allclose(seewhy.read_volume(path, voi=True).values[0, 0], [1, 0, 20 / 255, 40 / 255])


def folders(tmp_path):
    """Yield folders that are no one volume, each with what is said of it."""
    for number in range(5):
        place = (0, 0, 2.0 * number)
        write(tmp_path / "two" / f"{number}.dcm", place, uid=f"1.{number % 2}", SeriesDescription=f"of {number % 2}")
        if number != 2:
            write(tmp_path / "gap" / f"{number}.dcm", place)
        write(tmp_path / "twice" / f"{number}.dcm", (0, 0, min(number, 3)))
        write(tmp_path / "tilted" / f"{number}.dcm", place, ImageOrientationPatient=[1, 0, 0, 0, 0.8, 0.1 * number])
        write(tmp_path / "placeless" / f"{number}.dcm", place, ImagePositionPatient=None)
        write(tmp_path / "sizes" / f"{number}.dcm", place, Rows=3 - number % 2)
        write(tmp_path / "distances" / f"{number}.dcm", place, PixelSpacing=[1 + number % 2, 1])
        write(tmp_path / "mixed" / f"{number}.dcm", place, PhotometricInterpretation=f"MONOCHROME{1 + number % 2}")
        write(tmp_path / "beside" / f"{number}.dcm", (20 * (number == 1), 0, 2.0 * number))
    yield "two", r"contains 2 series: of 0 \(3 slices, 0.dcm and on, 1.0\); of 1 \(2 slices, 1.dcm and on, 1.1\)"
    yield "gap", "uneven distances, from 2 to 4 mm; the largest gap is between 1.dcm and 3.dcm"
    yield "twice", "lie at the same place: 3.dcm and 4.dcm"
    yield "tilted", "are not parallel"
    yield "placeless", "Not every slice .* says where it lies"
    yield "sizes", r"have different sizes: \(2, 4\), \(3, 4\)"
    yield "distances", r"different distances between pixels: \(1.0, 1.0\), \(2.0, 1.0\)"
    yield "mixed", "different photometric interpretations: MONOCHROME1, MONOCHROME2"
    yield "beside", "are not in a line: 1.dcm lies 20 mm beside it"
    write(tmp_path / "palette" / "0.dcm", PhotometricInterpretation="PALETTE COLOR")
    yield "palette", "has pixels of the kind PALETTE COLOR"
    write(tmp_path / "flat" / "0.dcm", RescaleSlope=0, RescaleIntercept=-1024)
    yield "flat", "its rescale slope is 0"
    whole = write(tmp_path / "cut" / "0.dcm").read_bytes()
    (tmp_path / "cut" / "0.dcm").write_bytes(whole[:-10])
    yield "cut", "0.dcm is damaged, or of a kind that is not read"
    write(tmp_path / "close" / "0.dcm", PixelSpacing=[1.5, 0])
    yield "close", "0.dcm .* its pixels are 1.5 and 0 mm apart; expected more than 0"
    write(tmp_path / "three" / "0.dcm", PixelSpacing=[1, 1, 1])
    yield "three", r"0.dcm .* its PixelSpacing is \[1.0, 1.0, 1.0\]; expected 2 numbers"
    write(tmp_path / "nowhere" / "0.dcm", position=(0, 0, np.nan))
    yield "nowhere", "0.dcm .* its ImagePositionPatient is .*nan.*; expected 3 numbers"
    write(tmp_path / "steep" / "0.dcm", RescaleSlope=1e38, RescaleIntercept=0)
    yield "steep", "The volume in .*steep holds values that are NaN, infinite, or too large for float32"
    write(tmp_path / "colour" / "0.dcm", SamplesPerPixel=3)
    yield "colour", r"has 1 frame\(s\) and 3 value\(s\) per pixel"
    write(tmp_path / "huge" / "0.dcm", Rows=65535, Columns=65535)
    yield "huge", "huge, of 1 x 65535 x 65535 voxels .* is too large"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0.dcm").write_bytes(b"no DICOM file")
    yield "other", "0.dcm is not a DICOM file"


def test_folders_that_are_no_one_volume(tmp_path):
    for name, message in folders(tmp_path):
        with pytest.raises(RecordingError, match=message):
            seewhy.read_volume(tmp_path / name)


def test_without_windows_the_range_of_all_slices_is_shown(tmp_path):
    for number, factor in enumerate((1, 10)):
        pixels = (factor * STORED).astype(np.uint16)
        write(
            tmp_path / "scan" / f"{number}",
            (0, 0, 2.0 * number),
            pixels=pixels,
            PhotometricInterpretation="MONOCHROME1",
        )
    (tmp_path / "scan" / "DICOMDIR").write_bytes(
        (tmp_path / "scan" / "0").read_bytes()
    )  # a table of contents, no slice
    values = seewhy.read_volume(tmp_path / "scan", voi=True).values
    np.testing.assert_allclose(values, 1 - np.stack([STORED, 10 * STORED]) / 110, rtol=1e-6)
    alone = seewhy.read_volume(tmp_path / "scan" / "1")  # scanners give their files no suffix
    np.testing.assert_array_equal(alone.values[0], 10 * STORED)


@pytest.mark.parametrize(
    ("elements", "thickness"),
    [
        ({"SliceThickness": 3, "SpacingBetweenSlices": 5}, 3),
        ({"SliceThickness": None, "SpacingBetweenSlices": -5}, 5),  # nuclear medicine gives the distance a sign
        ({"SliceThickness": 0, "SpacingBetweenSlices": 5}, 5),
    ],
)
@pytest.mark.parametrize("place", [{}, {"ImagePositionPatient": None}], ids=["placed", "placeless"])
def test_one_slice_is_as_thick_as_its_file_says(tmp_path, elements, thickness, place):
    volume = seewhy.read_volume(write(tmp_path / "slice.dcm", **elements, **place))
    assert volume.spacing == (thickness, 1.5, 2)
    assert (volume.affine is None) == bool(place)
    if volume.affine is not None:  # the way to where the next slice would be is along the normal, here z
        np.testing.assert_array_equal(volume.affine[:3, 0], [0, 0, thickness])
    assert slice_image(volume, 0, 1).shape == (2, 4, 3)  # of 4 columns of 2 mm, and 3 or 5 mm thick


def test_a_distance_that_no_file_says_is_assumed_and_said(tmp_path):
    thin = write(tmp_path / "thin.dcm", SliceThickness=None)
    with pytest.warns(SeewhyWarning, match=r"thin.dcm does not say how thick its one slice is .*: 1 mm is assumed"):
        assert seewhy.read_volume(thin).spacing == (1, 1.5, 2)
    for number in range(3):
        elements = {"PixelSpacing": None, "SliceThickness": None}
        write(tmp_path / "scan" / f"{number}.dcm", (0, 0, 2.0 * number), **elements)
    with pytest.warns(SeewhyWarning, match=r"scan does not say how far apart its pixels are \(PixelSpacing\): 1 mm is"):
        assert seewhy.read_volume(tmp_path / "scan").spacing == (2, 1, 1)


@pytest.mark.parametrize("width", [0, -3])
@pytest.mark.parametrize("function", ["SIGMOID", "LINEAR_EXACT", "LINEAR"])
def test_a_window_without_a_width_is_a_step(tmp_path, function, width):
    """At the centre the sigmoid of PS3.3 C.11.2.1.3.1 would be 0 / 0."""
    path = write(tmp_path / "slice.dcm", WindowCenter=6, WindowWidth=width, VOILUTFunction=function)
    centre = 5.5 if function == "LINEAR" else 6
    np.testing.assert_array_equal(seewhy.read_volume(path, voi=True).values[0], centre < STORED)
    assert seewhy.read_volume(path).window is None


def test_a_sigmoid_window_far_from_its_centre(tmp_path):
    """exp(4 * 3000 / 80) is more than float32 holds."""
    scaling = {"RescaleSlope": 600, "RescaleIntercept": -3000}
    window = {"WindowCenter": 40, "WindowWidth": 80, "VOILUTFunction": "SIGMOID"}
    values = seewhy.read_volume(write(tmp_path / "slice.dcm", **scaling, **window), voi=True).values
    np.testing.assert_array_equal(values[0, [0, 2], [0, 3]], [0, 1])
    np.testing.assert_allclose(values[0, 1, 1], 1 / (1 + np.exp(2)), rtol=1e-5)  # 5 x 600 - 3000 = 0


def test_a_lut_with_entries_of_no_bits(tmp_path):
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [12, 0, 0], bytes(12)
    path = write(tmp_path / "slice.dcm", VOILUTSequence=Sequence([lut]))
    with pytest.raises(RecordingError, match=r"slice.dcm .*: the entries of its VOI LUT have 0 bits; expected 8 to 16"):
        seewhy.read_volume(path, voi=True)


def test_what_pydicom_warns_of_is_said_once_and_names_the_folder(tmp_path):
    for number in range(3):
        path = write(tmp_path / "scan" / f"{number}.dcm", (0, 0, 2.0 * number), uid="1.2.33")
        path.write_bytes(path.read_bytes().replace(b"1.2.33", b"1.2.x3"))
    with pytest.warns(SeewhyWarning) as caught:
        assert seewhy.read_volume(tmp_path / "scan").space == (3, 3, 4)
    (message,) = [str(each.message) for each in caught]
    assert (
        "scan is not as its format's standard says, and may be read wrong: Invalid value for VR UI: '1.2.x3'" in message
    )


def test_a_file_of_very_many_elements_is_not_read_to_its_end(tmp_path, monkeypatch):
    """A million empty elements, 8 MB, took 8 s and 400 MB."""
    path = write(tmp_path / "slice.dcm")
    content = path.read_bytes()
    place = content.index(struct.pack("<HH", 0x0018, 0x0050))
    elements = b"".join(struct.pack("<HH2sH", 0x0009, number, b"LO", 0) for number in range(2000))
    path.write_bytes(content[:place] + elements + content[place:])
    np.testing.assert_array_equal(seewhy.read_volume(path).values[0], STORED)
    monkeypatch.setattr("seewhy.recordings.dicom_series.MAX_READS", 1500)
    with pytest.raises(RecordingError, match=r"slice.dcm .* it has too many elements: more than 1,500 reads"):
        seewhy.read_volume(path)


def test_a_file_that_is_deflated_as_a_whole(tmp_path, monkeypatch):
    """It is read, and no more of it is inflated than a slice may have."""
    path = write(tmp_path / "slice.dcm")
    file = dcmread(path)
    file.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file.add_new(0x00091001, "OB", bytes(1_000_000))
    file.save_as(path, enforce_file_format=True)
    assert path.stat().st_size < 10_000
    np.testing.assert_array_equal(seewhy.read_volume(path).values[0], STORED)
    monkeypatch.setattr("seewhy.recordings.dicom_series.MAX_INFLATED", 100_000)
    monkeypatch.setattr("pydicom.filereader.zlib.decompress", lambda *_: pytest.fail("all of it was inflated"))
    with pytest.raises(
        RecordingError, match=r"slice.dcm .* compressed as a whole, and becomes more than 100,000 bytes"
    ):
        seewhy.read_volume(path)


def test_pixels_without_a_decoder(tmp_path, monkeypatch):
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", False)
    path = write(tmp_path / "slice.dcm")
    file = dcmread(path)
    file.file_meta.TransferSyntaxUID, file.PixelData = JPEG2000Lossless, encapsulate([b"a frame"])
    file["PixelData"].is_undefined_length = True
    file.save_as(path)
    with pytest.raises(RecordingError, match=r"compressed \(JPEG 2000 .*pip install 'pylibjpeg\[all\]'"):
        seewhy.read_volume(path)
