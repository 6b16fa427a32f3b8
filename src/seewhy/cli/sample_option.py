"""The option `--input`: the inputs of a model with several, such as left=a.jpg, right=b.jpg and age=41.

It imports no library before it is known to be right, for a mistake to be said at once.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from seewhy.errors import ImageNotFoundError, InputError, OptionError, short_repr

InputValue: TypeAlias = Path | list[float] | float
"""The path of an image or of an array; numbers; or one."""


def parse_inputs(options: Sequence[str]) -> dict[str, InputValue] | list[InputValue]:
    """Return the values of `--input`, by the names of the inputs, or in their order where no option has a name.

    Raises:
        OptionError: Some options have a name and others none, or a name is given twice.
        ImageNotFoundError: There is no file at a path.
    """
    pairs = [_split(option) for option in options]
    values = [_parse(value) for _, value in pairs]
    names = [name for name, _ in pairs if name is not None]
    if not names:
        return values
    if len(names) < len(pairs):
        raise OptionError(
            f"--input has a name in some options and none in others: {', '.join(options)}. Give NAME=FILE for each."
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"--input {twice}=... is given twice; expected one value for each input.")
    return dict(zip(names, values, strict=True))


def check_images_or_inputs(images: Sequence[str] | None, inputs: Sequence[str] | None) -> None:
    """Raise OptionError unless there are images or inputs, and only one of these."""
    if not (images or inputs):
        raise OptionError(
            "No image was given: expected IMAGE..., or --input NAME=FILE for a model with several inputs."
        )
    if images and inputs:
        raise OptionError(
            f"Given images, {short_repr(images[0])}, and --input {inputs[0]}: expected images for a model with one "
            "input, or --input for each of several."
        )


def paths_of(sample: dict[str, InputValue] | list[InputValue]) -> list[Path]:
    """Return the paths among the values of `--input`."""
    values = sample.values() if isinstance(sample, dict) else sample
    return [value for value in values if isinstance(value, Path)]


def read_arrays(sample: dict[str, InputValue] | list[InputValue]) -> Any:
    """Return a sample with the arrays of its .npy files in place of their paths.

    Raises:
        InputError: A file is no array.
    """
    from seewhy.numpy_files import read_npy

    def read(value: InputValue) -> Any:
        if not isinstance(value, Path) or value.suffix.lower() != ".npy":
            return value
        try:
            return read_npy(value)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{value} is not an array that numpy.save wrote: {reason}.") from error

    if isinstance(sample, dict):
        return {name: read(value) for name, value in sample.items()}
    return [read(value) for value in sample]


def _split(option: str) -> tuple[str | None, str]:
    """Split NAME=VALUE; a path may have a "=" in it, too."""
    name, sign, value = option.partition("=")
    if not sign or os.path.exists(option):
        return None, option
    if not name.strip() or not value.strip():
        raise OptionError(f"--input is {short_repr(option)}; expected NAME=FILE or NAME=NUMBERS, such as left=a.jpg.")
    return name.strip(), value.strip()


def _parse(value: str) -> InputValue:
    if os.path.exists(value):
        return Path(value)
    try:
        numbers = [float(part) for part in value.removesuffix(",").split(",")]  # "41," is a list of one
    except ValueError as error:
        raise ImageNotFoundError(f"There is no image at {value}, and it is no list of numbers.") from error
    return numbers if "," in value else numbers[0]
