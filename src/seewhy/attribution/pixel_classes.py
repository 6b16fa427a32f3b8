"""Classes of a segmentation model: a class stands for the pixels that the model predicts as that class.

The model runs once to see what it predicts. The pixels are fixed then, so that gradients and perturbations explain the
scores of the same pixels. What scores the steps of a sequence or the voxels of a volume is explained likewise.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from seewhy.attribution.auto_layer import carrying_calls, choice_of, try_layer
from seewhy.attribution.layer_warnings import no_layer
from seewhy.attribution.own_image import OwnImage
from seewhy.attribution.plan import Plan
from seewhy.errors import LayerError, NotClassScoresError, NotPredictedError, TargetError
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import AUTO, INPUT, LayerCall
from seewhy.frameworks.structures import InputBatch, image_at, image_count, leaves, shape_key
from seewhy.models import Classifier
from seewhy.targets import Class, Combined, Objective, PerImage, Region, Target, TopK
from seewhy.targets.target import Shape, TargetScores, no_class_indices
from seewhy.types import BoolArray, FinalActivation, FloatArray, Namespace, Tensor

BACKGROUND = frozenset({"background", "unlabeled", "unlabelled", "void", "blank"})
"""Names of classes that "top-k" leaves out where it finds others: what is not a thing is rarely the question."""


MAX_ERROR = 1e-2
"""How far sums of probabilities may be from 1, also in half precision."""


@final
@dataclass(frozen=True)
class PixelClasses:
    """What a segmentation model predicts for a batch.

    Attributes:
        masks: (N, C, *space), whether each pixel is predicted as each class.
        channels_first: Whether the model's output is (N, C, *space).
        classifier: Knows the names of the classes.
        is_foreground: The output is one channel of logits, which is the score of class 1.
        has_background: Class 0 is what is no foreground, and no name says otherwise.
    """

    masks: BoolArray
    channels_first: bool
    classifier: Classifier
    is_foreground: bool = False
    has_background: bool = False

    def regions(self, target: Target, own: OwnImage | None = None) -> Target:
        """Return the target with the predicted pixels of each class in the place of the class.

        Args:
            target: Classes.
            own: The image of a batch of one, if it is explained for itself: "top-k" is then at most k.

        Raises:
            NotPredictedError: The model predicts a class at no pixel of an image.
            TargetError: There is no such class, or it has no score of its own.
        """
        rows = [self._of_image(target.for_image(image), image, own) for image in range(len(self.masks))]
        combined = [row[0] if len(row) == 1 else Combined(tuple(row)) for row in rows]
        return combined[0] if len(combined) == 1 else PerImage(tuple(combined))

    def _of_image(self, target: Target, image: int, own: OwnImage | None) -> list[Target]:
        if isinstance(target, Combined):
            return [region for part in target.parts for region in self._of_image(part, image, own)]
        if isinstance(target, TopK):
            return [self._region(index, image, own) for index in self._largest(target.k, image, own)]
        if isinstance(target, Class):
            return [self._region(int(index), image, own) for index in np.ravel(target.classes)]
        return [target]

    def _region(self, index: int, image: int, own: OwnImage | None) -> Region:
        classes = self.masks.shape[1]
        if not 0 <= index < classes:
            raise TargetError(f"There is no class {index}: the model has classes 0 to {classes - 1}.")
        name, mask = self.classifier.class_name(index), self.masks[image, index]
        if not mask.any():
            raise NotPredictedError(
                f"The model predicts {name!r} at no pixel of {self._named(image, own)}. It predicts: "
                f"{self._found(image)}. Give one of those; or a region: seewhy.targets.Region(mask, {name!r})."
            )
        if self.is_foreground and index == 0:
            raise TargetError(
                f"{name!r} is where the model's one output is low: it has no score of its own. Explain "
                f"{self.classifier.class_name(1)!r}."
            )
        channel = 0 if self.is_foreground else index
        return Region(mask, channel, channels_first=self.channels_first, name=name, axes=mask.ndim)

    def _largest(self, k: int, image: int, own: OwnImage | None) -> list[int]:
        """Return the k classes with the most pixels, the background only where there are too few others."""
        counts = self.masks[image].reshape(self.masks.shape[1], -1).sum(axis=1)
        found = [int(index) for index in np.argsort(-counts, kind="stable") if counts[index]]
        things = [index for index in found if not self._is_background(index)]
        known = things if self.is_foreground else found  # the background of one output has no score of its own
        if not known:
            name = repr(self.classifier.class_name(1)) if self.is_foreground else "a class"
            raise NotPredictedError(f"The model predicts {name} at no pixel of {self._named(image, own)}.")
        chosen = (things or known)[:k]
        if len(chosen) < k and own is None:
            raise NotPredictedError(
                f"'top-{k}' selects more classes than the model predicts in {self._named(image, own)}: "
                f"{self._found(image)}. Ask for fewer, or name the classes."
            )
        return chosen

    def _is_background(self, index: int) -> bool:
        if self.is_foreground or self.has_background:
            return index == 0
        return self.classifier.class_name(index).strip("_").casefold() in BACKGROUND

    def _named(self, image: int, own: OwnImage | None) -> str:
        if own is not None:
            return own.name
        return "the image" if len(self.masks) == 1 else f"image {image} of the batch"

    def _found(self, image: int) -> str:
        """Return the classes that are predicted, with their shares of the pixels."""
        shares = self.masks[image].reshape(self.masks.shape[1], -1).mean(axis=1)
        order = [index for index in np.argsort(-shares, kind="stable") if shares[index]][:5]
        return ", ".join(f"{self.classifier.class_name(int(index))} ({shares[index]:.1%})" for index in order) or "none"


def predict_pixels(
    framework: Framework, classifier: Classifier, inputs: InputBatch, output: int | str | None
) -> PixelClasses:
    """Run the model, and return which class it predicts at each pixel.

    Args:
        framework: Runs the model.
        classifier: Knows the names of the classes.
        inputs: Checked by `Framework.check_inputs`.
        output: The output of the model, if it has several.

    Raises:
        NotClassScoresError: The output is not a score for each class at each pixel.
        ModelError: The classifier has another number of class names.
    """
    outputs, activation = read_output(framework, inputs, output)
    if not _are_pixel_scores(outputs, activation):
        raise NotClassScoresError(
            f"A class cannot be the target: the model's output has shape {outputs.shape}, and is neither one score for "
            "each class, (N, classes), nor one for each class at each pixel. Give a function of the outputs that "
            "returns (N,) or (N, T) scores."
        )
    channels_first = _has_channels_first(outputs, classifier, framework.channels_first, activation)
    scores = outputs if channels_first else np.moveaxis(outputs, -1, 1)
    is_single = scores.shape[1] == 1
    if is_single and activation in ("linear", "logits") and len(classifier.class_names or ()) != 2:
        raise NotClassScoresError(
            "A class cannot be the target: the model's output is one value at each pixel without a final sigmoid, "
            "which may be the logit of a foreground, or a quantity such as a depth. Name two classes if it is a logit, "
            "class_names=['background', ...]; or give a seewhy.targets.Region, or a function of the outputs."
        )
    masks = predicted_masks(scores, activation)
    classifier.check_class_count(masks.shape[1])
    is_foreground = is_single and activation in ("linear", "logits")
    return PixelClasses(masks, channels_first, classifier, is_foreground, is_single and classifier.class_names is None)


def scores_pixels(framework: Framework, inputs: InputBatch, output: int | str | None) -> bool:
    """Whether a model scores pixels, found by running it; False where no layer can be tapped."""
    try:
        return _are_pixel_scores(*read_output(framework, inputs, output))
    except LayerError:
        return False


def is_value_per_image(framework: Framework, inputs: InputBatch, output: int | str | None) -> bool:
    """Whether a model returns one value for each image, (N,), as one that squeezes (N, 1) does."""
    return read_output(framework, inputs, output)[0].shape == (image_count(inputs),)


def _are_pixel_scores(outputs: FloatArray, activation: FinalActivation | None) -> bool:
    """Whether outputs are scores at the pixels of an image or a volume, or of a sequence where a softmax ends them.

    Without one, an output (N, L, K) may be anything: features of tokens, boxes, or a signal.
    """
    return outputs.ndim in (4, 5) or (outputs.ndim == 3 and activation == "softmax")


def reads_pixels(target: Target) -> bool:
    """Whether a target is regions of a segmentation."""
    if isinstance(target, (Combined, PerImage)):
        parts = target.parts if isinstance(target, Combined) else target.targets
        return all(reads_pixels(part) for part in parts)
    return isinstance(target, Region)


def predicted_masks(scores: FloatArray, activation: FinalActivation | None) -> BoolArray:
    """Return whether each pixel is predicted as each class, (N, C, *space).

    Args:
        scores: (N, C, *space), after the final activation. One channel is the foreground, and becomes two classes.
        activation: With a sigmoid, a pixel is predicted as every class whose score is above 0.5; without, as the class
            with the highest.
    """
    if scores.shape[1] == 1:
        inside = scores > (0.5 if activation == "sigmoid" else 0)
        return np.concatenate([~inside, inside], axis=1)
    if activation == "sigmoid":
        return np.asarray(scores > 0.5)
    classes = np.arange(scores.shape[1]).reshape(-1, *(1,) * (scores.ndim - 2))
    return np.asarray(scores.argmax(axis=1)[:, None] == classes)


def pixel_layer(plan: Plan, inputs: InputBatch, objective: Objective) -> LayerChoice:
    """Return the layer that "auto" explains in a segmentation model: the coarsest that the whole score passes.

    In a model without skip connections it ends the encoder, and holds what the model saw of the whole image; in a U-Net
    it follows the last skip connection. The last layers, with the channels of the output, are left out: they hold the
    scores themselves, and show where a class is predicted, and not why.

    Args:
        plan: Has the framework.
        inputs: Checked by `Framework.check_inputs`.
        objective: The scores of regions of each image.

    Raises:
        LayerError: There is no layer with positions.
    """
    framework = plan.framework
    evidence, key = framework.evidence, ("pixel layer", shape_key(inputs), objective.output)
    known: LayerChoice | None = evidence.get(key)
    if known is not None:
        return known
    image, objective = image_at(inputs, 0), objective.for_image(0)
    outputs, activation = read_output(framework, image, objective.output)
    is_first = _has_channels_first(outputs, plan.classifier, framework.channels_first, activation)
    candidates = [call for call in framework.calls(inputs) if call.is_candidate]
    carrying = carrying_calls(framework, image, objective)
    if carrying is not None:
        candidates = [call for call in candidates if (call.path, call.execution) in carrying]
    features = _without_scores(candidates, outputs.shape[1 if is_first else -1])
    last = [choice_of(plan, inputs, call) for call in _last_of_each_resolution(features)]
    found = last[0] if last and carrying is not None else _first_sound(plan, last, image, objective)
    evidence.add(key, found)
    return found


def _first_sound(plan: Plan, layers: Sequence[LayerChoice], inputs: InputBatch, objective: Objective) -> LayerChoice:
    """Try layers of a model whose data flow is not known, until at most `MAX_BYPASS` of the score bypasses one."""
    trials = []
    for layer in layers:
        trials.append(try_layer(plan, layer, inputs, objective))
        evidence = trials[-1].evidence
        if evidence is not None and evidence.is_sound:
            return layer
    raise no_layer(trials)


def read_output(
    framework: Framework, inputs: InputBatch, output: int | str | None
) -> tuple[FloatArray, FinalActivation | None]:
    """Run the model, and return an output (N, ...) and its final activation."""
    layer = LayerChoice(INPUT)
    if len(leaves(inputs)) > 1:  # which has no input to tap; any layer does
        layer = LayerChoice(next((call.path for call in framework.calls(inputs) if call.is_candidate), AUTO))
    capture = framework.capture(inputs, layer, Objective(_Sum(), output=output), "none")
    return framework.to_numpy(capture.outputs), capture.final_activation


def _without_scores(calls: Sequence[LayerCall], channels: int) -> Sequence[LayerCall]:
    """Return the calls without the last ones that have the channels of the output, or at least without the last."""
    count = len(calls)
    while count and (calls[count - 1].shape or (0,))[-1] == channels:
        count -= 1
    return calls[:count] or calls[:-1] or calls


def _last_of_each_resolution(calls: Sequence[LayerCall]) -> list[LayerCall]:
    """Return the last call of each number of positions, the fewest positions first."""
    last = {call.positions: call for call in calls if call.positions}
    return [last[count] for count in sorted(last)]


def _has_channels_first(
    outputs: FloatArray, classifier: Classifier, default: bool, activation: FinalActivation | None
) -> bool:
    """Return whether the classes are the second axis: by the number of names, by a softmax, or as in the input."""
    classes = len(classifier.class_names or ())
    fits = [size in (classes, 1 if classes == 2 else classes) for size in (outputs.shape[1], outputs.shape[-1])]
    if classes and fits[0] != fits[1]:
        return fits[0]
    if activation == "softmax":  # along an axis over which its outputs sum to 1
        sums = [bool(np.abs(outputs.sum(axis=axis) - 1).max() < MAX_ERROR) for axis in (1, -1)]
        if sums[0] != sums[1]:
            return sums[0]
    return default


@final
class _Sum(Target):
    """A score of any output, so that a run of the model can be read."""

    @property
    def key(self) -> Hashable:
        return _Sum

    def check_outputs(self, shape: Shape | None) -> None:
        """Accept any output."""

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        scores = xp.sum(outputs, axis=tuple(range(1, len(outputs.shape))))[:, None]
        return TargetScores(scores, no_class_indices(scores, xp))
