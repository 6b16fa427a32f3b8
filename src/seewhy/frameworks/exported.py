"""A model of a framework, exported and run by another runtime: `Explainer(model, backend="onnx")`.

The runtime computes what is costly: predictions, captures, heads. What is looked up once, such as the layers, their
order, and attention maps, the framework tells. The first capture at each layer is compared with the framework's.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError, ModelError, OptionError
from seewhy.frameworks.base import CaptureType, Framework, Head
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.evidence import Evidence
from seewhy.frameworks.layers import INPUT_CALL, LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.stem import StemValues
from seewhy.frameworks.structures import InputBatch, InputSpec, shape_key
from seewhy.frameworks.tokens import TokenFacts
from seewhy.targets import Objective
from seewhy.types import AttentionCapture, Capture, Derivatives, GradientRule, NativeTensor, Tensor

TOLERANCE = 1e-3
"""How far what is captured may deviate from the framework, relative to the largest value."""

COMPARED = ("activations", "scores", "gradients", "closed_form")


class Runtime(NamedTuple):
    """An exported model.

    Attributes:
        framework: Runs it.
        values: The name of the value that each module returns, by the module's path.
    """

    framework: Framework
    values: Mapping[str, str]


@final
class Exported(Framework):
    """Runs a PyTorch module in ONNX Runtime.

    Args:
        framework: Runs the module in PyTorch: `frameworks.torch.framework.Torch`.

    Raises:
        OptionError: The framework is not native PyTorch.
        MissingExtraError: ONNX Runtime is not installed.
    """

    def __init__(self, framework: Any) -> None:
        if framework.name != "torch":
            raise OptionError(
                f"backend='onnx' runs PyTorch modules in ONNX Runtime, and this is a model of {framework.name}. Leave "
                "it out."
            )
        from seewhy.frameworks.onnx import array_namespace

        self._framework: Framework = framework
        self._source = framework
        self.name = "torch on onnx"
        self.xp = array_namespace
        self._exported = CompiledCache()
        self._compared: set[Hashable] = set()

    def __reduce__(self) -> tuple[type["Exported"], tuple[Framework]]:  # type: ignore[override]
        return type(self), (self._framework,)

    @property
    def evidence(self) -> Evidence:
        return self._framework.evidence

    @property
    def token_facts(self) -> TokenFacts:
        return self._framework.token_facts

    @property
    def channels_first(self) -> bool:
        return self._framework.channels_first

    def layer_paths(self) -> tuple[str, ...]:
        return self._framework.layer_paths()

    def path_of(self, layer: object) -> str | None:
        return self._framework.path_of(layer)

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        return self._framework.calls(inputs)

    def input_shape(self) -> Any:
        return self._framework.input_shape()

    def fingerprint(self) -> str:
        return self._framework.fingerprint()

    def declared_size(self) -> tuple[int, int] | None:
        return self._framework.declared_size()

    def declared_labels(self) -> Mapping[Any, Any] | None:
        return self._framework.declared_labels()

    def is_unscaled(self, inputs: InputBatch) -> bool:
        return self._framework.is_unscaled(inputs)

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        return self._framework.check_inputs(inputs)

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]] | None:
        return self._framework.carrying_calls(inputs, objective)

    def moves_image(self, inputs: InputBatch, layer: LayerChoice) -> bool:
        return self._framework.moves_image(inputs, layer)

    def stem_values(self, inputs: InputBatch, layer: LayerChoice) -> list[StemValues]:
        return self._framework.stem_values(inputs, layer)

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        return self._framework.capture_attention(inputs, objective, derivatives)

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        return self._framework.attention_shapes(inputs)

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        return tensor if isinstance(tensor, np.ndarray) else self._framework.to_numpy(tensor)

    def apply(self, method: Callable[[CaptureType], Tensor], capture: CaptureType) -> Tensor:
        return method(capture) if capture.xp is self.xp else self._framework.apply(method, capture)

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> Tensor | None:
        return self._runtime(inputs).framework.predict(inputs, output)

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        runtime, call = self._runtime(inputs), self._call(inputs, layer)
        value = self._value(runtime, inputs, call)
        found = runtime.framework.capture(inputs, value, objective, derivatives, gradient_rule)
        key = (id(runtime.framework), value, objective.key, derivatives, gradient_rule)
        if key not in self._compared:
            self._compare(found, self._framework.capture(inputs, layer, objective, derivatives, gradient_rule))
            self._compared.add(key)
        return replace(found, layer=layer.named(call))

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        runtime = self._runtime(inputs)
        return runtime.framework.head(inputs, self._value(runtime, inputs, self._call(inputs, layer)), objective)

    def _call(self, inputs: InputBatch, layer: LayerChoice) -> LayerCall:
        return INPUT_CALL if layer.is_input else check_tapped(layer, self.calls(inputs))

    def _value(self, runtime: Runtime, inputs: InputBatch, call: LayerCall) -> LayerChoice:
        """Return the value of the exported model that a call of a layer returns."""
        if call is INPUT_CALL:
            return LayerChoice(call.path)
        value = runtime.values.get(call.path)
        is_last = all(other.number <= call.number for other in self.calls(inputs) if other.path == call.path)
        if value is None or not is_last:
            which = "only the last call of a layer has a name" if value is not None else "no operation of it is left"
            raise LayerError(
                f"The layer {call.path!r} cannot be explained with backend='onnx': in the exported model, {which}. "
                "Name another layer, or leave out backend."
            )
        return LayerChoice(value)

    def _compare(self, found: Capture, wanted: Capture) -> None:
        """Raise ModelError where the runtime's capture is not the framework's."""
        for name in COMPARED:
            pair = getattr(found, name), getattr(wanted, name)
            if pair[0] is None or pair[1] is None:
                continue
            ours, theirs = (np.asarray(self.to_numpy(tensor), np.float64) for tensor in pair)
            largest = float(np.max(np.abs(theirs), initial=0.0))
            is_alike = ours.shape == theirs.shape
            deviation = float(np.max(np.abs(ours - theirs), initial=0.0)) if is_alike else np.inf
            if deviation > TOLERANCE * largest:
                share = f"by {deviation / largest:.1e} of the largest value" if is_alike and largest else "in shape"
                raise ModelError(
                    f"The exported model deviates from PyTorch: the {name} of the layer {wanted.layer!r} differ "
                    f"{share}; up to {TOLERANCE:g} is expected. Leave out backend."
                )

    def _runtime(self, inputs: InputBatch) -> Runtime:
        """Return the exported model, exported anew for inputs of another shape and after weights were changed."""

        def export() -> Runtime:
            from seewhy.frameworks.onnx.module_paths import exported_framework

            return Runtime(*exported_framework(self._source.export_onnx(inputs)))

        runtime: Runtime = self._exported.get((shape_key(inputs), self._source.weights_version()), export)
        return runtime
