"""Prompts as the classes of a model with an image and a text tower."""

from collections.abc import Iterable
from typing import Any

from seewhy.errors import InputError, TargetError, short_repr
from seewhy.frameworks import Framework
from seewhy.models.text_encoder import Prompts, TextEncoder
from seewhy.representation import listed
from seewhy.targets import Target
from seewhy.targets.classes import Class
from seewhy.targets.prompt import no_text_tower


def split_texts(encoder: TextEncoder | None, prompts: Prompts | None, inputs: Any) -> tuple[Prompts, Any] | None:
    """Return the texts among a model's own inputs, as prompts, and its images; None where there are no texts.

    Args:
        encoder: Embeds prompts; None for a model without a text tower.
        prompts: The prompts that are the classes; None where there are none.
        inputs: The model's own inputs.

    Raises:
        InputError: Prompts are the classes already.
    """
    split = None if encoder is None else encoder.split(inputs)
    if split is None:
        return None
    if prompts is not None:
        raise InputError("The classes of the classifier are prompts; texts were given too. Give the images alone.")
    images, tokens = split
    count = len(next(iter(tokens.values())))
    return Prompts(tuple(f"text {number}" for number in range(count)), (), tokens), images


def prompt_target(encoder: TextEncoder | None, prompts: Prompts | None, text: str, name: str) -> Target:
    """Return the target of a prompt: its embedding, or its class where prompts are the classes.

    Args:
        encoder: Embeds prompts; None for a model without a text tower.
        prompts: The prompts that are the classes; None where there are none.
        text: The prompt.
        name: The model's name, for messages.

    Raises:
        TargetError: The model has no text tower, or the prompt is not among its classes.
    """
    if encoder is None:
        raise no_text_tower(text)
    if prompts is None:
        return encoder.target(text)
    index = prompts.find(text)
    if index is None and text in prompts.names:
        raise TargetError(
            f"The prompt {short_repr(text)} is the name of a class of {name!r}, whose text is another. Give the class, "
            f"{short_repr(text)}, and no Prompt; or explain a classifier without with_prompts."
        )
    if index is None:
        known = [texts[0] for texts in prompts.texts if len(texts) == 1] or prompts.names
        raise TargetError(
            f"The prompt {short_repr(text)} is not among the classes of {name!r}, which are prompts: {listed(known)}. "
            "Give one of those, or explain a classifier without with_prompts."
        )
    return Class((index,))


def renew_classes(encoder: TextEncoder | None, prompts: Prompts | None, frameworks: Iterable[Framework]) -> None:
    """Let the model compute the logits of the prompts that are its classes, with the weights that it has now."""
    if encoder is not None and prompts is not None:
        for framework in frameworks:
            framework.prompt_classes = encoder.classes(prompts)
