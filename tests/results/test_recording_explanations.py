"""Explanations of volumes, signals and videos: what is drawn, what files hold, and what the command line writes."""

import json
import warnings
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from tests.results.test_explanation import explanation as of_image
from torch import nn

import seewhy
from seewhy.errors import ImageError, InputError, LayerError, OptionError, RecordingError, SeewhyWarning
from seewhy.images.colour import color_table

AFFINE = np.diag([2.0, 2, 4, 1])
RAMP = np.arange(8, dtype=np.float32).reshape(2, 2, 2)


class Brightest(nn.Module):
    """Two classes: where the input is bright, and where it is dark. Heatmaps at `cells` are half as fine."""

    def __init__(self, axes, channels=1):
        super().__init__()
        kind, pool = {1: (nn.Conv1d, nn.AvgPool1d), 3: (nn.Conv3d, nn.AvgPool3d)}[axes]
        self.sign, self.cells, self.axes = kind(channels, 2, 1, bias=False), pool(2), axes
        with torch.no_grad():
            self.sign.weight[:] = torch.tensor([1.0, -1.0]).reshape(2, 1, *[1] * axes) / channels

    def forward(self, x):
        return torch.relu(self.cells(self.sign(x))).flatten(2).mean(2)


def ball(size, centre, radius=2.0):
    grid = np.meshgrid(*(np.arange(side) + 0.5 for side in size), indexing="ij")
    distance = sum((axis - place) ** 2 for axis, place in zip(grid, centre, strict=True))
    return np.asarray(distance < radius**2, np.float32)


@pytest.fixture(scope="module")
def volume_explanation():
    volume = seewhy.Volume(ball((8, 12, 6), (2, 9, 4)), affine=AFFINE, source="scan.nii.gz")
    return seewhy.explain(Brightest(3), volume, targets=[0, 1], layer="cells")


def explained(**changes):
    """Return an explanation of a volume of 4 x 4 x 2 voxels by a ramp of 2 x 2 x 2 cells."""
    whole = of_image()
    shared = {name: getattr(whole, name) for name in ("predictions", "layer", "method", "title", "ids", "model")}
    values = {
        "volume": seewhy.Volume(np.zeros((4, 4, 2), np.float32), spacing=(1.0, 1.0, 3.0), window=(0.0, 1.0)),
        "heatmaps": np.stack([RAMP, 0 * RAMP]),
        "targets": whole.targets,
        "placement": seewhy.GridPlacement((4, 4, 2), ((0.0, 4.0), (0.0, 4.0), (0.0, 2.0))),
        **shared,
    }
    return seewhy.VolumeExplanation(**{**values, **changes})


def test_what_explains_images_refuses_a_volume():
    explainer, volume = seewhy.Explainer(Brightest(3)), seewhy.Volume(RAMP)
    for refuse in (lambda: list(explainer.stream([volume])), lambda: explainer.inspect(volume)):
        with pytest.raises(ImageError, match=r"A Volume is not an image.*explained by Explainer\.explain"):
            refuse()
    with pytest.raises(ImageError, match=r"given as a seewhy\.Volume"):
        explainer.explain([RAMP])
    with pytest.raises(InputError, match=r"was given a volume\. A sample has images and numbers"):
        explainer.explain({"x": volume})


def test_a_volume_is_explained_where_its_evidence_is(volume_explanation):
    explanation = volume_explanation
    assert isinstance(explanation, seewhy.VolumeExplanation)
    assert explanation.heatmaps.shape == (2, 4, 6, 3)
    peak = np.unravel_index(explanation.normalized_heatmaps[0].argmax(), (8, 12, 6))
    assert explanation.volume.values[peak] == 1
    assert [target.has_evidence for target in explanation.targets] == [True, False]
    assert (explanation.strongest_frame(0, 1), explanation.frame_count(2)) == (9, 6)
    text = "<VolumeExplanation of scan.nii.gz: gradcam at cells of Brightest, heatmaps (2, 4, 6, 3)"
    assert repr(explanation).startswith(text)


def test_the_colours_of_all_frames_are_those_of_one_scale():
    """A slice whose maximum is 3 of 7 is drawn with 3/7: the heatmap is normalized as a whole."""
    explanation, table = explained(), color_table("viridis")
    first, last = (explanation.overlay(position=position, alpha=1.0, upsampling="nearest") for position in (0, 3))
    # Across axis 0, a slice is 4 rows of 1 mm and 2 columns of 3 mm: 4 x 6 pixels.
    assert first.shape == (4, 6, 3)
    np.testing.assert_array_equal(first[-1, -1], table[round(255 * 3 / 7)])
    np.testing.assert_array_equal(last[-1, -1], table[255])


