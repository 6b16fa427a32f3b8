"""A model of a framework, exported and run by another runtime: `Explainer(model, backend="onnx")`.

The runtime computes what is costly: predictions, captures, heads. What is looked up once, such as the layers, their
order, and attention maps, the framework tells. The first capture at each layer is compared with the framework's.
"""

import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError, ModelError, OptionError, warn
from seewhy.frameworks.base import CaptureType, Framework, Head
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.export_settings import ExplainedModel, ExportSettings
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.layers import INPUT, INPUT_CALL, LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.structures import InputBatch, leaves, shape_key
from seewhy.frameworks.wrapper import SameInputsWrapper
from seewhy.targets import Objective
from seewhy.types import Backend, Capture, Derivatives, GradientRule, NativeTensor, Precision, Tensor

_logger = logging.getLogger("seewhy.frameworks")

TOLERANCE = 1e-3
"""How far what is captured may deviate from the framework, relative to the largest value."""

COMPARED = ("activations", "scores", "gradients", "closed_form")


class Runtime(NamedTuple):
    """An exported model.

    Attributes:
        framework: Runs it.
        inputs: The names of its inputs, in the order of `leaves`.
        values: The name of the value that each call of a layer returns, by its path and the number of its execution.
        compared: The captures that were compared with the framework's.
    """

    framework: Framework
    inputs: Sequence[str]
    values: Mapping[tuple[str, int], str]
    compared: set[Hashable]

    def given(self, inputs: InputBatch) -> InputBatch:
        """Return the inputs of a model as those of the exported one."""
        arrays = leaves(inputs)
        return arrays[0] if len(arrays) == 1 else dict(zip(self.inputs, arrays, strict=True))


