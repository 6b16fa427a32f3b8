"""The interface of every framework."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from numpy.typing import NDArray

from seewhy.errors import LayerError, ModelError
from seewhy.frameworks.detections import DetectorRunner
from seewhy.frameworks.device import Device
from seewhy.frameworks.evidence import Evidence
from seewhy.frameworks.export_settings import ExplainedModel, ExportSettings
from seewhy.frameworks.exported_graph import ExportedGraph
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.layers import AUTO, INPUT, LayerCall, LayerChoice, only_path
from seewhy.frameworks.model_inputs import ModelInputs
from seewhy.frameworks.model_layers import ModelLayers
from seewhy.frameworks.prompts import PromptClasses, TextTower
from seewhy.frameworks.stem import StemValues
from seewhy.frameworks.structures import (
    InputBatch,
    image_at,
    image_count,
)
from seewhy.frameworks.tokens import TokenFacts, token_facts
from seewhy.targets import Objective
from seewhy.types import (
    AttentionCapture,
    Capture,
    Derivatives,
    FloatArray,
    GradientRule,
    LayerSpec,
    Namespace,
    Precision,
    Tensor,
)

CaptureType = TypeVar("CaptureType", Capture, AttentionCapture)

Head = Callable[[NDArray[Any]], Tensor]
"""A model's head: from perturbations of one image's activations, (M, *space, K), to scores (M, T)."""

Scorer = Callable[[InputBatch], Tensor]
"""Runs a model on a batch that `check_inputs` checked, and returns the scores (N, T)."""

MAX_DIGITS = 9
"""The maximum number of digits of the number of a call, as in "relu#2"."""


class Framework(ModelInputs):
    """Runs a model in its framework. Subclasses are final.

    There is one instance per model and precision. It caches the functions that it compiles.
    """

    name: str
    xp: Namespace
    batch_size: int | None = None
    """The one number of images that the model takes at once; None where it takes any."""
    prompt_classes: PromptClasses | None = None
    """The prompts whose logits a model with a text tower gives for images; None for the embeddings of the images."""
    compiles_batch_size: bool = False
    """Whether what is compiled for one number of images has to be compiled again for another."""
    _model: Any
    _precision: Precision
    _model_layers: ModelLayers

    def __reduce__(self) -> tuple[type["Framework"], tuple[Any, Precision]]:
        """Copy and pickle the model and the precision; compiled functions are compiled again."""
        return type(self), (self._model, self._precision)

    @property
    def evidence(self) -> Evidence:
        """What runs of the model have shown about it, with the layers that it has now."""
        return self._model_layers.now().evidence

    @property
    def token_facts(self) -> TokenFacts:
        """What the layers that the model has now say about its tokens."""
        return token_facts([self._model, *self._model_layers.now().by_path.values()])

    @abstractmethod
    def layer_paths(self) -> tuple[str, ...]:
        """Return the path of every layer of the model, outer before inner."""

    @abstractmethod
    def path_of(self, layer: object) -> str | None:
        """Return the path of a layer object; None if it is not one of the model's layers."""

    @abstractmethod
    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        """Return the calls of all layers for inputs of this shape, in the order in which the calls return."""

    def own_calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        """Return the calls that are computed from the images that are explained: all, of a model with one input."""
        return self.calls(inputs)

    @abstractmethod
    def predict(self, inputs: InputBatch, output: int | str | None = None) -> Tensor | None:
        """Return the probabilities (N, C); None where the outputs are not class scores."""

    @abstractmethod
    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        """Run the model once with a tap on one layer, and leave the model unchanged.

        Args:
            inputs: Checked by `check_inputs`.
            layer: The layer, and which of its calls; `LayerChoice(INPUT)` taps the model's input.
            objective: What is differentiated.
            derivatives: What is computed besides the forward pass. With "closed_form", `Capture.closed_form` is None
                where the scores depend on more of the layer than its mean over space.
            gradient_rule: How gradients flow from the scores to the tap.

        Raises:
            MethodError: The rule is "guided", and the model has activations other than ReLUs.
            LayerError: The layer is not called, or its output is not one tensor with spatial positions.
            NoGradientError: The scores do not depend on the layer.
            ModelRunError: The model failed.
            TargetError: The model's outputs do not allow the target.
        """

    def scorer(self, objective: Objective) -> Scorer:
        """Return what scores many batches of perturbations of one image, without derivatives.

        What it finds in the first batch about the final activation holds for all of them: nobody changes the model
        while the image is explained.

        Args:
            objective: What the scores are; the same for all rows.

        Returns:
            A function that raises as `capture` does.
        """
        return lambda inputs: self.capture(inputs, LayerChoice(INPUT), objective, "none").scores

    @abstractmethod
    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        """Run the model once, with a tap on all of its attention maps, and leave the model unchanged.

        A map is a softmax over keys, of products of queries and keys, that values are multiplied with. It is found
        where it is computed, and fused attention is computed in steps; the outputs are unchanged up to rounding.
        Gradients are recorded from the first map on.

        Args:
            inputs: Checked by `check_inputs`.
            objective: What is differentiated.
            derivatives: "gradients" or "none".

        Raises:
            LayerError: The model computes no attention that can be captured.
            NoGradientError: The scores depend on none of the maps.
            ModelRunError: The model failed.
            TargetError: The model's outputs do not allow the target.
        """

    @abstractmethod
    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        """Return the shape (H, Lq, Lk) of each attention map, in the order in which the maps are computed.

        Maps within windows have more than three axes. Empty for a model that computes no attention, or none that can be
        captured; `capture_attention` then says why. Found in one run or trace of the model, and kept for inputs of this
        shape.

        Raises:
            ModelRunError: The model failed.
        """

    @abstractmethod
    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        """Return whether the values of each attention map but the first are computed from the map before it.

        Told from the flow of the data, so that maps of two branches, whose shapes may be the same, are not chained.
        Kept as `attention_shapes` is.

        Raises:
            ModelRunError: The model failed.
        """

    def untold_attention(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of attention maps that cannot be captured, as it is not known which input they are of."""
        return ()

    @abstractmethod
    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        """Run the trunk of the model once, and return the head.

        Args:
            inputs: One image, checked by `check_inputs`, (1, ...); of a model with a fixed batch size as many copies.
            layer: The layer, and which of its calls.
            objective: What the scores are.

        Returns:
            A function from perturbations of the layer's activations, (M, *space, K), to scores (M, T). Tensors that
            bypass the layer, such as a skip connection, keep the values of the image.

        Raises:
            LayerError: As for `capture`; or the head cannot be run apart from the trunk.
            ModelRunError, TargetError: As for `capture`.
        """

    def clamp(self, inputs: InputBatch, layer: LayerChoice, objective: Objective, activations: FloatArray) -> Tensor:
        """Return the scores of inputs where a layer returns other activations than it would.

        Args:
            inputs: Checked by `check_inputs`.
            layer: The layer, and which of its calls.
            objective: What the scores are; the same for all images.
            activations: (N, *space, K), what the layer returns.

        Returns:
            (N, T). They depend on an image only through what bypasses the layer.

        Raises:
            LayerError, ModelRunError, TargetError: As for `head`.
        """
        rows = [
            self.head(image_at(inputs, row), layer, objective)(activations[row : row + 1])
            for row in range(image_count(inputs))
        ]
        scores: Tensor = self.xp.concatenate(rows, axis=0)
        return scores

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]] | None:
        """Return the calls, by path and execution, that no differentiable path from the input to the scores bypasses.

        On TensorFlow and JAX, paths that have no derivative, as through a comparison or an argmax, count too. None
        where the framework has no graph that shows it, or where the input cannot be differentiated.

        Raises:
            ModelRunError: The model failed.
        """
        return None

    @abstractmethod
    def origins(self, inputs: InputBatch) -> Mapping[tuple[str, int], frozenset[int]]:
        """Return which inputs each call is computed from, by path and execution: their positions among `leaves`.

        A call of which that is not known is left out. Kept for inputs of this shape.

        Args:
            inputs: Several, checked by `check_inputs`.
        """

    @abstractmethod
    def moves_image(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> bool:
        """Whether the model may crop, pad, resize or mirror its input before the convolutions that precede a layer.

        Args:
            inputs: A batch of images, checked by `check_inputs`.
            layer: The layer, and which of its calls.
            leaf: Which of several inputs, by its position among `leaves`.
        """

    @abstractmethod
    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        """Return what the first convolutions that precede a layer receive; the arguments are those of `moves_image`.

        This runs the model up to there. If no convolution precedes the layer, the result is the layer's own output.
        """

    def explained_model(self, inputs: InputBatch, layer: LayerChoice, settings: ExportSettings) -> ExplainedModel:
        """Return an ONNX model that computes the scores of this model and their heatmaps.

        Args:
            inputs: Of the size for which it is exported.
            layer: The layer that is explained.
            settings: What it computes.

        Raises:
            ModelError: The model cannot be exported, or its output is not one score for each class.
            LayerError, MethodError, TargetError: The layer, the method or the number of targets does not allow it.
        """
        raise ModelError(f"A model of {self.name} cannot be exported to ONNX.")

    def move_to(self, device: Device) -> Any:
        """Have the model run on a device, before it first runs. This changes where its weights are.

        Returns:
            What takes the place of the model: of an ONNX model, a copy that says where it runs. None for others.

        Raises:
            OptionError: The framework does not find the device, or cannot run the model on it.
            ModelRunError: The memory of the device is too small.
        """
        raise NotImplementedError

    @abstractmethod
    def kernels(self) -> Kernels:
        """Return copies of the kernels and matrices of each layer, in the order of the layers."""

    @abstractmethod
    def with_kernels(self, kernels: Kernels) -> AbstractContextManager["Framework"]:
        """Run the model with other kernels for some of its layers, while the context is open.

        Args:
            kernels: In the form of what `kernels` returns, for some of the layers.

        Returns:
            A context of what runs the model then: this or another framework. When it is left, also by an exception, the
            model has its own kernels again, bit for bit.
        """

    def detector(self, inputs: InputBatch) -> DetectorRunner | None:
        """Return what runs the model as a detector; None if it does not return boxes with classes and scores.

        The model may run to find out.
        """
        return None

    def text_tower(self) -> TextTower | None:
        """Return what runs the text tower of a model with an image and a text tower; None for any other model.

        Such a model gives for images alone their embeddings, of length 1; or, where the attribute `prompt_classes` is
        set, the logits of those.
        """
        return None

    def apply(self, method: Callable[[CaptureType], Tensor], capture: CaptureType) -> Tensor:
        """Compute heatmaps (N, T, *space) from a capture, in the types of its tensors or of NumPy."""
        return method(capture)

    @abstractmethod
    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        """Copy a tensor to a NumPy array."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of the weights and the configuration, in hexadecimal; that of an equal model is the same."""

    def declared_labels(self) -> Mapping[Any, Any] | None:
        """Return the class names that the model itself holds, by index; None where it holds none."""
        return None

    def is_unscaled(self, inputs: InputBatch) -> bool:
        """Whether the first convolution receives `inputs` unscaled; False where that is uncertain."""
        return False

    def explaining(self, inputs: InputBatch) -> AbstractContextManager[None]:
        """Return a context of one explanation, in which nobody changes the model.

        What is looked up in every run, because a user may replace layers and weights, is looked up once within it where
        the model itself does not run, which might change it, too.
        """
        return nullcontext()

    def holding_layers(self) -> AbstractContextManager[None]:
        """Return a context in which the layers of the model are not looked up again, while nothing runs it."""
        return self._model_layers.held()

    def weights_version(self) -> Hashable:
        """Return what is different after weights or layers were changed or replaced, while it is kept."""
        raise NotImplementedError

    def export_onnx(self, inputs: InputBatch) -> ExportedGraph:
        """Return the model as an ONNX model that takes batches of any size, or of its own. The model is left as it was.

        Raises:
            ModelRunError: The model cannot be exported.
            MissingExtraError: What exports it is not installed.
        """
        raise NotImplementedError

    def find_layer(self, layer: LayerSpec) -> LayerChoice:
        """Find a layer by its path, its name or the layer object; "auto" is resolved when the model runs.

        A path or name may end in "#2", for the second call of a layer that the model calls several times.

        Raises:
            LayerError: No layer, or more than one, has that name.
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
        if name and number.isdecimal() and len(number) <= MAX_DIGITS:
            return LayerChoice(only_path(name, paths), int(number))
        return LayerChoice(only_path(layer, paths))
