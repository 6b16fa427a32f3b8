"""Videos whose frames a model folds into the batch: a heatmap has the frames as its first axis.

The oracle is the same model with 3-D convolutions of one frame each, which folds nothing.
"""

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy.errors import SeewhyWarning

VIDEOS = np.random.default_rng(0).normal(size=(2, 5, 3, 6, 7)).astype(np.float32)


class ByFrame(nn.Module):
    """A convolution of each frame, whose strongest frame decides; rows of the batch are images, then frames."""

    def __init__(self):
        super().__init__()
        self.features, self.relu, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, videos):
        images, frames = videos.shape[:2]
        maps = self.relu(self.features(videos.flatten(0, 1)))
        return self.head(maps.mean((2, 3)).reshape(images, frames, -1).amax(1))


class FramesFirst(ByFrame):
    """Rows of the batch are frames, then images."""

    def forward(self, videos):
        images, frames = videos.shape[:2]
        maps = self.relu(self.features(videos.transpose(0, 1).flatten(0, 1)))
        return self.head(maps.mean((2, 3)).reshape(frames, images, -1).amax(0))


class InThreeAxes(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.features, self.relu, self.head = nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(), model.head
        with torch.no_grad():
            self.features.weight.copy_(model.features.weight[:, :, None])
            self.features.bias.copy_(model.features.bias)

    def forward(self, videos):
        return self.head(self.relu(self.features(videos.transpose(1, 2))).mean((3, 4)).amax(2))


def heatmaps(model, method):
    return seewhy.Explainer(model.eval(), method, signed=True).heatmaps(VIDEOS, [0, 1]).values


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "ablationcam", "smoothgradcam++"])
def test_frames_are_the_first_axis(method):
    torch.manual_seed(0)
    model = ByFrame()
    found, expected = heatmaps(model, method), heatmaps(InThreeAxes(model), method)
    assert found.shape == (2, 2, 5, 6, 7)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_frames_before_images():
    """The images are then found to be mixed, and each is explained alone."""
    torch.manual_seed(0)
    model = ByFrame()
    other = FramesFirst()
    other.load_state_dict(model.state_dict())
    with pytest.warns(SeewhyWarning, match="Each image is explained alone"):
        found = heatmaps(other, "gradcam")
    np.testing.assert_allclose(found, heatmaps(model, "gradcam"), atol=1e-6)
