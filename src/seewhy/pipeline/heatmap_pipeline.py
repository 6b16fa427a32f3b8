"""From a batch of inputs to heatmaps, and to explanations of the images, with the settings of an explainer."""

import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, final

from seewhy import methods as all_methods
from seewhy.attribution.attribute import Attribution, attribute
from seewhy.attribution.augmentation import Augmentation
from seewhy.attribution.checks import check_one_input, look_like_probabilities, probabilities_hint
from seewhy.attribution.detections import (
    ImageDetections,
    attribute_detections,
    boxes_on_inputs,
    check_detection_options,
    fix_detections,
    looks_for_detections,
)
from seewhy.attribution.input_box import input_box
from seewhy.attribution.method_choice import choose_method
from seewhy.attribution.own_image import OwnImage
from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.attribution.pixel_classes import is_value_per_image, predict_pixels, scores_pixels
from seewhy.attribution.plan import Plan, first_derivatives, plan_key, strategy_for
from seewhy.errors import InputError, LayerError, NotClassScoresError, NotPredictedError, warn
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.detections import CLASS_LOGITS, DetectorRunner
from seewhy.frameworks.structures import InputBatch, InputSpec, image_at, image_count, leaves, only_leaf, shape_key
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.results.channel_inspection import Inspection
from seewhy.results.explanation import Explanation
from seewhy.results.explanation_builder import build_explanation
from seewhy.results.heatmaps import Heatmaps, build_heatmaps, join_detections
from seewhy.targets import Objective, Target, TargetSpec
from seewhy.targets.regression import as_value
from seewhy.types import Fuse, ImageArray, Precision, Score

_logger = logging.getLogger("seewhy.pipeline")

Result = TypeVar("Result", Heatmaps, Inspection)

