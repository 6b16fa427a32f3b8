"""Which exceptions of a run are the model's, and which are SeeWhy's own, on native PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy.errors import ModelRunError, SeewhyError
from seewhy.frameworks import framework_for
from seewhy.frameworks.torch.calls import TorchRecorder

IMAGES = np.random.default_rng(0).random((2, 3, 8, 8)).astype(np.float32)


class FailsInRun(nn.Module):
    """Raises in its head, after the layer "conv", in one of its runs, counted from 1."""

    def __init__(self, run):
        super().__init__()
        self.conv, self.dense = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)
        self.run, self.runs = run, 0

    def forward(self, image):
        maps = self.conv(image).relu()
        self.runs += 1
        if self.runs == self.run:
            raise RuntimeError("the head broke")
        return self.dense(maps.mean((2, 3)))


@pytest.mark.parametrize("run", [1, 2, 3, 4, 7, 8])
def test_a_model_that_fails_in_a_later_run_under_ablationcam_is_a_model_run_error(run):
    """The calls are recorded in run 1, the activations captured in run 2, images replaced in runs 3 and 4.

    The axes of the layer are judged in runs 5 and 6, and each image's head is recorded after that.
    """
    model = FailsInRun(run)
    with pytest.raises(ModelRunError, match=r"The model cannot run on an input of shape .*: the head broke") as caught:
        seewhy.Explainer(model, "ablationcam", layer="conv").heatmaps(IMAGES, [0, 1])
    assert model.runs == run
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(("run", "runs"), [(5, 7), (6, 8), (9, 8)])
def test_a_model_that_fails_only_on_other_images_or_later_is_explained(run, runs):
    model = FailsInRun(run)
    assert seewhy.Explainer(model, "ablationcam", layer="conv", signed=True).heatmaps(IMAGES, [0, 1]).values.any()
    assert model.runs == runs


def test_a_bug_in_the_recorder_is_not_reported_as_the_model_s(monkeypatch):
    def broken(*_):
        raise RuntimeError("bug")

    monkeypatch.setattr(TorchRecorder, "record", broken)
    with pytest.raises(RuntimeError, match=r"^bug$") as caught:
        framework_for(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))).calls(IMAGES)
    assert not isinstance(caught.value, SeewhyError)


def test_a_bug_in_the_recorder_that_the_model_rewrites_is_still_the_recorder_s(monkeypatch):
    """A model may catch what is raised inside it, and raise something else."""

    class Rewrites(nn.Sequential):
        def forward(self, image):
            try:
                return super().forward(image)
            except RuntimeError:
                raise ValueError("rewritten") from None

    def broken(*_):
        raise RuntimeError("bug")

    monkeypatch.setattr(TorchRecorder, "record", broken)
    with pytest.raises(RuntimeError, match=r"^bug$"), torch.no_grad():
        framework_for(Rewrites(nn.Conv2d(3, 4, 3))).calls(IMAGES)
