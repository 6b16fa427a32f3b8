"""Models with an image and a text tower, such as CLIP, and the prompts that become their classes."""

from collections.abc import Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, final

from seewhy.errors import ModelError
from seewhy.frameworks.structures import InputBatch, InputSpec
from seewhy.types import FloatArray

Tokens = Any
"""The tokens of texts as a tokenizer gives them: an array (P, L), or a dict of them by name."""


class Similarity(NamedTuple):
    """How the cosine similarity of two embeddings becomes a logit: scale * cosine + bias.

    Attributes:
        scale: The logit scale, as a factor.
        bias: The logit bias; 0 for a model without one.
        is_sigmoid: Whether the sigmoid of a logit is its probability, as of SigLIP; else the softmax over the texts is.
    """

    scale: float
    bias: float
    is_sigmoid: bool


@final
@dataclass(frozen=True, eq=False)
class PromptClasses:
    """The prompts that are the classes of a model with two towers.

    Attributes:
        weights: float32 (P, D), the embedding of each class, of length 1, times the logit scale.
        bias: The logit bias.
        is_sigmoid: As in `Similarity`.
    """

    weights: FloatArray
    bias: float
    is_sigmoid: bool


class TextTower(Protocol):
    """Runs the text tower of a model that has an image tower too."""

    @property
    def context_length(self) -> int | None:
        """How many tokens the tower reads; None where the model does not say."""

    @property
    def source(self) -> str:
        """The name or folder that the model was loaded from, where it says so; else empty."""

    @property
    def pads_texts(self) -> bool:
        """Whether the tower was trained on texts that are padded to the context length."""

    def alone(self) -> AbstractContextManager[Any]:
        """Return a context in which no other thread runs the model; tokenizers are not thread-safe either."""

    def embed_texts(self, tokens: Tokens) -> FloatArray:
        """Return the embeddings of texts, float32 (P, D), each of length 1."""

    def similarity(self) -> Similarity:
        """Return how the model compares embeddings now."""

    def version(self) -> Hashable:
        """Return what is another after the weights were changed."""

    def split(self, inputs: InputSpec) -> tuple[InputSpec, Tokens] | None:
        """Return the images and the tokens of inputs that hold both; None for other inputs."""


def check_embedding(shape: tuple[int, ...], what: str) -> None:
    """Raise ModelError unless a tower gave one vector for each of its inputs."""
    if len(shape) != 2:
        raise ModelError(
            f"The model's {what} tower gave an output of shape {shape}; expected one vector for each {what}, (N, D). "
            "Wrap the model in a torch.nn.Module whose encode_image and encode_text give those."
        )


def are_images(inputs: InputBatch) -> bool:
    """Whether checked inputs are one array, which is that of the images."""
    while isinstance(inputs, (list, dict)) and len(inputs) == 1:
        inputs = inputs[0] if isinstance(inputs, list) else next(iter(inputs.values()))
    return not isinstance(inputs, (list, dict))
