"""What goes into a model and comes out of it, where that may be several arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from seewhy.errors import InputError, ModelError, ModelRunError
from seewhy.types import FloatArray

Inputs = Any
"""What a model takes: a float32 array (N, ...), or a list or dict of them where it has several inputs."""

InputSpec = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]
"""What a caller may give for `Inputs`: anything that NumPy makes an array of."""

ArrayTree = Any
"""What a model returns: an array, or lists and dicts of arrays, nested to any depth."""


def leaves(structure: Any) -> list[Any]:
    """Return the arrays of a structure, in order."""
    if isinstance(structure, dict):
        return list(structure.values())
    return list(structure) if isinstance(structure, (list, tuple)) else [structure]


def map_leaves(function: Callable[[Any], Any], structure: Any) -> Any:
    """Return the structure with `function` of every array."""
    if isinstance(structure, dict):
        return {name: function(each) for name, each in structure.items()}
    return [function(each) for each in structure] if isinstance(structure, (list, tuple)) else function(structure)


def map_tree(function: Callable[[Any], Any], structure: Any) -> Any:
    """Return what a model returned with `function` of everything in it, however deep: detectors nest lists of dicts.

    Tuples of all kinds become lists, and mappings dicts.
    """
    if isinstance(structure, Mapping):
        return {name: map_tree(function, each) for name, each in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [map_tree(function, each) for each in structure]
    return function(structure)


def image_count(inputs: Inputs) -> int:
    """Return N."""
    return len(leaves(inputs)[0])


def shape_key(inputs: Inputs) -> Any:
    """Return the inputs' shapes without the batch, in a form that can be a key."""
    shapes = map_leaves(lambda each: each.shape[1:], inputs)
    return tuple(shapes.items()) if isinstance(shapes, dict) else tuple(shapes)


def pick_output(raw: Any, output: int | str | None) -> Any:
    """Return the one output that is asked about.

    Raises:
        ModelError: There are several and none was named, or the named one is not there.
    """
    if isinstance(raw, Mapping):
        names: list[int | str] = list(raw)
    elif isinstance(raw, (list, tuple)):
        names = list(range(len(raw)))
    elif output is None:
        return raw
    else:
        raise ModelError(f"The model has one output, and output={output!r} was asked for. Leave it out.")
    if output is None and len(names) == 1:
        output = names[0]
    if output not in names:
        selected = "none was named" if output is None else f"{output!r} is not among them"
        raise ModelError(
            f"The model has {len(names)} outputs, and {selected}. Name one with output=...: "
            f"{', '.join(map(repr, names))}."
        )
    return raw[output]


def check_arrays(inputs: Any, expected: Any) -> Inputs:
    """Return `inputs` as float32 (N, ...), in the structure given.

    Args:
        inputs: An array, or a list or dict of them.
        expected: The shape the model was built for, or a list or dict of shapes; None where it is not known. Then
            a list of arrays is for several inputs, and a list of numbers is one array.

    Raises:
        InputError: They do not fit, or are not finite numbers.
    """
    if expected is None and _are_arrays(inputs):
        expected = [None for _ in inputs]
    if isinstance(expected, (list, dict)) and len(expected) == 1 and not isinstance(inputs, (list, tuple, dict)):
        inputs = map_leaves(lambda _: inputs, expected)  # one array for a model of one input in a list
    if isinstance(inputs, dict):
        values: Inputs = {name: _check_array(each, _part(expected, name)) for name, each in inputs.items()}
    elif isinstance(inputs, (list, tuple)) and isinstance(expected, list):
        values = [_check_array(each, _part(expected, position)) for position, each in enumerate(inputs)]
    else:
        values = _check_array(inputs, expected if isinstance(expected, tuple) else None)
    counts = {len(each) for each in leaves(values)}
    if isinstance(expected, (list, dict)) and len(leaves(values)) != len(expected):
        raise InputError(f"The model has {len(expected)} inputs; given {len(leaves(values))}.")
    if len(counts) != 1:
        raise InputError(f"The inputs hold different numbers of images: {sorted(counts)}.")
    if counts == {0}:
        raise InputError("The input is an empty batch; expected at least one image.")
    return values


def model_run_error(inputs: Inputs, message: object) -> ModelRunError:
    """Say that the model cannot run on these inputs."""
    shapes = ", ".join(_shape(tuple(each.shape)) for each in leaves(inputs))
    message = message_of(message) if isinstance(message, KeyError) else message
    return ModelRunError(f"The model cannot run on an input of shape {shapes}: {message}")


def message_of(error: Exception) -> str:
    """Return an error's message; a KeyError's is its key alone, in quotes."""
    return f"KeyError: {' '.join(map(str, error.args))}" if isinstance(error, KeyError) else str(error)


def _check_array(inputs: Any, expected: tuple[int | None, ...] | None) -> FloatArray:
    try:
        values = np.asarray(inputs)
    except ValueError as error:
        raise InputError(f"The input is no array: {error}. Every image of a batch has the same shape.") from error
    if values.dtype.kind not in "fiub" or values.ndim == 0:
        raise InputError(f"The input is {_kind(inputs, values)}; expected an array of numbers, (N, ...).")
    values = np.ascontiguousarray(values, dtype=np.float32)
    if expected is not None and not _fits(values.shape, expected):
        given, wanted = _shape(values.shape), _shape(expected)
        hint = " Add the batch axis: inputs[None]." if _fits((1, *values.shape), expected) else ""
        raise InputError(f"The input has shape {given}; the model expects {wanted}.{hint}")
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        raise InputError(f"The input holds NaN or infinite values, in image {int(np.argmin(finite))} of the batch.")
    return values


def _are_arrays(inputs: Any) -> bool:
    """Whether this is a list or tuple of arrays or tensors, of any framework."""
    return isinstance(inputs, (list, tuple)) and len(inputs) > 0 and all(getattr(each, "ndim", 0) for each in inputs)


def _kind(inputs: Any, values: Any) -> str:
    return type(inputs).__name__ if values.dtype == object or values.ndim == 0 else f"of type {values.dtype}"


def _part(expected: Any, key: Any) -> tuple[int | None, ...] | None:
    """Return the shape expected for one of several inputs; None where it is not known."""
    if isinstance(expected, dict) and key not in expected:
        raise InputError(f"The model has no input {key!r}; its inputs are {', '.join(map(repr, expected))}.")
    if isinstance(expected, list) and isinstance(key, int) and key < len(expected):
        return None if expected[key] is None else tuple(expected[key])
    return tuple(expected[key]) if isinstance(expected, dict) else None


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
