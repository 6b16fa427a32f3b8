"""The sidecar of a model file: `model.json` beside `model.keras`.

A model file contains neither the preprocessing nor the class names. The sidecar does:

    {
      "version": 1,
      "class_names": ["cat", "dog"],
      "input_size": [160, 160],
      "preprocessing": "mobilenet_v2",
      "layer": "mobilenetv2_1.00_160/out_relu"
    }

Only `version` is required. `class_names` may be "imagenet"; with a list of names, `class_ids` and `class_synonyms` are
allowed. `preprocessing` is the name of a module of `keras.applications`, or an object such as {"crop": 0.875,
"resample": "bicubic", "mean": 127, "std": 128}, which may also contain "resize", "letterbox", "name", "channels_first"
and "grey". For a model of volumes or videos `input_size` has three numbers, and for one of signals one; `sample_rate`
is the number of samples in a second of the signals that it takes.
"""

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from seewhy.errors import ModelError, TargetError, did_you_mean
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.json_object import read_json_object, shown_json
from seewhy.models.keras_file import application_functions
from seewhy.models.preprocessing import MAX_AREA, MAX_SIDE, Preprocessing, Resample, is_input_size

VERSION = 1
SUFFIX = ".json"
MAX_SIZE = 16 * 2**20
"""Bytes. The names and synonyms of the 21,000 classes of ImageNet have about 2 MB."""

MAX_COLOR, MIN_DIVISOR = 1_000_000, 1e-6
"""Limits on mean and std; pixels are in 0..255."""


@dataclasses.dataclass(frozen=True)
class PreprocessingConfig:
    """A `Preprocessing` without its size, as JSON can hold it: a function is given by its name.

    Attributes:
        name: The module of `keras.applications` whose `preprocess_input` is the last step; None for no last step.
    """

    name: str | None = None
    crop: float | None = None
    resample: Resample = "bilinear"
    mean: float | tuple[float, float, float] = 0.0
    std: float | tuple[float, float, float] = 1.0
    channels_first: bool = False
    grey: bool = False
    resize: int | tuple[int, int] | None = None
    letterbox: float | None = None

    @property
    def is_only_a_name(self) -> bool:
        """Whether all attributes but the name have their defaults."""
        return self.name is not None and self == PreprocessingConfig(self.name)

    def function(self) -> Callable[..., Any] | None:
        """Return the last step, or None."""
        return None if self.name is None else application_functions()[self.name]

    def preprocessing(self, size: tuple[int, int]) -> Preprocessing:
        """Return the preprocessing for inputs of this size."""
        values = dataclasses.asdict(self)
        del values["name"]
        return Preprocessing(size=size, finish=self.function(), **values)


@dataclasses.dataclass(frozen=True)
class Sidecar:
    """The content of a sidecar; None stands for a field that is left out."""

    class_names: ClassNames | None = None
    input_size: tuple[int, ...] | None = None
    preprocessing: PreprocessingConfig | None = None
    layer: str | None = None
    sample_rate: float | None = None

    def updated(self, other: "Sidecar") -> "Sidecar":
        """Return these fields, with those of another sidecar in place of them where it has any."""
        given = {name: value for name, value in vars(other).items() if value is not None}
        return dataclasses.replace(self, **given)

    def as_json(self) -> bytes:
        """Return the content of the file."""
        content: dict[str, Any] = {"version": VERSION, **_class_fields(self.class_names)}
        if self.input_size is not None:
            content["input_size"] = list(self.input_size)
        if self.preprocessing is not None:
            content["preprocessing"] = _preprocessing_as_json(self.preprocessing)
        if self.layer is not None:
            content["layer"] = self.layer
        if self.sample_rate is not None:
            content["sample_rate"] = self.sample_rate
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def path_beside(model: Path) -> Path:
    """Return the path of the sidecar of a model file."""
    return model.with_suffix(SUFFIX)