def test_the_raw_heatmaps_of_a_frame_are_interpolated_across_the_axis():
    """Slices 1 and 2 of 4 lie at 1/4 and 3/4 of the way between the centres of two cells."""
    explanation = explained()
    np.testing.assert_allclose(explanation.frame_heatmaps(1)[0], 0.75 * RAMP[0] + 0.25 * RAMP[1])
    np.testing.assert_allclose(explanation.frame_heatmaps(3, 1)[0], RAMP[:, 1])
    assert explanation.frame_placement(2) == seewhy.Placement((4, 4), (0, 0, 4, 4))
    assert explanation.frame_label(3, 1) == "slice 4 of 4, axis 1"


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SLA", "PIR"])
def test_a_slice_is_named_after_its_plane_and_counted_from_one(codes):
    """An axial slice lies across the axis from feet to head, whatever its number in the file and its direction."""
    planes = {"R": "sagittal", "L": "sagittal", "A": "coronal", "P": "coronal", "S": "axial", "I": "axial"}
    ornt = nibabel.orientations.axcodes2ornt(codes)
    affine = np.linalg.inv(nibabel.orientations.inv_ornt_aff(ornt, (4, 4, 2)))
    explanation = explained(volume=seewhy.Volume(np.zeros((4, 4, 2), np.float32), affine=affine))
    for axis, code in enumerate(codes):
        assert explanation.frame_label(1, axis) == f"{planes[code]} slice 2 of {(4, 4, 2)[axis]}"


def test_a_montage_has_frames_at_equal_distances_and_the_shape_of_the_voxels():
    explanation = explained(volume=seewhy.Volume(np.zeros((40, 30, 60), np.float32), spacing=(1, 2, 1)))
    explanation = replace(explanation, placement=seewhy.GridPlacement((40, 30, 60), ((0, 40), (0, 30), (0, 60))))
    assert explanation._positions(0, 4) == [5, 15, 25, 35]
    # Two targets, each a heading and two rows of two slices of 60 x 60 pixels, enlarged to 120, with their labels.
    one = 20 + 2 * (20 + 120 + 6)
    assert explanation.pixels(frames=4).shape == (6 + 2 * (20 + 20 + 120 + 6), 6 + 4 * 126, 3)
    assert explanation.pixels("overlay", frames=8).shape == (6 + one, 6 + 4 * 126, 3)
    figure = explanation.figure(frames=4, colorbar=True)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles[0] == "3, cat 75.0%\nslice 6 of 40"
    assert len(titles) == 8
    assert figure.get_suptitle() == "slices across axis 0"
    assert explanation.figure("overlay", axis=2).get_suptitle() == "slices across axis 2: 3, cat 75.0%"


def test_the_labels_of_narrow_slices_are_written_in_full():
    """A slice of 40 x 4 pixels is enlarged to 160 x 16, and the label above it is 90 pixels wide."""
    explanation = explained(volume=seewhy.Volume(np.zeros((20, 40, 4), np.float32)))
    explanation = replace(explanation, placement=seewhy.GridPlacement((20, 40, 4), ((0, 20), (0, 40), (0, 4))))
    drawn = explanation.pixels("overlay", frames=4)
    column = (drawn.shape[1] - 6) // 4
    assert 70 < column < 110
    label = (drawn[26:46, 6 : column + 6] < 128).all(-1).any(0)  # above the first slice
    assert 16 < np.flatnonzero(label).max() < column
    is_image = (drawn[46 + 80, 6 : column + 6] < 250).any(-1)
    assert is_image.sum() == 16
    single = explanation.pixels("overlay", frames=1)
    assert single.shape[1] > 2 * column  # for the heading, "slices across axis 0: 3, cat 75.0%"


def test_a_nifti_file_has_the_heatmaps_where_the_volume_has_them(volume_explanation, tmp_path):
    path = volume_explanation.save(tmp_path / "map.nii.gz")
    saved = nibabel.load(path)
    np.testing.assert_array_equal(saved.get_fdata(), np.moveaxis(volume_explanation.heatmaps, 0, -1))
    # Cells are two voxels wide: the first one's centre is half a voxel beyond that of the first voxel.
    np.testing.assert_allclose(saved.affine @ [0, 0, 0, 1], [1, 1, 2, 1], atol=1e-6)
    last = AFFINE @ [7.5, 11.5, 5.5, 1]
    np.testing.assert_allclose(saved.affine @ [3.5, 5.5, 2.5, 1], last, atol=1e-6)
    assert saved.header.get_xyzt_units()[0] == "mm"
    one = nibabel.load(volume_explanation.save(tmp_path / "one.nii", "overlay", target=1))
    np.testing.assert_array_equal(one.get_fdata(), volume_explanation.heatmaps[1])
    again = volume_explanation.save(tmp_path / "again.nii.gz")
    assert again.read_bytes() == path.read_bytes()


