"""Explaining samples of several images: each as the input of a model with one, while the others keep their values."""

from collections.abc import Iterator, Sequence

from seewhy.attribution.input_layers import check_shared_layer, layers_of_input
from seewhy.frameworks.one_input import OneInput, find_leaf, image_leaves
from seewhy.frameworks.structures import InputBatch, image_at, image_count, leaves
from seewhy.models.samples import Sample
from seewhy.pipeline.heatmap_pipeline import HeatmapPipeline
from seewhy.results.explanation import Explanation
from seewhy.results.heatmaps import Heatmaps, join_rows
from seewhy.results.multi_image_explanation import MultiImageExplanation
from seewhy.targets import Objective, Target


def explain_samples(
    pipeline: HeatmapPipeline, samples: Sequence[Sample], target: Target, batch_size: int
) -> Iterator[MultiImageExplanation]:
    """Explain samples one by one: each of their images for the same targets.

    Args:
        pipeline: Explains the model.
        samples: A value for each input, for each sample.
        target: What is explained.
        batch_size: How many perturbations of an image run at once.
    """
    for row, sample in enumerate(samples):
        yield _explain_sample(pipeline, sample, target.for_image(row), batch_size)


def _explain_sample(
    pipeline: HeatmapPipeline, sample: Sample, target: Target, batch_size: int
) -> MultiImageExplanation:
    inputs = pipeline.classifier.preprocess([sample])
    explanations: dict[str, Explanation] = {}
    for name, image in inputs.images.items():
        heatmaps = _heatmaps_of_leaf(pipeline, inputs.values, image.leaf, target, batch_size)
        (explanations[name],) = pipeline.place(heatmaps, image.sources, image.pixels, image.placements)
    return MultiImageExplanation(explanations, inputs.others[0])


def heatmaps_of_input(
    pipeline: HeatmapPipeline, inputs: InputBatch, name: str | int, target: Target, batch_size: int
) -> Heatmaps:
    """Return the heatmaps of one of several inputs, each row of the batch explained alone.

    Args:
        pipeline: Explains the model.
        inputs: Several, checked by `Framework.check_inputs`.
        name: The input, by its name or position.
        target: What is explained.
        batch_size: How many perturbations of an image run at once.

    Raises:
        InputError: There is no such input, or it has no positions.
    """
    leaf = find_leaf(pipeline.framework, inputs, name)
    rows = range(image_count(inputs))
    return join_rows(
        [_heatmaps_of_leaf(pipeline, image_at(inputs, row), leaf, target.for_image(row), batch_size) for row in rows]
    )


def _heatmaps_of_leaf(
    pipeline: HeatmapPipeline, inputs: InputBatch, leaf: int, target: Target, batch_size: int
) -> Heatmaps:
    """Return the heatmaps of one input of one sample."""
    view = OneInput(pipeline.framework, inputs, leaf, image_leaves(inputs))
    image, noted, layers = leaves(inputs)[leaf], pipeline.noted, pipeline.layer_choices
    if pipeline.method.level == "layer":
        layers = layers_of_input(view, image, layers)
    # Whether the images look unscaled is not asked: the classifier's own framework takes all inputs.
    of_input = pipeline.with_settings(framework=view, layer_choices=layers, noted=noted | {"pixels"})
    if pipeline.method.level == "layer":
        _check_shared(of_input, view, image, target)
    heatmaps = of_input.heatmaps(image, target, batch_size)
    noted.update(of_input.noted - {"pixels"})
    return heatmaps


def _check_shared(of_input: HeatmapPipeline, view: OneInput, image: InputBatch, target: Target) -> None:
    """Check the named layers that are computed from several images."""
    objective = Objective(target, of_input.score, of_input.output)
    for layer in of_input.layer_choices:
        if not layer.is_auto and view.is_shared(image, layer):
            check_shared_layer(of_input.plan(image, objective, 1), view, layer, image, objective)
