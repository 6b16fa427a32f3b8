"""A method, a target and models for SeeWhy, which finds them by the entry points in `pyproject.toml`."""

from typing import Any

import seewhy
from seewhy.errors import ModelError
from seewhy.methods import Method
from seewhy.targets import Function, Target


def activation_mean(capture: Any) -> Any:
    """Return the mean of the activations over the channels: (N, T, *space), the same for every target."""
    xp = capture.xp  # the functions of the framework's arrays, as in NumPy
    mean = xp.mean(capture.activations, axis=-1)[:, None]
    return mean + 0 * xp.mean(capture.require_gradients(), axis=-1)  # which has an axis for the targets


ACTIVATION_MEAN = Method(
    name="activation_mean",
    title="Mean activation",
    paper="",
    summary="the mean of the activations over the channels, without regard to the target",
    cost="1 forward, T head backwards",
    function=activation_mean,
    family="gradient",
    level="layer",
)


def first_over_last() -> Target:
    """Return the score of the first class over that of the last."""
    return Function(lambda outputs: outputs[:, 0] - outputs[:, -1])


def load_model(name: str) -> seewhy.Classifier:
    """Load a model by the name after the colon: `seewhy.load("example:bright")`."""
    if name != "bright":
        raise ModelError(f"There is no model example:{name}; expected example:bright.")
    import torch

    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    )
    with torch.no_grad():
        for sign, filters in zip((1.0, -1.0), model[0].weight, strict=True):
            filters.fill_(sign)
        model[0].bias.copy_(torch.tensor([0.0, 1.0]))
    return seewhy.Classifier(
        model,
        preprocess=seewhy.Preprocessing((4, 4), mean=(0, 0, 0), std=(255, 255, 255), channels_first=True),
        class_names=["bright", "dark"],
    )
