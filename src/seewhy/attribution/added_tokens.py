"""Tokens that a transformer of signals adds to the positions in time, such as a class token, and that lie nowhere."""

from collections.abc import Sequence

from seewhy.errors import warn
from seewhy.frameworks.layers import LayerCall

MAX_ADDED = 16
"""How many tokens may be added ones; a layer with more positions than that has another resolution."""

LENGTHENING = ("Conv", "ZeroPadding", "UpSampling", "Upsample", "AvgPool", "MaxPool", "AveragePooling", "MaxPooling")
"""How the kinds of layers begin that may have more positions than their input, each of them in its place in time."""


def warn_of_added_tokens(calls: Sequence[LayerCall], layer: str, noun: str) -> None:
    """Warn if a layer of one spatial axis has tokens beside those of its positions, which shift all others.

    Args:
        calls: Those of the model.
        layer: The path of the layer, with or without the number of its call.
        noun: What is explained.
    """
    of_one_axis = sorted(
        (call for call in calls if call.shape is not None and len(call.shape) == 2 and call.shape[0] is not None),
        key=lambda call: call.execution,
    )
    explained = next((call for call in of_one_axis if layer in (call.path, call.name)), None)
    if explained is None or explained.shape is None:
        return
    count = explained.shape[0] or 0
    first = next(number for number, call in enumerate(of_one_axis) if call.shape and call.shape[0] == count)
    if first == 0 or of_one_axis[first].kind.startswith(LENGTHENING):
        return
    before = of_one_axis[first - 1]
    added = count - (before.shape[0] or 0 if before.shape else 0)
    if 0 < added <= MAX_ADDED:
        warn(
            f"The layer {layer!r} has {count} positions, {added} more than {before.path!r} before it: tokens such as a "
            f"class token, which are no part of the {noun}, but are drawn as one and shift the others. Give a layer "
            f"without them, such as layer={before.path!r}."
        )
