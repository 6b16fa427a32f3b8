"""Models by name: a network, its preprocessing and its class names in one word."""

from collections.abc import Callable
from dataclasses import dataclass

from seewhy.errors import MissingExtraError, ModelError, did_you_mean
from seewhy.models import efficientnet_lite0
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.classifier import Classifier, Prediction
from seewhy.models.preprocessing import Inputs, Preprocessing

__all__ = ["MODELS", "ClassNames", "Classifier", "Inputs", "NamedModel", "Prediction", "Preprocessing", "load"]


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
        network = efficientnet_lite0.build_keras(pretrained=pretrained)
    except ModuleNotFoundError as error:
        if error.name not in ("keras", "tensorflow"):
            raise
        raise MissingExtraError(f"For efficientnet-lite0, {error.name}", "tensorflow") from error
    return Classifier(
        network, preprocess=efficientnet_lite0.PREPROCESSING, class_names=imagenet(), name="efficientnet-lite0"
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
    )
}


def load(name: str, weights: str | None = "imagenet") -> Classifier:
    """Load a model by name.

    Args:
        name: A name that `seewhy models` lists.
        weights: "imagenet"; or None for random weights from a fixed seed.

    Raises:
        ModelError: The name or the weights are unknown.
        MissingExtraError: The framework, or the package with the weights, is not installed.
        WeightsError: The weights file is not the one it should be.
    """
    if name not in MODELS:
        raise ModelError(f"Unknown model {name!r}.{did_you_mean(name, MODELS)} Known: {', '.join(MODELS)}.")
    if weights not in ("imagenet", None):
        raise ModelError(f"Unknown weights {weights!r}; expected 'imagenet', or None for random ones.")
    return MODELS[name].build(weights is not None)
