"""Models: a model, its preprocessing and its class names in one word, wherever they come from."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, did_you_mean
from seewhy.models import efficientnet_lite0, factories, keras_applications, keras_file, model_file, torch_hubs
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.classifier import Classifier, Prediction
from seewhy.models.preprocessing import Inputs, Preprocessing
from seewhy.timing import Phase

__all__ = [
    "MODELS",
    "SOURCES",
    "ClassNames",
    "Classifier",
    "Inputs",
    "NamedModel",
    "Prediction",
    "Preprocessing",
    "Source",
    "load",
]


@dataclass(frozen=True)
class NamedModel:
    """A row of the table of models.

    Attributes:
        name: What a caller says.
        input_size: (h, w) in pixels.
        parameters: Trained parameters.
        weights: Where they come from.
        build: Builds the classifier; True for its trained weights, False for random ones from a fixed seed.
    """

    name: str
    input_size: tuple[int, int]
    parameters: int
    weights: str
    build: Callable[[bool], Classifier]


def _efficientnet_lite0(pretrained: bool) -> Classifier:
    try:
        model = efficientnet_lite0.build_keras(pretrained=pretrained)
    except ModuleNotFoundError as error:
        raise keras_file.missing("For efficientnet-lite0, ", error) from error
    return Classifier(
        model, preprocess=efficientnet_lite0.PREPROCESSING, class_names=imagenet(), name="efficientnet-lite0"
    )


def _efficientnet_lite0_torch(pretrained: bool) -> Classifier:
    try:
        with timing.phase(Phase.IMPORTING):
            from seewhy.models.efficientnet_lite0_torch import build_torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("For efficientnet-lite0-torch, torch", "torch") from error
    return Classifier(
        build_torch(pretrained=pretrained),
        preprocess=efficientnet_lite0.PREPROCESSING,
        class_names=imagenet(),
        name="efficientnet-lite0-torch",
    )


MODELS = {
    model.name: model
    for model in (
        NamedModel(
            name="efficientnet-lite0",
            input_size=efficientnet_lite0.PREPROCESSING.size,
            parameters=4_652_008,
            weights="ImageNet-1k, embedded: the extra 'demo'",
            build=_efficientnet_lite0,
        ),
        NamedModel(
            name="efficientnet-lite0-torch",
            input_size=efficientnet_lite0.PREPROCESSING.size,
            parameters=4_652_008,
            weights="the same, for the same model in native torch",
            build=_efficientnet_lite0_torch,
        ),
    )
}


@dataclass(frozen=True)
class Source:
    """A row of the table of sources.

    Attributes:
        spelling: How a caller says it.
        fits: Whether a source is spelt so.
        load: Loads it, given the source, whether its trained weights are wanted, and whether it is trusted.
        has_random_weights: Whether it can be had without its weights.
    """

    spelling: str
    fits: Callable[[str], bool]
    load: Callable[[str, bool, bool], Classifier]
    has_random_weights: bool


def _hub(prefix: str, load: Callable[..., Classifier]) -> Source:
    return Source(
        spelling=f"{prefix}NAME",
        fits=lambda source: source.startswith(prefix),
        load=lambda source, pretrained, _: load(source.removeprefix(prefix), pretrained=pretrained),
        has_random_weights=True,
    )


_FILE = Source(
    spelling="a path to a .keras or .h5 file",
    fits=model_file.looks_like_path,
    load=lambda source, _, trust: model_file.load(source, trust=trust),
    has_random_weights=False,
)

SOURCES = (
    Source(
        spelling=", ".join(MODELS),
        fits=lambda source: source in MODELS,
        load=lambda source, pretrained, _: MODELS[source].build(pretrained),
        has_random_weights=True,
    ),
    Source(
        spelling="a name that 'seewhy models' lists",
        fits=keras_applications.is_name,
        load=lambda source, pretrained, _: keras_applications.load(source, pretrained=pretrained, others=MODELS),
        has_random_weights=True,
    ),
    _hub("torchvision:", torch_hubs.load_torchvision),
    _hub("timm:", torch_hubs.load_timm),
    _FILE,
    Source(
        spelling="package.module:callable",
        fits=factories.is_callable,
        load=lambda source, *_: factories.load(source),
        has_random_weights=False,
    ),
)
"""What `load` takes; the first that fits is taken."""


@timing.phase(Phase.LOADING)
def load(
    source: str | os.PathLike[str], weights: str | os.PathLike[str] | None = "imagenet", *, trust: bool = False
) -> Classifier:
    """Load a model: by name, from a file, from torchvision or timm, or from a function of your own.

    Args:
        source: A name that `seewhy models` lists; a path to a `.keras` or legacy `.h5` file, or to a folder that holds
            one; "torchvision:resnet50"; "timm:resnet50"; or "package.module:callable", which imports the module and
            calls the function, and so runs your code. A file's sidecar, `model.json` beside `model.keras`, says how
            images become the model's input; `Classifier.save` writes both.
        weights: "imagenet", or whatever the hubs trained on; None for random weights from a fixed seed; or the path
            of a file that `save_weights` of a Keras model of this architecture wrote. A file of a model, and a
            function, bring their own.
        trust: True lets Python code that is in a file (a Lambda layer) run: only for files of your own.

    Raises:
        ModelError: The source or the weights are unknown, or the file holds code and is not trusted.
        MissingExtraError: The framework, or the package with the weights, is not installed.
        WeightsError: A weights file is damaged, or is not the one it should be.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ModelError(
            f"Cannot load {source!r}: expected a name or a path. Give a model itself to seewhy.Classifier."
        )
    name = os.fspath(source)
    found = _FILE if isinstance(source, os.PathLike) else next((each for each in SOURCES if each.fits(name)), None)
    if found is None:
        known = "; ".join(each.spelling for each in SOURCES)
        raise ModelError(f"Unknown model {name!r}.{did_you_mean(name, MODELS)} Known: {known}.")
    if weights != "imagenet" and not found.has_random_weights:
        asked = "random weights" if weights is None else "other weights"
        raise ModelError(f"weights={weights!r} asks for {asked}, and {name!r} brings its own. Leave it out.")
    if weights is None or weights == "imagenet":
        return found.load(name, weights is not None, trust)
    path = _weights_path(weights)
    classifier = found.load(name, False, trust)
    keras_file.load_weights(classifier.model, path)
    return classifier


def _weights_path(weights: Any) -> Path:
    if not isinstance(weights, (str, os.PathLike)) or not Path(weights).is_file():
        raise ModelError(
            f"Unknown weights {weights!r}; expected 'imagenet', None (on the command line: none) for random ones, or "
            "the path of a file."
        )
    return Path(weights)
