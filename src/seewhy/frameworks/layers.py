"""Layers as a model calls them, and which of the calls is meant."""

from collections.abc import Iterable
from dataclasses import dataclass

from seewhy.errors import LayerError, NoGradientError, did_you_mean

AUTO = "auto"

INPUT = ""
"""The path of what goes into the model, as if it were the first layer's output: no layer's is empty."""


@dataclass(frozen=True)
class LayerCall:
    """One call of one layer while the model ran.

    Attributes:
        path: Names from the model down to the layer: "resnet50/conv5_block3_out" in Keras, "layer4.2" in torch.
        kind: The layer's class.
        shape: The output's shape without the batch, channels last: (*space, K). None where it is not one tensor.
        is_pooling: The layer only pools.
        is_handed_on: The output is another layer's, handed on: a model around its last layer, dropout at rest.
        number: Which call of the layer, counted from 1.
        channels_first: The layer itself lays its output out as (N, K, *space).
    """

    path: str
    kind: str
    shape: tuple[int | None, ...] | None
    is_pooling: bool
    is_passed_through: bool
    number: int
    channels_first: bool = False

    @property
    def has_space(self) -> bool:
        """Whether there is more than one position to tell apart; unknown sizes count as many."""
        return self.shape is not None and len(self.shape) > 1 and any(size != 1 for size in self.shape[:-1])

    @property
    def is_candidate(self) -> bool:
        """Whether `layer="auto"` may take this layer; it takes the last call of which this is true."""
        return self.has_space and not self.is_pooling and not self.is_passed_through


INPUT_CALL = LayerCall(INPUT, "input", None, is_pooling=False, is_passed_through=False, number=1)
"""What goes into the model, as if it were the output of a first layer."""


@dataclass(frozen=True)
class LayerChoice:
    """The layer to tap.

    Attributes:
        path: A path from `Framework.layer_paths`, or "auto".
        number: Which of its calls, counted from 1; None for the last.
    """

    path: str
    number: int | None = None

    @property
    def is_input(self) -> bool:
        """Whether no layer is meant, but what goes into the model."""
        return self.path == INPUT

    @property
    def is_auto(self) -> bool:
        """Whether the layer is still to be chosen, when the model runs."""
        return self.path == AUTO

    def admits(self, call: LayerCall) -> bool:
        """Whether this call may be the one to tap; of several, the last is."""
        if self.is_auto:
            return call.is_candidate
        return call.path == self.path and call.has_space and self.number in (None, call.number)

    def named(self, call: LayerCall) -> str:
        """Return what the tapped call is called: with its number where one was asked for."""
        return call.path if self.is_auto else str(self)

    def __str__(self) -> str:
        return self.path if self.number is None else f"{self.path}#{self.number}"


def check_tapped(layer: LayerChoice, calls: Iterable[LayerCall], hint: str = "") -> LayerCall:
    """Return the call that was tapped, the last that `layer` admits.

    Raises:
        LayerError: There is none; the message says why.
    """
    calls = tuple(calls)
    admitted = next((call for call in reversed(calls) if layer.admits(call)), None)
    if admitted is not None:
        return admitted
    if layer.is_auto:
        shapes = ", ".join(f"{call.path} {call.shape}" for call in calls if call.shape is not None)
        raise LayerError(
            "layer='auto' found no layer to explain: every layer's output is one position wide, is pooled, or is not "
            f"one tensor. A heatmap needs a layer with space, such as a convolution. Outputs: {shapes or 'none'}.{hint}"
        )
    own = [call for call in calls if call.path == layer.path]
    if not own:
        raise LayerError(f"The layer {layer.path!r} is part of the model, but is not called when it runs.{hint}")
    if layer.number is not None and layer.number not in {call.number for call in own}:
        raise LayerError(f"There is no call {layer}: the layer {layer.path!r} is called {len(own)} times.")
    raise LayerError(
        f"The layer {layer.path!r} cannot be explained: its output {own[-1].shape or ''} is not one tensor with more "
        "than one position. Explainer.layers lists those that can."
    )


def no_gradient(path: str) -> NoGradientError:
    """Say that the scores do not depend on the layer."""
    if path == INPUT:
        return NoGradientError(
            "No gradient reaches the model's input: something in the model (a rounding, an argmax, stop_gradient) "
            "cannot be differentiated. Use a method that needs no gradients, such as occlusion or rise."
        )
    return NoGradientError(
        f"No gradient reaches the layer {path!r}: the scores do not depend on it, or something after it (a rounding, "
        "an argmax, stop_gradient) cannot be differentiated. Give a layer that the outputs are computed from."
    )


def only_path(name: str, paths: tuple[str, ...]) -> str:
    """Find the one path that is `name` or ends in it."""
    found = [path for path in paths if path == name or path.endswith(("/" + name, "." + name))]
    if len(found) > 1 and name not in found:
        raise LayerError(f"{len(found)} layers are called {name!r}; give one of their paths: {', '.join(found)}.")
    if not found:
        names = [*paths, *(path.rsplit("/", 1)[-1] for path in paths)]
        raise LayerError(
            f"There is no layer {name!r} in the model.{did_you_mean(name, names)} Explainer.layers lists them."
        )
    return name if name in found else found[0]
