"""The pipeline: read -> preprocess -> capture -> method -> place -> draw.

`Explainer.explain` reads and preprocesses images. `attribution.attribute` is the middle: it captures activations and
gradients at a layer and applies a method to them. The explanation that comes out places each heatmap on its image, and
draws it when someone asks for pixels.
"""

import copy
import itertools
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal, TypeVar, Unpack, final, overload

import numpy as np

from seewhy import methods as all_methods
from seewhy.attribution.attribute import Attribution, attribute
from seewhy.attribution.augmentation import Augmentation, parse_augmentations
from seewhy.attribution.auto_layer import Trial, try_all_layers
from seewhy.attribution.checks import (
    check_batch_size,
    check_images,
    check_inspected,
    check_one_input,
    check_tokens,
    find_layers,
    listed,
    look_like_probabilities,
    probabilities_hint,
    require_decoded,
)
from seewhy.attribution.detections import (
    attribute_detections,
    boxes_on_inputs,
    fix_detections,
    looks_for_detections,
)
from seewhy.attribution.explainer_options import AugmentationName, ExplainerOptions, check_options
from seewhy.attribution.fusion import choose_fuse
from seewhy.attribution.input_box import input_box
from seewhy.attribution.method_choice import choose_method
from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.attribution.pixel_classes import predict_pixels, reads_pixels, scores_pixels
from seewhy.attribution.plan import Plan, first_derivatives, plan_key, strategy_for
from seewhy.batches import consecutive, explain_each, in_order, read_batches
from seewhy.errors import (
    ImageError,
    InputError,
    LayerError,
    MethodError,
    NotClassScoresError,
    OptionError,
    SeewhyError,
    warn,
)
from seewhy.frameworks import Framework, LayerCall, LayerChoice
from seewhy.frameworks.detections import CLASS_LOGITS, DetectorRunner
from seewhy.frameworks.one_input import calls_by_input
from seewhy.frameworks.structures import InputBatch, InputSpec, image_at, image_count, leaves, only_leaf
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.geometry import Placement
from seewhy.images.loaders import Column, images_of
from seewhy.images.read_ahead import READ_AHEAD
from seewhy.images.reading import ImageLike, check_exists, read, read_each
from seewhy.images.style import check_name
from seewhy.methods import Method
from seewhy.models import Classifier, load
from seewhy.models.blank_input import blank_input
from seewhy.models.recording_inputs import recording_inputs
from seewhy.models.samples import Sample, is_sample
from seewhy.recordings.find_reader import any_recording, check_only_images, read_recording
from seewhy.recordings.recording import Recording, Signal, Video, Volume
from seewhy.representation import ShortTuple, description, shortened
from seewhy.results.channel_inspection import Inspection
from seewhy.results.comparison import Comparison
from seewhy.results.explanation import Explanation
from seewhy.results.explanation_builder import build_explanation, build_recording_explanation
from seewhy.results.heatmaps import Heatmaps, build_heatmaps, join_detections
from seewhy.results.multi_image_explanation import MultiImageExplanation
from seewhy.results.recording_explanation import RecordingExplanation
from seewhy.results.signal_explanation import SignalExplanation
from seewhy.results.video_explanation import VideoExplanation
from seewhy.results.volume_explanation import VolumeExplanation
from seewhy.sample_explanations import explain_sample, heatmaps_of_input
from seewhy.targets import Objective, Target, TargetSpec
from seewhy.types import Backend, Capture, Fuse, ImageArray, LayerSpec, Model, Precision, Score

Result = TypeVar("Result", Heatmaps, Inspection)

BATCH_SIZE = 16

MAX_PLANS = 64
"""How many plans an explainer keeps; a plan is small, and made in a moment."""

ModelSource = Classifier | Model | str | os.PathLike[str]
"""What can be explained: a classifier, a model, or the name or the path of a model."""


