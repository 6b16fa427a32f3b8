"""The calls of a model's layers, and the choice of the call to tap."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from seewhy.errors import LayerError, NoGradientError, did_you_mean
from seewhy.representation import ShortRepr

AUTO = "auto"

INPUT = ""
"""The path of the model's input, which is treated as the output of a first layer. No layer has an empty path."""


@dataclass(frozen=True, repr=False)
class LayerCall(ShortRepr):
    """One call of one layer while the model ran.

    Attributes:
        path: Names from the model down to the layer: "resnet50/conv5_block3_out" in Keras, "layer4.2" in torch.
        kind: The layer's class.
        shape: The output's shape without the batch, channels last: (*space, K). None where it is not one tensor.
        is_pooling: The layer only pools.
        is_pass_through: The layer returns another layer's output unchanged: a model around its last layer, or dropout
            in inference mode.
        number: The number of this call among the calls of the layer, counted from 1, in the order in which they were
            written for a layer of a functional Keras model, and else in the order in which they run.
        execution: Its number in the order in which they run.
        given: What the call was given: the layers whose outputs, and the names of the model's inputs that, were its
            arguments. Arguments that were computed otherwise are not listed.
        inputs: The names of the model's inputs that its output is computed from. Empty for a model with one input, and
            where that is not known.
        channels_first: The layer's own layout is (N, K, *space).
        images_second: The layer's own layout is (L, N, K), with the images along its second axis.
        frames: How many rows of the layer's own layout are one image, as where a model folds the frames of a video into
            the batch, (N * frames, ...). They are the first spatial axis of `shape`.
        is_split: The layer only splits channels among attention heads: (tokens, heads, K), whose axes are not those of
            an image.
        is_auxiliary: A Keras operation that only moves, casts or scales what a layer computed, or whose axes may not be
            those of an image, such as a matrix product.
        obstacle: What keeps the output from being reached, as in "runs inside torch.vmap"; empty if nothing does.
    """

    path: str
    kind: str
    shape: tuple[int | None, ...] | None
    is_pooling: bool
    is_pass_through: bool
    number: int
    execution: int
    given: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    channels_first: bool = False
    images_second: bool = False
    frames: int = 1
    is_split: bool = False
    is_auxiliary: bool = False
    obstacle: str = ""

    @property
    def name(self) -> str:
        """The path with the number of the call, as it is given to select this call."""
        return f"{self.path}#{self.number}"

    @property
    def has_space(self) -> bool:
        """Whether the output has more than one spatial position; an unknown size counts as more than one."""
        return self.shape is not None and len(self.shape) > 1 and any(size != 1 for size in self.shape[:-1])

    @property
    def positions(self) -> int:
        """The number of the output's spatial positions; 0 where it has one or none, or a size is unknown."""
        return math.prod(size or 0 for size in self.shape[:-1]) if self.shape is not None and self.has_space else 0

    @property
    def is_candidate(self) -> bool:
        """Whether `layer="auto"` may take this call; it takes the last such call."""
        return self.has_space and not (self.is_pooling or self.is_pass_through or self.is_split or self.is_auxiliary)


INPUT_CALL = LayerCall(INPUT, "input", None, is_pooling=False, is_pass_through=False, number=1, execution=1)
"""The model's input, treated as the output of a first layer."""


@dataclass(frozen=True, repr=False)
class LayerChoice(ShortRepr):
    """The layer to tap.

    Attributes:
        path: A path from `Framework.layer_paths`, or "auto"; `INPUT` for one of the model's inputs.
        number: The number of the call, counted from 1; None for the last call. Of an input, its number among the arrays
            of the batch, counted from 1; None for the only one.
    """

    path: str
    number: int | None = None

    @property
    def is_input(self) -> bool:
        """Whether the model's input is tapped instead of a layer."""
        return self.path == INPUT

    @property
    def is_auto(self) -> bool:
        """Whether the layer is chosen when the model runs."""
        return self.path == AUTO

    def admits(self, call: LayerCall, *, by_number: bool = True) -> bool:
        """Whether this call may be tapped, by its number too unless the calls are not numbered yet; the last one is."""
        if self.is_auto:
            return call.is_candidate
        has_number = not by_number or self.number in (None, call.number)
        return call.path == self.path and call.has_space and has_number

    def named(self, call: LayerCall) -> str:
        """Return the name of the tapped call, with its number where the caller gave one; empty for an input."""
        return call.path if self.is_auto or self.is_input else str(self)

    @property
    def leaf(self) -> int:
        """The position of the input that is tapped, among the arrays of the batch."""
        return (self.number or 1) - 1

    def __str__(self) -> str:
        return self.path if self.number is None else f"{self.path}#{self.number}"


