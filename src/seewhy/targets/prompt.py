"""The target of models that compare images with texts: a prompt."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError, short_repr
from seewhy.representation import call_repr
from seewhy.targets.target import (
    ClassNamer,
    PromptTarget,
    Shape,
    Target,
    TargetScores,
    no_class_indices,
    shape_text,
)
from seewhy.types import FloatArray, IndexArray, Namespace, Tensor

MAX_PROMPT = 10_000
"""The characters of a prompt; the model's own limit, in tokens, is far below."""


@final
@dataclass(frozen=True, repr=False)
class Prompt(Target):
    """How similar a model with an image and a text tower, such as CLIP, finds the image and a text.

    With the embeddings i of the image and t of the text, the model's logit scale s, and its bias b, which is 0 but for
    SigLIP, it is the model's own logit:

        y = s i . t / (|i| |t|) + b

    It depends on this image and this text alone. A probability needs other prompts to compare with: they are the
    classes of `Classifier.with_prompts`.

    Attributes:
        text: The text, such as "a photo of a dog".

    Raises:
        TargetError: `text` is not a text, is empty, or has more tokens than the model reads; or the model has no text
            tower, or no tokenizer.
    """

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", check_prompt(self.text))

    @property
    def key(self) -> Hashable:
        return Prompt

    def with_prompts(self, prompt_target: PromptTarget) -> Target:
        return prompt_target(self.text)

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (self.text,)

    def check_outputs(self, shape: Shape | None) -> None:
        raise no_text_tower(self.text)

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        raise no_text_tower(self.text)


@final
@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedPrompt(Target):
    """A prompt whose text a model has embedded.

    Attributes:
        text: The text.
        weights: float32 (D,), the text's embedding of length 1, times the logit scale.
        bias: The logit bias.
    """

    text: str
    weights: FloatArray
    bias: float

    def __repr__(self) -> str:
        return call_repr("Prompt", {"text": self.text})  # which the caller gave

    @property
    def key(self) -> Hashable:
        return EmbeddedPrompt

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        weights = np.broadcast_to(self.weights, (count, len(self.weights)))
        return weights, np.full((count, 1), self.bias, dtype=np.float32)

    @property
    def array_count(self) -> int:
        return 2

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        return (self.text,)

    def check_outputs(self, shape: Shape | None) -> None:
        size = len(self.weights)
        if shape is None or len(shape) != 2 or shape[1] not in (size, None):
            found = "several outputs, none of which is selected" if shape is None else f"of shape {shape_text(shape)}"
            raise TargetError(
                f"A Prompt reads the embedding of the image, (N, {size}); the model's outputs are {found}. Give "
                "the images alone, and no output=..."
            )

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        weights, bias = arrays
        scores = xp.sum(outputs * weights, axis=-1, keepdims=True) + bias  # the embedding has length 1
        return TargetScores(scores, no_class_indices(scores, xp))


def check_prompt(text: Any) -> str:
    """Return a prompt as it is, or raise TargetError if it is not a text, or an empty one."""
    if not isinstance(text, str):
        raise TargetError(f'A prompt is a text, such as "a photo of a dog"; given {short_repr(text)}.')
    if not text.strip():
        raise TargetError('The prompt is empty; expected a text, such as "a photo of a dog".')
    if len(text) > MAX_PROMPT:
        raise TargetError(f"The prompt has {len(text):,} characters: {short_repr(text)}; the limit is {MAX_PROMPT:,}.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise TargetError(f"The prompt {short_repr(text)} has half a character, a surrogate, which no tokenizer takes.")
    return text


def no_text_tower(text: str) -> TargetError:
    """Return the error for a prompt and a model that compares no texts with images."""
    return TargetError(
        f"The prompt {short_repr(text)} needs a model with an image and a text tower, which gives both embeddings: one "
        "of open_clip, CLIP or SigLIP of Hugging Face, or a PyTorch module with encode_image, encode_text and "
        "logit_scale. For a classifier, give a class."
    )
