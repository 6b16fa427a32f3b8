"""Explaining in one call: an image by one model, and images by several models and methods."""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack, overload

from seewhy.attribution.checks import listed
from seewhy.attribution.explainer_options import ExplainerOptions
from seewhy.errors import MethodError
from seewhy.explainer import Explainer, ModelSource, as_classifier
from seewhy.images.reading import ImageLike, check_exists, read
from seewhy.methods import Method
from seewhy.recordings.find_reader import check_only_images
from seewhy.recordings.recording import Recording, Signal, Video, Volume
from seewhy.results.comparison import Comparison
from seewhy.results.explanation import Explanation
from seewhy.results.multi_image_explanation import MultiImageExplanation
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.targets import TargetSpec
from seewhy.types import LayerSpec, Score


@overload
def explain(
    model: ModelSource,
    image: ImageLike,
    targets: TargetSpec = ...,
    method: str | Method = ...,
    layer: LayerSpec | Sequence[LayerSpec] = ...,
    score: Score = ...,
    **options: Unpack[ExplainerOptions],
) -> Explanation: ...


@overload
def explain(
    model: ModelSource,
    image: Recording,
    targets: TargetSpec = ...,
    method: str | Method = ...,
    layer: LayerSpec | Sequence[LayerSpec] = ...,
    score: Score = ...,
    **options: Unpack[ExplainerOptions],
) -> RecordingExplanation: ...


@overload
def explain(
    model: ModelSource,
    image: Mapping[str, Any],
    targets: TargetSpec = ...,
    method: str | Method = ...,
    layer: LayerSpec | Sequence[LayerSpec] = ...,
    score: Score = ...,
    **options: Unpack[ExplainerOptions],
) -> MultiImageExplanation: ...


def explain(
    model: ModelSource,
    image: ImageLike | Recording | Mapping[str, Any],
    targets: TargetSpec = "top-1",
    method: str | Method = "auto",
    layer: LayerSpec | Sequence[LayerSpec] = "auto",
    score: Score = "logit",
    **options: Unpack[ExplainerOptions],
) -> Any:
    """Explain one image, volume, signal or video.

    Args:
        model: A `Classifier`, such as `seewhy.load` returns; the name or the path of a model, which is loaded: "vgg16",
            "model.keras"; or a model that takes images of one size. For more than one image, load the model once, and
            make an `Explainer`.
        image: A path, a PIL image or a uint8 array (H, W, 3); or a `Volume`, a `Signal` or a `Video`, or its path. For
            a model with several inputs a dict of images, and of other values, by the names of the inputs.
        targets: As for `Explainer.explain`.
        method: As for `Explainer`; the other arguments likewise.

    Returns:
        The explanation: its heatmaps, its targets and predictions, and its overlay on the image. Of a dict, a
        `MultiImageExplanation`.

    Raises:
        SeewhyError: The explanation is not possible; the message says why.
    """
    for each in image.values() if isinstance(image, Mapping) else [image]:
        if not isinstance(each, (Volume, Signal, Video)):
            check_exists(each)  # before a model is loaded
    images: Any = [image]
    (explanation,) = Explainer(model, method, layer, score, **options).explain(images, targets)
    return explanation


def compare(
    models: ModelSource | Sequence[ModelSource],
    images: ImageLike | Sequence[ImageLike],
    methods: str | Method | Sequence[str | Method] | None = None,
    targets: TargetSpec = "top-1",
    layer: LayerSpec | Sequence[LayerSpec] = "auto",
    score: Score = "logit",
    *,
    method: str | Method | Sequence[str | Method] | None = None,
    **options: Unpack[ExplainerOptions],
) -> Comparison:
    """Explain images by several methods, or with several models.

    Args:
        models: A `Classifier`; the name or the path of a model; or a model that takes images of one size; or a list of
            those.
        images: A path, a PIL image or a uint8 array (H, W, 3); or a list of those.
        methods: The name of a method, or a method with options, see `seewhy.methods.get`; or a list of those. None is
            "auto".
        targets: As for `Explainer.explain`.
        layer: As for `Explainer`; the other arguments likewise.
        method: The same as `methods`, by the name that the argument of `explain` has.

    Returns:
        The explanations of every image by every model and method, in this order.

    Raises:
        SeewhyError: An explanation is not possible; the message says why.
    """
    check_only_images(listed("images", images), "compare")
    decoded = [image if isinstance(image, (str, os.PathLike)) else read(image) for image in listed("images", images)]
    for image in decoded:
        check_exists(image)  # before a model is loaded
    if methods is not None and method is not None:
        raise MethodError("compare was given methods and method, which are the same argument. Give one of them.")
    chosen = listed("methods", next((each for each in (methods, method) if each is not None), "auto"))
    classifiers = [as_classifier(model) for model in listed("models", models)]
    explainers = [Explainer(*pair, layer, score, **options) for pair in itertools.product(classifiers, chosen)]
    return Comparison(
        tuple(explainer.explain([image], targets)[0] for image, explainer in itertools.product(decoded, explainers))
    )
