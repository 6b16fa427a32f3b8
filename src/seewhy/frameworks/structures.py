"""Inputs and outputs of models that consist of several arrays."""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seewhy.errors import InputError, ModelError, ModelRunError

InputBatch = Any
"""A model's input batch, in the structure that the model takes: a float32 array (N, ...), or a list or dict of arrays,
nested to any depth. A structure with one array is one input.

Among several inputs, whole numbers and booleans keep their type: they are token ids, categories or masks. One array of
more than two axes holds pixels or samples, and is float32.
"""

InputSpec = ArrayLike | Sequence[Any] | Mapping[str, Any]
"""The values that callers may give for `InputBatch`: anything that NumPy converts to an array, and lists and dicts."""

ArrayTree = Any
"""A model's outputs: an array, or lists and dicts of arrays, nested to any depth."""


def leaves(structure: Any) -> list[Any]:
    """Return the arrays of a structure, at any depth and in order."""
    if isinstance(structure, Mapping):
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        return [leaf for value in structure for leaf in leaves(value)]
    return [structure]


def map_tree(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to every value in a structure, at any depth: detectors return lists of dicts.

    All tuples become lists, and all mappings dicts.
    """
    if isinstance(structure, Mapping):
        return {name: map_tree(function, value) for name, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [map_tree(function, value) for value in structure]
    return function(structure)


def map_leaf(function: Callable[[Any], Any], structure: Any, leaf: int) -> Any:
    """Apply a function to one array of a structure, by its position among `leaves`."""
    numbers = itertools.count()
    return map_tree(lambda array: function(array) if next(numbers) == leaf else array, structure)


def leaf_names(structure: Any, declared: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a name for each array of a structure, in the order of `leaves`.

    These are the keys of a dict; of a list the names that the model declares, the first ones, or else numbers;
    and "input" for the only array.
    """
    count = len(leaves(structure))
    if count == 1:
        return ("input",)
    if isinstance(structure, list) and len(structure) == 1:
        return leaf_names(structure[0], declared)
    if isinstance(structure, Mapping) and len(structure) == count:
        return tuple(map(str, structure))
    return (
        tuple(declared[:count])
        if len(declared) >= count
        else tuple(f"input {number}" for number in range(1, count + 1))
    )


def leaf_shapes(expected: Any) -> list[tuple[int | None, ...]]:
    """Return the shapes, which are tuples, in a structure of shapes."""
    shapes: list[tuple[int | None, ...]] = []
    _map_shapes(shapes.append, expected)
    return shapes


def map_arrays(function: Callable[[Any], Any], inputs: Any) -> Any:
    """Apply a function to every array in what a caller gives; a list of numbers, nested or not, is one array."""
    return map_tree(function, inputs) if _is_structure(inputs) else function(inputs)


def only_leaf(structure: Any) -> Any:
    """Return the array of a structure with one array; any other structure as it is."""
    arrays = leaves(structure)
    return arrays[0] if len(arrays) == 1 else structure


def image_count(inputs: InputBatch) -> int:
    """Return N, the number of images."""
    return len(leaves(inputs)[0])


def image_at(inputs: InputBatch, row: int) -> InputBatch:
    """Return one image as a batch of one."""
    return map_tree(lambda array: array[row : row + 1], inputs)


def is_image_batch(inputs: InputBatch) -> bool:
    """Whether the model has one input, of images: (N, h, w, C) or (N, C, h, w)."""
    image = only_leaf(inputs)
    return isinstance(image, np.ndarray) and image.ndim == 4


def shape_key(inputs: InputBatch, *, with_batch: bool = False) -> Any:
    """Return the inputs' shapes, with types but for float32, as a hashable key; without the batch axis by default."""
    if isinstance(inputs, dict):
        return tuple((name, shape_key(value, with_batch=with_batch)) for name, value in inputs.items())
    if isinstance(inputs, list):
        return tuple(shape_key(value, with_batch=with_batch) for value in inputs)
    return typed_shape(inputs, inputs.shape if with_batch else inputs.shape[1:])


def typed_shape(array: Any, shape: Any) -> tuple[Any, ...]:
    """Return a shape as a hashable key, with the array's type where it is not float32."""
    return tuple(shape) if array.dtype == np.float32 else (str(array.dtype), *shape)


def is_float(array: Any) -> bool:
    """Whether an array of a checked batch, or a symbolic tensor in its place, holds floating-point numbers."""
    return "float" in array.dtype.name


def pick_output(raw: Any, output: int | str | None) -> Any:
    """Return the selected output; a structure with one output is that output.

    Of the outputs of a Hugging Face model, `ModelOutput`, the logits are selected if none is named: the loss, the
    hidden states and the attention maps beside them are no scores. Of those of a segmentation model of torchvision,
    "out" and "aux", "out" is: the other is the auxiliary head of training.

    Raises:
        ModelError: The model has several outputs and none is named, or has no output of that name.
    """
    if output is None and (usual := _usual_output(raw)) is not None:
        return usual
    if isinstance(raw, Mapping):
        names: list[int | str] = list(raw)
    elif isinstance(raw, (list, tuple)):
        names = list(range(len(raw)))
    elif output is None:
        return raw
    else:
        raise ModelError(f"The model has one output, and output={output!r} was given. Leave it out.")
    if output is None and len(leaves(raw)) == 1:
        return only_leaf(raw)
    if output not in names:
        selected = "none was named" if output is None else f"{output!r} is not among them"
        raise ModelError(
            f"The model has {len(names)} outputs, and {selected}. Name one with output=...: "
            f"{', '.join(map(repr, names))}."
        )
    picked = only_leaf(raw[output])
    if isinstance(picked, (Mapping, list, tuple)):
        raise ModelError(
            f"output={output!r} names a {type(picked).__name__} of {len(leaves(picked))} outputs; expected one output. "
            "Give a target that reads all outputs: seewhy.targets.AllOutputs."
        )
    return picked


def _usual_output(raw: Any) -> Any:
    """Return the output that is meant where none is named, of the models of two libraries; None for any other."""
    if not isinstance(raw, Mapping):
        return None
    if _is_model_output(raw):
        return _logits(raw)
    return raw["out"] if list(raw) == ["out", "aux"] else None


def _is_model_output(raw: Mapping[Any, Any]) -> bool:
    """Whether these are the outputs of a Hugging Face model; imports nothing."""
    return any(
        base.__name__ == "ModelOutput" and base.__module__.startswith("transformers.") for base in type(raw).__mro__
    )


def _logits(outputs: Mapping[Any, Any]) -> Any:
    """Return the logits among the outputs of a Hugging Face model."""
    if "logits" not in outputs:
        raise ModelError(
            f"The Hugging Face model has no classification head: its outputs are {', '.join(map(repr, outputs))}, and "
            "none is 'logits'. Load it with transformers.AutoModelForImageClassification, or wrap it in a "
            "torch.nn.Module whose forward takes pixels and returns scores. To explain a number of one of these "
            "outputs, name it with output=... and give a function as the target."
        )
    return outputs["logits"]


def check_arrays(inputs: Any, expected: Any, declared: Sequence[str] = ()) -> InputBatch:
    """Return `inputs` as (N, ...) in the given structure: as float32, or whole numbers and booleans as they are.

    Args:
        inputs: An array, or a structure of arrays.
        expected: The shape that the model was built for, a tuple; or a structure of shapes. None where it is unknown:
            then a list of arrays is several inputs, and a list of numbers is one array.
        declared: The names of the inputs, for messages, where the model declares them.

    Raises:
        InputError: The inputs do not fit the expected shapes, or hold values that are not finite numbers.
    """
    if expected is None:
        names = _message_names(inputs if _is_structure(inputs) else None, declared)
        values: InputBatch = map_arrays(lambda array: _check_array(array, None, next(names)), inputs)
    elif len(shapes := leaf_shapes(expected)) == 1:
        check_input_count(inputs, 1)
        array = _check_array(_only_array(inputs, expected, len(shapes[0])), shapes[0])
        values = _map_shapes(lambda _: array, expected)
    else:
        values = _fit(inputs, expected, len(shapes), _message_names(_map_shapes(lambda _: None, expected), declared))
    counts = {len(array) for array in leaves(values)}
    if len(counts) > 1:
        pairs = zip(leaves(values), leaf_names(values, declared), strict=True)
        found = ", ".join(f"{len(array)} in {name!r}" for array, name in pairs)
        raise InputError(f"The inputs hold different numbers of images: {found}. Give as many of each.")
    if counts in ({0}, set()):
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
    image = only_leaf(inputs)
    is_image = isinstance(image, np.ndarray) and image.ndim > 2
    return map_tree(lambda array: np.ascontiguousarray(array, dtype=np.float32), inputs) if is_image else inputs


def _type_for_model(dtype: np.dtype[Any]) -> Any:
    """Return the type in which an array goes into a model.

    Ids are integers of 32 or 64 bits, for other integers are no indices in any framework: they are pixels or samples.
    """
    if dtype.kind == "b" or dtype in (np.int32, np.int64):
        return dtype
    return np.int64 if dtype in (np.uint32, np.uint64) else np.float32


def _message_names(structure: Any, declared: Sequence[str]) -> Iterator[str]:
    """Return the name of each array of a structure, as messages have it: an empty one for the only array."""
    names = leaf_names(structure, declared)
    return iter(names if len(names) > 1 else ("",))


def _check_array(inputs: Any, expected: tuple[int | None, ...] | None, name: str = "") -> NDArray[Any]:
    what = f"The input {name!r}" if name else "The input"
    try:
        values = np.asarray(inputs)
    except ValueError as error:
        raise InputError(f"{what} is no array: {error}. Every image of a batch has the same shape.") from error
    if values.dtype.kind not in "fiub" or values.ndim == 0:
        raise InputError(f"{what} is {_kind(inputs, values)}; expected an array of numbers, (N, ...).")
    values = np.ascontiguousarray(values, dtype=_type_for_model(values.dtype))
    if expected is not None and not _fits(values.shape, expected):
        given, wanted = _shape_text(values.shape), _shape_text(expected)
        hint = _missing_axes(values.shape, expected)
        raise InputError(f"{what} has shape {given}; the model expects {wanted}.{hint}")
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        raise InputError(f"{what} holds NaN or infinite values, in image {int(np.argmin(finite))} of the batch.")
    return values


def _missing_axes(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> str:
    """Return advice for an array that lacks the axis of the batch, of the channels, or both."""
    if _fits((1, *shape), expected):
        return " Add the batch axis: inputs[None]."
    if _fits((*shape, 1), expected):
        return " Add the channels' axis: inputs[..., None]."
    return " Add both axes: inputs[None, ..., None]." if _fits((1, *shape, 1), expected) else ""


def _is_structure(inputs: Any) -> bool:
    """Whether this is a mapping, or a list or tuple of arrays, tensors of any framework, or structures."""
    if isinstance(inputs, Mapping):
        return True
    is_list = isinstance(inputs, (list, tuple)) and len(inputs) > 0
    return is_list and all(getattr(value, "ndim", 0) or _is_structure(value) for value in inputs)


def _only_array(inputs: Any, expected: Any, rank: int) -> Any:
    """Return the array among what is given for one input of this rank, in a structure or not."""
    if isinstance(inputs, Mapping) and isinstance(expected, dict):
        check_names(inputs, expected)
    if not _is_structure(inputs):
        return inputs
    arrays = leaves(inputs)
    if isinstance(inputs, Mapping) and len(arrays) != 1:
        raise InputError(f"The model has one input; given {len(arrays)}: {', '.join(map(repr, inputs))}.")
    # A list of one array may also be a list of one image.
    is_batch = len(arrays) == 1 and (isinstance(inputs, Mapping) or len(arrays[0].shape) == rank)
    return arrays[0] if is_batch else inputs


def _fit(inputs: Any, expected: Any, count: int, names: Iterator[str]) -> InputBatch:
    """Check what is given for several inputs against their shapes.

    Args:
        inputs: What is given for `expected`.
        expected: A shape, or a structure of shapes.
        count: The number of inputs of the model.
        names: The names of the inputs, in the order of the shapes.
    """
    if isinstance(expected, tuple):
        return _check_array(inputs, expected, next(names))
    if isinstance(expected, dict) and isinstance(inputs, Mapping):
        check_names(inputs, expected)
        if len(inputs) == len(expected):
            return {name: _fit(inputs[name], shape, count, names) for name, shape in expected.items()}
    if isinstance(expected, list) and isinstance(inputs, (list, tuple)) and len(inputs) == len(expected):
        return [_fit(value, shape, count, names) for value, shape in zip(inputs, expected, strict=True)]
    raise _misfit(inputs, expected, count)


def _misfit(inputs: Any, expected: Any, count: int) -> InputError:
    """Return the error for inputs in another structure than the model takes."""
    if isinstance(expected, dict) and isinstance(inputs, (list, tuple)):
        names = ", ".join(map(repr, expected))
        return InputError(f"The model takes its inputs by name; given a list. Give a dict with the keys {names}.")
    if isinstance(expected, list) and isinstance(inputs, Mapping):
        return InputError(f"The model takes a list of {len(expected)} inputs; given a dict. Give them in a list.")
    if not _is_structure(inputs):
        _check_array(inputs, None)
    given = len(leaves(inputs)) if _is_structure(inputs) else 1
    if given != count:
        return InputError(f"The model has {count} inputs; given {given}.")
    return InputError(f"The model takes its {count} inputs in another structure, of the shapes {expected}.")


def check_names(inputs: Mapping[Any, Any], expected: Collection[str]) -> None:
    """Raise InputError for a name that is not one of the inputs'."""
    for name in inputs:
        if name not in expected:
            raise InputError(f"The model has no input {name!r}; its inputs are {', '.join(map(repr, expected))}.")


def _map_shapes(function: Callable[[Any], Any], expected: Any) -> Any:
    """Apply a function to every shape, a tuple, in a structure of lists and dicts."""
    if isinstance(expected, dict):
        return {name: _map_shapes(function, value) for name, value in expected.items()}
    return [_map_shapes(function, value) for value in expected] if isinstance(expected, list) else function(expected)


def _kind(inputs: Any, values: Any) -> str:
    return type(inputs).__name__ if values.dtype == object or values.ndim == 0 else f"of type {values.dtype}"


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
