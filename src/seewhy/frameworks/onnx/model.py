"""An ONNX model as it is given to a `Classifier`: its graph and weights, and how ONNX Runtime runs it."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

from seewhy.errors import ModelError, OptionError, short_repr
from seewhy.frameworks.onnx.tensors import model_tensors
from seewhy.representation import call_repr

if TYPE_CHECKING:
    import onnx

DEFAULT_PROVIDERS = ("CPUExecutionProvider",)

MAX_THREADS = 1024
"""More are not those of a machine."""


@final
class OnnxModel:
    """An ONNX model with the options of ONNX Runtime that concern it.

    `seewhy.load("model.onnx")` reads a file and returns a `Classifier` of such a model. A model in memory is given as
    `seewhy.Classifier(seewhy.OnnxModel(proto))`.

    Args:
        proto: The model, with its weights: `onnx.load` also reads those that are in other files. It is not changed, and
            must not be changed by others. Functions in it are inlined, and an opset before 11 is converted to 13.
        name: The model's name in messages and figures; "" for that of its graph.
        providers: The execution providers of ONNX Runtime, the preferred one first.
        threads: The number of threads that run an operator; None for the environment variable OMP_NUM_THREADS, and
            without it for ONNX Runtime's choice, the number of cores.

    Attributes:
        metadata: The metadata of the model, from key to text.

    Raises:
        ModelError: `proto` is not a model, contains what cannot be explained, or has weights in other files.
        OptionError: `providers` are not names, or `threads` is not a positive number.
    """

    def __init__(
        self,
        proto: "onnx.ModelProto",
        *,
        name: str = "",
        providers: Sequence[str] = DEFAULT_PROVIDERS,
        threads: int | None = None,
    ) -> None:
        checked = _checked_proto(proto)
        self.name = name or proto.graph.name or "model"
        from seewhy.frameworks.onnx.versions import prepare  # which imports onnx

        self.proto = prepare(checked, f"The ONNX model {short_repr(self.name)}")
        self.providers = check_providers(providers)
        self.threads = check_threads(threads)
        self.metadata: dict[str, str] = {entry.key: entry.value for entry in proto.metadata_props}

    @property
    def has_fixed_size(self) -> bool:
        """Whether the graph says the size of its inputs, but for that of the batch."""
        weights = {tensor.name for tensor in self.proto.graph.initializer}
        shapes = [value.type.tensor_type.shape.dim for value in self.proto.graph.input if value.name not in weights]
        return all(side.dim_value > 0 for shape in shapes for side in shape[1:])

    def __repr__(self) -> str:
        return call_repr("OnnxModel", {"name": self.name, "providers": list(self.providers), "threads": self.threads})


def check_providers(providers: Sequence[str]) -> tuple[str, ...]:
    """Return the names of execution providers as a tuple.

    Raises:
        OptionError: They are not a sequence of one or more names.
    """
    is_sequence = isinstance(providers, (list, tuple)) and len(providers) > 0
    if not is_sequence or not all(isinstance(name, str) and name for name in providers):
        raise OptionError(
            f"providers is {short_repr(providers)}; expected a list of names of execution providers of ONNX Runtime, "
            "such as ['CUDAExecutionProvider', 'CPUExecutionProvider']."
        )
    return tuple(providers)


def check_threads(threads: int | None) -> int | None:
    """Return a number of threads.

    Raises:
        OptionError: It is neither None nor a positive integer.
    """
    if threads is not None and (type(threads) is not int or threads < 1):
        raise OptionError(f"threads is {short_repr(threads)}; expected a number of threads from 1, or None.")
    return threads


def threads_of_environment() -> int | None:
    """Return the number of threads that OMP_NUM_THREADS allows; None if it is not set.

    NumPy and PyTorch obey it, and ONNX Runtime by itself does not: of several processes on a machine, each would have a
    thread for every core.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and 1 <= int(first) <= MAX_THREADS else None


def _checked_proto(proto: Any) -> "onnx.ModelProto":
    onnx = sys.modules.get("onnx")
    if onnx is None or not isinstance(proto, onnx.ModelProto):
        raise ModelError(
            f"OnnxModel was given {short_repr(proto)}; expected an onnx.ModelProto, such as onnx.load returns. A file "
            "is loaded with seewhy.load('model.onnx')."
        )
    for tensor in model_tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelError(
                f"The weights {short_repr(tensor.name)} of the ONNX model are in another file, and were not read. Load "
                "the model with seewhy.load('model.onnx') or onnx.load('model.onnx'), which read them."
            )
    return proto
