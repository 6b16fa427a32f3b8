"""Sessions of ONNX Runtime: parts of a model that can be run."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

FAILURES: tuple[type[Exception], ...] = tuple(
    kind
    for kind in vars(states).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == states.__name__
)
"""The exceptions of ONNX Runtime, which have no base class of their own, and which its public modules do not name."""

FEWEST_SHARED = 2**16
"""Weights of at least as many values are shared by all sessions of a model, and not copied into each."""

FATAL_ONLY = 4


class RunOptions(NamedTuple):
    """How a model is run.

    Attributes:
        providers: The execution providers of ONNX Runtime, the first choice first.
        threads: The number of threads; None for one a core.
    """

    providers: Sequence[str]
    threads: int | None


@final
class Session:
    """A session of ONNX Runtime.

    Args:
        model: What it runs. Its large initializers are replaced by references to `weights`.
        options: How it is run.
        weights: The large initializers of the model, shared with other sessions.
    """

    def __init__(self, model: onnx.ModelProto, options: RunOptions, weights: "SharedWeights") -> None:
        session_options = onnxruntime.SessionOptions()
        session_options.log_severity_level = FATAL_ONLY  # failures are exceptions, and the rest is of no use to users
        # The threads of one session would else wait in a loop, on the cores on which those of another compute.
        session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if options.threads is not None:
            session_options.intra_op_num_threads = options.threads
        self._shared = weights.share(model, session_options)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), session_options, providers=list(options.providers)
        )
        self.outputs = [value.name for value in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the values of the session's outputs by name."""
        values = self._session.run(self.outputs, dict(inputs))
        return dict(zip(self.outputs, values, strict=True))


@final
class SharedWeights:
    """The large initializers of a model, in memory once for all of its sessions.

    Args:
        initializers: The initializers by name.
    """

    def __init__(self, initializers: Mapping[str, onnx.TensorProto]) -> None:
        self._initializers = initializers
        self._values: dict[str, onnxruntime.OrtValue] = {}

    def share(self, model: onnx.ModelProto, options: onnxruntime.SessionOptions) -> list[onnxruntime.OrtValue]:
        """Replace large initializers of a model by references, and return what they refer to."""
        shared = [tensor for tensor in model.graph.initializer if self._is_large(tensor)]
        values = [self._value(tensor.name) for tensor in shared]
        for tensor in shared:
            tensor.CopyFrom(_reference(tensor))
        if values:
            options.add_external_initializers([tensor.name for tensor in shared], values)
        return values

    def _is_large(self, tensor: onnx.TensorProto) -> bool:
        return tensor.name in self._initializers and int(np.prod(tensor.dims, dtype=np.int64)) >= FEWEST_SHARED

    def _value(self, name: str) -> onnxruntime.OrtValue:
        if name not in self._values:
            array = np.array(onnx.numpy_helper.to_array(self._initializers[name]))
            self._values[name] = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        return self._values[name]


def _reference(tensor: onnx.TensorProto) -> onnx.TensorProto:
    reference = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    reference.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "shared"), ("offset", "0")):
        reference.external_data.add(key=key, value=value)
    return reference
