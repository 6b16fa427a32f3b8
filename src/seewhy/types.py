"""What passes between the rooms. N images, T targets, K channels, C classes; `*space` is u, or u x v, ..."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int32]
ImageArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]

Tensor = Any
"""An array of whichever framework the model runs on."""

Namespace = Any
"""The functions of that framework's arrays, named as in the array API: `keras.ops`, or `numpy` in tests."""

Score = Literal["logit", "probability"]

Precision = Literal["float32", "bfloat16"]
"""What the model runs in: its own types; or with its convolutions and matrix products in bfloat16."""

GradientRule = Literal["plain", "guided", "guided-where-relu"]
"""How gradients flow through the model: unchanged; or with the guided ReLU of Springenberg et al. (arXiv 1412.6806),
which propagates positive gradients only. "guided" refuses models with other activations; "guided-where-relu" leaves
those unchanged."""

Derivatives = Literal["none", "gradients", "closed_form"]
"""What is differentiated in a run of the model: nothing; the scores, by the activations; or the sum over channels of
activations times gradients, for all targets at once, if the head is linear in the mean of the activations."""

Backward = Literal["none", "plain", "guided", "guided-where-relu", "products"]
"""The way back from the scores: not gone at all; as the model is; or through ReLUs that let only what is positive
pass (Springenberg et al., arXiv 1412.6806), in a model of no other activations, or past others as they are. Or gone
for all targets at once, for the products of activations and gradients alone, if what follows the layer allows it."""


@dataclass(frozen=True)
class Capture:
    """What one run of the model left at the tap: all that a method needs, still on the model's device.

    Attributes:
        activations: (N, *space, K), the layer's output A^k.
        gradients: (N, T, *space, K), dy^c/dA^k; None where they were not asked for.
        scores: (N, T), y^c.
        indices: (N, T), the class of each target; negative for a target that is no class.
        outputs: (N, ...), the output that was asked; all that the model returned where no one output was.
        probabilities: (N, C), or None where the outputs are not class scores.
        layer: The path of the layer that was tapped; empty for the input.
        xp: The namespace whose functions these tensors take.
        products: (N, T, *space), sum_k A^k dy^c/dA^k; None where they were not asked for, or where what follows the
            layer takes more of it than its mean over space.
    """

    activations: Tensor
    gradients: Tensor
    scores: Tensor
    indices: Tensor
    outputs: Tensor
    probabilities: Tensor | None
    layer: str
    xp: Namespace
    products: Tensor | None = None
