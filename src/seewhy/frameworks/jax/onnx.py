"""Exporting what a Keras model computes on JAX to ONNX."""

import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from seewhy.errors import MissingExtraError

OPSET = 18


def export(
    function: Callable[..., Any], arrays: Sequence[Any], batch_size: int | None = None
) -> tuple[bytes, list[str]]:
    """Return a function as an ONNX model, and the names of its inputs.

    Args:
        function: From arrays to a list of arrays.
        arrays: Examples of the arrays.
        batch_size: The number of images that it takes; None for any.

    Raises:
        MissingExtraError: jax2onnx is not installed.
    """
    try:
        converter = importlib.import_module("jax2onnx")
    except ModuleNotFoundError as error:
        raise MissingExtraError("For backend='onnx' and Keras on JAX, jax2onnx", "onnx-jax") from error
    names = [f"input {number}" for number in range(1, len(arrays) + 1)]
    images = "images" if batch_size is None else batch_size
    specs = [jax.ShapeDtypeStruct((images, *array.shape[1:]), np.dtype(array.dtype)) for array in arrays]
    with _quiet_converter():
        proto = converter.to_onnx(function, inputs=specs, opset=OPSET, input_names=names)
    return proto.SerializeToString(), names


@contextmanager
def _quiet_converter() -> Iterator[None]:
    """Hide what the converter says of itself, which it says to the root logger."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
