"""What every framework does, in the same words."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from seewhy.errors import LayerError, OptionError
from seewhy.frameworks.layers import AUTO, LayerCall, LayerChoice, only_path
from seewhy.frameworks.structures import Inputs, check_arrays
from seewhy.targets import Objective, TargetScores
from seewhy.targets.target import Shape
from seewhy.types import Backward, Capture, Namespace, Precision, Score, Tensor

FinalActivation = Literal["softmax", "sigmoid", "linear"]
"""What the model does last to its logits."""


Head = Callable[[NDArray[Any]], Tensor]
"""A model's head: perturbations of one image's activations, (M, *space, K), to scores (M, T)."""


@dataclass(frozen=True)
class Outputs:
    """The model's outputs and what stands behind them.

    Attributes:
        raw: The output that is asked, or all of them where none is.
        logits: What stands before its final activation; None where no one output is asked.
        probabilities: (N, C), or None where it is not class scores.
        whole: All that the model returned, as it returned it; None where nothing asks for it.
    """

    raw: Tensor
    logits: Tensor | None
    probabilities: Tensor | None
    whole: Any = None

    @classmethod
    def read(cls, raw: Tensor, logits: Tensor, head: FinalActivation, xp: Namespace, whole: Any = None) -> "Outputs":
        """Read outputs (N, ...) whose final activation `head` was seen through, leaving float32 `logits`."""
        if len(logits.shape) != 2:
            return cls(raw, logits, None, whole)
        if head == "sigmoid" and logits.shape[1] == 1:
            logits = xp.concatenate([-logits, logits], axis=1)  # one unit, two classes
        if head == "sigmoid":
            probabilities = xp.sigmoid(logits)
        elif head == "softmax":
            probabilities = _softmax(logits, xp)
        else:
            probabilities = _probabilities(logits, xp) if logits.shape[1] > 1 else None
        return cls(raw, logits, probabilities, whole)

    @property
    def shape(self) -> Shape | None:
        """The shape of what is asked, with None for sizes that are not known yet; None where no one output is."""
        return None if self.logits is None else tuple(self.logits.shape)

    def answer(self, objective: Objective, arrays: Sequence[Tensor], xp: Namespace) -> TargetScores:
        """Ask the question, or raise TargetError where these outputs do not allow it."""
        objective.target.check_outputs(self.shape)
        return objective.target(self.selected(objective.score), arrays, xp, self.whole)

    def selected(self, score: Score) -> Tensor | None:
        """Return the one output that a target is given."""
        if score == "logit" or self.logits is None:
            return self.logits
        if self.probabilities is None:
            raise OptionError("score='probability' was asked for, and the outputs are not class scores; use 'logit'.")
        return self.probabilities


def check_precision(precision: Precision, types: Iterable[str]) -> None:
    """Raise OptionError where bfloat16 is asked of a model whose types, by name, would not be rounded to it."""
    types = sorted(set(types))
    if precision == "bfloat16" and types and not {"float32", "bfloat16"} & set(types):
        raise OptionError(
            f"precision='bfloat16' is for models that run in float32; this one runs in {', '.join(types)}. Leave it "
            "out, or load the model in float32."
        )


class Framework(ABC):
    """A model and the way to run it, in one framework. Subclasses are final.

    One model has one instance for each precision, which keeps what it compiled apart from the others'.
    """

    name: str
    xp: Namespace

    @property
    @abstractmethod
    def channels_first(self) -> bool:
        """Whether images go in as (N, 3, h, w)."""

    @abstractmethod
    def layer_paths(self) -> tuple[str, ...]:
        """Return the path of every layer in the model, outer before inner."""

    @abstractmethod
    def path_of(self, layer: Any) -> str | None:
        """Return the path of a layer object; None if the model does not hold it."""

    @abstractmethod
    def calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        """Return the calls of all layers, in the order in which they return, for inputs of this shape."""

    @abstractmethod
    def predict(self, inputs: Inputs, output: int | str | None = None) -> Tensor | None:
        """Return the probabilities (N, C); None where the outputs are not class scores."""

    @abstractmethod
    def capture(
        self, inputs: Inputs, layer: LayerChoice, objective: Objective, backward: Backward = "plain"
    ) -> Capture:
        """Run the model once with a tap on one layer. The model is afterwards what it was before.

        Args:
            inputs: Checked by `check_inputs`.
            layer: Which layer, and which of its calls; `LayerChoice(INPUT)` taps what goes into the model.
            question: What is asked.
            backward: How the gradients are taken; "none" leaves them out. "products" leaves them out too, and gives
                `Capture.products` where the scores depend on nothing of the layer but its mean over space.

        Raises:
            MethodError: The gradients are to be "guided", and the model has activations other than ReLUs.
            LayerError: The layer is not called, or its output is not one tensor with space.
            NoGradientError: The scores do not depend on the layer.
            ModelRunError: The model failed.
            TargetError: The model's outputs do not allow the target.
        """

    @abstractmethod
    def head(self, inputs: Inputs, layer: LayerChoice, objective: Objective) -> Head:
        """Cut the model at a layer, and run what comes before it once.

        Args:
            inputs: One image, checked by `check_inputs`, (1, ...).
            layer: Which layer, and which of its calls.
            question: What is asked.

        Returns:
            What follows the layer: a function of perturbations of its activations, (M, *space, K), to scores (M, T). What
            passes by the layer is what it was for the image.

        Raises:
            LayerError: As for `capture`; or what follows the layer cannot be run apart from the rest.
            ModelRunError, TargetError: As for `capture`.
        """

    def apply(self, method: Callable[[Capture], Tensor], capture: Capture) -> Tensor:
        """Make heatmaps (N, T, *space) of a capture, in the types its tensors have."""
        return method(capture)

    @abstractmethod
    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        """Copy a tensor to a NumPy array."""

    @abstractmethod
    def input_shape(self) -> Any:
        """Return the shape (N, ...) the model was built for, None for sizes or shapes that are left open.

        A list or dict of shapes where the model has several inputs.
        """

    def is_unscaled(self, inputs: Inputs) -> bool:
        """Whether a convolution is surely given `inputs` as they are; False where the model may scale them first."""
        return False

    def check_inputs(self, inputs: Any) -> Inputs:
        """Return `inputs` as float32 (N, ...), in the structure the model takes, or raise InputError."""
        return check_arrays(inputs, self.input_shape())

    def find_layer(self, layer: Any) -> LayerChoice:
        """Return what a caller means by a path, a name, a layer object, or "auto".

        A path or name may end in "#2" for the second call of a layer that is called more than once.

        Raises:
            LayerError: There is no such layer, or several of that name.
        """
        if not isinstance(layer, str):
            path = self.path_of(layer)
            if path is None:
                raise LayerError(f"The layer {layer!r} is not part of the model. Give one of its layers, or a name.")
            return LayerChoice(path)
        paths = self.layer_paths()
        if layer == AUTO or layer in paths:
            return LayerChoice(layer)
        name, _, number = layer.rpartition("#")
        if name and number.isdecimal():
            return LayerChoice(only_path(name, paths), int(number))
        return LayerChoice(only_path(layer, paths))


def _probabilities(outputs: Tensor, xp: Namespace) -> Tensor:
    """Return the softmax of plain logits; or the outputs where they are probabilities already, as a mean is."""
    total, least = xp.sum(outputs, axis=-1, keepdims=True), xp.min(outputs, axis=-1, keepdims=True)
    return xp.where((least >= 0) & (xp.abs(total - 1) < 1e-3), outputs, _softmax(outputs, xp))


def _softmax(logits: Tensor, xp: Namespace) -> Tensor:
    exponentials = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return exponentials / xp.sum(exponentials, axis=-1, keepdims=True)
