"""Values that are given by the names of a model's inputs, or in their order, in the structure that the model takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from seewhy.errors import InputError, did_you_mean


def arranged(sample: Any, expected: Any, names: Sequence[str]) -> Any:
    """Return values in the structure that a model takes.

    Args:
        sample: Values in lists and dicts.
        expected: A structure of shapes, which are tuples; None where it is unknown, and the values stay as they are.
        names: The names of the model's inputs, in order.

    Raises:
        InputError: A name is unknown, a value is missing, or there are too many.
    """
    if expected is None or isinstance(expected, tuple):
        return sample
    if isinstance(sample, Mapping):
        keys = list(expected) if isinstance(expected, dict) else list(names)
        check_sample_names(sample, keys, keys)
        sample = [sample[key] for key in keys]
    if not isinstance(sample, (list, tuple)) or len(sample) != len(expected):
        raise wrong_count(names, len(sample) if isinstance(sample, (list, tuple)) else 1)
    structures = expected.values() if isinstance(expected, dict) else expected
    values = [arranged(value, inner, names) for value, inner in zip(sample, structures, strict=True)]
    return dict(zip(expected, values, strict=True)) if isinstance(expected, dict) else values


def check_sample_names(sample: Mapping[Any, Any], names: Sequence[str], needed: Sequence[str]) -> None:
    """Raise InputError for a name that is not one of the inputs', and for an input without a value."""
    for name in sample:
        if name not in names:
            raise InputError(
                f"The model has no input {name!r}; its inputs are {', '.join(map(repr, names))}."
                f"{did_you_mean(str(name), names)}"
            )
    missing = [name for name in needed if name not in sample]
    if missing:
        raise InputError(
            f"The sample has no value for the input {', '.join(map(repr, missing))}; given "
            f"{', '.join(map(repr, sample)) or 'nothing'}. The inputs of the model are {', '.join(map(repr, names))}."
        )


def wrong_count(names: Sequence[str], given: int) -> InputError:
    """Return the error for a sample with another number of values than the model has inputs."""
    return InputError(
        f"The model has {len(names)} inputs, {', '.join(map(repr, names))}; the sample has {given} "
        f"{'value' if given == 1 else 'values'}. Give one for each, in this order or by name."
    )
