"""Every name and every kind of source from which a model can be loaded."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, did_you_mean
from seewhy.models import efficientnet_lite0, factories, keras_applications, keras_file, model_file, torch_hubs
from seewhy.models.class_names import imagenet
from seewhy.models.classifier import Classifier
from seewhy.representation import ShortRepr
from seewhy.timing import Phase


@dataclass(frozen=True, repr=False)
class NamedModel(ShortRepr):
    """A model that comes with SeeWhy: a row of `MODELS`.

    Attributes:
        name: The name that `load` takes.
        input_size: (h, w) in pixels.
        parameters: The number of trainable parameters.
        weights: The origin of the trained weights.
        build: Builds the classifier: with its trained weights if True, with random ones from a fixed seed if False.
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
        raise keras_file.missing_extra("For efficientnet-lite0, ", error) from error
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
            weights="installed with the extra 'demo'",
            build=_efficientnet_lite0,
        ),
        NamedModel(
            name="efficientnet-lite0-torch",
            input_size=efficientnet_lite0.PREPROCESSING.size,
            parameters=4_652_008,
            weights="the same weights, for native PyTorch",
            build=_efficientnet_lite0_torch,
        ),
    )
}


@dataclass(frozen=True, repr=False)
class Source(ShortRepr):
    """A kind of source: a row of `SOURCES`.

    Attributes:
        syntax: How such a source is written.
        matches: Whether a string is a source of this kind.
        load: Loads a source, given the string, whether to load trained weights, and whether to trust code in a file.
        has_random_weights: Whether the model can be built without its trained weights.
    """

    syntax: str
    matches: Callable[[str], bool]
    load: Callable[[str, bool, bool], Classifier]
    has_random_weights: bool


def _hub(prefix: str, load: Callable[..., Classifier]) -> Source:
    return Source(
        syntax=f"{prefix}NAME",
        matches=lambda source: source.startswith(prefix),
        load=lambda source, pretrained, _: load(source.removeprefix(prefix), pretrained=pretrained),
        has_random_weights=True,
    )


_FILE = Source(
    syntax="a path to a .keras or .h5 file",
    matches=model_file.looks_like_path,
    load=lambda source, _, trust: model_file.load(source, trust=trust),
    has_random_weights=False,
)

SOURCES = (
    Source(
        syntax=", ".join(MODELS),
        matches=lambda source: source in MODELS,
        load=lambda source, pretrained, _: MODELS[source].build(pretrained),
        has_random_weights=True,
    ),
    Source(
        syntax="a name that 'seewhy models' lists",
        matches=keras_applications.is_name,
        load=lambda source, pretrained, _: keras_applications.load(source, pretrained=pretrained, other_names=MODELS),
        has_random_weights=True,
    ),
    _hub("torchvision:", torch_hubs.load_torchvision),
    _hub("timm:", torch_hubs.load_timm),
    _FILE,
    Source(
        syntax="package.module:callable",
        matches=factories.is_callable,
        load=lambda source, *_: factories.load(source),
        has_random_weights=False,
    ),
)
"""What `load` accepts; the first match is used."""


@timing.phase(Phase.LOADING)
def load(
    source: str | os.PathLike[str], weights: str | os.PathLike[str] | None = "imagenet", *, trust: bool = False
) -> Classifier:
    """Load a model by name, from a file, from torchvision or timm, or from a function of yours.

    Args:
        source: A name that `seewhy models` lists; a path to a `.keras` or legacy `.h5` file, or to a folder that
            contains one; "torchvision:resnet50"; "timm:resnet50"; or "package.module:callable", which imports the
            module and calls the function, and so runs your code. The sidecar of a file, `model.json` beside
            `model.keras`, describes the preprocessing and the class names; `Classifier.save` writes both.
        weights: "imagenet" for the trained weights; None for random weights from a fixed seed; or the path of a
            file that `save_weights` of a Keras model of the same architecture wrote. Model files and functions come
            with their own weights.
        trust: True allows Python code in a model file (a Lambda layer) to run, and any function of Keras that the file
            names. Use it only for your own files.

    Raises:
        ModelError: The source or the weights are unknown; or the file is malicious, or names what is not known to be
            harmless and is not trusted.
        MissingExtraError: The framework, or the package with the weights, is not installed.
        WeightsError: A weights file is damaged or does not fit the model.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ModelError(
            f"Cannot load {source!r}; expected a name or a path. To use a model object, pass it to seewhy.Classifier."
        )
    name = os.fspath(source)
    kind = _FILE if isinstance(source, os.PathLike) else _kind_of(name)
    if weights != "imagenet" and not kind.has_random_weights:
        requested = "random weights" if weights is None else "other weights"
        raise ModelError(
            f"weights={weights!r} asks for {requested}, and {name!r} comes with its own. Leave out weights."
        )
    if weights is None or weights == "imagenet":
        return kind.load(name, weights is not None, trust)
    path = _weights_path(weights)
    classifier = kind.load(name, False, trust)
    keras_file.load_weights(classifier.model, path)
    return classifier


def _kind_of(name: str) -> Source:
    """Return the first kind of source that matches."""
    kind = next((kind for kind in SOURCES if kind.matches(name)), None)
    if kind is None:
        known = "; ".join(kind.syntax for kind in SOURCES)
        raise ModelError(f"Unknown model {name!r}.{did_you_mean(name, MODELS)} Known: {known}.")
    return kind


def _weights_path(weights: str | os.PathLike[str]) -> Path:
    if not isinstance(weights, (str, os.PathLike)) or not Path(weights).is_file():
        raise ModelError(
            f"Unknown weights {weights!r}; expected 'imagenet', None for random weights (on the command line: none), "
            "or the path of a file."
        )
    return Path(weights)
