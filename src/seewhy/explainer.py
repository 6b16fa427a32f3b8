"""The pipeline: read -> preprocess -> capture -> method -> place -> draw.

`Explainer.heatmaps` is the middle of it, arrays in and arrays out. `Explainer.explain` goes from images to
explanations. Placing a heatmap on its image and drawing it are the explanation's, when someone asks for pixels.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, get_args

import numpy as np
from PIL import Image

from seewhy import methods, timing
from seewhy.attribution.augmentation import Augmentation, average_augmented, parse_augmentations
from seewhy.attribution.checks import check_capture, check_finite, explanation_of, heatmaps_of
from seewhy.attribution.fusion import Fuse, check_fuse, fused
from seewhy.attribution.runner import PerturbationRunner, Progress, run_perturbations
from seewhy.attribution.target_chunks import are_many, evidence_of_many, first_way
from seewhy.errors import (
    ImageError,
    InputError,
    LayerError,
    MethodError,
    OptionError,
    SeewhyWarning,
)
from seewhy.frameworks import LayerCall, LayerChoice
from seewhy.frameworks.layers import AUTO, INPUT
from seewhy.frameworks.structures import image_count
from seewhy.images.reading import ImageLike, read, read_each
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.results.explanation import Explanation, Heatmaps
from seewhy.results.inspection import Inspection
from seewhy.targets import Objective, Target, resolve
from seewhy.timing import Phase
from seewhy.types import Backward, Capture, FloatArray, ImageArray, Precision, Score

BATCH_SIZE = 16


class Explainer:
    """Explains one model; threads may share it.

    Args:
        model: A `Classifier`; or a bare `keras.Model` or `torch.nn.Module`, which is enough for `heatmaps`. It is
            never changed.
        method: A method's name; `seewhy methods` lists them. Or one with options of your own, such as
            `seewhy.methods.get("rise", masks=8000)`.
        layer: The layer to explain: a path ("resnet50/conv5_block3_out", "layer4.2"), a name that only one has, or
            the layer itself. "auto" takes the classifier's own default layer where it has one, and else the last that
            still has space and does not pool. Of a layer that is called more than once the last call is explained;
            "name#1" is the first. A list of layers is explained layer by layer, and the maps fused.
        score: "logit" explains what stands before a final softmax or sigmoid; "probability" what stands after it, as
            many tutorials do.
        output: Which output of a model with several: its position or its key.
        fuse: What is made of the maps of several layers, each of which is brought to the largest resolution and scaled
            to 0..1 first: their "mean", "max" or "product"; or "layercam", the maximum after that paper's
            tanh(2 M / max(M)). The model runs once for each layer.
        smooth: Explain other views of each input too, and average the maps, brought back into place: "flips", the
            mirror image; "scales", zoomed to 0.9 and to 1.1; or both in a tuple. Everything is run 2, 3 or 6 times.
        signed: True keeps what speaks against a target, as negative values; False makes it 0, as the papers do.
        progress: Show on standard error how far a method has come that runs the model many times; or a function
            that is told: the method's title, how many runs are done, and of how many. What it raises ends the call.
        precision: "float32" runs the model in its own types. "bfloat16" runs its convolutions and matrix products,
            backwards too, in bfloat16, which rounds to 8 bits; every run of it, also for methods that run it again.
            Scores and probabilities are those it then gives. Heatmaps are made of them in float32.

    Raises:
        ModelError, LayerError, MethodError, OptionError: An argument cannot be meant; the message says why.
    """

    def __init__(
        self,
        model: Any,
        method: str | Method = "gradcam",
        layer: Any = "auto",
        score: Score = "logit",
        output: int | str | None = None,
        *,
        fuse: Fuse = "mean",
        augmentation: Any = None,
        signed: bool = False,
        progress: bool | Progress = False,
        precision: Precision = "float32",
    ) -> None:
        self.classifier = model if isinstance(model, Classifier) else Classifier(model)
        self.method = methods.get(method)
        if precision not in get_args(Precision):
            raise OptionError(f"Unknown precision {precision!r}; expected 'float32' or 'bfloat16'.")
        self.framework = self.classifier.framework_in(precision)
        self.taps = self._find_layers(layer)
        self.fuse = check_fuse(fuse)
        self.views = parse_augmentations(augmentation)
        if signed and len(self.taps) > 1:
            raise OptionError("signed=True and several layers: only what speaks for a target is fused. Give one layer.")
        if score not in ("logit", "probability"):
            raise OptionError(f"Unknown score {score!r}; expected 'logit' or 'probability'.")
        self.score: Score = score
        self.output = output
        self.signed = signed
        self.progress = progress
        self._is_hint_due = True

    def explain(
        self, images: Iterable[ImageLike], targets: Any = "top-1", *, batch_size: int = BATCH_SIZE
    ) -> list[Explanation]:
        """Explain images.

        Args:
            images: Paths, PIL images or uint8 arrays (H, W, 3), of any sizes.
            targets: What is asked of each: "top-3"; a class index, name or wnid; a list of those; a list of such lists,
                one for each image; a `seewhy.targets` object; a function of the outputs giving (N,) or (N, T).
            batch_size: How many images, or perturbations of an image, go through the model at once.

        Returns:
            One explanation for each image.

        Raises:
            ImageError: An image cannot be read.
            TargetError, LayerError, ModelRunError: What was asked cannot be answered; the message says why.
        """
        if isinstance(images, (str, os.PathLike, Image.Image)):
            raise InputError(f"Explainer.explain takes a list of images; given {images!r}. Give [{images!r}].")
        if isinstance(images, np.ndarray) and images.ndim < 4:
            raise InputError(f"Explainer.explain takes a list of images; given an array {images.shape}. Give [it].")
        _check_batch_size(batch_size)
        images = list(images)
        target = self._resolve(targets, len(images))
        decoded = read_each(images)
        return [
            explanation
            for start in range(0, len(images), batch_size)
            for explanation in self._explain_batch(
                images[start : start + batch_size],
                [_readable(each) for each in islice(decoded, batch_size)],
                target.slice_images(start, start + batch_size),
                batch_size,
            )
        ]

    def heatmaps(self, inputs: Any, targets: Any = "top-1", *, batch_size: int = BATCH_SIZE) -> Heatmaps:
        """Explain a batch that is already the model's input.

        Args:
            inputs: (N, ...), preprocessed; a list or dict of such arrays for a model with several inputs.
            targets: As for `explain`.
            batch_size: How many perturbations of an image go through the model at once, for a method that runs it
                again.

        Returns:
            `Heatmaps`, (N, T, *space).

        Raises:
            InputError: The input has the wrong shape or type, or is not finite.
            TargetError, LayerError, ModelRunError: What was asked cannot be answered; the message says why.
        """
        _check_batch_size(batch_size)
        inputs = self._check_inputs(inputs)
        self._hint(inputs)
        objective = Objective(self._resolve(targets, image_count(inputs)), self.score, self.output)
        capture, evidence = self._evidence(inputs, objective, batch_size)
        if self.views:
            objective = objective.with_classes(self.framework.to_numpy(capture.indices))
            seen = ((view, self._evidence_of(view, inputs, objective, batch_size)) for view in self.views)
            evidence = average_augmented(evidence, seen)
        return self._heatmaps_of(capture, evidence, objective.target)

    def inspect(self, image: ImageLike, targets: Any = "top-1") -> Inspection:
        """Style inside: the layer's activations and gradients for one image, and the weights Grad-CAM makes of them.

        Args:
            image: A path, a PIL image or a uint8 array (H, W, 3).
            targets: As for `explain`.

        Raises:
            MethodError: The method is another than gradcam, whose inside this is.
            SeewhyError: As for `explain`.
        """
        if self.method.name != "gradcam" or len(self.taps) > 1 or self.views:
            raise MethodError(
                f"inspect shows the inside of Grad-CAM at one layer; this Explainer does {self.method.title} at "
                f"{len(self.taps)}{', with augmentation' if self.views else ''}. Make one for it: seewhy.Explainer(model)."
            )
        pixels = read(image)
        preprocessed = self.classifier.preprocess([pixels])
        inputs = self._check_inputs(preprocessed)
        self._hint(inputs)
        objective = Objective(self._resolve(targets, 1), self.score, self.output)
        capture = self._capture(inputs, self.taps[0], objective, self.method.backward)
        evidence = self.framework.to_numpy(self.framework.apply(self.method, capture))
        check_finite(evidence, self.framework.to_numpy(capture.scores))
        heatmaps = self._heatmaps_of(capture, evidence, objective.target)
        placement = preprocessed.placements[0]
        explanation = explanation_of(heatmaps, 0, image, pixels, placement, self.classifier, self.method)
        activations, gradients = (self.framework.to_numpy(each)[0] for each in (capture.activations, capture.gradients))
        return Inspection(activations.astype(np.float32), gradients.astype(np.float32), explanation)

    def layers(self, inputs: Any) -> tuple[LayerCall, ...]:
        """Return every call of every layer, in the order in which they return, for inputs of this shape.

        `layer="auto"` takes the last of which `is_candidate` is true; those whose `has_space` is true can be named.
        """
        return self.framework.calls(self.framework.check_inputs(inputs))

    def _explain_batch(
        self, images: Sequence[ImageLike], pixels: Sequence[ImageArray], target: Target, batch_size: int
    ) -> Iterator[Explanation]:
        inputs = self.classifier.preprocess(pixels)
        heatmaps = self.heatmaps(inputs, target, batch_size=batch_size)
        for row, image in enumerate(images):
            placement = inputs.placements[row]
            yield explanation_of(heatmaps, row, image, pixels[row], placement, self.classifier, self.method)

    def _evidence(self, inputs: Any, objective: Objective, batch_size: int) -> tuple[Capture, FloatArray]:
        """Return evidence (N, T, *space), of all layers in one, and what was captured at the first of them."""
        first, *others = [self._evidence_at(layer, inputs, objective, batch_size) for layer in self.taps]
        if not others:
            return first
        layers, maps = zip(*((capture.layer, evidence) for capture, evidence in (first, *others)), strict=True)
        return replace(first[0], layer=", ".join(layers)), fused(maps, self.fuse)

    @timing.phase(Phase.RUNNING)
    def _evidence_at(
        self, layer: LayerChoice, inputs: Any, objective: Objective, batch_size: int
    ) -> tuple[Capture, FloatArray]:
        tapped = layer if self.method.level == "layer" else LayerChoice(INPUT)
        if are_many(objective, self.method):
            capture = self._capture(inputs, tapped, objective, first_way(self.method))
            evidence = evidence_of_many(self.framework, self.method, inputs, tapped, objective, capture)
        elif self.method.reruns:
            capture = self._capture(inputs, tapped, objective, self.method.backward)
            title = self.method.title
            runs = PerturbationRunner(self.framework, inputs, layer, objective, batch_size, title, self.progress)
            evidence = run_perturbations(self.method, runs, capture)
        else:
            capture = self._capture(inputs, tapped, objective, self.method.backward)
            evidence = self.framework.to_numpy(self.framework.apply(self.method, capture))
        check_finite(evidence, self.framework.to_numpy(capture.scores))
        return capture, evidence

    def _capture(self, inputs: Any, layer: LayerChoice, objective: Objective, backward: Backward) -> Capture:
        capture = self.framework.capture(inputs, layer, objective, backward)
        check_capture(capture, image_count(inputs), self.classifier)
        return capture

    def _heatmaps_of(self, capture: Capture, evidence: FloatArray, target: Target) -> Heatmaps:
        return heatmaps_of(
            capture,
            evidence,
            target,
            framework=self.framework,
            classifier=self.classifier,
            method=self.method,
            signed=self.signed,
        )

    def _evidence_of(self, view: Augmentation, inputs: FloatArray, objective: Objective, batch_size: int) -> FloatArray:
        """Return the evidence of another view of the inputs, not yet brought back into place."""
        if self.framework.channels_first:
            seen = np.moveaxis(view.of(np.moveaxis(inputs, 1, -1)), -1, 1)
        else:
            seen = view.of(inputs)
        capture, evidence = self._evidence(np.ascontiguousarray(seen), objective.transform(view.of), batch_size)
        if evidence.ndim != 4:
            raise LayerError(
                f"augmentation= needs maps with two axes of space, and the layer {capture.layer!r} has {evidence.ndim - 2}. "
                "Leave it out, or give another layer."
            )
        return evidence

    def _find_layers(self, layer: Any) -> tuple[LayerChoice, ...]:
        layers = list(layer) if isinstance(layer, (list, tuple)) else [layer]
        if not layers:
            raise LayerError("layer=[] names no layer; expected one or more, or 'auto'.")
        if len(layers) > 1 and self.method.level == "input":
            raise LayerError(
                f"{self.method.title} explains the model's input and looks at no layer; given {len(layers)}. Leave "
                "layer= out, or use a method that explains layers, such as gradcam."
            )
        own = self.classifier.layer or AUTO
        return tuple(self.framework.find_layer(own if _is_auto(each) else each) for each in layers)

    def _check_inputs(self, inputs: Any) -> Any:
        inputs = self.framework.check_inputs(inputs)
        if self.views and (not isinstance(inputs, np.ndarray) or inputs.ndim != 4):
            given = f"{len(inputs)} inputs" if not isinstance(inputs, np.ndarray) else f"shape {inputs.shape}"
            raise InputError(f"augmentation= mirrors and zooms images, one batch of (N, h, w, C); given {given}.")
        if not isinstance(inputs, np.ndarray) and (self.method.reruns or self.method.level == "input"):
            raise InputError(
                f"The model has {len(inputs)} inputs, and {self.method.title} varies the one input of a model. "
                "Use a method that explains a layer, such as gradcam."
            )
        return inputs

    def _hint(self, inputs: Any) -> None:
        """Warn, once, of pixels that nobody said how the model takes."""
        if self._is_hint_due and self.classifier.may_need_preprocessing(inputs):
            self._is_hint_due = False
            if hint := self.classifier.preprocessing_hint(inputs):
                warnings.warn(hint, SeewhyWarning, stacklevel=3)

    def _resolve(self, spec: Any, images: int) -> Target:
        target = resolve(spec, self.classifier.find_class)
        target.check_images(images)
        return target


def _readable(image: ImageArray | ImageError) -> ImageArray:
    """Return an image that was read, or raise what was wrong with it."""
    if isinstance(image, ImageError):
        raise image
    return image


def _check_batch_size(batch_size: int) -> None:
    if not isinstance(batch_size, int) or batch_size < 1:
        raise OptionError(f"batch_size is {batch_size!r}; expected 1 or more.")


def _is_auto(layer: Any) -> bool:
    return isinstance(layer, str) and layer == AUTO


def explain(
    model: Any,
    image: ImageLike,
    targets: Any = "top-1",
    method: str = "gradcam",
    layer: Any = "auto",
    score: Score = "logit",
) -> Explanation:
    """Explain one image.

    Args:
        model: A `Classifier`; `seewhy.load` makes one of a model's name.
        image: A path, a PIL image or a uint8 array (H, W, 3).
        targets: As for `Explainer.explain`; the other arguments as for `Explainer`.

    Returns:
        The explanation: its heatmaps, its saliency on the image, its targets and predictions.

    Raises:
        SeewhyError: What was asked cannot be done; the message says why.
    """
    (explanation,) = Explainer(model, method, layer, score).explain([image], targets)
    return explanation
