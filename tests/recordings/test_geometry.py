"""Affines and placements: hand-computed values, and those of SciPy and nibabel."""

import nibabel
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import seewhy
from seewhy.errors import RecordingError
from seewhy.recordings.affine import affine_of_map, slice_layout
from seewhy.recordings.slices import slice_geometry, slice_image

OBLIQUE = np.array([[-1.5, 0.25, 0, 90], [0.5, 2, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1.0]])


def places(affine, positions):
    """Return the places in mm of positions (n, 3) of centres."""
    return positions @ affine[:3, :3].T + affine[:3, 3]


def test_a_map_of_another_resolution_has_its_corners_and_centre_where_the_volume_has_them():
    size, cells = np.array([40, 64, 20]), np.array([5, 8, 3])
    affine = affine_of_map(OBLIQUE, [(0, side) for side in size], cells)
    shares = np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 1], [0.5, 0.5, 0.5], [0.25, 0.5, 0]])
    # A share of the way from edge to edge: edges are half a cell beyond the centres.
    np.testing.assert_allclose(
        places(affine, shares * cells - 0.5), places(OBLIQUE, shares * size - 0.5), rtol=0, atol=1e-6
    )


def test_a_map_of_a_part_of_the_volume():
    """A map of 2 cells on slices 4 to 8, of 3 mm each: its first centre is that of an edge between voxels 4 and 5."""
    affine = affine_of_map(np.diag([3.0, 1, 1, 1]), [(4, 8), (0, 2), (0, 2)], [2, 2, 2])
    np.testing.assert_array_equal(affine, [[6, 0, 0, 13.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("size", [(7,), (7, 5, 9)], ids=["signal", "volume"])
def test_heatmaps_are_placed_as_scipy_interpolates_between_the_centres_of_cells(size):
    cells = tuple(side // 2 for side in size)
    maps = np.random.default_rng(0).random((2, *cells), dtype=np.float32)
    placed = seewhy.GridPlacement(size, tuple((0.0, side) for side in size)).place(maps)
    axes = [(np.arange(side) + 0.5) * cell / side - 0.5 for side, cell in zip(size, cells, strict=True)]
    expected = [map_coordinates(each, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest") for each in maps]
    np.testing.assert_allclose(placed, expected, atol=1e-6)


def test_outside_of_what_the_model_saw_there_is_nothing():
    placed = seewhy.GridPlacement((6,), ((2.0, 6.0),)).place(np.ones((1, 2), np.float32), "nearest")
    np.testing.assert_array_equal(placed, [[0, 0, 1, 1, 1, 1]])


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SLA", "PIR"])
def test_slices_are_drawn_as_radiologists_look_at_them(codes):
    """Whatever the order of the axes: up is the head or the front, at the right is the patient's left or the back."""
    ornt = nibabel.orientations.axcodes2ornt(codes)
    affine = np.linalg.inv(nibabel.orientations.inv_ornt_aff(ornt, (4, 5, 6)))
    assert nibabel.aff2axcodes(affine) == tuple(codes)
    for axis in range(3):
        layout = slice_layout(affine, axis)
        down, right = codes[layout.rows], codes[layout.columns]
        opposite = dict(zip("RLAPSI", "LRPAIS", strict=True))
        assert (opposite[down] if layout.flip_rows else down) in ("I", "P")
        assert (opposite[right] if layout.flip_columns else right) in ("L", "P")


def test_anisotropic_voxels_are_drawn_true():
    values = np.zeros((4, 6, 10), np.float32)
    values[1, 2, 3] = 1
    volume = seewhy.Volume(values, spacing=(5.0, 2.0, 1.0))
    assert [slice_geometry(volume, axis).size for axis in range(3)] == [(12, 10), (20, 10), (10, 6)]
    # Slice 1 across the first axis: two pixels high, at rows 4 and 5 of column 3.
    np.testing.assert_array_equal(np.argwhere(slice_image(volume, 1, 0)[..., 0] > 128), [[4, 3], [5, 3]])


def test_the_heatmap_of_a_drawn_slice_lies_where_the_slice_does():
    """In a mirrored slice the heatmap's cells and its box are mirrored too."""
    volume = seewhy.Volume(np.zeros((2, 4, 8), np.float32), affine=np.diag([1.0, 3, 1, 1]))
    geometry = slice_geometry(volume, 0)
    grid = seewhy.GridPlacement((2, 4, 8), ((0.0, 2.0), (1.0, 4.0), (0.0, 6.0)))
    # z is drawn upwards, so rows are the last axis from its end; y grows to the left.
    assert geometry.size == (8, 12)
    assert geometry.placement(grid).box == (2, 0, 8, 9)
    plane = geometry.arrange(np.arange(6, dtype=np.float32).reshape(1, 2, 3), 0)
    np.testing.assert_array_equal(plane, [[[5, 2], [4, 1], [3, 0]]])


def test_small_and_oblique_voxels_are_voxels():
    """Of 50 nm, whose volume is 1.25e-13 mm^3; but none is a sliver between parallel axes."""
    np.testing.assert_allclose(seewhy.Volume(np.zeros((2, 2, 2)), affine=np.diag([5e-5, 5e-5, 5e-5, 1])).spacing, 5e-5)
    sliver = np.array([[1, 1, 0, 0], [0, 1e-8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    for affine in (sliver, np.diag([1e300, 1e300, 1e300, 1])):
        with pytest.raises(RecordingError, match=r"The affine of scan.nii is \[\[1.* expected an invertible matrix"):
            seewhy.Volume(np.zeros((2, 2, 2)), affine=affine, source="scan.nii")


def test_the_axes_of_a_volume_are_reordered_with_its_affine_and_spacing():
    volume = seewhy.Volume(np.arange(24).reshape(2, 3, 4), affine=OBLIQUE)
    turned = volume.transpose(2, 0, 1)
    assert turned.values[3, 1, 2] == volume.values[1, 2, 3]
    assert turned.spacing == (volume.spacing[2], volume.spacing[0], volume.spacing[1])
    np.testing.assert_allclose(places(turned.affine, np.array([[3, 1, 2]])), places(OBLIQUE, np.array([[1, 2, 3]])))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: seewhy.Volume(np.zeros((3, 3))), r"An array of shape \(3, 3\) and type float64 is not a volume; exp"),
        (lambda: seewhy.Volume(np.full((2, 2, 2), np.nan)), "The volume holds values that are NaN, inf"),
        (lambda: seewhy.Volume(np.zeros((2, 2, 2)), spacing=(1, 0, 1)), r"The spacing is \(1, 0, 1\); expected three"),
        (lambda: seewhy.Volume(np.zeros((2, 2, 2)), affine=np.zeros((4, 4))), r"expected an invertible matrix"),
        (lambda: seewhy.Volume(np.zeros((2, 2, 2)), (1, 1, 1), OBLIQUE), r"the affine has voxels of \(1.58"),
        (lambda: seewhy.Volume(np.zeros((2, 2, 2)), window=(3, 1)), r"window is \(3, 1\); expected two numbers"),
        (lambda: seewhy.Volume(np.zeros((2, 2, 2))).transpose(0, 0, 1), r"order of a volume's axes is \(0, 0, 1\)"),
        (lambda: seewhy.Signal(np.zeros((2, 500))), r"has 500 channels; the limit is 64. The samples come first"),
        (lambda: seewhy.Signal(np.zeros(0)), r"An array of shape \(0,\) and type float64 is not a signal"),
        (lambda: seewhy.Signal(np.zeros(3), rate=0), "rate is 0; expected a number above 0"),
        (lambda: seewhy.Video(np.zeros((2, 4, 4, 3))), r"type float64 is not a video; expected uint8 \(T, H, W, 3\)"),
        (lambda: seewhy.Video(np.zeros((2, 4, 4, 3), np.uint8), fps=-1), "fps is -1; expected a number above 0"),
        (lambda: seewhy.Volume(np.broadcast_to(np.int8(0), (99999, 2, 2))), "of 99999 x 2 x 2 voxels .* is too large"),
    ],
)  # fmt: skip
def test_what_is_no_recording(make, message):
    with pytest.raises(RecordingError, match=message):
        make()
