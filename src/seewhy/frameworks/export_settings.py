"""What an exported model computes beside its scores, and what its input is."""

from dataclasses import dataclass
from typing import Any, final

from seewhy.frameworks.tokens import TokenGrid
from seewhy.methods import Method
from seewhy.types import FinalActivation, FloatArray, Score

Classes = int | tuple[int, ...] | None
"""The classes that an exported model explains: the number k of the most probable ones, given classes, or None for all.
"""

PREFIX = "seewhy."
"""What the keys of our metadata start with."""

EXPORT_KEYS = frozenset(
    PREFIX + name
    for name in (
        "version", "model", "method", "options", "score", "signed", "targets", "placed", "input_box", "tolerance",
        "activation", "deviation",
    )
)  # fmt: skip
"""The keys of the metadata that say what the heatmaps of an exported model are; the others are those of a sidecar."""

PIXELS = "image"
"""The name of an input of pixels."""

GREY = (19595, 38470, 7471, 65536)
"""The weights of R, G and B with which Pillow computes the brightness of a pixel, and their sum."""

MAX_BACKWARD_PASSES = 32
"""How many targets are explained where each takes a backward pass of its own, which is a part of the exported graph."""


@final
@dataclass(frozen=True)
class PixelTransform:
    """From pixels uint8 (N, h, w, 3) to a model's input: `pixels @ matrix + offset`, then a transposition.

    Attributes:
        matrix: (3, channels), or (1, channels) for grey.
        offset: (channels,).
        is_grey: Whether the pixels become their brightness first, (N, h, w, 1), rounded as Pillow does it.
        channels_first: Whether the input is (N, channels, h, w).
        size: (h, w) in pixels.
    """

    matrix: FloatArray
    offset: FloatArray
    is_grey: bool
    channels_first: bool
    size: tuple[int, int]


@final
@dataclass(frozen=True)
class Enlargement:
    """From heatmaps (..., u, v) to the size of the input: `rows @ heatmaps @ columns.T`.

    Attributes:
        rows: (h, u).
        columns: (w, v).
    """

    rows: FloatArray
    columns: FloatArray


@final
@dataclass(frozen=True)
class ExportSettings:
    """What an exported model computes.

    Attributes:
        method: Makes the heatmaps.
        classes: The classes that are explained.
        score: What is explained: logits or probabilities.
        output: The output with the class scores, of a model with several.
        signed: Whether negative values stay; else they are 0.
        tokens: How the layer's tokens lie on the image; None where its positions are no tokens.
        enlargement: How heatmaps are enlarged to the size of the input; None leaves them at the layer's resolution.
        pixels: How pixels become the model's input; None where the input is the model's own.
    """

    method: Method
    classes: Classes
    score: Score = "logit"
    output: int | str | None = None
    signed: bool = False
    tokens: TokenGrid | None = None
    enlargement: Enlargement | None = None
    pixels: PixelTransform | None = None


@final
@dataclass(frozen=True)
class ExplainedModel:
    """A model that computes its heatmaps.

    Attributes:
        model: The model, in the format's own type.
        inputs: The names of its inputs.
        outputs: The names of its outputs.
        layer: The name that the explained layer has in it; empty for its input.
        activation: The final activation of the source.
        backward_passes: How many backward passes it contains; 0 where the heatmaps are one product.
    """

    model: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layer: str
    activation: FinalActivation
    backward_passes: int