def check_tapped(layer: LayerChoice, calls: Iterable[LayerCall], hint: str = "") -> LayerCall:
    """Return the tapped call: the last one that `layer` admits.

    Raises:
        LayerError: No call is admitted; the message gives the reason.
    """
    calls = tuple(calls)
    admitted = next((call for call in reversed(calls) if layer.admits(call)), None)
    if admitted is not None:
        return admitted
    if layer.is_auto:
        shapes = ", ".join(f"{call.path} {call.shape}" for call in calls if call.shape is not None)
        raise LayerError(
            "layer='auto' found no layer to explain: every layer's output has one spatial position, is pooled, or is "
            "not one tensor. A heatmap needs a layer with spatial positions, such as a convolution. Outputs: "
            f"{shapes or 'none'}.{hint}"
        )
    layer_calls = [call for call in calls if call.path == layer.path]
    if not layer_calls:
        raise LayerError(f"The layer {layer.path!r} is part of the model, but is not called when it runs.{hint}")
    if layer.number is not None and layer.number not in {call.number for call in layer_calls}:
        raise LayerError(f"There is no call {layer}: the layer {layer.path!r} is called {len(layer_calls)} times.")
    if obstacle := layer_calls[-1].obstacle:
        raise LayerError(
            f"The layer {layer.path!r} {obstacle}, where its output cannot be reached. Give another layer."
        )
    raise LayerError(
        f"The layer {layer.path!r} cannot be explained: its output{_shape_text(layer_calls[-1])} is not one tensor "
        "with more than one position. Explainer.layers lists the layers that can."
    )


def _shape_text(call: LayerCall) -> str:
    return "" if call.shape is None else f" {call.shape}"


def no_gradient(path: str) -> NoGradientError:
    """Return the error for scores that do not depend on the layer."""
    if path == INPUT:
        return NoGradientError(
            "No gradient reaches the model's input: something in the model (a rounding, an argmax, stop_gradient) "
            "cannot be differentiated. Use a method that needs no gradients, such as occlusion or rise."
        )
    return NoGradientError(
        f"No gradient reaches the layer {path!r}: the scores do not depend on it, or something after it (a rounding, "
        "an argmax, stop_gradient) cannot be differentiated, or it is inside a function that the backward pass runs "
        "once more (keras.remat, tf.recompute_grad). Give a layer that the outputs are computed from."
    )


MIXED_WEIGHTS = (
    "combines the softmax of queries times keys with other weights, such as those of positions, before it multiplies "
    "values with them (as ConViT does)"
)
"""The obstacle of attention that is more than its softmax."""

UNEVEN = "computes attention in arrays of which no axis is that of the images, or a multiple of it"
"""The obstacle of maps whose images cannot be told apart."""

OTHER_AXIS = (
    "computes maps whose first axis is not that of the images, though it has a size that fits, as where attention "
    "heads come before images"
)
"""The obstacle of maps whose images are along another axis than they are taken to be."""


def no_attention(obstacle: str = "") -> LayerError:
    """Return the error for a model whose attention cannot be captured: it has none, or there is an obstacle."""
    if obstacle:
        return LayerError(
            f"The attention of this model cannot be explained: it {obstacle}. Use a method that explains a layer, such "
            "as gradcam."
        )
    return LayerError(
        "The model computes no attention: no softmax of queries times keys that values are multiplied with. Methods "
        "for attention explain transformers; for other models use a method that explains a layer, such as gradcam."
    )


def no_gradient_to_attention() -> NoGradientError:
    """Return the error for scores that do not depend on any attention map."""
    return NoGradientError(
        "No gradient reaches the model's attention: the scores do not depend on it, or something after it (a rounding, "
        "an argmax, stop_gradient) cannot be differentiated. Use a method that needs no gradients, such as occlusion."
    )


def only_path(name: str, paths: tuple[str, ...]) -> str:
    """Return the one path that is `name` or ends in it, or raise LayerError."""
    matches = [path for path in paths if path == name or path.endswith(("/" + name, "." + name))]
    if len(matches) > 1 and name not in matches:
        raise LayerError(f"{len(matches)} layers are called {name!r}; give one of their paths: {', '.join(matches)}.")
    if not matches:
        names = [*paths, *(path.rsplit("/", 1)[-1] for path in paths)]
        raise LayerError(
            f"There is no layer {name!r} in the model.{did_you_mean(name, names)} Explainer.layers lists them."
        )
    return name if name in matches else matches[0]
