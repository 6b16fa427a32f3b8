"""Explaining samples of several images: each as the input of a model with one, while the others keep their values."""

import copy
from collections.abc import Iterator, Sequence
from typing import Protocol

from seewhy.attribution.input_layers import check_shared_layer, layers_of_input
from seewhy.attribution.plan import Plan
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.one_input import OneInput, find_leaf, image_leaves
from seewhy.frameworks.structures import InputBatch, InputSpec, image_at, image_count, leaves
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.models.samples import Sample
from seewhy.results.explanation import Explanation
from seewhy.results.heatmaps import Heatmaps, join_rows
from seewhy.results.multi_image_explanation import MultiImageExplanation
from seewhy.targets import Objective, Target, TargetSpec
from seewhy.types import ImageArray, Score


class InputExplainer(Protocol):
    """The part of an `Explainer` that is used here."""

    classifier: Classifier
    framework: Framework
    method: Method
    layer_choices: tuple[LayerChoice, ...]
    score: Score
    output: int | str | None
    _noted: set[str]

    def heatmaps(self, inputs: InputSpec, targets: TargetSpec, *, batch_size: int) -> Heatmaps:
        """Explain a batch of inputs."""

    def _plan(self, inputs: InputBatch, objective: Objective, batch_size: int) -> Plan:
        """Return the plan for these inputs."""

    def _explanations(
        self,
        heatmaps: Heatmaps,
        images: Sequence[ImageLike],
        pixels: Sequence[ImageArray],
        placements: Sequence[Placement],
    ) -> Iterator[Explanation]:
        """Return the explanation of each image."""


def explain_sample(explainer: InputExplainer, sample: Sample, target: Target, batch_size: int) -> MultiImageExplanation:
    """Explain one sample: each of its images for the same targets.

    Args:
        explainer: Explains the model.
        sample: A value for each input.
        target: What is explained, for this sample.
        batch_size: How many perturbations of an image run at once.
    """
    inputs = explainer.classifier.preprocess([sample])
    explanations: dict[str, Explanation] = {}
    for name, image in inputs.images.items():
        heatmaps = _heatmaps_of_leaf(explainer, inputs.values, image.leaf, target, batch_size)
        (explanations[name],) = explainer._explanations(heatmaps, image.sources, image.pixels, image.placements)
    return MultiImageExplanation(explanations, inputs.others[0])


def heatmaps_of_input(
    explainer: InputExplainer, inputs: InputBatch, name: str | int, target: Target, batch_size: int
) -> Heatmaps:
    """Return the heatmaps of one of several inputs, each row of the batch explained alone.

    Args:
        explainer: Explains the model.
        inputs: Several, checked by `Framework.check_inputs`.
        name: The input, by its name or position.
        target: What is explained.
        batch_size: How many perturbations of an image run at once.

    Raises:
        InputError: There is no such input, or it has no positions.
    """
    leaf = find_leaf(explainer.framework, inputs, name)
    rows = range(image_count(inputs))
    return join_rows(
        [_heatmaps_of_leaf(explainer, image_at(inputs, row), leaf, target.for_image(row), batch_size) for row in rows]
    )


def _heatmaps_of_leaf(
    explainer: InputExplainer, inputs: InputBatch, leaf: int, target: Target, batch_size: int
) -> Heatmaps:
    """Return the heatmaps of one input of one sample."""
    view = OneInput(explainer.framework, inputs, leaf, image_leaves(inputs))
    image, noted = leaves(inputs)[leaf], explainer._noted
    of_input, layers = copy.copy(explainer), explainer.layer_choices
    if explainer.method.level == "layer":
        layers = layers_of_input(view, image, layers)
    # Whether the images look unscaled is not asked: the classifier's own framework takes all inputs.
    vars(of_input).update(framework=view, layer_choices=layers, _plans={}, _noted=noted | {"pixels"})
    if explainer.method.level == "layer":
        _check_shared(of_input, view, image, target)
    heatmaps = of_input.heatmaps(image, target, batch_size=batch_size)
    noted.update(of_input._noted - {"pixels"})
    return heatmaps


def _check_shared(of_input: InputExplainer, view: OneInput, image: InputBatch, target: Target) -> None:
    """Check the named layers that are computed from several images."""
    objective = Objective(target, of_input.score, of_input.output)
    for layer in of_input.layer_choices:
        if not layer.is_auto and view.is_shared(image, layer):
            check_shared_layer(of_input._plan(image, objective, 1), view, layer, image, objective)
