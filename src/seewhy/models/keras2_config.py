"""Mend the config of a model that Keras 2 saved as HDF5, where Keras 3 refuses what has one certain meaning.

A mend only leaves out, renames or renumbers what the config already contains. It adds no class and no function.
"""

import json
from collections.abc import Iterator
from typing import Any

CONVOLUTION_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")

WITHOUT_GROUPS = (
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)
"""Layers of Keras 2 that inherit `groups` from a convolution and have one group only."""

RECURRENT = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN")

RANDOM = tuple(
    f"Random{name}"
    for name in "Brightness Contrast Crop Flip Height Rotation Translation Width Zoom".split()  # noqa: SIM905
)

DEFAULTS: dict[str, dict[str, tuple[Any, ...]]] = {
    **{name: {"groups": (1,)} for name in WITHOUT_GROUPS},
    **{name: {"time_major": (False,)} for name in RECURRENT},
    **{f"SpatialDropout{rank}D": {"trainable": (True, False), "noise_shape": (None,)} for rank in (1, 2, 3)},
}
"""Arguments that Keras 3 does not take, by layer, and the values with which they change nothing."""

UNUSED: dict[str, tuple[str, ...]] = {
    # The kernels of these two are those of depthwise_... and pointwise_...; the inherited one is never made.
    "SeparableConv1D": CONVOLUTION_KERNEL,
    "SeparableConv2D": CONVOLUTION_KERNEL,
    **dict.fromkeys(RANDOM, ("rng_type",)),  # does nothing at prediction
}
"""Arguments that Keras 3 does not take and that never change a prediction, by layer."""

CHANGED_FUNCTION = "hard_sigmoid"
"""An activation that is another function in Keras 3: relu6(x + 3) / 6 instead of clip(0.2 x + 0.5, 0, 1)."""


def mend(content: str | bytes) -> str | None:
    """Return a config as Keras 3 reads it; None if nothing has to be mended."""
    config = json.loads(content)
    before = json.dumps(config)
    for layer in _layers(config):
        _leave_out(layer["class_name"], layer["config"])
        if isinstance(layer["config"].get("layers"), list):
            _renumber_calls(layer["config"])
    config = _with_names(config, {name: name.replace("/", "_") for name in _names(config) if "/" in name})
    after = json.dumps(config)
    return None if after == before else after


def uses_changed_function(content: str | bytes) -> bool:
    """Whether a layer has an activation that is another function in Keras 3."""
    return any(
        isinstance(layer["config"].get(key), str) and layer["config"][key] == CHANGED_FUNCTION
        for layer in _layers(json.loads(content))
        for key in ("activation", "recurrent_activation")
    )


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every object that describes a layer or a model, at any depth."""
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
                yield value
            stack.extend(value.values())


def _leave_out(name: str, config: dict[str, Any]) -> None:
    """Remove the arguments that Keras 3 does not take from a layer's config."""
    for key, values in DEFAULTS.get(name, {}).items():
        if key in config and config[key] in values:
            del config[key]
    for key in UNUSED.get(name, ()):
        config.pop(key, None)


def _renumber_calls(model: dict[str, Any]) -> None:
    """Count the calls of a nested `Sequential` from 0: in Keras 2, number 0 was a call of its own."""
    references = [reference for layer in model["layers"] for reference in _references(layer.get("inbound_nodes"))]
    references += [reference for key in ("input_layers", "output_layers") for reference in _references(model.get(key))]
    for layer in model["layers"]:
        if layer.get("class_name") != "Sequential" or not isinstance(layer.get("inbound_nodes"), list):
            continue
        calls = [reference for reference in references if reference[0] == layer.get("name")]
        if calls and max(call[1] for call in calls) >= len(layer["inbound_nodes"]):
            for call in calls:
                call[1] -= 1


def _references(nodes: Any) -> Iterator[list[Any]]:
    """Yield every reference to a layer's output: its name, the number of the call, and that of the output."""
    if not isinstance(nodes, list):
        return
    if len(nodes) >= 3 and isinstance(nodes[0], str) and isinstance(nodes[1], int) and isinstance(nodes[2], int):
        yield nodes
        return
    for node in nodes:
        yield from _references(node)


def _names(config: Any) -> set[str]:
    """Return the names of all layers."""
    return {layer["config"]["name"] for layer in _layers(config) if isinstance(layer["config"].get("name"), str)}


def _with_names(value: Any, names: dict[str, str]) -> Any:
    """Replace names of layers wherever they stand."""
    if not names:
        return value
    if isinstance(value, dict):
        return {key: _with_names(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_names(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
