"""Inputs and outputs of models that consist of several arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seewhy.errors import InputError, ModelError, ModelRunError

InputBatch = Any
"""A model's input batch: a float32 array (N, ...), or a list or dict of arrays for a model with several inputs.

Among several inputs, whole numbers and booleans keep their type: they are token ids, categories or masks. One array of
more than two axes holds pixels or samples, and is float32.
"""

InputSpec = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]
"""The values that callers may give for `InputBatch`: anything that NumPy converts to an array."""

ArrayTree = Any
"""A model's outputs: an array, or lists and dicts of arrays, nested to any depth."""


def leaves(structure: Any) -> list[Any]:
    """Return the arrays of a structure, in order."""
    if isinstance(structure, dict):
        return list(structure.values())
    return list(structure) if isinstance(structure, (list, tuple)) else [structure]


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to every array of a structure."""
    if isinstance(structure, dict):
        return {name: function(array) for name, array in structure.items()}
    return [function(array) for array in structure] if isinstance(structure, (list, tuple)) else function(structure)


def map_tree(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to every value in a model's outputs, at any depth: detectors return lists of dicts.

    All tuples become lists, and all mappings dicts.
    """
    if isinstance(structure, Mapping):
        return {name: map_tree(function, value) for name, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [map_tree(function, value) for value in structure]
    return function(structure)


def image_count(inputs: InputBatch) -> int:
    """Return N, the number of images."""
    return len(leaves(inputs)[0])


def shape_key(inputs: InputBatch) -> Any:
    """Return the inputs' shapes without the batch axis, with types but for float32, as a hashable key."""
    shapes = map_leaves(lambda array: typed_shape(array, array.shape[1:]), inputs)
    return tuple(shapes.items()) if isinstance(shapes, dict) else tuple(shapes)


def typed_shape(array: Any, shape: Any) -> tuple[Any, ...]:
    """Return a shape as a hashable key, with the array's type where it is not float32."""
    return tuple(shape) if array.dtype == np.float32 else (str(array.dtype), *shape)


def is_float(array: Any) -> bool:
    """Whether an array of a checked batch, or a symbolic tensor in its place, holds floating-point numbers."""
    return "float" in array.dtype.name


def pick_output(raw: Any, output: int | str | None) -> Any:
    """Return the selected output.

    Raises:
        ModelError: The model has several outputs and none is named, or has no output of that name.
    """
    if isinstance(raw, Mapping):
        names: list[int | str] = list(raw)
    elif isinstance(raw, (list, tuple)):
        names = list(range(len(raw)))
    elif output is None:
        return raw
    else:
        raise ModelError(f"The model has one output, and output={output!r} was given. Leave it out.")
    if output is None and len(names) == 1:
        output = names[0]
    if output not in names:
        selected = "none was named" if output is None else f"{output!r} is not among them"
        raise ModelError(
            f"The model has {len(names)} outputs, and {selected}. Name one with output=...: "
            f"{', '.join(map(repr, names))}."
        )
    return raw[output]


def check_arrays(inputs: Any, expected: Any) -> InputBatch:
    """Return `inputs` as (N, ...) in the given structure: as float32, or whole numbers and booleans as they are.

    Args:
        inputs: An array, or a list or dict of arrays.
        expected: The shape that the model was built for, or a list or dict of shapes. None where it is unknown: then a
            list of arrays is several inputs, and a list of numbers is one array.

    Raises:
        InputError: The inputs do not fit the expected shapes, or hold values that are not finite numbers.
    """
    if expected is None and _are_arrays(inputs):
        expected = [None for _ in inputs]
    if isinstance(expected, (list, dict)) and len(expected) == 1 and not isinstance(inputs, (list, tuple, dict)):
        inputs = map_leaves(lambda _: inputs, expected)  # one array for a model with one input in a list
    if isinstance(inputs, dict):
        values: InputBatch = {
            name: _check_array(array, _expected_shape(expected, name)) for name, array in inputs.items()
        }
    elif isinstance(inputs, (list, tuple)) and isinstance(expected, list):
        values = [_check_array(array, _expected_shape(expected, position)) for position, array in enumerate(inputs)]
    else:
        values = _check_array(inputs, expected if isinstance(expected, tuple) else None)
    counts = {len(array) for array in leaves(values)}
    if isinstance(expected, (list, dict)) and len(leaves(values)) != len(expected):
        raise InputError(f"The model has {len(expected)} inputs; given {len(leaves(values))}.")
    if len(counts) != 1:
        raise InputError(f"The inputs hold different numbers of images: {sorted(counts)}.")
    if counts == {0}:
        raise InputError("The input is an empty batch; expected at least one image.")
    return _as_pixels(values)


def check_input_count(inputs: Any, most: int) -> None:
    """Raise InputError for more arrays than the model has inputs, such as a batch with its labels."""
    if not isinstance(inputs, (list, tuple)) or len(inputs) <= most or getattr(inputs[0], "ndim", 0) < 2:
        return
    shapes = [tuple(np.shape(array)) for array in inputs]
    if len(set(shapes)) == 1:
        return  # the images of a batch
    is_pair = len(shapes) == 2 and shapes[0][0] == (shapes[1] or (0,))[0]
    advice = " The second may be the labels of a batch (images, labels): give the images alone." if is_pair else ""
    raise InputError(
        f"The model has {most} input{'s' if most > 1 else ''}; given {len(shapes)} arrays, of shapes "
        f"{', '.join(map(_shape_text, shapes))}.{advice}"
    )


def model_run_error(inputs: InputBatch, message: object) -> ModelRunError:
    """Return the error for a model that cannot run on these inputs."""
    shapes = ", ".join(
        _shape_text(tuple(array.shape)) + ("" if is_float(array) else f" of type {array.dtype.name}")
        for array in leaves(inputs)
    )
    message = message_of(message) if isinstance(message, KeyError) else message
    return ModelRunError(f"The model cannot run on an input of shape {shapes}: {message}")


def message_of(error: Exception) -> str:
    """Return an exception's message; `str` of a KeyError is only its key, in quotes."""
    return f"KeyError: {' '.join(map(str, error.args))}" if isinstance(error, KeyError) else str(error)


def _as_pixels(inputs: InputBatch) -> InputBatch:
    """Return one array with more than two axes as float32; any other input batch as it is."""
    is_image = isinstance(inputs, np.ndarray) and inputs.ndim > 2
    return np.ascontiguousarray(inputs, dtype=np.float32) if is_image else inputs


def _type_for_model(dtype: np.dtype[Any]) -> Any:
    """Return the type in which an array goes into a model.

    Ids are integers of 32 or 64 bits, for other integers are no indices in any framework: they are pixels or samples.
    """
    if dtype.kind == "b" or dtype in (np.int32, np.int64):
        return dtype
    return np.int64 if dtype in (np.uint32, np.uint64) else np.float32


def _check_array(inputs: Any, expected: tuple[int | None, ...] | None) -> NDArray[Any]:
    try:
        values = np.asarray(inputs)
    except ValueError as error:
        raise InputError(f"The input is no array: {error}. Every image of a batch has the same shape.") from error
    if values.dtype.kind not in "fiub" or values.ndim == 0:
        raise InputError(f"The input is {_kind(inputs, values)}; expected an array of numbers, (N, ...).")
    values = np.ascontiguousarray(values, dtype=_type_for_model(values.dtype))
    if expected is not None and not _fits(values.shape, expected):
        given, wanted = _shape_text(values.shape), _shape_text(expected)
        hint = _missing_axes(values.shape, expected)
        raise InputError(f"The input has shape {given}; the model expects {wanted}.{hint}")
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        raise InputError(f"The input holds NaN or infinite values, in image {int(np.argmin(finite))} of the batch.")
    return values


def _missing_axes(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> str:
    """Return advice for an array that lacks the axis of the batch, of the channels, or both."""
    if _fits((1, *shape), expected):
        return " Add the batch axis: inputs[None]."
    if _fits((*shape, 1), expected):
        return " Add the channels' axis: inputs[..., None]."
    return " Add both axes: inputs[None, ..., None]." if _fits((1, *shape, 1), expected) else ""


def _are_arrays(inputs: Any) -> bool:
    """Whether this is a list or tuple of arrays or tensors, of any framework."""
    return isinstance(inputs, (list, tuple)) and len(inputs) > 0 and all(getattr(value, "ndim", 0) for value in inputs)


def _kind(inputs: Any, values: Any) -> str:
    return type(inputs).__name__ if values.dtype == object or values.ndim == 0 else f"of type {values.dtype}"


def _expected_shape(expected: Any, key: Any) -> tuple[int | None, ...] | None:
    """Return the expected shape of one of several inputs; None where it is unknown."""
    if isinstance(expected, dict) and key not in expected:
        raise InputError(f"The model has no input {key!r}; its inputs are {', '.join(map(repr, expected))}.")
    if isinstance(expected, list) and isinstance(key, int) and key < len(expected):
        return None if expected[key] is None else tuple(expected[key])
    return tuple(expected[key]) if isinstance(expected, dict) else None


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
