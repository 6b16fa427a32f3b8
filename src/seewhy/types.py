"""What passes between the rooms. N images, T targets, K channels, C classes; `*space` is u, or u x v, ..."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from seewhy.representation import ShortRepr, counted

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IndexArray = NDArray[np.int32]
ImageArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


class Tensor(Protocol):
    """An array of whichever framework runs the model.

    Opaque but for its shape, indexing and arithmetic: anything else is a function of the framework's `Namespace`, so
    that a method is written once for all frameworks.
    """

    @property
    def shape(self) -> Any:
        """The size of each axis."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __neg__(self) -> Any: ...
    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __truediv__(self, other: Any, /) -> Any: ...
    def __eq__(self, other: object, /) -> Any: ...
    def __ge__(self, other: Any, /) -> Any: ...
    def __gt__(self, other: Any, /) -> Any: ...


NativeTensor = Any
"""A tensor inside a framework's own code, which uses what only that framework's tensors have."""

Namespace = Any
"""The functions of that framework's arrays, named as in the array API: `keras.ops`, or `numpy` in tests."""


class Model(Protocol):
    """A `keras.Model` or a `torch.nn.Module`."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the model."""


LayerSpec = str | Model
"""A layer's path or name, or the layer object: a `keras.Layer` or a `torch.nn.Module`, callable as a model is."""

Score = Literal["logit", "probability"]

FinalActivation = Literal["softmax", "sigmoid", "logits", "linear", "embedding"]
"""The final activation, which a model applies to its logits; "logits" where its last operation is a matrix product, so
that there is none; "linear" where none was found; "embedding" for an embedding of the image, which has no classes."""

Fuse = Literal["mean", "max", "product", "layercam"]
"""How the heatmaps of several layers are fused."""

Precision = Literal["float32", "bfloat16"]
"""What the model runs in: its own types; or with its convolutions and matrix products in bfloat16."""

Backend = Literal["onnx", "openvino"]
"""What runs a model other than its own framework."""

GradientRule = Literal["plain", "guided", "guided-where-relu"]
"""How gradients flow from the scores to the tapped layer: as the model defines them; through ReLUs that pass only
positive gradients (guided backpropagation, Springenberg et al., arXiv 1412.6806), in a model without other activations;
or the same, with other activations left as they are."""


@dataclass(frozen=True)
class Contrast:
    """What is subtracted from the score of a class: `alpha` times the mean score of the classes most similar to it.

    Attributes:
        alpha: The strength of the comparison, 0 or more.
        similar: The number of similar classes, 1 or more; a model with fewer other classes is compared with all.
    """

    alpha: float
    similar: int


Derivatives = Literal["none", "gradients", "closed_form"]
"""What a run of the model computes besides the forward pass: nothing; the gradients of each target; or, for all targets
at once, `Capture.closed_form`."""


@dataclass(frozen=True, repr=False)
class Capture(ShortRepr):
    """What one run of the model captured at the tap: all that a method needs, still on the model's device.

    Attributes:
        activations: (N, *space, K), the layer's output A^k.
        gradients: (N, T, *space, K), dy^c/dA^k; None where they were not requested.
        scores: (N, T), y^c.
        indices: (N, T), the class of each target; negative for a target that is not a class.
        outputs: (N, ...), the selected output; all outputs of the model where none was selected.
        probabilities: (N, C), or None where the outputs are not class scores.
        layer: The path of the tapped layer; empty for the model's input.
        xp: The array namespace of these tensors.
        final_activation: The final activation of the selected output; None where no single output is selected.
        closed_form: (N, T, *space), sum_k A^k dy^c/dA^k; None where it was not requested, or where the scores depend on
            more of the layer than its mean over space.
        is_bypassed: Whether a path from the input to the scores may bypass the layer; None where that is not known.
        prefix_tokens: (N, prefix, K), the layer's tokens before those that are patches of the image, of a layer whose
            tokens were folded into the image's rows and columns; None for any other layer.
        suffix_tokens: (N, suffix, K), those after the patches.
    """

    activations: Tensor
    gradients: Tensor | None
    scores: Tensor
    indices: Tensor
    outputs: Tensor
    probabilities: Tensor | None
    layer: str
    xp: Namespace
    final_activation: FinalActivation | None = None
    closed_form: Tensor | None = None
    is_bypassed: bool | None = None
    prefix_tokens: Tensor | None = None
    suffix_tokens: Tensor | None = None

    def require_gradients(self) -> Tensor:
        """Return the gradients, for a method that needs them.

        Raises:
            ValueError: The capture was made without gradients.
        """
        if self.gradients is None:
            raise ValueError("The capture has no gradients: it was made with derivatives='none' or 'closed_form'.")
        return self.gradients


@dataclass(frozen=True, repr=False)
class AttentionCapture(ShortRepr):
    """What one run of the model captured of its attention layers, still on the model's device.

    H is the number of attention heads, Lq and Lk the numbers of tokens that attend and that are attended to. A layer
    that attends within windows has a map for each window of each image; its maps have more axes than four, (N, windows,
    H, Lq, Lk) or (N, H, windows, Lq, Lk).

    Attributes:
        maps: (N, H, Lq, Lk) each: the softmax of queries times keys that values are multiplied with, in the order in
            which the maps are computed.
        gradients: (N, T, H, Lq, Lk) each, dy^c/dA of every map, 0 where the scores do not depend on it; None where they
            were not requested.
        scores: (N, T), y^c.
        indices: (N, T), the class of each target; negative for a target that is not a class.
        outputs: (N, ...), the selected output; all outputs of the model where none was selected.
        probabilities: (N, C), or None where the outputs are not class scores.
        xp: The array namespace of these tensors.
        final_activation: The final activation of the selected output; None where no single output is selected.
        reads: (N, T, Lq), the share with which the scores read each row of the last map, summing to 1; all 0 where they
            read none. A framework leaves it None.
    """

    maps: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...] | None
    scores: Tensor
    indices: Tensor
    outputs: Tensor
    probabilities: Tensor | None
    xp: Namespace
    final_activation: FinalActivation | None = None
    reads: Tensor | None = None

    @property
    def layer(self) -> str:
        """What is explained, as a result names it: "12 attention layers"."""
        return counted(len(self.maps), "attention layer")

    def require_gradients(self) -> tuple[Tensor, ...]:
        """Return the gradients, for a method that needs them.

        Raises:
            ValueError: The capture was made without gradients.
        """
        if self.gradients is None:
            raise ValueError("The capture has no gradients: it was made with derivatives='none'.")
        return self.gradients

    def require_reads(self) -> Tensor:
        """Return what the scores read of the last map.

        Raises:
            ValueError: It was not found out.
        """
        if self.reads is None:
            raise ValueError("The capture does not say which rows of the last map are read.")
        return self.reads