@final
class Exported(SameInputsWrapper):
    """Runs the model of a framework in ONNX Runtime or OpenVINO.

    Args:
        framework: Runs the model.
        runtime: What runs it instead: "onnx" is ONNX Runtime.
        precision: In which type.
    """

    def __init__(self, framework: Framework, runtime: Backend, precision: Precision = "float32") -> None:
        from seewhy.frameworks import array_namespace

        super().__init__(framework)
        self._on, self._precision = runtime, precision
        self.name = f"{framework.name} on {runtime}"
        self.xp = array_namespace
        self.compiles_batch_size = False
        self._exported = CompiledCache()
        self._held = threading.local()

    def __reduce__(self) -> tuple[type["Exported"], tuple[Any, ...]]:
        return type(self), (self._framework, self._on, self._precision)

    @contextmanager
    def explaining(self, inputs: InputBatch) -> Iterator[None]:
        """Look up layers and weights once, where they were exported: the framework then has run them before."""
        with ExitStack() as held:
            held.enter_context(self._framework.holding_layers())
            version = self._weights_version()
            if (shape_key(inputs), version) in self._exported:
                held.callback(setattr, self._held, "version", getattr(self._held, "version", None))
                self._held.version = version
            else:
                held.close()
            yield

    def detector(self, inputs: InputBatch) -> None:
        """Return None, as the model is no detector.

        Raises:
            OptionError: It is one.
        """
        if self._framework.detector(inputs) is not None:
            raise OptionError(
                f"backend={self._on!r} cannot run a detector: how many boxes it finds depends on the image, and an "
                "exported model does not tell which candidate a box was made of. Leave out backend."
            )

    @contextmanager
    def with_kernels(self, kernels: Kernels) -> Iterator[Framework]:
        with self._framework.with_kernels(kernels) as framework:  # a copy, of a model of ONNX
            yield Exported(framework, self._on, self._precision)  # its exports have these kernels

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        return tensor if isinstance(tensor, np.ndarray) else self._framework.to_numpy(tensor)

    def apply(self, method: Callable[[CaptureType], Tensor], capture: CaptureType) -> Tensor:
        return method(capture) if capture.xp is self.xp else self._framework.apply(method, capture)

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> Tensor | None:
        runtime = self._runtime(inputs)
        return runtime.framework.predict(runtime.given(inputs), output)

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
        found = runtime.framework.capture(runtime.given(inputs), value, objective, derivatives, gradient_rule)
        key = (value, objective.key, derivatives, gradient_rule)
        if key not in runtime.compared:
            self._compare(found, self._framework.capture(inputs, layer, objective, derivatives, gradient_rule))
            runtime.compared.add(key)
        return replace(found, layer=layer.named(call))

    def explained_model(self, inputs: InputBatch, layer: LayerChoice, settings: ExportSettings) -> ExplainedModel:
        from seewhy.frameworks.onnx.export_graph import with_input_names

        runtime = self._runtime(inputs)
        value = self._value(runtime, inputs, self._call(inputs, layer))
        return with_input_names(runtime.framework.explained_model(runtime.given(inputs), value, settings))

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        runtime = self._runtime(inputs)
        value = self._value(runtime, inputs, self._call(inputs, layer))
        return runtime.framework.head(runtime.given(inputs), value, objective)

    def _call(self, inputs: InputBatch, layer: LayerChoice) -> LayerCall:
        if layer.is_input:
            return replace(INPUT_CALL, number=layer.leaf + 1, execution=layer.leaf + 1)
        return check_tapped(layer, self.calls(inputs))

    def _value(self, runtime: Runtime, inputs: InputBatch, call: LayerCall) -> LayerChoice:
        """Return the value of the exported model that a call of a layer returns."""
        if call.path == INPUT:
            return LayerChoice(INPUT, call.number)
        value = runtime.values.get((call.path, call.execution))
        if value is None:
            is_shared = sum(other.path == call.path for other in self.calls(inputs)) > 1
            raise LayerError(
                f"The layer {call.path!r} cannot be explained with backend={self._on!r}: in the exported model, "
                f"{'its calls cannot be told apart' if is_shared else 'no operation of it is left'}. Name another "
                "layer, or leave out backend."
            )
        return LayerChoice(value)

    def _compare(self, found: Capture, wanted: Capture) -> None:
        """Raise ModelError where the runtime's capture is not the framework's; in another type, warn of how far."""
        pairs = {name: (getattr(found, name), getattr(wanted, name)) for name in COMPARED}
        deviations = {
            name: self._deviation(*pair) for name, pair in pairs.items() if not any(each is None for each in pair)
        }
        most = max(deviations, key=lambda name: deviations[name])
        if deviations[most] <= TOLERANCE:
            return
        if self._precision != "float32" and np.isfinite(deviations[most]):
            errors = ", ".join(f"{name} by {deviation:.1e}" for name, deviation in deviations.items())
            warn(
                f"With precision={self._precision!r} and backend={self._on!r}, what is captured at the layer "
                f"{wanted.layer!r} deviates from float32, in shares of the largest value: {errors}."
            )
            return
        share = (
            f"by {deviations[most]:.1e} of the largest value"
            if np.isfinite(deviations[most])
            else "in shape or are no numbers"
        )
        raise ModelError(
            f"The exported model deviates from the framework: the {most} of the layer {wanted.layer!r} differ {share}; "
            f"up to {TOLERANCE:g} is expected. Leave out backend."
        )

    def _deviation(self, found: Tensor, wanted: Tensor) -> float:
        """Return the largest deviation as a share of the largest value; infinity for another shape or no number."""
        ours, theirs = (np.asarray(self.to_numpy(tensor), np.float64) for tensor in (found, wanted))
        if ours.shape != theirs.shape or not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
            return float("inf")
        ours, theirs = (np.where(np.isfinite(theirs), array, 0.0) for array in (ours, theirs))
        deviation, largest = (float(np.max(np.abs(array), initial=0.0)) for array in (ours - theirs, theirs))
        return 0.0 if not deviation else deviation / largest if largest else float("inf")

    def _runtime(self, inputs: InputBatch) -> Runtime:
        """Return the exported model, exported anew for inputs of another shape and after weights were changed."""

        def export() -> Runtime:
            from seewhy.frameworks.onnx.exported_layers import exported_layers, in_runtime
            from seewhy.frameworks.onnx.framework import Onnx

            _logger.info("a model of %s is exported, to run in %s", self._framework.name, self._on)
            calls, options = self.calls(inputs), (self._on, self._precision)
            if isinstance(self._framework, Onnx):
                return Runtime(*in_runtime(self._framework, calls, *options), set())
            return Runtime(*exported_layers(self._framework.export_onnx(inputs), calls, *options), set())

        runtime: Runtime = self._exported.get((shape_key(inputs), self._weights_version()), export)
        return runtime

    def _weights_version(self) -> Hashable:
        held: Hashable = getattr(self._held, "version", None)
        if held is not None or self._framework.name == "onnx":
            return held
        return self._framework.weights_version()