MAX_PLANS = 64
"""How many plans are kept; a plan is small, and made in a moment."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class HeatmapPipeline:
    """Captures, applies the method and places heatmaps. Threads may share it.

    Attributes:
        classifier: The model with its class names.
        framework: Runs the model.
        method: Makes heatmaps of a capture; "auto" is resolved for each plan.
        layer_choices: The layers that are explained.
        score: "logit" or "probability".
        output: The output that is explained, of a model with several.
        fuse: How the heatmaps of several layers are fused.
        augmentations: The flipped and scaled inputs whose heatmaps are averaged with those of the input itself.
        signed: Whether evidence against a target is kept, as negative values.
        progress: Shows or reports the progress of a method that runs the model many times.
        precision: The precision that the model runs in.
        tokens: How the tokens of a layer lie on the image; None to find it out.
        plans: What was planned, by shape of input and kind of objective.
        noted: What was found out or warned of, once for the explainer and the copies that share it.
    """

    classifier: Classifier
    framework: Framework
    method: Method
    layer_choices: tuple[LayerChoice, ...]
    score: Score
    output: int | str | None
    fuse: Fuse
    augmentations: tuple[Augmentation, ...]
    signed: bool
    progress: bool | ProgressCallback
    precision: Precision
    tokens: TokenGrid | None
    plans: dict[Hashable, Plan] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)

    def with_settings(self, **settings: Any) -> "HeatmapPipeline":
        """Return a pipeline with other settings, without plans, that shares what was noted."""
        return replace(self, plans={}, **settings)

    def heatmaps(self, inputs: InputSpec, targets: TargetSpec, batch_size: int) -> Heatmaps:
        """Check a batch of inputs and explain it."""
        checked = self.check_inputs(inputs)
        self.hint(checked)
        target = self.resolve(targets, image_count(checked))
        with self.framework.explaining(checked):
            return self._heatmaps_of(checked, target, batch_size)

    def explanations(
        self, images: Sequence[ImageLike], pixels: Sequence[ImageArray], target: Target, batch_size: int
    ) -> list[Explanation]:
        """Preprocess a batch of images; capture and apply the method; and place each heatmap on its image.

        Detections are explained image by image, so that each image is as it is alone: it has the resolution of its own
        layers and, for "top-k", as many detections as are in it, at most k. So are images of a segmentation model if in
        one of them fewer than k classes are predicted.
        """
        inputs = self.classifier.preprocess(pixels)
        checked = self.check_inputs(inputs)
        self.hint(checked)
        target = self.resolve(target, len(images))
        if looks_for_detections(target):
            target = boxes_on_inputs(target, inputs.placements, self.framework.image_size(checked))
        owns = [
            OwnImage("the image" if len(images) == 1 else f"image {row} of the batch", placement)
            for row, placement in enumerate(inputs.placements)
        ]
        with self.framework.explaining(checked):
            parts = self._heatmaps_of_each(checked, target, batch_size, owns)
            return [
                explanation
                for heatmaps, rows in parts
                for explanation in self.place(heatmaps, images[rows], pixels[rows], inputs.placements[rows])
            ]

    def _heatmaps_of_each(
        self, inputs: InputBatch, target: Target, batch_size: int, owns: Sequence[OwnImage]
    ) -> Iterator[tuple[Heatmaps, slice]]:
        """Yield the heatmaps of a batch of images, or of each image, with the rows of the batch that they are of."""
        detector = self._detector(inputs, target)
        if detector is not None:
            parts = self._detections_of_each(detector, inputs, target, batch_size, owns)
            yield from ((join_detections([part]), slice(row, row + 1)) for row, part in enumerate(parts))
            return
        if len(owns) > 1:
            try:
                yield self._heatmaps_of(inputs, target, batch_size), slice(None)
                return
            except NotPredictedError:
                pass  # an image that is explained for itself may have fewer targets
        for row, own in enumerate(owns):
            image, of_image = image_at(inputs, row), target.for_image(row)
            yield self._heatmaps_of(image, of_image, batch_size, own), slice(row, row + 1)

    def place(
        self,
        heatmaps: Heatmaps,
        images: Sequence[ImageLike],
        pixels: Sequence[ImageArray],
        placements: Sequence[Placement],
    ) -> Iterator[Explanation]:
        """Place the heatmaps of a batch on their images: the explanation of each."""
        method = self.method_for(heatmaps)
        for row, placement in enumerate(placements):
            yield build_explanation(heatmaps, row, images[row], pixels[row], placement, self.classifier, method)

    def method_for(self, heatmaps: Heatmaps) -> Method:
        """Return the method that titles and styles these heatmaps; where "auto" chose it, the one of that name."""
        return all_methods.get(heatmaps.method) if self.method.is_auto else self.method

    def _detector(self, inputs: InputBatch, target: Target) -> DetectorRunner | None:
        """Return what runs the model as a detector, if it is one and the target is classes or detections.

        Raises:
            OptionError: A setting of the explainer has no meaning for detections.
        """
        if not (target.is_classes or looks_for_detections(target)):
            return None
        detector = self.framework.detector(inputs)
        if detector is not None:
            check_detection_options(self.score, self.output, self.augmentations)
        return detector

    def _heatmaps_of(
        self, inputs: InputBatch, target: Target, batch_size: int, own: OwnImage | None = None
    ) -> Heatmaps:
        """Explain the scores of a target; those of classes are of pixels where the model turns out to score pixels.

        Args:
            inputs: The batch.
            target: What is explained.
            batch_size: How many perturbations run at once.
            own: The image of a batch of one that is explained for itself.
        """
        detector = self._detector(inputs, target)
        if detector is not None:
            count = image_count(inputs)
            return join_detections(list(self._detections_of_each(detector, inputs, target, batch_size, [None] * count)))
        return self.with_pixels(inputs, target, lambda target: self._heatmaps(inputs, target, batch_size), own)

    def with_pixels(
        self, inputs: InputBatch, target: Target, explain: Callable[[Target], Result], own: OwnImage | None = None
    ) -> Result:
        """Explain a target; where the model turns out to score pixels, a class is the pixels predicted as it."""
        if not target.is_classes:
            return explain(target)
        if "segmentation" not in self.noted:
            try:
                return explain(target)
            except LayerError:  # the last layer may be the scores, which cannot be tapped in an exported model
                if not scores_pixels(self.framework, inputs, self.output):
                    raise
            except NotClassScoresError:
                if is_value_per_image(self.framework, inputs, self.output):
                    names = self.classifier.class_names
                    return explain(as_value(target, None if names is None else names[0]))
        found = predict_pixels(self.framework, self.classifier, inputs, self.output)
        result = explain(found.regions(target, own))
        self.noted.add("segmentation")
        return result

    def _heatmaps(self, inputs: InputBatch, target: Target, batch_size: int) -> Heatmaps:
        objective = Objective(target, self.score, self.output, self.method.contrast)
        plan = self.plan(inputs, objective, batch_size)
        attribution = attribute(plan, inputs, objective)
        return self.build(plan, attribution, objective, inputs)

    def _detections_of_each(
        self,
        detector: DetectorRunner,
        inputs: InputBatch,
        target: Target,
        batch_size: int,
        owns: Sequence[OwnImage | None],
    ) -> Iterator[list[tuple[Heatmaps, int]]]:
        """Yield the heatmaps of the detections of each image alone: their number, and the layers, are its own.

        The detections of all images are found first, so that no image is explained in vain if another one has none.
        """
        is_matched, images, fixed = self.method.perturbs_input, [], []
        for row, own in enumerate(owns):
            image, name = image_at(inputs, row), "the image" if len(owns) == 1 else f"image {row} of the batch"
            boxes, size = detector.detections(image), self.framework.image_size(image)
            found = ImageDetections(boxes, name, self.classifier, size, own)
            images.append(image)
            fixed.append(fix_detections(detector, found, image, target.for_image(row), is_matched=is_matched))
        for image, detections in zip(images, fixed, strict=True):
            output = None if is_matched else CLASS_LOGITS
            objective = Objective(detections, self.score, output, self.method.contrast)
            plan = self.plan(image, objective, batch_size)
            parts: dict[int, tuple[Heatmaps, int]] = {}
            for attribution, part, positions in attribute_detections(plan, detector, image, objective):
                heatmaps = self.build(plan, attribution, part, image)
                parts |= {position: (heatmaps, column) for column, position in enumerate(positions)}
            yield [parts[position] for position in sorted(parts)]

    def build(self, plan: Plan, attribution: Attribution, objective: Objective, inputs: InputBatch) -> Heatmaps:
        """Return the heatmaps of an attribution, with their targets, scores and probabilities."""
        heatmaps = build_heatmaps(
            attribution,
            objective.target,
            framework=self.framework,
            classifier=self.classifier,
            method=plan.method.name,
            signed=self.signed,
            image_size=self.framework.image_size(inputs) if objective.target.reads_detections else None,
            input_box=input_box(plan, attribution.layers, inputs, attribution.heatmaps),
            method_reason=plan.method_reason,
        )
        self._warn_of_probabilities(attribution, heatmaps)
        return heatmaps

    def plan(self, inputs: InputBatch, objective: Objective, batch_size: int) -> Plan:
        """Return the plan for this shape of input and kind of objective, made when it is first needed.

        It is looked up once: another thread may drop it from the plans at any time.
        """
        key = plan_key(inputs, objective, batch_size)
        plan = self.plans.get(key)
        if plan is None:
            plan = self._new_plan(inputs, objective, batch_size)
            if len(self.plans) >= MAX_PLANS:
                self.plans.clear()
            self.plans[key] = plan
        return plan

    def _new_plan(self, inputs: InputBatch, objective: Objective, batch_size: int) -> Plan:
        method, reason, doubt = choose_method(self.method, self.framework, inputs, self.layer_choices, objective)
        if doubt and "method" not in self.noted:
            self.noted.add("method")
            warn(doubt)
        strategy = strategy_for(method, objective)
        if self.method.is_auto:
            _logger.info("method=auto takes %s: %s", method.name, reason)
        _logger.debug(
            "plan for inputs %s and %s targets: %s at %s, %s, up to %d perturbations at once",
            shape_key(inputs),
            objective.target.target_count or "some",
            method.name,
            ", ".join(map(str, self.layer_choices)),
            strategy,
            batch_size,
        )
        return Plan(
            classifier=self.classifier,
            framework=self.framework,
            method=method,
            method_reason=reason,
            layers=self.layer_choices,
            strategy=strategy,
            derivatives=first_derivatives(method, strategy),
            fuse=self.fuse,
            augmentations=self.augmentations,
            batch_size=batch_size,
            progress=self.progress,
            tokens=self.tokens,
        )

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        """Return inputs in the structure that the model takes, if the method and the augmentation can take them.

        Raises:
            InputError: They are not what the model, the method or the augmentation takes.
        """
        checked = self.framework.check_inputs(inputs)
        array, count = only_leaf(checked), len(leaves(checked))
        if self.augmentations and (count > 1 or array.ndim != 4):
            given = f"{count} inputs" if count > 1 else f"shape {array.shape}"
            raise InputError(f"augmentation= flips and zooms images, one batch of (N, h, w, C); given {given}.")
        if self.method.needs_runner or self.method.level == "input":
            check_one_input(checked, self.method)
        return checked

    def hint(self, inputs: InputBatch) -> None:
        """Warn, once, if the inputs look like pixels and the classifier has no preprocessing for them."""
        if "pixels" not in self.noted and self.classifier.may_need_preprocessing(inputs):
            self.noted.add("pixels")
            if hint := self.classifier.preprocessing_hint(inputs):
                warn(hint)

    def _warn_of_probabilities(self, attribution: Attribution, heatmaps: Heatmaps) -> None:
        """Warn, once, if probabilities are explained as logits."""
        is_unseen = self.score == "logit" and attribution.capture.final_activation == "linear"
        if is_unseen and "probabilities" not in self.noted and look_like_probabilities(heatmaps.outputs):
            self.noted.add("probabilities")
            warn(probabilities_hint(str(self.classifier.name)))

    def resolve(self, targets: TargetSpec, images: int) -> Target:
        """Return what a caller gave as targets for a number of images, or raise TargetError."""
        target = self.classifier.resolve(targets, self.output)
        target.check_images(images)
        return target


SETTINGS = tuple(each.name for each in fields(HeatmapPipeline) if each.name not in ("plans", "noted"))
"""The names of what an `Explainer` was made with."""
