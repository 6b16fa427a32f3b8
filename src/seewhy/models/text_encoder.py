"""The embeddings of prompts, by a model with an image and a text tower, and prompts as classes."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, final

import numpy as np

from seewhy.errors import InputError, OptionError, TargetError, short_repr
from seewhy.frameworks.prompts import PromptClasses, TextTower, Tokens
from seewhy.models.prompt_tokens import check_tokenizer, find_tokenizer, tokenize
from seewhy.targets.prompt import EmbeddedPrompt, check_prompt
from seewhy.types import FloatArray

PromptsSpec = Sequence[str] | Mapping[str, str | Sequence[str]]
"""Prompts as classes: texts, which are the names too; or a name for each text, or for each list of texts."""


class Prompts(NamedTuple):
    """Prompts that are classes.

    Attributes:
        names: The name of each class.
        texts: The texts of each class, whose embeddings are averaged; empty where there are tokens.
        tokens: The tokens of the texts, one for each class, where no texts are known.
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    tokens: Tokens = None

    @classmethod
    def parse(cls, prompts: PromptsSpec) -> "Prompts":
        """Return what a caller gave, or raise OptionError or TargetError."""
        if isinstance(prompts, str) or not isinstance(prompts, (Sequence, Mapping)) or not len(prompts):
            raise OptionError(
                f'prompts is {short_repr(prompts)}; expected texts, such as ["a dog", "a cat"], or a text or several '
                'for each name, such as {"dog": "a photo of a dog"}.'
            )
        if not isinstance(prompts, Mapping):
            prompts = {text: text for text in map(check_prompt, _all_different(prompts))}
        rows = [tuple(texts) if isinstance(texts, (list, tuple)) else (texts,) for texts in prompts.values()]
        if not all(rows):
            raise OptionError("A class was given without a prompt; expected one text or more for each name.")
        texts = tuple(tuple(map(check_prompt, row)) for row in rows)
        return cls(tuple(map(check_prompt, prompts)), texts)

    def find(self, text: str) -> int | None:
        """Return the class of this text alone, whatever its name; None if there is none."""
        return self.texts.index((text,)) if (text,) in self.texts else None


MAX_EMBEDDINGS = 4096
"""The number of prompts whose embeddings are kept, of some 2 KB each; the oldest is dropped."""


@final
class TextEncoder:
    """Embeds each prompt once, and again after the weights were changed; for one thread at a time.

    Args:
        tower: Runs the text tower.
        tokenizer: Makes tokens of texts; None for that beside a model of Hugging Face.
        name: The model's name, for messages.
    """

    def __init__(self, tower: TextTower, tokenizer: Any, name: str) -> None:
        check_tokenizer(tokenizer)
        self.tokenizer = tokenizer
        self._tower, self._name = tower, name
        self._version: Hashable = None
        self._embeddings: dict[str, FloatArray] = {}
        self._classes: tuple[Prompts, PromptClasses] | None = None
        self._is_held = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: everything but the embeddings."""
        return vars(self) | {"_version": None, "_embeddings": {}, "_classes": None, "_is_held": False}

    def target(self, text: str) -> EmbeddedPrompt:
        """Return the target of a prompt."""
        with self._tower.alone():
            self._forget_old()
            embedding, similarity = self._embed(text), self._tower.similarity()
        return EmbeddedPrompt(text, np.float32(similarity.scale) * embedding, similarity.bias)

    def classes(self, prompts: Prompts) -> PromptClasses:
        """Return the weights of prompts as classes."""
        with self._tower.alone():
            self._forget_old()
            if self._classes is None or self._classes[0] is not prompts:
                self._classes = prompts, self._new_classes(prompts)
            return self._classes[1]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep what was embedded while the weights are others for a moment, in which no other thread runs the model."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def split(self, inputs: Any) -> tuple[Any, Tokens] | None:
        """Return the images and the tokens of inputs that hold both; None for other inputs."""
        return self._tower.split(inputs)

    def _new_classes(self, prompts: Prompts) -> PromptClasses:
        if prompts.tokens is not None:
            embeddings = self._tower.embed_texts(prompts.tokens)
            if len(embeddings) != len(prompts.names):
                raise InputError(
                    f"The model gave {len(embeddings)} embeddings for tokens of {len(prompts.names)} texts; expected "
                    "tokens of shape (P, L), a row for each text."
                )
        else:
            embeddings = np.stack([_mean([self._embed(text) for text in texts]) for texts in prompts.texts])
        similarity = self._tower.similarity()
        return PromptClasses(np.float32(similarity.scale) * embeddings, similarity.bias, similarity.is_sigmoid)

    def _embed(self, text: str) -> FloatArray:
        """Return the embedding (D,) of a text."""
        if text not in self._embeddings:
            if self.tokenizer is None:
                self.tokenizer = find_tokenizer(self._tower, self._name)
            embeddings = self._tower.embed_texts(tokenize(self.tokenizer, text, self._tower))
            if len(embeddings) != 1:
                raise TargetError(f"The model gave {len(embeddings)} embeddings for the prompt {short_repr(text)}.")
            if len(self._embeddings) >= MAX_EMBEDDINGS:
                del self._embeddings[next(iter(self._embeddings))]
            self._embeddings[text] = embeddings[0]
        return self._embeddings[text]

    def _forget_old(self) -> None:
        """Forget what was computed with other weights."""
        if self._is_held:
            return
        version = self._tower.version()
        if version != self._version:
            self._version, self._embeddings, self._classes = version, {}, None


def text_encoder(tower: TextTower | None, tokenizer: Any, name: str) -> TextEncoder | None:
    """Return what embeds prompts; None for a model without a text tower.

    Raises:
        OptionError: There is a tokenizer for a model without a text tower, or it is none.
    """
    if tower is None and tokenizer is not None:
        raise OptionError(
            f"A tokenizer was given, and the model {name!r} has no text tower; expected a model of open_clip, CLIP or "
            "SigLIP of Hugging Face, or a PyTorch module with encode_image, encode_text and logit_scale. Leave it out."
        )
    return None if tower is None else TextEncoder(tower, tokenizer, name)


def no_classes(name: str) -> str:
    """Return what is said where the target is a class, of a model that compares images with texts."""
    return (
        f"The model {name!r} compares images with texts, and has no classes. Give prompts as targets, "
        'seewhy.targets.Prompt("a photo of a dog"), or make them classes: classifier.with_prompts(["a dog", "a cat"]) '
        "(--prompt on the command line)."
    )


def _mean(embeddings: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of embeddings, of length 1."""
    mean: FloatArray = np.mean(embeddings, axis=0)
    length = np.linalg.norm(mean)
    return mean if len(embeddings) == 1 or length == 0 else (mean / length).astype(np.float32)


def _all_different(prompts: Sequence[Any]) -> Sequence[Any]:
    twice = [text for position, text in enumerate(prompts) if text in prompts[:position]]
    if twice:
        raise OptionError(f"The prompt {short_repr(twice[0])} was given twice; expected different ones.")
    return prompts
