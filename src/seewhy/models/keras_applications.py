"""The models of `keras.applications` by name.

Names, builders and preprocessing functions are read from the installed package. The input size and the number of
parameters are read from the built model.
"""

import inspect
import logging
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import ModelError, WeightsError, did_you_mean
from seewhy.models import keras_file, keras_names
from seewhy.models.class_names import imagenet
from seewhy.models.classifier import Classifier
from seewhy.timing import Phase

_logger = logging.getLogger("seewhy.models")

SEED = 0
OPEN_SIDE = 224
"""The input size, in pixels, of a model that accepts any: the one that MobileNetV3 was trained with."""


@dataclass(frozen=True)
class Application:
    """An architecture of `keras.applications`.

    Attributes:
        name: The builder's name in lower case, such as "vgg16".
        builder: Builds the model; takes the argument `weights`.
        preprocess: From float32 (N, h, w, 3) in 0..255 to the model's input.
    """

    name: str
    builder: Callable[..., Any]
    preprocess: Callable[[Any], Any]

    def build(self, *, pretrained: bool, **options: Any) -> Any:
        """Build the model, with its ImageNet weights or with random ones from a fixed seed.

        Args:
            pretrained: True for the ImageNet weights.
            options: Further arguments of the builder, such as `include_top=False`.

        Raises:
            WeightsError: The weights are not cached and cannot be downloaded.
        """
        if not pretrained:
            with _seeded():
                return self.builder(weights=None, **options)
        if _logger.isEnabledFor(logging.INFO):
            state = "are in the cache" if downloaded_names([self.name]) else "are downloaded to"
            _logger.info("the weights of %s %s, %s", self.name, state, _weights_folder())
        try:
            return self.builder(weights="imagenet", **options)
        except Exception as error:  # Keras raises a bare Exception if a download fails
            if type(error) is not Exception:
                raise
            reason = str(error).rstrip(".")
            raise WeightsError(
                f"The ImageNet weights of {self.name} cannot be downloaded: {reason}. Keras keeps downloaded weights "
                f"in {_weights_folder()}. Without a download: 'efficientnet-lite0' is installed with its weights, and "
                f"--weights none, or seewhy.load({self.name!r}, weights=None), builds random ones."
            ) from error


def applications() -> Mapping[str, Application]:
    """Return the architectures of the installed Keras, by name.

    Raises:
        MissingExtraError: Keras or its backend is not installed.
    """
    try:
        with timing.phase(Phase.IMPORTING):
            import keras
    except ModuleNotFoundError as error:
        raise keras_file.missing_extra("For the models of keras.applications, ", error) from error
    public = vars(keras.applications).values()
    modules = {_last_part(module.__name__): module for module in public if inspect.ismodule(module)}
    architectures = [
        Application(builder.__name__.lower(), builder, modules[_last_part(builder.__module__)].preprocess_input)
        for builder in public
        if inspect.isfunction(builder) and _last_part(builder.__module__) in modules
    ]
    return {application.name: application for application in sorted(architectures, key=attrgetter("name"))}


def is_name(source: str) -> bool:
    """Whether a source could be the name of an architecture, and is not an existing path."""
    return re.fullmatch(r"[a-z][a-z0-9_-]*", source.lower()) is not None and not os.path.exists(source)


def check_name(name: str, other_names: Iterable[str] = ()) -> None:
    """Raise ModelError if the installed Keras has no such architecture, without importing Keras, which takes seconds.

    Args:
        name: The name, in upper or lower case.
        other_names: Names from other sources, to suggest in the error message.
    """
    known = keras_names.architecture_names()
    if known and name.lower() not in known:
        raise _unknown(name, [*other_names, *known])


def load(name: str, *, pretrained: bool, other_names: Iterable[str] = ()) -> Classifier:
    """Load an architecture of `keras.applications`; images are resized to its input size, as in Keras's examples.

    Args:
        name: The name, in upper or lower case.
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.
        other_names: Names from other sources, to suggest in the error message.

    Raises:
        ModelError: There is no such architecture.
        MissingExtraError: Keras is not installed.
        WeightsError: The weights cannot be downloaded.
    """
    known = applications()
    application = known.get(name.lower())
    if application is None:
        raise _unknown(name, [*other_names, *known])
    model = application.build(pretrained=pretrained)
    return Classifier(
        model,
        input_size=input_size(model),
        preprocess=application.preprocess,
        class_names=imagenet(),
        name=application.name,
    )


def input_size(model: Any) -> tuple[int, int]:
    """Return (h, w) of the input of an architecture that was built with its default arguments."""
    _, height, width, _ = model.input_shape
    return (height or OPEN_SIDE, width or OPEN_SIDE)


def downloaded_names(names: Iterable[str]) -> set[str]:
    """Return the architectures whose ImageNet weights are in Keras's download folder.

    A file belongs to the longest name that it starts with, ignoring dashes and underscores: "resnet50v2_weights..."
    belongs to resnet50v2 and not to resnet50.
    """
    known = sorted(names, key=len, reverse=True)
    folder = _weights_folder()
    files = [path.name for path in folder.glob("*.h5")] if folder.is_dir() else []
    plain = [re.sub("[-_]", "", file.lower()).removeprefix("weights") for file in files]
    complete = [file for file in plain if "notop" not in file]
    owners = (next((name for name in known if file.startswith(name)), None) for file in complete)
    return {owner for owner in owners if owner is not None}


def _unknown(name: str, known: Iterable[str]) -> ModelError:
    return ModelError(
        f"Unknown model {name!r}.{did_you_mean(name, known)} 'seewhy models' lists the names. Models of timm and "
        f"torchvision need a prefix: timm:{name}, torchvision:{name}."
    )


def _weights_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed Python's random generator, from which Keras seeds its initializers, and restore its state afterwards."""
    state = random.getstate()
    random.seed(SEED)
    try:
        yield
    finally:
        random.setstate(state)


def _last_part(path: str) -> str:
    return path.rpartition(".")[2]
