"""What a model of Hugging Face transformers declares in its config. Nothing of transformers is imported."""

from collections.abc import Mapping, Sequence
from typing import Any

from seewhy.errors import ModelError
from seewhy.frameworks.structures import InputBatch

TEXT_INPUTS = ("input_ids", "decoder_input_ids")


def is_hugging_face(model: Any) -> bool:
    """Whether a module is a model of Hugging Face transformers."""
    return any(
        base.__name__ == "PreTrainedModel" and base.__module__.startswith("transformers.")
        for base in type(model).__mro__
    )


def check_takes_images(model: Any, parameters: Sequence[str], inputs: InputBatch) -> None:
    """Raise ModelError if one array, which is an image, would become the text of a model that takes both.

    Args:
        model: A module.
        parameters: The names of its parameters, in order.
        inputs: Checked inputs.
    """
    if isinstance(inputs, (list, dict)) or not is_hugging_face(model) or parameters[:1] != ["input_ids"]:
        return
    name, known = type(model).__name__, [each for each in parameters if each in (*TEXT_INPUTS, "pixel_values")]
    raise ModelError(
        f"{name} takes {' and '.join(known)}, and was given an image alone. Expected a model that takes an image and "
        "returns class scores, such as one that transformers.AutoModelForImageClassification loads. Or wrap it in a "
        "torch.nn.Module whose forward takes pixels, adds the text and returns scores; or give all inputs by name to "
        "Explainer.heatmaps."
    )


def declared_size(model: Any) -> tuple[int, int] | None:
    """Return (h, w) of the images in a model's config; None where it declares none."""
    size = _setting(model, "image_size")
    sides = (size, size) if isinstance(size, int) else size
    if isinstance(sides, (list, tuple)) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides):
        return (sides[0], sides[1])
    return None


def declared_labels(model: Any) -> Mapping[Any, Any] | None:
    """Return `id2label` of a model's config, from index to name; None where it declares none."""
    labels = getattr(getattr(model, "config", None), "id2label", None) if is_hugging_face(model) else None
    return labels if isinstance(labels, Mapping) else None


def _setting(model: Any, name: str) -> Any:
    """Return a value of a model's config, or of that of its image tower."""
    if not is_hugging_face(model):
        return None
    config = getattr(model, "config", None)
    return getattr(config, name, None) or getattr(getattr(config, "vision_config", None), name, None)