def application_name(function: Callable[..., Any] | None) -> str | None:
    """Return the module of `keras.applications` whose `preprocess_input` a function is; None for None.

    Raises:
        ModelError: It is another function, which cannot be saved.
    """
    if function is None:
        return None
    is_known = "keras" in sys.modules  # whose import takes seconds; without it the function is not Keras's
    for name, preprocess_input in application_functions().items() if is_known else ():
        if preprocess_input is function:
            return name
    raise ModelError(
        f"The preprocessing {function!r} is a Python function and cannot be saved; expected a preprocess_input of "
        "keras.applications, or a seewhy.Preprocessing without a function. Otherwise write a function that returns "
        "the classifier, and load that: package.module:callable."
    )


def read(path: Path) -> Sidecar:
    """Read and check a sidecar.

    Raises:
        WeightsError: The file cannot be read.
        ModelError: The file is not a regular file, is too large, or is not JSON; or a field is unknown or has an
            invalid value. The message names the file and the field.
    """
    content = read_json_object(path, MAX_SIZE, f"an object: {{'version': {VERSION}, ...}}")
    return parse(path, {"version": None, **content})


def parse(path: Path, content: Mapping[str, Any]) -> Sidecar:
    """Check the content of a sidecar, or what a model says about itself in the same fields.

    Args:
        path: The file, for messages.
        content: The fields.

    Raises:
        ModelError: A field is unknown or has an invalid value. The message names the file and the field.
    """
    fields = _check_fields(path, content, FIELDS)
    return Sidecar(
        class_names=_class_names(path, fields),
        input_size=tuple(fields["input_size"]) if "input_size" in fields else None,
        preprocessing=_preprocessing_config(path, fields["preprocessing"]) if "preprocessing" in fields else None,
        layer=fields.get("layer"),
        sample_rate=float(fields["sample_rate"]) if "sample_rate" in fields else None,
    )


class _Field(NamedTuple):
    """The values that a field may have; null stands for a field that is left out."""

    is_valid: Callable[[Any], bool]
    expected: str