@final
class Explainer:
    """Explains one model. Threads may share an explainer; its settings cannot be changed.

    Args:
        model: A `Classifier`; the name or the path of a model, as `seewhy.load` takes it; or a bare `keras.Model` or
            `torch.nn.Module`, which is enough for `heatmaps`. It is never changed.
        method: The name of a method, see `seewhy methods`; or a method with options, such as
            `seewhy.methods.get("rise", masks=8000)`. "auto" takes legrad_rollout for a model whose attention maps
            follow each other from the image to the score, as in a vision transformer; integrated_gradients with 16
            steps where attention runs within windows, or in one of several branches; hirescam for the pixels of a
            segmentation and for detections; and gradcam for any other, and where a layer is named or the classifier
            has a default layer.
        layer: The layer to explain: a path ("resnet50/conv5_block3_out", "layer4.2"), a unique name, or the layer
            object. "auto" takes the classifier's default layer if it has one, else the last layer with spatial output
            that does not only pool, whose positions reach the score, that at most a tenth of the score bypasses, and
            whose axes are those of the image; if there is none, the layer that is bypassed least, with a warning. Of a
            layer that is called several times the last call is explained; "name#1" is the first. A list of layers is
            explained layer by layer, and their heatmaps are fused.
        score: "logit" explains logits: a final softmax or sigmoid is bypassed. "probability" explains probabilities,
            as many tutorials do.
        output: The output to explain, of a model with several: its position or its key.
        fuse: How the heatmaps of several layers are fused, after each is resized to the largest resolution and scaled
            to 0..1: "mean", "max", "product", or "layercam", the maximum after that paper's tanh(2 M / max(M)). None is
            "mean", or what the method says. The model runs once per layer.
        augmentation: Average the heatmaps with those of augmented inputs: "flips", mirrored left to right; "scales",
            zoomed to 0.9 and to 1.1; or both in a tuple. The model runs 2, 3 or 6 times.
        signed: True keeps evidence against a target as negative values; False applies the papers' ReLU.
        progress: True shows a progress bar on standard error for methods that run the model many times. A function is
            called with the method's title, the number of runs done, and their total; an exception that it raises ends
            the call.
        precision: "float32" runs the model in its own types. "bfloat16" runs its convolutions and matrix products,
            forward and backward, in bfloat16 (8 significant bits). Heatmaps are computed from them in float32.
        backend: "onnx" runs a PyTorch or Keras model in ONNX Runtime, which is faster on a CPU: the model is exported
            when it first runs, and again after its weights were changed, and the first capture at each layer is
            compared with the framework's. Needs the extra `onnx`, for Keras on TensorFlow `onnx-tensorflow`, and on JAX
            `onnx-jax`. "openvino" runs it in OpenVINO, ONNX models too, with the extra `openvino`. None runs the model
            in its framework, unless the classifier has a backend.
        tokens: How the tokens of a transformer's layer lie on the image, such as
            `seewhy.TokenGrid(grid=(14, 14), prefix=1)`. None finds it out, from what the model declares, from its other
            layers and from the size of the input.

    Raises:
        ModelError, LayerError, MethodError, OptionError: An argument is invalid; the message says why.
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
    _plans: dict[Hashable, Plan]
    _noted: set[str]

    def __init__(
        self,
        model: ModelSource,
        method: str | Method = "auto",
        layer: LayerSpec | Sequence[LayerSpec] = "auto",
        score: Score = "logit",
        output: int | str | None = None,
        *,
        fuse: Fuse | None = None,
        augmentation: AugmentationName | Sequence[AugmentationName] | None = None,
        signed: bool = False,
        progress: bool | ProgressCallback = False,
        precision: Precision = "float32",
        backend: Backend | None = None,
        tokens: TokenGrid | None = None,
    ) -> None:
        classifier = as_classifier(model)
        backend = classifier.backend if backend is None else backend
        check_options(score, output, precision, backend)
        method, framework = all_methods.get(method), classifier.framework_in(precision, backend)
        layers = find_layers(layer, classifier, framework, method)
        if signed and (len(layers) > 1 or method.fuse is not None):
            raise OptionError("signed=True and several layers: only evidence for a target is fused. Give one layer.")
        vars(self).update(
            classifier=classifier,
            framework=framework,
            method=method,
            layer_choices=layers,
            score=score,
            output=output,
            fuse=choose_fuse(fuse, method),
            augmentations=parse_augmentations(augmentation),
            signed=signed,
            progress=progress,
            precision=precision,
            tokens=check_tokens(tokens),
            _plans={},
            _noted=set(),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: everything but the plans."""
        return vars(self) | {"_plans": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"An Explainer cannot be changed: make another one with {name}={value!r}.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"An Explainer cannot be changed: {name} cannot be deleted.")

    def __repr__(self) -> str:
        layers = ", ".join(map(str, self.layer_choices))
        return description(
            self,
            f"of {shortened(str(self.classifier.name))}: {self.method.name} at {shortened(layers)}, score {self.score}",
        )

    @overload
    def explain(  # type: ignore[overload-overlap]  # a path is a sequence, too
        self, images: ImageLike | Iterable[ImageLike], targets: TargetSpec = ..., *, batch_size: int = ...
    ) -> list[Explanation]: ...

    @overload
    def explain(
        self, images: Volume | Sequence[Volume], targets: TargetSpec = ..., *, batch_size: int = ...
    ) -> list[VolumeExplanation]: ...

    @overload
    def explain(
        self, images: Signal | Sequence[Signal], targets: TargetSpec = ..., *, batch_size: int = ...
    ) -> list[SignalExplanation]: ...

    @overload
    def explain(
        self, images: Video | Sequence[Video], targets: TargetSpec = ..., *, batch_size: int = ...
    ) -> list[VideoExplanation]: ...

    @overload
    def explain(
        self, images: Mapping[str, Any] | Iterable[Sample], targets: TargetSpec = ..., *, batch_size: int = ...
    ) -> list[MultiImageExplanation]: ...

    def explain(
        self,
        images: ImageLike
        | Iterable[ImageLike]
        | Recording
        | Sequence[Recording]
        | Mapping[str, Any]
        | Iterable[Sample],
        targets: TargetSpec = "top-1",
        *,
        batch_size: int = BATCH_SIZE,
    ) -> Any:
        """Explain images; or volumes, signals or videos; or samples of several images.

        Args:
            images: Paths, PIL images or uint8 arrays (H, W, 3), of any sizes; or one of those. For a model with one or
                three spatial axes `Volume`, `Signal` or `Video` objects, or what `read_volume`, `read_signal` and
                `read_video` read: their explanations have the axes of what was given. For a model with several inputs
                samples: dicts of images, and of values that are no images, by the names of the inputs; or lists and
                tuples of them in the order of the inputs.
            targets: What is explained for each image: "top-3"; a class index, name or wnid; a list of those; a list of
                such lists, one per image; a `seewhy.targets` object; a function of the outputs giving (N,) or (N, T).
            batch_size: How many images, or perturbations of an image, run at once.

        Returns:
            A list with an explanation of each image, also of a single one. The explanation of a volume is a
            `VolumeExplanation`, of a signal a `SignalExplanation`, of a video a `VideoExplanation` and of a sample a
            `MultiImageExplanation`.

        Raises:
            ImageError: An image cannot be read.
            InputError: A sample does not have a value for each input, or a value does not fit its input.
            RecordingError: A volume, a signal or a video cannot be read, or does not suit the model.
            TargetError, LayerError, ModelRunError: The model does not allow the target or layer, or failed.
        """
        images = check_images(images)
        check_batch_size(batch_size)
        target = self._resolve(targets, len(images))
        if any(map(is_sample, images)):
            rows = enumerate(images)
            return [explain_sample(self, sample, target.for_image(row), batch_size) for row, sample in rows]
        if any_recording(images, self.framework.spatial_axes):
            return list(self._explain_recordings(images, target, batch_size))
        decoded = read_each(images)
        explanations: list[Explanation] = []
        for start in range(0, len(images), batch_size):
            pixels = [require_decoded(image) for image in islice(decoded, batch_size)]
            of_batch = target.slice_images(start, start + batch_size)
            explanations += self._explain_pixels(images[start : start + batch_size], pixels, of_batch, batch_size)
        return explanations

    @overload
    def stream(
        self,
        images: ImageLike | Iterable[Any],
        targets: TargetSpec = ...,
        *,
        batch_size: int = ...,
        column: Column | None = ...,
        errors: Literal["raise"] = ...,
    ) -> Iterator[Explanation]: ...

    @overload
    def stream(
        self,
        images: ImageLike | Iterable[Any],
        targets: TargetSpec = ...,
        *,
        batch_size: int = ...,
        column: Column | None = ...,
        errors: Literal["yield"],
    ) -> Iterator[Explanation | SeewhyError]: ...

    def stream(
        self,
        images: ImageLike | Iterable[Any],
        targets: TargetSpec = "top-1",
        *,
        batch_size: int = BATCH_SIZE,
        column: Column | None = None,
        errors: Literal["raise", "yield"] = "raise",
    ) -> Iterator[Explanation | SeewhyError]:
        """Explain any number of images in bounded memory, and yield their explanations in order.

        The next images are read and decoded in threads while the model runs. Nothing is kept of what was yielded.

        Args:
            images: As for `explain`; or a PyTorch `DataLoader`, a `tf.data.Dataset` or a Hugging Face
                `datasets.Dataset`. Batches of floating-point pixels must be in 0..1 or in 0..255, not normalized.
            targets: As for `explain`.
            batch_size: How many images run at once, whatever the batches of the loader are.
            column: The key or the position of the images in what a loader yields. None takes the first item of a tuple,
                and of a dict or a data set the column that holds images.
            errors: What happens where an image cannot be read or explained. "raise" raises the error after the
                explanations before it; "yield" yields it in the place of the explanation, and goes on.

        Returns:
            An iterator over an explanation of each image.

        Raises:
            OptionError: An argument is invalid, or there is no such column.
            SeewhyError: As for `explain`.
        """
        check_batch_size(batch_size)
        check_name("errors", errors, ("raise", "yield"))
        target = self.classifier.resolve(targets, self.output)
        return self._stream(images_of(images, column), target, batch_size, errors)

    def _stream(
        self, images: Iterable[ImageLike], target: Target, batch_size: int, errors: str
    ) -> Iterator[Explanation | SeewhyError]:
        count = 0

        def explain(batch: Sequence[tuple[int, ImageLike, ImageArray]]) -> list[Explanation]:
            rows, sources, pixels = zip(*batch, strict=True)
            of_batch = target.slice_images(rows[0], rows[-1] + 1)
            return self._explain_pixels(sources, pixels, of_batch, batch_size)

        for batch in read_batches(images, batch_size, ahead=max(batch_size, READ_AHEAD)):
            rows = [(count + row, *pair) for row, pair in enumerate(batch)]
            readable = [(row, source, image) for row, source, image in rows if not isinstance(image, ImageError)]
            parts = [readable] if target.slice_images(0, 1) is target else consecutive(readable, lambda item: item[0])
            results = (result for part in parts for result in explain_each(part, explain))
            for _, result in in_order(batch, results):
                if errors == "raise" and isinstance(result, SeewhyError):
                    raise result
                yield result
            count += len(batch)
        target.check_images(count)

    def heatmaps(
        self,
        inputs: InputSpec,
        targets: TargetSpec = "top-1",
        *,
        batch_size: int = BATCH_SIZE,
        input_name: str | int | None = None,
    ) -> Heatmaps:
        """Explain a batch of preprocessed inputs.

        Args:
            inputs: (N, ...), preprocessed; lists and dicts of such arrays for a model with several inputs. The texts
                among those of a model with an image and a text tower are its classes, as in `Classifier.with_prompts`.
            targets: As for `explain`.
            batch_size: How many perturbations of an image run at once, for methods that run the model many times.
            input_name: Of a model with several inputs, the one that is explained, by its name or position: "auto" then
                takes a layer that is computed from it alone, perturbations change it alone, and gradients are those of
                it. None explains the layer, whatever it is computed from.

        Returns:
            `Heatmaps`, (N, T, *space).

        Raises:
            InputError: The input has the wrong shape or type, or is not finite.
            TargetError, LayerError, ModelRunError: The model does not allow the target or layer, or failed.
        """
        check_batch_size(batch_size)
        if self.output is None and (split := self.classifier.with_text_inputs(inputs)) is not None:
            return self._of(split[0]).heatmaps(split[1], targets, batch_size=batch_size)
        if input_name is not None:
            checked = self.framework.check_inputs(inputs)
            return heatmaps_of_input(
                self, checked, input_name, self._resolve(targets, image_count(checked)), batch_size
            )
        checked = self._check_inputs(inputs)
        self._hint(checked)
        target = self._resolve(targets, image_count(checked))
        with self.framework.explaining(checked):
            return self._heatmaps_of(checked, target, batch_size)

    def inspect(self, image: ImageLike, targets: TargetSpec = "top-1") -> Inspection:
        """Show how Grad-CAM makes its heatmap: the layer's activations, their gradients, and the channel weights.

        Args:
            image: A path, a PIL image or a uint8 array (H, W, 3).
            targets: As for `explain`.

        Raises:
            MethodError: The method is not gradcam at one layer without augmentation.
            SeewhyError: As for `explain`.
        """
        check_inspected(self.method, self.layer_choices, self.augmentations)
        pixels = read(image)
        preprocessed = self.classifier.preprocess([pixels])
        inputs, placements = self._check_inputs(preprocessed), preprocessed.placements
        self._hint(inputs)
        target = self._resolve(targets, 1)
        return self._with_pixels(
            inputs, target, lambda target: self._inspect(image, pixels, placements, inputs, target)
        )

    def fix_choices(self, method: Method, layer: str) -> "Explainer":
        """Return an explainer with what "auto" chose for some images, for others that must be explained alike.

        A method or a layer that was named stays as it is.

        Args:
            method: The method that was chosen.
            layer: The path of the layer that was chosen, as `Heatmaps.layer` has it.
        """
        paths, (name, _, _) = self.framework.layer_paths(), layer.rpartition("#")  # "name#2" is its second call
        is_path = method.level == "layer" and (layer in paths or name in paths)
        is_open = is_path and all(choice.is_auto for choice in self.layer_choices)
        layers = (self.framework.find_layer(layer),) if is_open else self.layer_choices
        fixed = copy.copy(self)
        vars(fixed).update(layer_choices=layers, method=method if self.method.is_auto else self.method)
        return fixed

    def _of(self, classifier: Classifier) -> "Explainer":
        """Return an explainer with these settings of another classifier of the model."""
        other = copy.copy(self)
        framework = classifier.framework_in(self.precision)
        vars(other).update(classifier=classifier, framework=framework, _plans={})
        return other

    def method_of(self, heatmaps: Heatmaps) -> Method:
        """Return the method of heatmaps that this explainer made, with its options; "auto" chose it."""
        made = (plan.method for plan in self._plans.values() if plan.method.name == heatmaps.method)
        return next(made, self.method)

    def layers(self, inputs: InputSpec | None = None) -> tuple[LayerCall, ...]:
        """Return every call of every layer for inputs of this shape, in the order in which they return.

        The calls of a shared layer of a functional Keras model are in the order in which they were written.
        `layer="auto"` takes the last call whose `is_candidate` is true and that the evidence supports, which
        `judge_layers` shows; calls whose `has_space` is true can be named. Of a model with several inputs, `inputs` of
        each call names those that it is computed from.

        Args:
            inputs: As for `heatmaps`; None takes a blank image of the size that the classifier or the model has.

        Raises:
            InputError: The size of the input is not known, and none was given.
        """
        inputs = blank_input(self.classifier) if inputs is None else inputs
        return ShortTuple(calls_by_input(self.framework, self.framework.check_inputs(inputs)))

    def judge_layers(self, inputs: InputSpec) -> tuple[tuple[LayerCall, Trial], ...]:
        """Judge every layer whose output has positions by the tests of `layer="auto"`, in some runs of the model each.

        Args:
            inputs: As for `heatmaps`; real images, as the evidence depends on them.

        Returns:
            Each call with a trial. Its `evidence` has `reach.share`, the share of positions that reach the score;
            `bypass`, the share of the score that bypasses the layer; and `axes.fault`, empty for the axes of the image.
            It is None where the layer cannot be explained, and `obstacle` says why.

        Raises:
            LayerError: The output is not one score for each class.
        """
        checked = self._check_inputs(inputs)
        objective = Objective(self._resolve("top-1", image_count(checked)), self.score, self.output)
        plan = replace(self._plan(checked, objective, 1), method=all_methods.get("gradcam"))
        return try_all_layers(plan, checked, objective)

    def _explain_recordings(
        self, recordings: Sequence[Any], target: Target, batch_size: int
    ) -> Iterator[RecordingExplanation]:
        """Explain volumes, signals or videos one by one: each has its size, and may take much memory."""
        for row, source in enumerate(recordings):
            recording = read_recording(source, self.framework.spatial_axes())
            values, placement = recording_inputs(self.classifier, recording)
            heatmaps = self.heatmaps(values, target.slice_images(row, row + 1), batch_size=batch_size)
            method = all_methods.get(heatmaps.method) if self.method.is_auto else self.method
            yield build_recording_explanation(heatmaps, recording, placement, self.classifier, method)

    def _explain_pixels(
        self, images: Sequence[ImageLike], pixels: Sequence[ImageArray], target: Target, batch_size: int
    ) -> list[Explanation]:
        inputs = self.classifier.preprocess(pixels)
        if looks_for_detections(target):
            size = self.framework.image_size(self._check_inputs(inputs))
            target = boxes_on_inputs(target, inputs.placements, size)
        heatmaps = self.heatmaps(inputs, target, batch_size=batch_size)
        return list(self._explanations(heatmaps, images, pixels, inputs.placements))

    def _explanations(
        self,
        heatmaps: Heatmaps,
        images: Sequence[ImageLike],
        pixels: Sequence[ImageArray],
        placements: Sequence[Placement],
    ) -> Iterator[Explanation]:
        method = all_methods.get(heatmaps.method) if self.method.is_auto else self.method
        for row, placement in enumerate(placements):
            yield build_explanation(heatmaps, row, images[row], pixels[row], placement, self.classifier, method)

    def _heatmaps_of(self, inputs: InputBatch, target: Target, batch_size: int) -> Heatmaps:
        """Explain the scores of a target; those of classes are of pixels where the model turns out to score pixels."""
        if target.is_classes or looks_for_detections(target):
            detector = self.framework.detector(inputs)
            if detector is not None:
                return self._detection_heatmaps(detector, inputs, target, batch_size)
        return self._with_pixels(inputs, target, lambda target: self._heatmaps(inputs, target, batch_size))

    def _with_pixels(self, inputs: InputBatch, target: Target, explain: Callable[[Target], Result]) -> Result:
        """Explain a target; where the model turns out to score pixels, a class is the pixels predicted as it."""
        if not target.is_classes:
            return explain(target)
        if "segmentation" not in self._noted:
            try:
                return explain(target)
            except LayerError:  # the last layer may be the scores, which cannot be tapped in an exported model
                if not scores_pixels(self.framework, inputs, self.output):
                    raise
            except NotClassScoresError:
                pass
        found = predict_pixels(self.framework, self.classifier, inputs, self.output)
        result = explain(found.regions(target))
        self._noted.add("segmentation")
        return result

    def _heatmaps(self, inputs: InputBatch, target: Target, batch_size: int) -> Heatmaps:
        objective = Objective(target, self.score, self.output, self.method.contrast)
        plan = self._plan(inputs, objective, batch_size)
        attribution = attribute(plan, inputs, objective)
        return self._build_heatmaps(plan, attribution, objective, inputs)

    def _detection_heatmaps(
        self, detector: DetectorRunner, inputs: InputBatch, target: Target, batch_size: int
    ) -> Heatmaps:
        """Explain detections, each image alone: its detections, and the layers that show them, are its own."""
        is_matched, count, images = self.method.needs_runner, image_count(inputs), []
        for row in range(count):
            image, of_image = image_at(inputs, row), target.for_image(row)
            name = "the image" if count == 1 else f"image {row} of the batch"
            fixed = fix_detections(detector, self.classifier, image, of_image, name, is_matched=is_matched)
            output = None if is_matched else CLASS_LOGITS
            objective = Objective(fixed, self.score, output, self.method.contrast)
            plan = self._plan(image, objective, batch_size)
            parts: dict[int, tuple[Heatmaps, int]] = {}
            for attribution, part, positions in attribute_detections(plan, detector, image, objective):
                heatmaps = self._build_heatmaps(plan, attribution, part, image)
                parts |= {position: (heatmaps, column) for column, position in enumerate(positions)}
            images.append([parts[position] for position in sorted(parts)])
        return join_detections(images)

    def _inspect(
        self,
        image: ImageLike,
        pixels: ImageArray,
        placements: Sequence[Placement],
        inputs: InputBatch,
        target: Target,
    ) -> Inspection:
        objective = Objective(target, self.score, self.output)
        plan = self._plan(inputs, objective, 1)
        if self.method.is_auto and reads_pixels(target):
            plan = replace(plan, method=all_methods.get("gradcam"), method_reason="")
        check_inspected(plan.method, self.layer_choices, self.augmentations)
        # One capture, however many the targets: their gradients are what is shown.
        plan = replace(plan, strategy="capture", derivatives="gradients")
        attribution = attribute(plan, inputs, objective)
        heatmaps = self._build_heatmaps(plan, attribution, objective, inputs)
        (explanation,) = self._explanations(heatmaps, [image], [pixels], placements)
        capture, to_numpy = attribution.capture, self.framework.to_numpy
        assert isinstance(capture, Capture)  # noqa: S101  # gradcam's
        activations, gradients = to_numpy(capture.activations)[0], to_numpy(capture.require_gradients())[0]
        return Inspection(activations.astype(np.float32), gradients.astype(np.float32), explanation)

    def _build_heatmaps(
        self, plan: Plan, attribution: Attribution, objective: Objective, inputs: InputBatch
    ) -> Heatmaps:
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

    def _plan(self, inputs: InputBatch, objective: Objective, batch_size: int) -> Plan:
        """Return the plan for this shape of input and kind of objective, made when it is first needed."""
        key = plan_key(inputs, objective, batch_size)
        if key not in self._plans:
            method, reason, doubt = choose_method(self.method, self.framework, inputs, self.layer_choices, objective)
            if doubt and "method" not in self._noted:
                self._noted.add("method")
                warn(doubt)
            strategy = strategy_for(method, objective)
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[key] = Plan(
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
        return self._plans[key]

    def _check_inputs(self, inputs: InputSpec) -> InputBatch:
        checked = self.framework.check_inputs(inputs)
        array, count = only_leaf(checked), len(leaves(checked))
        if self.augmentations and (count > 1 or array.ndim != 4):
            given = f"{count} inputs" if count > 1 else f"shape {array.shape}"
            raise InputError(f"augmentation= flips and zooms images, one batch of (N, h, w, C); given {given}.")
        if self.method.needs_runner or self.method.level == "input":
            check_one_input(checked, self.method)
        return checked

    def _hint(self, inputs: InputBatch) -> None:
        """Warn, once, if the inputs look like pixels and the classifier has no preprocessing for them."""
        if "pixels" not in self._noted and self.classifier.may_need_preprocessing(inputs):
            self._noted.add("pixels")
            if hint := self.classifier.preprocessing_hint(inputs):
                warn(hint)

    def _warn_of_probabilities(self, attribution: Attribution, heatmaps: Heatmaps) -> None:
        """Warn, once, if probabilities are explained as logits."""
        is_unseen = self.score == "logit" and attribution.capture.final_activation == "linear"
        if is_unseen and "probabilities" not in self._noted and look_like_probabilities(heatmaps.outputs):
            self._noted.add("probabilities")
            warn(probabilities_hint(str(self.classifier.name)))

    def _resolve(self, targets: TargetSpec, images: int) -> Target:
        target = self.classifier.resolve(targets, self.output)
        target.check_images(images)
        return target


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


def as_classifier(model: ModelSource) -> Classifier:
    """Return a classifier as it is; a model, or what `seewhy.load` loads by a name or a path, as a classifier."""
    if isinstance(model, Classifier):
        return model
    return load(model) if isinstance(model, (str, os.PathLike)) else Classifier(model)