def test_files_hold_what_was_explained(volume_explanation, tmp_path):
    facts = json.loads(volume_explanation.save(tmp_path / "map.json").read_text())
    assert (facts["volume"], facts["size"], facts["spacing"]) == ("scan.nii.gz", [8, 12, 6], [2, 2, 4])
    arrays = np.load(volume_explanation.save(tmp_path / "map.npz"))
    np.testing.assert_array_equal(arrays["heatmaps"], volume_explanation.heatmaps)
    np.testing.assert_array_equal(arrays["affine"], volume_explanation.affine)
    with Image.open(volume_explanation.save(tmp_path / "map.gif", axis=2, seconds=0.2)) as animation:
        assert (animation.n_frames, animation.info["duration"]) == (6, 200)


def test_a_signal_is_a_line_in_the_colours_of_its_heatmap(tmp_path):
    values = np.zeros((40, 2), np.float32)
    values[20:24] = 1
    classifier = seewhy.Classifier(Brightest(1, 2), sample_rate=10)
    explanation = seewhy.explain(classifier, seewhy.Signal(values, rate=10), targets=0, layer="cells")
    figure = explanation.figure()
    assert [axes.get_ylabel() for axes in figure.axes] == ["channel 0", "channel 1"]
    line = figure.axes[0].collections[0]
    np.testing.assert_allclose(line.get_segments()[20], [[2.0, 1], [2.1, 1]])
    expected = explanation.normalized_heatmaps[0]
    np.testing.assert_allclose(line.get_array(), np.maximum(expected[:-1], expected[1:]))
    assert expected[21] == 1
    assert expected[10] == 0
    assert explanation.save(tmp_path / "line.svg").stat().st_size > 1000
    assert json.loads(explanation.save(tmp_path / "line.json").read_text())["rate"] == 10


def test_many_samples_are_drawn_by_the_extremes_of_their_parts():
    values = np.zeros(100_000, np.float32)
    values[77_777] = 5
    whole = of_image()
    explanation = seewhy.SignalExplanation(
        signal=seewhy.Signal(values), heatmaps=np.eye(1, 100_000, 77_777, dtype=np.float32),
        placement=seewhy.GridPlacement((100_000,), ((0, 100_000),)),
        targets=whole.targets[:1], predictions=(), layer="conv", method="gradcam", title="Grad-CAM",
    )  # fmt: skip
    line = explanation.figure().axes[0].collections[0]
    points = np.array(line.get_segments())[:, 0]
    assert len(points) < 5000
    assert points[:, 1].max() == 5
    assert line.get_array().max() == 1


def test_a_video_is_explained_where_and_when_its_evidence_is(tmp_path):
    frames = np.zeros((6, 8, 10, 3), np.uint8)
    frames[4, 2:4, 6:8] = 255
    classifier = seewhy.Classifier(Brightest(3, 3), preprocess=lambda batch: batch / 255)
    explanation = seewhy.explain(classifier, seewhy.Video(frames, fps=4), layer="cells")
    peak = np.unravel_index(explanation.normalized_heatmaps[0].argmax(), (6, 8, 10))
    assert peak[0] in (4, 5)
    assert 2 <= peak[1] < 4
    assert 6 <= peak[2] < 8
    assert explanation.frame_label(2) == "frame 3 of 6, 0.50 s"
    labels = [replace(explanation, video=seewhy.Video(frames, fps=fps)).frame_label(5) for fps in (25, 240, 1000, None)]
    assert labels == [f"frame 6 of 6, {time} s" for time in ("0.20", "0.021", "0.005")] + ["frame 6 of 6"]
    with Image.open(explanation.save(tmp_path / "video.gif")) as animation:
        assert (animation.n_frames, animation.info["duration"]) == (6, 250)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda each: each.save("map.txt"), r"Cannot save a volume as '.txt'; expected .png, .*, .nii.gz, .nii, .npz"),
        (lambda each: each.save("map.png", "panels"), "The figure 'panels' is for images; of a volume expected"),
        (lambda each: each.overlay(axis=3), "axis is 3; expected 0, 1 or 2"),
        (lambda each: each.overlay(position=8), "position is 8; expected a frame from 0 to 3"),
        (lambda each: each.pixels(frames=0), "frames is 0; expected a number from 1 to 300"),
        (lambda each: each.overlay("dog"), "There is no target 'dog'"),
        (lambda each: each.save("map.gif", seconds=0), "seconds is 0; expected a number from 0.02 to 60"),
    ],
)
def test_what_cannot_be_drawn(call, message):
    with pytest.raises(OptionError, match=message):
        call(explained())


