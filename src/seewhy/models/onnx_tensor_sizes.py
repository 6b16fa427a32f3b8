"""The tensors that an ONNX model holds: their types, and whether they have as many data as their shapes say."""

import math
from pathlib import Path
from typing import Any

from onnx import TensorProto

from seewhy.errors import ModelError, short_repr
from seewhy.frameworks.onnx.support import type_name

BITS = {
    TensorProto.FLOAT: 32,
    TensorProto.UINT8: 8,
    TensorProto.INT8: 8,
    TensorProto.UINT16: 16,
    TensorProto.INT16: 16,
    TensorProto.INT32: 32,
    TensorProto.INT64: 64,
    TensorProto.BOOL: 8,
    TensorProto.FLOAT16: 16,
    TensorProto.DOUBLE: 64,
    TensorProto.UINT32: 32,
    TensorProto.UINT64: 64,
    TensorProto.BFLOAT16: 16,
    TensorProto.FLOAT8E4M3FN: 8,
    TensorProto.FLOAT8E4M3FNUZ: 8,
    TensorProto.FLOAT8E5M2: 8,
    TensorProto.FLOAT8E5M2FNUZ: 8,
    TensorProto.UINT4: 4,
    TensorProto.INT4: 4,
}
"""The types of weights, and the bits of a number. Texts and complex numbers are not among them."""

COPIED_BYTES, HEADER_BYTES = 2**20, 4096
"""Data of more bytes than the first are not copied to be counted; names and shapes have at most the second."""

NUMBERS = {
    "float_data": {TensorProto.FLOAT},
    "double_data": {TensorProto.DOUBLE},
    "int64_data": {TensorProto.INT64},
    "uint64_data": {TensorProto.UINT32, TensorProto.UINT64},
    "int32_data": {
        data_type
        for data_type, bits in BITS.items()
        if bits >= 8
        and data_type
        not in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.UINT32, TensorProto.UINT64)
    },
}
"""The fields that hold numbers one by one, and the types that each may have."""


def element_count(tensor: Any) -> int:
    """Return the number of elements that the shape of a tensor says; -1 if a side is negative."""
    return -1 if any(side < 0 for side in tensor.dims) else math.prod(tensor.dims)


def tensor_bytes(tensor: Any, path: Path) -> int:
    """Return the bytes of a tensor, going by its type and shape.

    Raises:
        ModelError: The type is none of numbers, or the shape is none.
    """
    if tensor.data_type not in BITS:
        raise ModelError(
            f"{path} contains the tensor {short_repr(tensor.name)} of type {type_name(tensor.data_type)}; expected "
            "numbers."
        )
    if element_count(tensor) < 0 or tensor.HasField("segment"):
        raise ModelError(
            f"{path} is damaged: the tensor {short_repr(tensor.name)} has the shape {list(tensor.dims)[:8]}."
        )
    return (element_count(tensor) * BITS[tensor.data_type] + 7) // 8


def check_tensor(tensor: Any, path: Path) -> None:
    """Check that a tensor with data of its own has as many as its shape says.

    Raises:
        ModelError: It has more or fewer, or its type is none of numbers.
    """
    expected = tensor_bytes(tensor, path)
    if tensor.data_location == TensorProto.EXTERNAL:
        return
    if tensor.HasField("raw_data"):
        found, unit = _raw_bytes(tensor, expected), "bytes"
    elif BITS[tensor.data_type] < 8:
        return  # two numbers in one of the field, which ONNX Runtime counts
    else:
        fields = [field for field, types in NUMBERS.items() if tensor.data_type in types]
        found, expected, unit = sum(len(getattr(tensor, field)) for field in fields), element_count(tensor), "numbers"
    if found != expected:
        raise ModelError(
            f"{path} is damaged: the tensor {short_repr(tensor.name)} of shape {list(tensor.dims)[:8]} has {found:,} "
            f"{unit}; expected {expected:,}."
        )


def _raw_bytes(tensor: Any, expected: int) -> int:
    """Return the bytes of the data of a tensor, or the expected ones where they are many and about as many."""
    if expected > COPIED_BYTES and 0 <= tensor.ByteSize() - expected <= HEADER_BYTES:
        return expected  # to count them exactly takes a copy; ONNX Runtime counts them without one
    return len(tensor.raw_data)
