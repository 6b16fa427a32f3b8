"""Exporting a PyTorch module to ONNX.

The exporter that traces a module writes the module's path into the name of each value, by which layers are found again.
It is the one that needs no other package.
"""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from seewhy.errors import ModelRunError
from seewhy.frameworks.torch.failures import FAILURES
from seewhy.frameworks.torch.restore import preserve_state
from seewhy.types import NativeTensor

OPSET = 17


def export(module: torch.nn.Module, inputs: Sequence[NativeTensor]) -> bytes:
    """Return a module as an ONNX model, which takes batches of any size. The module is left as it was.

    Args:
        module: The module.
        inputs: What it is called with.

    Raises:
        ModelRunError: The exporter does not know an operation of the module.
    """
    file: Any = io.BytesIO()  # which the exporter's annotations leave out
    names = [f"input {number}" for number in range(1, len(inputs) + 1)]
    is_training = [(part, part.training) for part in module.modules()]
    with preserve_state(module), _quiet_exporter(), torch.no_grad():
        try:
            torch.onnx.export(
                module,
                tuple(inputs),
                file,
                input_names=names,
                dynamic_axes={name: {0: "images"} for name in names},
                opset_version=OPSET,
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=True,
                dynamo=False,
            )
        except (*FAILURES, torch.onnx.errors.OnnxExporterError) as error:
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise ModelRunError(
                f"The model cannot be exported to ONNX: {reason}. Leave out backend, and it runs in PyTorch."
            ) from error
        finally:
            for part, mode in is_training:
                part.training = mode
    content: bytes = file.getvalue()
    return content


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hide what the exporter says of itself, and let it export transformers, whose fast path has no equivalent."""
    logger = logging.getLogger("torch.onnx")
    level, is_fast = logger.level, torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            logger.setLevel(level)
            torch.backends.mha.set_fastpath_enabled(is_fast)