class FrameTokens(nn.Module):
    """A transformer of videos in small: it takes (N, T, C, H, W), and has a class token before 16 patches."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm, self.shape = nn.Conv3d(3, 4, (1, 4, 4), (1, 4, 4), bias=False), nn.LayerNorm(4), None
        nn.init.constant_(self.patches.weight, 1 / 48)

    def forward(self, clip):
        self.shape = tuple(clip.shape)
        clip = clip if clip.shape[2] == 3 else clip.transpose(1, 2)
        tokens = self.patches(clip.transpose(1, 2)).flatten(2).transpose(1, 2)
        return tokens.sum(1) + self.norm(torch.cat([torch.ones_like(tokens[:, :1]), tokens], dim=1)).mean(1)


class Raised(nn.Module):
    """A model of signals that lays them on three axes."""

    def __init__(self):
        super().__init__()
        self.sign = nn.Conv3d(1, 2, 1)

    def forward(self, sound):
        return self.sign(sound.reshape(-1, 1, 2, 2, 2)).mean((2, 3, 4))


def test_heatmaps_with_other_axes_are_an_error():
    """The tokens of a transformer are not laid on frames, rows and columns: the message names what can be explained."""
    explainer = seewhy.Explainer(FrameTokens(), layer="norm")
    expected = (
        r"'norm' has 1 spatial axis, and a video has 3: 17 tokens of a transformer, or features, are not laid on "
        r"frames, rows and columns. Give a layer with 3, such as layer='patches'. Or explain arrays: "
        r"Explainer.heatmaps returns the heatmaps \(1, 1, 17\)"
    )
    with pytest.raises(LayerError, match=expected):
        explainer.explain(seewhy.Video(np.zeros((4, 8, 8, 3), np.uint8)), targets=0)
    with pytest.raises(LayerError, match=r"'sign' has 3 spatial axes, and a signal has 1. No layer of the model has 1"):
        seewhy.explain(Raised(), seewhy.Signal(np.ones(8)), targets=0, layer="sign")


def test_an_array_of_frames_before_channels_goes_in_as_it_is():
    """Models of transformers take (N, T, C, H, W)."""
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    frames[2:, 4:, :4] = 255
    model = FrameTokens()
    classifier = seewhy.Classifier(model, preprocess=lambda clips: np.moveaxis(clips, -1, 2) / 255)
    found = seewhy.explain(classifier, seewhy.Video(frames), targets=0, layer="patches", method="hirescam")
    assert found.heatmaps.shape == (1, 4, 2, 2)
    assert model.shape == (1, 4, 3, 8, 8)
    expected = np.zeros((4, 2, 2))
    expected[2:, 1, 0] = 1
    np.testing.assert_array_equal(found.normalize()[0] > 0.5, expected > 0.5)


@pytest.mark.parametrize(
    ("axes", "recording", "message"),
    [
        (1, seewhy.Volume(np.ones((4, 4, 4))), "has 1 spatial axis, as in models of signals; given a volume of 4 x 4"),
        (3, seewhy.Signal(np.ones(40), rate=8000), "3 spatial axes, as in models of volumes or videos; given a signal"),
    ],
)
def test_a_run_that_fails_on_another_kind_of_recording_says_so(axes, recording, message):
    with pytest.raises(RecordingError, match=rf"cannot run on an input of shape .*{message}"):
        seewhy.explain(Brightest(axes), recording, targets=0)


def test_recordings_are_explained_in_one_call_and_images_in_another():
    explainer = seewhy.Explainer(Brightest(3), layer="cells")
    sizes = [(8, 8, 8), (6, 8, 4)]
    explanations = explainer.explain([seewhy.Volume(ball(size, (2, 2, 2))) for size in sizes], [[0], [1]])
    assert [each.heatmaps.shape for each in explanations] == [(1, 4, 4, 4), (1, 3, 4, 2)]
    assert [each.targets[0].index for each in explanations] == [0, 1]
    with pytest.raises(
        seewhy.errors.RecordingError, match=r"there is an image: a ndarray. Explain images in a call of"
    ):
        explainer.explain([seewhy.Volume(ball((8, 8, 8), (2, 2, 2))), np.zeros((8, 8, 3), np.uint8)])


def test_metrics_take_explanations_of_images():
    explanation = seewhy.explain(Brightest(1), seewhy.Signal(np.arange(8.0)), targets=0, layer="cells")
    with pytest.raises(InputError, match="A SignalExplanation was given; a metric takes explanations of images"):
        seewhy.evaluate.entropy([explanation])


class Tokens(nn.Module):
    """A transformer of signals in small: patches of 10 samples after a class token, or without one."""

    def __init__(self, has_class_token):
        super().__init__()
        self.patches, self.norm, self.has_class_token = nn.Conv1d(1, 4, 10, 10), nn.LayerNorm(4), has_class_token
        self.grown = nn.Conv1d(4, 4, 2, padding=1)  # has a position more than its input, each in its place

    def forward(self, sound):
        tokens = self.patches(sound).transpose(1, 2)
        if self.has_class_token:
            tokens = torch.cat([torch.ones_like(tokens[:, :1]), tokens], dim=1)
        return self.grown(self.norm(tokens).transpose(1, 2)).mean(2)


def test_a_class_token_among_the_positions_of_a_signal_is_said():
    sound = seewhy.Signal(np.sin(np.arange(80)))
    with pytest.warns(SeewhyWarning, match="'norm' has 9 positions, 1 more than 'patches' before it"):
        assert seewhy.explain(Tokens(True), sound, targets=0, layer="norm").heatmaps.shape == (1, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeewhyWarning)
        assert seewhy.explain(Tokens(False), sound, targets=0, layer="grown").heatmaps.shape == (1, 9)


class Moved(nn.Module):
    """A model that moves its input before its first layer, and without `move` one that does not."""

    def __init__(self, axes, move=None):
        super().__init__()
        torch.manual_seed(0)
        self.conv = (nn.Conv1d, None, nn.Conv3d)[axes - 1](1, 4, 3, padding=1)
        self.move = move

    def forward(self, inputs):
        return torch.relu(self.conv(inputs if self.move is None else self.move(inputs))).flatten(2).mean(2)


@pytest.mark.parametrize(
    ("move", "size", "fault"),
    [
        (lambda volume: volume.transpose(2, 4), (8, 8, 8), "its slices do not follow those of the image"),
        (lambda volume: volume.flip(4), (6, 8, 10), "its columns move against those of the image"),
        (lambda signal: signal.flip(2), (40,), "its positions move against those of the image"),
    ],
)
def test_a_model_that_moves_the_axes_is_said_to(move, size, fault):
    values = np.random.default_rng(0).normal(size=size)
    recording = seewhy.Volume(values) if len(size) == 3 else seewhy.Signal(values)
    with pytest.warns(SeewhyWarning, match=fault):
        seewhy.explain(Moved(len(size), move), recording, targets=0, layer="conv")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeewhyWarning)
        seewhy.explain(Moved(len(size)), recording, targets=0, layer="conv")


OBLIQUE = np.array([[-1.5, 0.25, 0.3, 90], [0.5, 2, 0.1, -126], [0, -0.2, 4, -72], [0, 0, 0, 1.0]])
"""Of voxels between the axes of the patient, of three sizes."""

LESION = (3, 8, 5)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("size", [None, (6, 10, 4)], ids=["own size", "resized"])
def test_a_saved_map_has_its_peak_where_the_lesion_is_in_the_patient(tmp_path, order, size):
    """In mm, whatever the order of the axes, and the size that the model takes; saved maps have cells of their own."""
    values = np.zeros((8, 12, 9), np.float32)
    values[LESION] = 1
    volume = seewhy.Volume(values, affine=OBLIQUE).transpose(*order)
    classifier = seewhy.Classifier(Brightest(3), input_size=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The volume of .* was resized", SeewhyWarning)
        found = seewhy.explain(classifier, volume, targets=0, layer="cells")
    saved = nibabel.load(found.save(tmp_path / "map.nii.gz"))
    peak = np.array(np.unravel_index(saved.get_fdata().argmax(), saved.shape))
    place = saved.affine[:3, :3] @ peak + saved.affine[:3, 3]
    expected = OBLIQUE[:3, :3] @ LESION + OBLIQUE[:3, 3]
    # At most half a cell from it along each axis of the map.
    in_cells = np.linalg.solve(saved.affine[:3, :3], place - expected)
    assert np.abs(in_cells).max() <= 0.5
    sides = np.array([8, 12, 9])[list(order)] * np.linalg.norm(OBLIQUE[:3, :3], axis=0)[list(order)]
    np.testing.assert_allclose(nibabel.affines.voxel_sizes(saved.affine) * saved.shape, sides, rtol=1e-6)
