"""The sessions of one model, kept for later runs."""

from typing import final

from seewhy import timing
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.onnx.model import OnnxModel
from seewhy.frameworks.onnx.part import Part
from seewhy.frameworks.onnx.session import RunOptions, Session, SharedWeights
from seewhy.timing import Phase


@final
class Sessions:
    """Makes sessions of parts of a model, which share its weights; equal parts share a session."""

    def __init__(self, model: OnnxModel) -> None:
        self._options = RunOptions(tuple(model.providers), model.threads)
        self._weights = SharedWeights({tensor.name: tensor for tensor in model.proto.graph.initializer})
        self._sessions = CompiledCache()

    def get(self, part: Part) -> Session:
        """Return a session that runs a part."""
        names = (part.graph.version, tuple(part.inputs), tuple(part.outputs), len(part.extra_nodes))

        def create() -> Session:
            with timing.phase(Phase.COMPILING):
                return Session(part.model(), self._options, self._weights)

        session: Session = create() if part.extra_nodes else self._sessions.get(names, create)
        return session
