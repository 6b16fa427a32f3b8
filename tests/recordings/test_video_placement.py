"""Where a map lies on a video, in time and on the pixels: positions computed by hand."""

import keras
import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy import GridPlacement, Prediction, TargetResult, Video, VideoExplanation
from seewhy.errors import SeewhyWarning


def explanation_of(heatmaps, placement, fps=None):
    """Return an explanation of a black video by these heatmaps of one target."""
    return VideoExplanation(
        video=Video(np.zeros((*placement.size, 3), np.uint8), fps),
        heatmaps=np.asarray(heatmaps, np.float32)[None],
        placement=placement,
        targets=(TargetResult(0, "flash", 1.0, 0.9, True),),
        predictions=(Prediction(0, "flash", 0.9),),
        layer="conv",
        method="gradcam",
        title="Grad-CAM",
    )


@pytest.fixture
def one_cell():
    """A map of 4 x 3 x 4 cells on 8 frames of 6 x 8 pixels, of which the model saw the columns 1 to 7."""
    heatmaps = np.zeros((4, 3, 4), np.float32)
    heatmaps[2, 1, 3] = 2
    return explanation_of(heatmaps, GridPlacement((8, 6, 8), ((0.0, 8.0), (0.0, 6.0), (1.0, 7.0))), fps=4)


def test_a_cell_covers_its_frames_and_pixels(one_cell):
    """A cell is 2 frames, 2 rows and 1.5 columns: the one at (2, 1, 3) is frames 4, 5, rows 2, 3, columns 5.5 to 7."""
    placed = one_cell.placement.place(one_cell.normalize(), "nearest")[0]
    expected = np.zeros((8, 6, 8))
    expected[4:6, 2:4, 5:7] = 1  # the centres of columns 5 and 6, at 5.5 and 6.5, are in it
    np.testing.assert_array_equal(placed, expected)


def test_between_cells_values_are_interpolated_in_time_and_space(one_cell):
    """The centres of frames 3 and 4 are at 1.25 and 1.75 cells in time; of rows 1 and 2 at 0.25 and 0.75."""
    placed = one_cell.normalized_heatmaps[0]
    in_time = [0, 0, 0, 0.25, 0.75, 0.75, 0.25, 0]
    across_rows = [0, 0.25, 0.75, 0.75, 0.25, 0]
    # Columns are 1.5 pixels wide: the centre of column 4, at 4.5, is at (4.5 - 1) / 1.5 - 0.5 = 11/6 cells.
    across_columns = [0, 0, 0, 0, 0, 0.5, 1, 0]  # column 5 is at 2.5 cells, 6 beyond the last centre, 7 was not seen
    expected = np.einsum("t,r,c->trc", in_time, across_rows, across_columns)
    np.testing.assert_allclose(placed, expected, atol=1e-6)
    np.testing.assert_allclose(one_cell.frame_heatmaps(3)[0], 2 * 0.25 * (one_cell.heatmaps[0, 2] > 0))


def test_a_frame_is_drawn_with_the_cells_of_its_time(one_cell):
    assert one_cell.strongest_frame() == 5  # the centre of cell 2 is the edge between frames 4 and 5
    assert one_cell.frame_label(5) == "frame 6 of 8, 1.25 s"
    coloured = [one_cell.overlay(position=frame, upsampling="nearest", alpha=1.0) for frame in (3, 4)]
    lowest = coloured[0][0, 1]  # of the column that the model saw
    is_drawn = [(image[:, 1:7] != lowest).any(-1) for image in coloured]
    assert not is_drawn[0].any()
    np.testing.assert_array_equal(np.argwhere(is_drawn[1]), [[2, 4], [2, 5], [3, 4], [3, 5]])


class Flash(nn.Module):
    """The score is the brightness; the layer "cells" averages over 2 frames, 2 rows and 2 columns."""

    def __init__(self):
        super().__init__()
        self.grey, self.cells = nn.Conv3d(3, 1, 1, bias=False), nn.AvgPool3d(2)
        nn.init.constant_(self.grey.weight, 1 / 3)

    def forward(self, clip):
        return torch.relu(self.cells(self.grey(clip))).mean((2, 3, 4))


def test_a_flash_is_found_in_the_frames_and_pixels_where_it_is():
    """The model sees the central 8 x 8 pixels of 8 x 12, enlarged twice; its cells are then 1 x 1 pixel."""
    frames = np.zeros((8, 8, 12, 3), np.uint8)
    frames[6, 5, 9] = 255
    resize = seewhy.Preprocessing((16, 16), crop=1.0, std=255.0, resample="nearest")
    found = seewhy.explain(seewhy.Classifier(Flash(), preprocess=resize), Video(frames), targets=0, layer="cells")
    assert found.placement == GridPlacement((8, 8, 12), ((0.0, 8.0), (0.0, 8.0), (2.0, 10.0)))
    placed = found.placement.place(found.normalize(), "nearest")[0]
    np.testing.assert_array_equal(np.argwhere(placed > 0.5), [[6, 5, 9], [7, 5, 9]])  # a cell is two frames


def test_frames_that_were_left_out_lie_in_the_cell_of_the_frame_that_was_taken():
    """Of 10 frames 1, 3, 6 and 8 are taken: each stands for 2.5 frames, and a flash in frame 6 for 5 to 7.5."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 4, 3)),
            keras.layers.Conv3D(1, 1, use_bias=False, kernel_initializer="ones", name="grey"),
            keras.layers.GlobalAveragePooling3D(),
        ]
    )
    frames = np.zeros((10, 4, 4, 3), np.uint8)
    frames[6, 1, 2] = 255
    with pytest.warns(SeewhyWarning, match="The video has 10 frames, and the model .* takes 4"):
        found = seewhy.explain(seewhy.Classifier(model), Video(frames), targets=0, layer="grey")
    placed = found.placement.place(found.normalize(), "nearest")[0]
    np.testing.assert_array_equal(np.argwhere(placed > 0.5), [[5, 1, 2], [6, 1, 2]])  # centres at 5.5 and 6.5
    assert found.strongest_frame() == 6
