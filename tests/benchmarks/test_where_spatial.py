"""The where-test of pixels, volumes, signals and videos: its inputs, its counts, and models of both frameworks."""

import keras
import numpy as np
import pytest
import torch
from benchmarks.where_spatial_data import CLASSES, SPACES, draw_scenes, peaks_inside, window_means

from benchmarks import where_spatial, where_spatial_keras, where_spatial_torch

VOLUME = SPACES["volume"]


@pytest.mark.parametrize("name", SPACES)
def test_objects_lie_in_their_windows_and_apart(name):
    scenes, space = draw_scenes(name, 6, seed=0, objects=2), SPACES[name]
    assert (scenes.present.sum(axis=1) == 2).all()
    for labels, present, starts in zip(scenes.labels, scenes.present, scenes.starts, strict=True):
        for kind in np.flatnonzero(present):
            positions = np.argwhere(labels == kind + 1)
            assert (positions >= starts[kind]).all()
            assert (positions < starts[kind] + np.array(space.window)).all()
        first, second = starts[present]
        assert (np.abs(first - second) >= space.window).any()


def test_a_peak_counts_where_the_centre_of_its_position_is():
    """Of 6 x 6 x 6 positions of a volume of 24 x 24 x 24, position (1, 2, 5) has its centre at (6, 10, 22)."""
    heatmaps = np.zeros((3, 6, 6, 6), np.float32)
    heatmaps[:2, 1, 2, 5] = 1
    starts = np.array([[0, 5, 13], [0, 5, 12], [0, 0, 0]])  # the windows have 10 x 10 x 10 voxels
    assert peaks_inside(heatmaps, starts, VOLUME).tolist() == [True, False, False]
    means = window_means(heatmaps, np.array([[4, 8, 14], [14, 14, 14], [0, 0, 0]]), VOLUME)
    np.testing.assert_allclose(means, [4 * 4 * 4 / 1000, 0, 0])


def test_a_model_that_finds_the_waves_gets_all():
    """Its two channels are the slow wave and the fast one: only a window that fits the wave has its maximum there."""
    space = SPACES["signal"]
    waves = np.stack([space.draw(kind, space.window) for kind in range(CLASSES)])
    model = torch.nn.Sequential(torch.nn.Conv1d(1, CLASSES, 49, padding=24, bias=False), torch.nn.ReLU(), Mean())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(np.pad(waves, ((0, 0), (0, 1))))[:, None] / 24)
    scenes = draw_scenes("signal", 6, seed=3, objects=2)
    found = where_spatial.shares(model, "cnn-1d", scenes.inputs, scenes, "gradcam")
    assert (found.peaks, found.told_apart) == (1, 1)


class Mean(torch.nn.Module):
    def forward(self, x):
        return (x**3).mean(dim=2)


@pytest.mark.parametrize("name", where_spatial.KINDS)
def test_the_models_of_both_frameworks_compute_the_same(name):
    torch.manual_seed(0)
    space = where_spatial.KINDS[name].space
    scenes, model = draw_scenes(space, 2, seed=3), where_spatial_torch.MODELS[name]().eval()
    arrays = [array.detach().numpy() for array in where_spatial_torch.weight_arrays(model)]
    with torch.no_grad():
        scores = model(torch.tensor(scenes.inputs)).numpy()
    same = where_spatial_keras.build(name, SPACES[space].sizes, arrays)(np.moveaxis(scenes.inputs, 1, -1))
    scores = np.moveaxis(scores, 1, -1) if name == "unet" else scores
    np.testing.assert_allclose(keras.ops.convert_to_numpy(same), scores, atol=1e-5)


def test_what_misses_its_goal_is_named():
    found = {"cnn-1d": {where_spatial.DEFAULT: [0.97, 0.93, "gradcam"]}, "unet": {where_spatial.DEFAULT: "refused"}}
    assert len(list(where_spatial.misses({"torch": found}))) == 2
    found["cnn-1d"][where_spatial.DEFAULT][1] = 0.95
    assert [line.split(":")[0] for line in where_spatial.misses({"torch": found})] == ["PyTorch, U-Net, by class"]
