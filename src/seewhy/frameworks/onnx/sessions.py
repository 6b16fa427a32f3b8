"""The sessions of one model, kept for later runs."""

from collections.abc import Mapping
from typing import Any, Protocol, final

from numpy.typing import NDArray

from seewhy import timing
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.onnx import session as onnx_runtime
from seewhy.frameworks.onnx.model import OnnxModel, threads_of_environment
from seewhy.frameworks.onnx.part import Part
from seewhy.frameworks.onnx.session import RunOptions, Session, SharedWeights
from seewhy.timing import Phase
from seewhy.types import Backend, Precision


class PartSession(Protocol):
    """A part of a model that a runtime runs."""

    outputs: list[str]

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the values of the part's outputs by name."""


@final
class Sessions:
    """Makes sessions of parts of a model, which share its weights; equal parts share a session.

    Args:
        model: The model.
        runtime: What runs it: "onnx" is ONNX Runtime.
        precision: The type in which OpenVINO computes.

    Attributes:
        failures: The exceptions of the runtime.
    """

    def __init__(self, model: OnnxModel, runtime: Backend = "onnx", precision: Precision = "float32") -> None:
        self._options = RunOptions(tuple(model.providers), model.threads or threads_of_environment())
        self._weights = SharedWeights({tensor.name: tensor for tensor in model.proto.graph.initializer})
        self._sessions = CompiledCache()
        self._runtime, self._precision = runtime, precision
        self.failures: tuple[type[Exception], ...] = onnx_runtime.FAILURES
        if runtime == "openvino":
            from seewhy.frameworks.onnx import openvino_session

            openvino_session.check_processor(precision)
            self.failures = openvino_session.FAILURES

    def get(self, part: Part) -> PartSession:
        """Return a session that runs a part."""
        names = (part.graph.version, tuple(part.inputs), tuple(part.outputs), len(part.extra_nodes))
        session: PartSession = (
            self._create(part) if part.extra_nodes else self._sessions.get(names, lambda: self._create(part))
        )
        return session

    def _create(self, part: Part) -> PartSession:
        with timing.phase(Phase.COMPILING):
            if self._runtime == "onnx":
                return Session(part.model(), self._options, self._weights)
            from seewhy.frameworks.onnx.openvino_session import OpenvinoSession

            return OpenvinoSession(part.model(), self._options, self._precision)
