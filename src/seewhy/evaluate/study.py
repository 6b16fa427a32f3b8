"""A study: which method should be trusted, for one model and many images, by several metrics with their intervals."""

from collections.abc import Sequence
from typing import Any

from seewhy.errors import warn
from seewhy.evaluate.study_images import Source
from seewhy.evaluate.study_plan import DEFAULT_METHODS, DEFAULT_METRICS, prepare
from seewhy.evaluate.study_progress import ProgressCallback
from seewhy.evaluate.study_result import Study
from seewhy.explainer import ModelSource
from seewhy.methods import Method


def study(
    model: ModelSource,
    images: Source,
    methods: Sequence[str | Method] = DEFAULT_METHODS,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    progress: ProgressCallback | None = None,
    **options: Any,
) -> Study:
    """Measure methods by metrics on images, with intervals and two baselines.

    The class that is explained is the image's label; without labels, its most probable class. Two maps that do not know
    the model are always among the methods: a random map and a Gaussian in the centre.

    Args:
        model: A `Classifier`, a model, or its name or path.
        images: A path, a folder or a pattern such as "photos/*.jpg"; an image; or several of those.
        methods: Names of methods, or methods with options.
        metrics: Names in `seewhy.evaluate.METRICS`, or names of families, such as "faithfulness".
        progress: Called with a `Progress` after each image.
        **options: As for `prepare`: `labels`, `boxes`, `masks`, `maps`, `out`, `resume`, `layer`, `score`, `steps`,
            `batch_size` and `seed`.

    Returns:
        The study: values, statistics, report.

    Raises:
        SeewhyError: The study is not possible; the message says why. What concerns one image, method or metric is
            recorded, and the rest is measured.
    """
    plan = prepare(model, images, methods, metrics, **options)
    for problem in plan.problems:
        warn(problem)
    return plan.run(progress)
