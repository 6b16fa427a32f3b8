"""Inspecting Grad-CAM: the activations, gradients and channel weights of one image."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seewhy import methods as all_methods
from seewhy.attribution.attribute import attribute
from seewhy.attribution.checks import check_inspected
from seewhy.attribution.pixel_classes import reads_pixels
from seewhy.frameworks.structures import InputBatch
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike, read
from seewhy.pipeline.heatmap_pipeline import HeatmapPipeline
from seewhy.results.channel_inspection import Inspection
from seewhy.targets import Objective, Target, TargetSpec
from seewhy.types import Capture, ImageArray


def inspect_image(pipeline: HeatmapPipeline, image: ImageLike, targets: TargetSpec) -> Inspection:
    """Show how Grad-CAM makes the heatmap of an image.

    Args:
        pipeline: Explains the model.
        image: A path, a PIL image or a uint8 array (H, W, 3).
        targets: What is explained.

    Raises:
        MethodError: The method is not gradcam at one layer without augmentation.
        SeewhyError: The explanation is not possible; the message says why.
    """
    check_inspected(pipeline.method, pipeline.layer_choices, pipeline.augmentations)
    pixels = read(image)
    preprocessed = pipeline.classifier.preprocess([pixels])
    inputs, placements = pipeline.check_inputs(preprocessed), preprocessed.placements
    pipeline.hint(inputs)
    target = pipeline.resolve(targets, 1)
    return pipeline.with_pixels(
        inputs, target, lambda target: _inspect(pipeline, image, pixels, placements, inputs, target)
    )


def _inspect(
    pipeline: HeatmapPipeline,
    image: ImageLike,
    pixels: ImageArray,
    placements: Sequence[Placement],
    inputs: InputBatch,
    target: Target,
) -> Inspection:
    objective = Objective(target, pipeline.score, pipeline.output)
    plan = pipeline.plan(inputs, objective, 1)
    if pipeline.method.is_auto and reads_pixels(target):
        plan = replace(plan, method=all_methods.get("gradcam"), method_reason="")
    check_inspected(plan.method, pipeline.layer_choices, pipeline.augmentations)
    # One capture, however many the targets: their gradients are what is shown.
    plan = replace(plan, strategy="capture", derivatives="gradients")
    attribution = attribute(plan, inputs, objective)
    heatmaps = pipeline.build(plan, attribution, objective, inputs)
    (explanation,) = pipeline.place(heatmaps, [image], [pixels], placements)
    capture, to_numpy = attribution.capture, pipeline.framework.to_numpy
    assert isinstance(capture, Capture)  # noqa: S101  # gradcam's
    activations, gradients = to_numpy(capture.activations)[0], to_numpy(capture.require_gradients())[0]
    return Inspection(activations.astype(np.float32), gradients.astype(np.float32), explanation)
