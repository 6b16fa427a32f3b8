"""The models of `keras.applications` by name.

Nothing here lists them: names, builders and preprocessing are read off the installed package, and what only a built
model tells, its input's size and its number of parameters, is asked of the model.
"""

import inspect
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import ModelError, WeightsError, did_you_mean
from seewhy.models import keras_file
from seewhy.models.class_names import imagenet
from seewhy.models.classifier import Classifier
from seewhy.timing import Phase

SEED = 0
OPEN_SIDE = 224
"""The side, in pixels, of the images for a model that takes any: what MobileNetV3, which does, was trained on."""


@dataclass(frozen=True)
class Application:
    """An architecture of `keras.applications`.

    Attributes:
        name: What a caller says: the builder's name in small letters, "vgg16".
        builder: Builds the model; takes `weights`.
        preprocess: From float32 (N, h, w, 3) in 0..255 to the model's input.
    """

    name: str
    builder: Callable[..., Any]
    preprocess: Callable[[Any], Any]

    def build(self, *, pretrained: bool, **options: Any) -> Any:
        """Build the model, with its ImageNet weights or with random ones from a fixed seed.

        Args:
            pretrained: True for the ImageNet weights.
            options: More for the builder, such as `include_top=False`.

        Raises:
            WeightsError: The weights are neither here nor to be had.
        """
        if not pretrained:
            with _seeded():
                return self.builder(weights=None, **options)
        try:
            return self.builder(weights="imagenet", **options)
        except Exception as error:  # Keras raises nothing narrower where a download fails
            if type(error) is not Exception:
                raise
            why = str(error).rstrip(".")
            raise WeightsError(
                f"The ImageNet weights of {self.name} cannot be downloaded: {why}. Once downloaded, Keras keeps them "
                f"in {_weights_folder()}. Without a model: --weights none, or seewhy.load({self.name!r}, "
                "weights=None), has random weights; and 'efficientnet-lite0' needs no download."
            ) from error


def applications() -> Mapping[str, Application]:
    """Return the architectures of the installed Keras, by name.

    Raises:
        MissingExtraError: Keras, or what it runs on, is not installed.
    """
    try:
        with timing.phase(Phase.IMPORTING):
            import keras
    except ModuleNotFoundError as error:
        raise keras_file.missing("For the models of keras.applications, ", error) from error
    public = vars(keras.applications).values()
    modules = {_last(module.__name__): module for module in public if inspect.ismodule(module)}
    found = [
        Application(builder.__name__.lower(), builder, modules[_last(builder.__module__)].preprocess_input)
        for builder in public
        if inspect.isfunction(builder) and _last(builder.__module__) in modules
    ]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def is_name(source: str) -> bool:
    """Whether a source is spelt as the name of an architecture is, and there is no file of that name."""
    return re.fullmatch(r"[a-z][a-z0-9_-]*", source.lower()) is not None and not os.path.exists(source)


def load(name: str, *, pretrained: bool, others: Iterable[str] = ()) -> Classifier:
    """Load an architecture of `keras.applications`; images are squeezed into its input, as its own examples do.

    Args:
        name: In any mixture of small and capital letters.
        pretrained: True for the ImageNet weights; False for random ones from a fixed seed.
        others: Names of models from elsewhere that may have been meant.

    Raises:
        ModelError: There is no such architecture.
        MissingExtraError: Keras is not installed.
        WeightsError: The weights cannot be had.
    """
    known = applications()
    application = known.get(name.lower())
    if application is None:
        raise ModelError(
            f"Unknown model {name!r}.{did_you_mean(name, [*others, *known])} 'seewhy models' lists the names."
        )
    model = application.build(pretrained=pretrained)
    return Classifier(
        model,
        input_size=input_size(model),
        preprocess=application.preprocess,
        class_names=imagenet(),
        name=application.name,
    )


def input_size(model: Any) -> tuple[int, int]:
    """Return (h, w) of the images for an architecture that was built as it is by itself."""
    _, height, width, _ = model.input_shape
    return (height or OPEN_SIDE, width or OPEN_SIDE)


def downloaded(names: Iterable[str]) -> set[str]:
    """Return those architectures whose ImageNet weights lie where Keras keeps what it has downloaded.

    A file belongs to the longest name that it begins with, dashes and underscores aside: "resnet50v2_weights..." is
    not resnet50's.
    """
    known = sorted(names, key=len, reverse=True)
    folder = _weights_folder()
    files = [path.name for path in folder.glob("*.h5")] if folder.is_dir() else []
    plain = [re.sub("[-_]", "", file.lower()).removeprefix("weights") for file in files]
    complete = [file for file in plain if "notop" not in file]
    owners = (next((name for name in known if file.startswith(name)), None) for file in complete)
    return {owner for owner in owners if owner is not None}


def _weights_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


@contextmanager
def _seeded() -> Iterator[None]:
    """Let Keras draw the seeds of its initializers from a seed of ours, and Python's generator go on as it was."""
    state = random.getstate()
    random.seed(SEED)
    try:
        yield
    finally:
        random.setstate(state)


def _last(path: str) -> str:
    return path.rpartition(".")[2]
