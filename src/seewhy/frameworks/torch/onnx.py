"""Exporting a PyTorch module to ONNX.

The exporter that traces a module writes the module's path into the name of each value, by which layers are found again.
It is the one that needs no other package.
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from seewhy.frameworks.exported_graph import MAX_REASON, export_error
from seewhy.frameworks.structures import InputBatch, leaves
from seewhy.frameworks.torch.failures import FAILURES
from seewhy.frameworks.torch.private_api import without_exporter_log
from seewhy.frameworks.torch.restore import preserve_state
from seewhy.frameworks.torch.value_reads import check_value_reads
from seewhy.types import NativeTensor

OPSET = 17


def input_names(inputs: InputBatch) -> list[str]:
    """Return the names of the inputs of an exported model, in the order of `leaves`."""
    return [f"input {number}" for number in range(1, len(leaves(inputs)) + 1)]


def export(module: torch.nn.Module, inputs: InputBatch, names: Sequence[str], *, takes_any_batch: bool = True) -> bytes:
    """Return a module as an ONNX model. The module is left as it was.

    Args:
        module: The module.
        inputs: What it is called with: a tensor, a list of positional arguments, or a dict of arguments.
        names: The names of the inputs.
        takes_any_batch: Whether the model takes batches of any size; else only of the size of `inputs`.

    Raises:
        ModelRunError: The exporter does not know an operation of the module; or Python reads values that the module
            computes, so that it may do other things for another input.
    """
    file: Any = io.BytesIO()  # which the exporter's annotations leave out
    is_training = [(part, part.training) for part in module.modules()]
    with preserve_state(module), _quiet_exporter() as warned, torch.no_grad():
        try:
            torch.onnx.export(
                module,
                tuple(inputs) if isinstance(inputs, list) else () if isinstance(inputs, dict) else (inputs,),
                file,
                kwargs=inputs if isinstance(inputs, dict) else None,
                input_names=[*names],
                dynamic_axes={name: {0: "images"} for name in names} if takes_any_batch else None,
                opset_version=OPSET,
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=True,
                dynamo=False,
            )
        except (*FAILURES, torch.onnx.errors.OnnxExporterError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise export_error(lines[0].partition("[Caused by")[0][:MAX_REASON]) from error
        finally:
            for part, mode in is_training:
                part.training = mode
    if any(issubclass(warning.category, torch.jit.TracerWarning) for warning in warned):  # type: ignore[attr-defined]
        check_value_reads(module, inputs, takes_any_batch=takes_any_batch)
    content: bytes = file.getvalue()
    return content


class PlainTrace(TorchFunctionMode):
    """Keeps out of a trace what nothing computes.

    A conversion to the type that a tensor has returns the tensor itself, and a trace would read another value from
    there on. Sizes would be computed values, with which a layer normalization cannot be exported.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.to and _is_unchanged(args[0], [*args[1:], *kwargs.values()]):
            return args[0]
        if func is torch.nn.functional.layer_norm and len(args) > 1:
            args = (args[0], [int(size) for size in args[1]], *args[2:])
        elif func is torch.nn.functional.layer_norm and "normalized_shape" in kwargs:
            kwargs = kwargs | {"normalized_shape": [int(size) for size in kwargs["normalized_shape"]]}
        return func(*args, **kwargs)


def _is_unchanged(tensor: NativeTensor, wanted: Sequence[Any]) -> bool:
    """Whether a tensor has the types and devices that it is converted to, with no other conversion."""
    kinds = {torch.dtype: tensor.dtype, torch.device: tensor.device, str: str(tensor.device), type(None): None}
    return all(value is False or (type(value) in kinds and value == kinds[type(value)]) for value in wanted)


class FunctionModule(torch.nn.Module):
    """A function of a model as a module, which is what the exporter takes.

    Args:
        model: The model, whose parameters it has.
        function: From tensors to tensors.
    """

    def __init__(self, model: torch.nn.Module, function: Callable[..., tuple[NativeTensor, ...]]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *tensors: NativeTensor) -> tuple[NativeTensor, ...]:
        """Call the function."""
        return self.function(*tensors)


@contextmanager
def _quiet_exporter() -> Iterator[list[warnings.WarningMessage]]:
    """Hide what the exporter says of itself, and let it export transformers, whose fast path has no equivalent.

    Yields:
        The warnings, which are not shown.
    """
    logger = logging.getLogger("torch.onnx")
    level, is_fast = logger.level, torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(record=True) as warned, without_exporter_log(), PlainTrace():
        warnings.simplefilter("always")
        logger.setLevel(logging.ERROR)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield warned
        finally:
            logger.setLevel(level)
            torch.backends.mha.set_fastpath_enabled(is_fast)
