"""PyTorch models with an image and a text tower: CLIP, SigLIP and their kin, of Hugging Face and of open_clip.

Images and texts do not influence each other: a tower runs on each alone, and the score is a function of the two
embeddings. So prompts cost one run of the text tower each, and an image one run of the image tower.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager
from typing import Any, final

import numpy as np
import torch

from seewhy.errors import InputError, ModelRunError, did_you_mean, short_repr
from seewhy.frameworks.prompts import PromptClasses, Similarity, Tokens, check_embedding
from seewhy.frameworks.structures import map_tree
from seewhy.frameworks.torch import hugging_face
from seewhy.frameworks.torch.failures import FAILURES
from seewhy.frameworks.torch.forward_parameters import VARIABLE
from seewhy.frameworks.torch.precision import without_autocast
from seewhy.frameworks.torch.private_api import own_tensors
from seewhy.frameworks.torch.restore import RUN_LOCK, preserve_state
from seewhy.frameworks.torch.tensors import to_array
from seewhy.frameworks.torch.weights_version import WeightsVersion
from seewhy.types import FloatArray, NativeTensor

KINDS = frozenset(
    {
        *("clip", "metaclip_2", "siglip", "chinese_clip", "altclip", "align", "clipseg", "groupvit"),
        "vision-text-dual-encoder",
    }
)
"""The types of Hugging Face models whose logits are those of `Similarity`, which a test compares."""

PADDED_KINDS = frozenset({"siglip"})
IMAGES = ("pixel_values", "image")
TEXTS = ("input_ids", "text")
TOKENIZED = ("token_type_ids", "special_tokens_mask")
"""What tokenizers of Hugging Face give beside tokens, also for models that do not read it."""


class ImageEmbedding(dict[str, NativeTensor]):
    """What a model with two towers gives for images alone: their embeddings (N, D), each of length 1."""

    def __init__(self, embedding: NativeTensor) -> None:
        super().__init__(image_embedding=embedding)


class TwoTowers(ABC):
    """A model with two towers. It is run as it is; its parts are found anew in every run.

    Args:
        model: The module.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model: Any = model
        self._weights_version = WeightsVersion()

    @abstractmethod
    def encode_images(self, images: NativeTensor) -> NativeTensor:
        """Return the embeddings (N, D) of images, of any length."""

    @abstractmethod
    def encode_texts(self, tokens: Tokens) -> NativeTensor:
        """Return the embeddings (P, D) of texts, of any length."""

    @property
    @abstractmethod
    def context_length(self) -> int | None:
        """How many tokens the text tower reads; None where the model does not say."""

    @property
    def source(self) -> str:
        """The name or folder that the model was loaded from."""
        return ""

    @property
    def pads_texts(self) -> bool:
        """Whether the text tower was trained on texts padded to the context length."""
        return False

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(h, w) of the images, in pixels, where the model says so."""
        return None

    def run(self, images: NativeTensor, classes: PromptClasses | None) -> Any:
        """Return the embeddings of images, or their logits where prompts are the classes.

        The last operation tells what the logits are: SigLIP's sigmoid is applied to them, and bypassed again as that of
        any classifier.
        """
        embedding = self.encode_images(images)
        check_embedding(tuple(embedding.shape), "image")
        with without_autocast():
            unit = _unit(embedding)
            if classes is None:
                return ImageEmbedding(unit)
            weights = torch.tensor(classes.weights, device=unit.device)
            bias = torch.full((len(weights),), classes.bias, device=unit.device)
            logits = torch.nn.functional.linear(unit, weights, bias)
            return torch.sigmoid(logits) if classes.is_sigmoid and len(weights) > 1 else logits

    def alone(self) -> AbstractContextManager[Any]:
        """Return a context in which no other thread runs the model."""
        return RUN_LOCK.lock

    def embed_texts(self, tokens: Tokens) -> FloatArray:
        """Return the embeddings of texts, float32 (P, D), each of length 1; the model is left as it was."""
        device = next((parameter.device for parameter in self._model.parameters()), torch.device("cpu"))
        given = map_tree(lambda array: torch.as_tensor(to_array(array), device=device), tokens)
        with preserve_state(self._model), torch.no_grad(), without_autocast():
            try:
                embedding = self.encode_texts(given)
            except FAILURES as error:
                raise ModelRunError(f"The model's text tower cannot run on the tokens of a prompt: {error}") from error
            check_embedding(tuple(embedding.shape), "text")
            unit: FloatArray = _unit(embedding).cpu().numpy()
        if not np.isfinite(unit).all():
            raise ModelRunError("The model's text tower gave values for a prompt that are not finite.")
        return unit

    def similarity(self) -> Similarity:
        """Return how the model compares embeddings now."""
        bias = getattr(self._model, "logit_bias", None)
        return Similarity(self._scale(), 0.0 if bias is None else _number(bias), bias is not None)

    def version(self) -> Hashable:
        """Return what is another after the weights were changed."""
        return self._weights_version(own_tensors(self._model.modules()))

    def split(self, inputs: Any) -> tuple[Any, Tokens] | None:
        """Return the images and the tokens of inputs that hold both; None for other inputs."""
        if not isinstance(inputs, Mapping):
            return None
        images = next((name for name in IMAGES if name in inputs), None)
        if images is None or not any(name in inputs for name in TEXTS):
            return None
        tokens = {name: value for name, value in inputs.items() if name != images}
        for name, value in tokens.items():
            self._check_tokens(name, value)
        return inputs[images], tokens

    def check_images(self, inputs: Any) -> None:
        """Raise InputError for images under the name of another input."""
        if isinstance(inputs, Mapping) and len(inputs) == 1:
            (name,) = inputs
            names = tuple(inspect.signature(self._model.forward).parameters)
            if name in TEXTS or not (name in IMAGES or name in names):
                raise InputError(
                    f"The images were given as the input {name!r}; expected "
                    f"{next((each for each in IMAGES if each in names), IMAGES[0])!r}, or the array alone."
                )

    def _check_tokens(self, name: str, value: Any) -> None:
        """Raise InputError for an input beside the images that is no array of tokens."""
        known = self._token_names()
        if name not in known:
            raise InputError(
                f"The model has no input {name!r} beside its images; its texts are given as "
                f"{', '.join(map(repr, known))}.{did_you_mean(name, known)}"
            )
        array = np.asarray(to_array(value))
        kinds = "iub" if name == "input_ids" else "iubf"  # masks may be floating-point numbers
        if array.ndim < 1 or not array.size or array.dtype.kind not in kinds:
            raise InputError(
                f"The input {name!r} was given {short_repr(value)}; expected whole numbers of shape (P, L), a row for "
                "each text."
            )

    def _token_names(self) -> tuple[str, ...]:
        """Return the names of the arrays that may be given beside images."""
        return TEXTS

    def _scale(self) -> float:
        return float(np.exp(_number(self._model.logit_scale)))


@final
class HuggingFaceTowers(TwoTowers):
    """A model of Hugging Face with `get_image_features` and `get_text_features`."""

    @property
    def context_length(self) -> int | None:
        length = getattr(getattr(self._model.config, "text_config", None), "max_position_embeddings", None)
        return length if isinstance(length, int) and length > 0 else None

    @property
    def source(self) -> str:
        return str(getattr(self._model.config, "name_or_path", "") or "")

    @property
    def pads_texts(self) -> bool:
        return self._model.config.model_type in PADDED_KINDS

    @property
    def image_size(self) -> tuple[int, int] | None:
        return hugging_face.declared_size(self._model)

    def encode_images(self, images: NativeTensor) -> NativeTensor:
        return _pooled(self._model.get_image_features(pixel_values=images))

    def encode_texts(self, tokens: Tokens) -> NativeTensor:
        if not isinstance(tokens, Mapping):
            return _pooled(self._model.get_text_features(input_ids=tokens))
        known = self._text_parameters()
        return _pooled(self._model.get_text_features(**{key: tokens[key] for key in tokens if key in known}))

    def _token_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self._text_parameters(), *TOKENIZED]))

    def _text_parameters(self) -> list[str]:
        parameters = inspect.signature(self._model.get_text_features).parameters.values()
        return [each.name for each in parameters if each.kind not in VARIABLE]

    def _scale(self) -> float:
        temperature = getattr(self._model, "temperature", None)  # ALIGN's
        return super()._scale() if temperature is None else 1 / _number(temperature)


@final
class EncodeTowers(TwoTowers):
    """A model of open_clip, or any other module with `encode_image`, `encode_text` and `logit_scale`."""

    @property
    def context_length(self) -> int | None:
        length = getattr(self._model, "context_length", None)
        return length if isinstance(length, int) and length > 0 else None

    @property
    def image_size(self) -> tuple[int, int] | None:
        size = getattr(getattr(self._model, "visual", None), "image_size", None)
        sides = (size, size) if isinstance(size, int) else size
        if isinstance(sides, (list, tuple)) and len(sides) == 2 and all(type(side) is int for side in sides):
            return (sides[0], sides[1])
        return None

    def encode_images(self, images: NativeTensor) -> NativeTensor:
        embedding: NativeTensor = self._model.encode_image(images)
        return embedding

    def encode_texts(self, tokens: Tokens) -> NativeTensor:
        if isinstance(tokens, Mapping):
            if len(tokens) > 1:
                raise InputError(
                    f"The model's encode_text takes one array of tokens; given {short_repr(list(tokens))}. Give "
                    "'image' and 'text' alone."
                )
            (tokens,) = tokens.values()
        embedding: NativeTensor = self._model.encode_text(tokens)
        return embedding


def find_towers(model: torch.nn.Module) -> TwoTowers | None:
    """Return the towers of a model with two; None for any other model."""
    if hugging_face.is_hugging_face(model):
        has_both = hasattr(model, "get_image_features") and hasattr(model, "get_text_features")
        is_known = getattr(getattr(model, "config", None), "model_type", None) in KINDS
        return HuggingFaceTowers(model) if has_both and is_known else None
    has_both = callable(getattr(model, "encode_image", None)) and callable(getattr(model, "encode_text", None))
    return EncodeTowers(model) if has_both and isinstance(getattr(model, "logit_scale", None), torch.Tensor) else None


def _pooled(output: Any) -> NativeTensor:
    """Return the embedding of what a tower of Hugging Face gives; older versions give it alone."""
    pooled: NativeTensor = output[1] if isinstance(output, tuple) else getattr(output, "pooler_output", output)
    return pooled


def _unit(embedding: NativeTensor) -> NativeTensor:
    """Return embeddings of length 1; the libraries do so for the shortest ones too, and none divides by 0 here.

    Without a clamp, which guided backpropagation takes for an activation of the model.
    """
    embedding = embedding.float()
    length = torch.linalg.vector_norm(embedding, dim=-1, keepdim=True)
    return embedding / (length + (length == 0))


def _number(tensor: Any) -> float:
    return float(tensor.detach().float().reshape(-1)[0])
