"""Models whose perfect explanation is known, and images for them."""

import zlib

import numpy as np
import torch

from seewhy import Classifier, Explainer
from seewhy.methods import Method

SIZE = 16


def scaled(pixels):
    return pixels / 255


def linear(weights) -> Classifier:
    """A model whose first logit is the sum of weights (H, W) times the image's first channel; the second is 0."""
    weights = np.asarray(weights, dtype=np.float32)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Flatten(), torch.nn.Linear(3 * weights.size, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model[0].weight[range(3), range(3)] = 1
        model[2].weight[0, : weights.size] = torch.as_tensor(weights.ravel())
    return Classifier(model.eval(), preprocess=scaled, input_size=weights.shape)


def colours() -> Classifier:
    """A model with a class for each colour, red, green, blue and yellow, whose logit is ten times its share."""
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 4),
    )
    detectors = [[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1]]
    with torch.no_grad():
        model[0].weight[:] = torch.as_tensor(detectors)[..., None, None]
        model[0].bias[:] = torch.as_tensor([0, 0, 0, -1])
        model[4].weight[:] = 10 * torch.eye(4)
        model[4].bias.zero_()
    return Classifier(model.eval(), preprocess=scaled, input_size=(SIZE, SIZE))


COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], dtype=np.float32)


def solid() -> np.ndarray:
    """One preprocessed image of each colour, (4, 3, h, w)."""
    return np.tile(COLOURS[:, :, None, None], (1, 1, SIZE, SIZE))


def quadrant() -> np.ndarray:
    """Weights of a model that looks for the top left quadrant, and against the rest."""
    weights = np.full((SIZE, SIZE), -0.02)
    weights[: SIZE // 2, : SIZE // 2] = 0.06
    return weights


def images(count: int = 2, seed: int = 0) -> np.ndarray:
    """Preprocessed images (N, 3, h, w) whose first channel is bright in the top left quadrant."""
    random = np.random.default_rng(seed)
    values = random.uniform(0.2, 0.4, (count, 3, SIZE, SIZE)).astype(np.float32)
    values[:, 0, : SIZE // 2, : SIZE // 2] += 0.6
    return values


def method(name: str, function) -> Method:
    """A method of the layer's activations and gradients, made for a test."""
    return Method(
        name=name, title=name, paper="", summary="", cost="", function=function, family="gradient", level="layer"
    )


def hirescam(capture):
    return (capture.activations[:, None] * capture.gradients).sum(axis=-1)


def inverted(capture):
    maps = hirescam(capture)
    return maps.amax((2, 3), keepdim=True) - maps


def noise(capture):
    shape = hirescam(capture).shape
    return torch.as_tensor(np.random.default_rng(5).random(shape[-2:])).expand(shape)


def classless(capture):
    return capture.activations[:, None].sum(axis=-1).expand(hirescam(capture).shape)


def jumpy(capture):
    """Noise that is another for any other input."""
    maps = hirescam(capture)
    seed = zlib.crc32(maps.detach().numpy().tobytes())
    return torch.as_tensor(np.random.default_rng(seed).random(maps.shape))


def explainer(classifier: Classifier, function, layer: str = "0") -> Explainer:
    return Explainer(classifier, method(function.__name__, function), layer=layer)
