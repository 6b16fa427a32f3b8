"""The models of open_clip by name, with an image and a text tower, their transforms and tokenizers."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, OptionError, WeightsError, did_you_mean
from seewhy.models import hugging_face_hub
from seewhy.models.classifier import Classifier
from seewhy.models.given_preprocessing import open_clip_preprocessing
from seewhy.models.torch_hubs import SEED, incompatible_torch
from seewhy.timing import Phase

_logger = logging.getLogger("seewhy.models")

PREFIX = "open_clip:"


def load_open_clip(name: str, *, pretrained: bool) -> Classifier:
    """Load a model of open_clip with its tokenizer; a tag names its weights: "ViT-B-32@laion2b_s34b_b79k".

    Args:
        name: The name in open_clip, and for trained weights their tag.
        pretrained: True for the trained weights; False for random ones from a fixed seed.

    Raises:
        ModelError: open_clip has no such model or weights, or a transform that `Preprocessing` cannot express; or
            torchvision, which it imports, does not match the installed version of torch.
        OptionError: The tag is missing, or is of no use for random weights.
        MissingExtraError: open_clip is not installed.
        WeightsError: The weights cannot be downloaded.
    """
    open_clip = _import()
    architecture, _, tag = name.partition("@")
    if architecture not in open_clip.list_models():
        known = did_you_mean(architecture, open_clip.list_models())
        count = len(open_clip.list_models())
        raise ModelError(f"Unknown model {architecture!r} of open_clip.{known} open_clip has {count} models.")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    _check_tag(architecture, tag, tags, pretrained=pretrained)
    model = _build(open_clip, architecture, tag if pretrained else None)
    config = open_clip.get_model_preprocess_cfg(model)
    return Classifier(
        model,
        preprocess=open_clip_preprocessing(f"{PREFIX}{name}", config),
        tokenizer=_tokenizer(open_clip, architecture),
        name=f"{PREFIX}{name}",
    )


def _import() -> Any:
    try:
        with timing.phase(Phase.IMPORTING):
            import open_clip
    except ModuleNotFoundError as error:
        if error.name not in ("open_clip", "torch", "torchvision"):
            raise
        raise MissingExtraError(str(error.name), "open-clip") from error
    except RuntimeError as error:  # open_clip imports torchvision
        raise incompatible_torch(error) from error
    return open_clip


def _tokenizer(open_clip: Any, architecture: str) -> Any:
    """Return the tokenizer; where it is that of a Hugging Face model that cannot be downloaded, what says so."""
    if open_clip.get_model_config(architecture)["text_cfg"].get("hf_tokenizer_name") is None:
        return open_clip.get_tokenizer(architecture)
    with contextlib.suppress(OSError):
        return open_clip.get_tokenizer(architecture, local_files_only=True)
    if problem := hugging_face_hub.unreachable():
        return _not_downloaded(architecture, problem)
    return open_clip.get_tokenizer(architecture)


def _not_downloaded(architecture: str, problem: str) -> Callable[[Any], Any]:
    """Return a tokenizer that raises WeightsError: without prompts, the model can be explained all the same."""

    def fail(_: Any) -> Any:
        raise WeightsError(
            f"The tokenizer of {PREFIX}{architecture} is that of a Hugging Face model, which is not in the cache, and "
            f"{problem}. Load the model where the hub can be reached, and copy the cache here."
        )

    return fail


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide that there are no trained weights, as is requested; open_clip says so in a warning and in the log."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # without one, the first message would bring one that stays
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        root.removeHandler(handler)


def _check_tag(architecture: str, tag: str, tags: list[str], *, pretrained: bool) -> None:
    if not pretrained:
        if tag:
            raise OptionError(
                f"{PREFIX}{architecture}@{tag} names trained weights, and random ones are requested. Leave out @{tag}."
            )
        return
    listed = ", ".join(f"{PREFIX}{architecture}@{known}" for known in tags) or "none"
    if not tag:
        raise OptionError(
            f"{PREFIX}{architecture} has several trained weights, and none was named. Name one of: {listed}; or take "
            "random ones, weights=None (--weights none on the command line)."
        )
    if tag not in tags:
        raise ModelError(
            f"open_clip has no weights {tag!r} for {architecture}.{did_you_mean(tag, tags)} It has: {listed}."
        )


def _build(open_clip: Any, architecture: str, tag: str | None) -> Any:
    """Return the model in evaluation mode; random weights come from a fixed seed, and torch's generator is restored."""
    import torch

    if tag is not None:
        _logger.info(
            "the weights %s of %s are taken from the cache of open_clip, or downloaded to it", tag, architecture
        )
    options: dict[str, Any] = {"pretrained": tag, "pretrained_text": tag is not None}
    if tag is not None and (open_clip.get_pretrained_cfg(architecture, tag) or {}).get("quick_gelu"):
        options["force_quick_gelu"] = True  # as these weights were trained, whatever the architecture's name says
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(SEED)
        try:
            model = open_clip.create_model(architecture, **options)
        except (OSError, RuntimeError) as error:
            if tag is None:
                raise ModelError(f"open_clip cannot build {architecture} without downloads: {error}") from error
            raise WeightsError(f"Cannot load the weights {tag!r} of {architecture!r}: {error}") from error
    return model.eval().to(memory_format=torch.channels_last)
