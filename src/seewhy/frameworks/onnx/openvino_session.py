"""Sessions of OpenVINO: parts of a model, compiled for the processor."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray

from seewhy.errors import OptionError
from seewhy.frameworks.onnx.session import RunOptions
from seewhy.threads import ForkSafeLock
from seewhy.types import Precision

FAILURES = (RuntimeError, TypeError, ValueError)
"""The exceptions of OpenVINO."""

DEVICE = "CPU"

MAX_STATIC = 2
"""For so many shapes of its inputs a part is compiled on its own, which is faster; all others share one program."""

TYPES = {"float32": "f32", "bfloat16": "bf16"}
"""OpenVINO's names of the types in which it may compute. By default it takes bfloat16 where the processor has it."""


def check_processor(precision: Precision) -> None:
    """Raise OptionError where the processor has no instructions for bfloat16."""
    if precision == "bfloat16" and "BF16" not in openvino.Core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES"):
        raise OptionError(
            "precision='bfloat16' with backend='openvino' needs a processor with instructions for bfloat16 "
            "(AVX512_BF16 or AMX), which this one has not. Leave it out."
        )


@final
class _Program:
    """A compiled part. Each thread that runs it has a request of its own."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._requests: list[Any] = []

    def run(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            request = self._requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        results = request.infer(inputs, share_inputs=True)
        values = [np.array(results[number]) for number in range(len(self._compiled.outputs))]
        self._requests.append(request)
        return values


@final
class OpenvinoSession:
    """A part of a model that OpenVINO runs.

    Args:
        model: The part.
        options: How it is run; OpenVINO knows no execution providers.
        precision: The type in which it computes; what it is given and returns is in the types of the model.
    """

    def __init__(self, model: onnx.ModelProto, options: RunOptions, precision: Precision = "float32") -> None:
        self.outputs = [value.name for value in model.graph.output]
        self._core = openvino.Core()
        self._config = {"INFERENCE_PRECISION_HINT": TYPES[precision], "PERFORMANCE_HINT": "LATENCY"}
        if options.threads is not None:
            self._config["INFERENCE_NUM_THREADS"] = str(options.threads)
        self._model = self._core.read_model(io.BytesIO(model.SerializeToString()))
        # Without those that no output is computed from, which OpenVINO drops.
        self._inputs = [value.get_any_name() for value in self._model.inputs]
        self._programs: dict[tuple[tuple[int, ...], ...], _Program] = {}
        self._open: list[list[int]] = []
        self._shared: _Program | None = None
        self._lock = ForkSafeLock()

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the values of the part's outputs by name."""
        given = [np.ascontiguousarray(inputs[name]) for name in self._inputs]
        values = self._program(tuple(array.shape for array in given)).run(given)
        return dict(zip(self.outputs, values, strict=True))

    def _program(self, shapes: tuple[tuple[int, ...], ...]) -> _Program:
        with self._lock.lock:
            if shapes in self._programs:
                return self._programs[shapes]
            if len(self._programs) < MAX_STATIC:
                self._programs[shapes] = self._compiled([list(shape) for shape in shapes])
                return self._programs[shapes]
            wanted = _opened([*self._programs, self._open or shapes, shapes])
            if self._shared is None or wanted != self._open:
                self._open, self._shared = wanted, self._compiled(wanted)
            return self._shared

    def _compiled(self, shapes: list[list[int]]) -> _Program:
        """Compile the part for inputs of these shapes; -1 stands for any size."""
        model = self._model.clone()
        model.reshape(dict(enumerate(shapes)))
        return _Program(self._core.compile_model(model, DEVICE, self._config))


def _opened(known: Sequence[Sequence[Sequence[int]]]) -> list[list[int]]:
    """Return shapes of the inputs that all the known ones fit, with -1 for sizes that differ."""
    by_input = zip(*known, strict=True)
    return [[sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*shapes, strict=True)] for shapes in by_input]