def _is_number(value: Any) -> bool:
    """Whether a value is a number in the limits. NaN and integers that are too large for a float are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -MAX_COLOR <= value <= MAX_COLOR


def _is_color(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, list) and len(value) == 3 and all(map(_is_number, value)))


def _is_divisor(value: Any) -> bool:
    return _is_color(value) and all(number >= MIN_DIVISOR for number in (value if isinstance(value, list) else [value]))


def _is_size(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2 and all(type(side) is int for side in value)
    return is_pair and is_input_size(value[0], value[1])


def _is_any_size(value: Any) -> bool:
    """Whether a value is the size of an image, or of a signal, a volume or a video: one or three numbers."""
    is_list = isinstance(value, list) and len(value) in (1, 3) and all(type(side) is int for side in value)
    return _is_size(value) or (is_list and min(value) >= 1 and math.prod(value) <= MAX_AREA)


def _is_text(value: Any) -> bool:
    """Whether a value is text that can be written: JSON can contain halves of characters."""
    try:
        return isinstance(value, str) and len(value.encode()) >= 0
    except UnicodeEncodeError:
        return False


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_is_text, value))


FIELDS = {
    "version": _Field(lambda value: type(value) is int and value == VERSION, f"{VERSION}, the version of the format"),
    "class_names": _Field(lambda value: value == "imagenet" or _is_names(value), "a list of names, or 'imagenet'"),
    "class_ids": _Field(_is_names, "a list of strings, one for each class"),
    "class_synonyms": _Field(
        lambda value: isinstance(value, list) and all(map(_is_names, value)), "a list of lists of names"
    ),
    "input_size": _Field(
        _is_any_size,
        f"[height, width], in pixels, each from 1 to {MAX_SIDE:,}; or one number of a signal, or three of a volume",
    ),
    "preprocessing": _Field(
        lambda value: isinstance(value, (str, dict)), "the name of a module of keras.applications, or an object"
    ),
    "sample_rate": _Field(lambda value: _is_number(value) and value > 0, "a number above 0, in samples a second"),
    "layer": _Field(lambda value: _is_text(value) and value != "", "a layer's path or name"),
}

PREPROCESSING_FIELDS = {
    "name": _Field(lambda value: isinstance(value, str), "the name of a module of keras.applications"),
    "crop": _Field(lambda value: _is_number(value) and 0 < value <= 1, "a number above 0 and at most 1, or null"),
    "resize": _Field(
        lambda value: _is_size(value if isinstance(value, list) else [value, value]),
        f"a side in pixels, or [height, width], each from 1 to {MAX_SIDE:,}",
    ),
    "resample": _Field(lambda value: value in get_args(Resample), f"one of {', '.join(get_args(Resample))}"),
    "mean": _Field(_is_color, f"a number, or a list of three, each from -{MAX_COLOR:,} to {MAX_COLOR:,}"),
    "std": _Field(_is_divisor, f"a number above 0, or a list of three, each from {MIN_DIVISOR} to {MAX_COLOR:,}"),
    "channels_first": _Field(lambda value: isinstance(value, bool), "true or false"),
    "grey": _Field(lambda value: isinstance(value, bool), "true or false"),
    "letterbox": _Field(lambda value: _is_number(value) and 0 <= value <= 255, "a number from 0 to 255, or null"),
}


def _check_fields(
    path: Path, content: Mapping[str, Any], fields: Mapping[str, _Field], prefix: str = ""
) -> dict[str, Any]:
    """Return the fields that are present, or raise ModelError if one is unknown or invalid."""
    present = {}
    for name, value in content.items():
        if name not in fields:
            known, name = ", ".join(fields), name[:60]
            raise ModelError(
                f"{path} has an unknown field {prefix + name!r}.{did_you_mean(name, fields)} Known: {known}."
            )
        if value is None and name != "version":
            continue
        if not fields[name].is_valid(value):
            raise ModelError(_invalid_field(path, prefix + name, value, fields[name].expected))
        present[name] = value
    return present


def _class_names(path: Path, fields: Mapping[str, Any]) -> ClassNames | None:
    names, ids, synonyms = (fields.get(name) for name in ("class_names", "class_ids", "class_synonyms"))
    if not isinstance(names, list):
        for name in ("class_ids", "class_synonyms"):
            if name in fields:
                raise ModelError(_invalid_field(path, name, fields[name], "no such field unless class_names is a list"))
        return None if names is None else imagenet()
    try:
        return ClassNames(names, ids=ids, synonyms=synonyms)
    except TargetError as error:
        raise ModelError(f"{path} has inconsistent fields. {error}") from error


def _preprocessing_config(path: Path, content: str | dict[str, Any]) -> PreprocessingConfig:
    if isinstance(content, str):
        content, field = {"name": content}, "preprocessing"
    else:
        field = "preprocessing.name"
    fields = _check_fields(path, content, PREPROCESSING_FIELDS, "preprocessing.")
    if "name" in fields and fields["name"] not in application_functions():
        known = application_functions()
        expected = f"a module of keras.applications ({', '.join(known)})"
        raise ModelError(_invalid_field(path, field, fields["name"], expected) + did_you_mean(fields["name"], known))
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return PreprocessingConfig(**values)


def _class_fields(names: ClassNames | None) -> dict[str, Any]:
    if names is None:
        return {}
    if names is imagenet():
        return {"class_names": "imagenet"}
    fields = {"class_names": tuple(names), "class_ids": names.ids, "class_synonyms": names.synonyms}
    return {name: value for name, value in fields.items() if value is not None}


def _preprocessing_as_json(config: PreprocessingConfig) -> str | dict[str, Any]:
    """Return the name if everything else is a default; otherwise all values, so that defaults may change later."""
    if config.name is not None and config.is_only_a_name:
        return config.name
    values = dataclasses.asdict(config)
    return {name: value for name, value in values.items() if value is not None or name not in ("resize", "letterbox")}


def _invalid_field(path: Path, field: str, value: Any, expected: str) -> str:
    return f"{path}: the field {field!r} is {shown_json(value)}; expected {expected}."
