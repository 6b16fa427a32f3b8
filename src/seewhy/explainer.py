"""The pipeline: read -> preprocess -> capture -> method -> place -> draw.

`Explainer.explain` tells images from recordings and samples. `_explain_images` reads images, and
`HeatmapPipeline.explanations` preprocesses a batch, captures activations and gradients and applies the method to them
(`attribution.attribute`), and puts each heatmap on its image (`HeatmapPipeline.place`). The explanation that comes out
draws when someone asks for pixels.
"""

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal, final, overload

from seewhy import methods as all_methods
from seewhy.attribution.augmentation import Augmentation, parse_augmentations
from seewhy.attribution.auto_layer import Trial, try_all_layers
from seewhy.attribution.checks import check_batch_size, check_images, check_tokens, find_layers, require_decoded
from seewhy.attribution.explainer_options import AugmentationName, check_options
from seewhy.attribution.fusion import choose_fuse
from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.batches import explain_stream
from seewhy.errors import OptionError, SeewhyError
from seewhy.frameworks import Framework, LayerCall, LayerChoice
from seewhy.frameworks.one_input import calls_by_input
from seewhy.frameworks.structures import InputSpec, image_count
from seewhy.frameworks.tokens import TokenGrid
from seewhy.images.loaders import Column, images_of
from seewhy.images.reading import ImageLike, read_each
from seewhy.images.style import check_name
from seewhy.methods import Method
from seewhy.models import Classifier, load
from seewhy.models.blank_input import blank_input
from seewhy.models.samples import Sample, is_sample
from seewhy.pipeline.heatmap_pipeline import SETTINGS, HeatmapPipeline
from seewhy.pipeline.inspecting import inspect_image
from seewhy.pipeline.recording_explanations import explain_recordings
from seewhy.pipeline.sample_explanations import explain_samples, heatmaps_of_input
from seewhy.recordings.find_reader import any_recording
from seewhy.recordings.recording import Recording, Signal, Video, Volume
from seewhy.representation import ShortTuple, description, shortened
from seewhy.results.channel_inspection import Inspection
from seewhy.results.explanation import Explanation
from seewhy.results.heatmaps import Heatmaps
from seewhy.results.multi_image_explanation import MultiImageExplanation
from seewhy.results.signal_explanation import SignalExplanation
from seewhy.results.video_explanation import VideoExplanation
from seewhy.results.volume_explanation import VolumeExplanation
from seewhy.targets import Objective, Target, TargetSpec
from seewhy.types import Backend, Fuse, ImageArray, LayerSpec, Model, Precision, Score

BATCH_SIZE = 16

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
            steps where attention runs within windows, in one of several branches, or on one of several inputs;
            hirescam for the pixels of a segmentation and for detections; and gradcam for any other, and where a layer
            is named or the classifier has a default layer.
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
    _pipeline: HeatmapPipeline

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
        self._take(
            HeatmapPipeline(
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
            )
        )

    def _take(self, pipeline: HeatmapPipeline) -> None:
        vars(self).update(_pipeline=pipeline)

    def __getattr__(self, name: str) -> Any:
        """Return a setting. Only the pipeline holds them, so that an explainer shows what explains."""
        if name in SETTINGS:
            return getattr(self._pipeline, name)
        raise AttributeError(f"An Explainer has no attribute {name!r}.")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *SETTINGS})

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: everything but the plans."""
        return vars(self) | {"_pipeline": self._pipeline.with_settings()}

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
        target = self._pipeline.resolve(targets, len(images))
        if any(map(is_sample, images)):
            return list(explain_samples(self._pipeline, images, target, batch_size))
        if any_recording(images, self.framework.spatial_axes):
            return list(explain_recordings(self._pipeline, images, target, batch_size))
        return self._explain_images(images, target, batch_size)

    def _explain_images(self, images: Sequence[ImageLike], target: Target, batch_size: int) -> list[Explanation]:
        """Read images, and explain them in batches."""
        decoded = read_each(images)
        explanations: list[Explanation] = []
        for start in range(0, len(images), batch_size):
            pixels = [require_decoded(image) for image in islice(decoded, batch_size)]
            of_batch = target.slice_images(start, start + batch_size)
            explanations += self._explain_pixels(images[start : start + batch_size], pixels, of_batch, batch_size)
        return explanations

    def _explain_pixels(
        self, images: Sequence[ImageLike], pixels: Sequence[ImageArray], target: Target, batch_size: int
    ) -> list[Explanation]:
        """Preprocess a batch of images; capture and apply the method; and place each heatmap on its image."""
        return self._pipeline.explanations(images, pixels, target, batch_size)

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
            images: Images, as for `explain`; or a PyTorch `DataLoader`, a `tf.data.Dataset` or a Hugging Face
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
        return explain_stream(images_of(images, column), target, batch_size, errors, self._explain_pixels)

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
            classifier, images = split
            other = self._with(classifier=classifier, framework=classifier.framework_in(self.precision))
            return other.heatmaps(images, targets, batch_size=batch_size)
        if input_name is None:
            return self._pipeline.heatmaps(inputs, targets, batch_size)
        checked = self.framework.check_inputs(inputs)
        target = self._pipeline.resolve(targets, image_count(checked))
        return heatmaps_of_input(self._pipeline, checked, input_name, target, batch_size)

    def inspect(self, image: ImageLike, targets: TargetSpec = "top-1") -> Inspection:
        """Show how Grad-CAM makes its heatmap: the layer's activations, their gradients, and the channel weights.

        Args:
            image: A path, a PIL image or a uint8 array (H, W, 3).
            targets: As for `explain`.

        Raises:
            MethodError: The method is not gradcam at one layer without augmentation.
            SeewhyError: As for `explain`.
        """
        return inspect_image(self._pipeline, image, targets)

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
        return self._with(layer_choices=layers, method=method if self.method.is_auto else self.method)

    def with_framework(self, framework: Framework) -> "Explainer":
        """Return an explainer with the same settings that runs the model in another way, such as with other weights."""
        return self._with(framework=framework)

    def _with(self, **settings: Any) -> "Explainer":
        """Return an explainer with other settings, which warns of nothing that this one has warned of."""
        other = copy.copy(self)
        other._take(self._pipeline.with_settings(**settings))
        return other

    def method_of(self, heatmaps: Heatmaps) -> Method:
        """Return the method of heatmaps that this explainer made, with its options; "auto" chose it."""
        plans = list(self._pipeline.plans.values())  # a copy, as another thread may add one meanwhile
        made = (plan.method for plan in plans if plan.method.name == heatmaps.method)
        return next(made, None) or self._pipeline.method_for(heatmaps)

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
        checked = self._pipeline.check_inputs(inputs)
        objective = Objective(self._pipeline.resolve("top-1", image_count(checked)), self.score, self.output)
        plan = replace(self._pipeline.plan(checked, objective, 1), method=all_methods.get("gradcam"))
        return try_all_layers(plan, checked, objective)


def as_classifier(model: ModelSource) -> Classifier:
    """Return a classifier as it is; a model, or what `seewhy.load` loads by a name or a path, as a classifier."""
    if isinstance(model, Classifier):
        return model
    return load(model) if isinstance(model, (str, os.PathLike)) else Classifier(model)
