"""A study: which method should be trusted, for one model and many images, by several metrics with their intervals."""

import os
from collections.abc import Mapping, Sequence

from seewhy.errors import warn
from seewhy.evaluate.study_images import Source
from seewhy.evaluate.study_plan import (
    DEFAULT_METHODS,
    DEFAULT_METRICS,
    LabelSource,
    MapSource,
    MaskSource,
    prepare,
)
from seewhy.evaluate.study_progress import ProgressCallback
from seewhy.evaluate.study_result import Study
from seewhy.explainer import BATCH_SIZE, ModelSource
from seewhy.methods import Method
from seewhy.types import LayerSpec, Score


def study(
    model: ModelSource,
    images: Source,
    methods: Sequence[str | Method] = DEFAULT_METHODS,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    labels: LabelSource | None = None,
    boxes: str | os.PathLike[str] | None = None,
    masks: MaskSource | None = None,
    maps: Mapping[str, MapSource] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    layer: LayerSpec = "auto",
    score: Score = "logit",
    steps: int | None = None,
    min_confidence: float | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    recursive: bool = True,
    limit: int | None = None,
    progress: ProgressCallback | None = None,
) -> Study:
    """Measure methods by metrics on images, with intervals and two baselines.

    The class that is explained is the image's label; without labels, its most probable class. Two maps that do not know
    the model are always among the methods: a random map and a Gaussian in the centre. Each result is stored as soon as
    it is there, and the memory does not grow with the number of images.

    Args:
        model: A `Classifier`, a model, or its name or path.
        images: A path, a folder or a pattern such as "photos/*.jpg"; an image; or several of those.
        methods: Names of methods, or methods with options.
        metrics: Names in `seewhy.evaluate.METRICS`, or names of families, such as "faithfulness".
        labels: The true classes: "folder" for the names of the images' folders; the path of a CSV file with the columns
            image and label; or a class for each image, None where it is unknown.
        boxes: A file with boxes in COCO's format. Where their categories are classes of the model, those of the
            explained class count; an image whose boxes are all of one class has that as its label, if none is given.
        masks: A folder with a mask for each image, `1.png` for `1.jpg`; or a mask (H, W) for each.
        maps: Maps of other tools by the tool's name: a folder with `1.npy` for `1.jpg`, or an array for each image;
            (u, v) over the model's input, or (H, W) over the image.
        out: The folder of the results; None keeps them in a temporary folder as long as the study is in use.
        resume: Continue the study in that folder, which must have the same settings.
        layer: The layer to explain, as for `Explainer`.
        score: What is explained, as for `Explainer`.
        steps: The number of steps of curves; None for the default of each metric.
        min_confidence: The probability of its class that an image needs to be part of a mosaic of the grid pointing
            game, in 0..1; None for the metric's own.
        batch_size: How many perturbed inputs run at once.
        seed: Determines everything random: the same seed gives the same bits on one machine.
        recursive: False searches folders without their subfolders.
        limit: The maximum number of images: those after the first so many are left out. None for all.
        progress: Called with a `Progress` after each image.

    Returns:
        The study: values, statistics, files and report.

    Raises:
        SeewhyError: The study is not possible; the message says why. What concerns one image, method or metric is
            recorded, and the rest is measured.
    """
    plan = prepare(
        model,
        images,
        methods,
        metrics,
        labels=labels,
        boxes=boxes,
        masks=masks,
        maps=maps,
        out=out,
        resume=resume,
        layer=layer,
        score=score,
        steps=steps,
        min_confidence=min_confidence,
        batch_size=batch_size,
        seed=seed,
        recursive=recursive,
        limit=limit,
    )
    for problem in plan.problems:
        warn(problem)
    return plan.run(progress)
