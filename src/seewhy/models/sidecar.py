"""What stands beside a model's file: `model.json` beside `model.keras`.

A model's file says nothing about how images become its input or what its classes are called. The sidecar does:

    {
      "version": 1,
      "class_names": ["cat", "dog"],
      "input_size": [160, 160],
      "preprocessing": "mobilenet_v2",
      "layer": "mobilenetv2_1.00_160/out_relu"
    }

Only `version` has to be there. `class_names` may be "imagenet"; `class_ids` and `class_synonyms` go with a list of
names. `preprocessing` is the name of a module of `keras.applications`, or numbers: {"crop": 0.875, "resample":
"bicubic", "mean": 127, "std": 128}, to which "name", "channels_first" and "grey" may be added.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from seewhy.errors import ModelError, TargetError, WeightsError, did_you_mean
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.keras_file import application_functions
from seewhy.models.preprocessing import Preprocessing, Resample

VERSION = 1
SUFFIX = ".json"


@dataclasses.dataclass(frozen=True)
class PreprocessingConfig:
    """A `Preprocessing` that can be written down: all of it but the size, and a function only by its name.

    Attributes:
        name: The module of `keras.applications` whose `preprocess_input` is the last step; None for no such step.
    """

    name: str | None = None
    crop: float | None = None
    resample: Resample = "bilinear"
    mean: float | tuple[float, float, float] = 0.0
    std: float | tuple[float, float, float] = 1.0
    channels_first: bool = False
    grey: bool = False

    @property
    def is_only_a_name(self) -> bool:
        """Whether there is nothing to say but the last step's name."""
        return self.name is not None and self == PreprocessingConfig(self.name)

    def function(self) -> Callable[..., Any] | None:
        """Return the last step."""
        return None if self.name is None else application_functions()[self.name]

    def preprocessing(self, size: tuple[int, int]) -> Preprocessing:
        """Return the preprocessing for inputs of this size."""
        numbers = dataclasses.asdict(self)
        del numbers["name"]
        return Preprocessing(size=size, finish=self.function(), **numbers)


@dataclasses.dataclass(frozen=True)
class Sidecar:
    """What a sidecar holds; None is what it leaves out."""

    class_names: ClassNames | None = None
    input_size: tuple[int, int] | None = None
    preprocessing: PreprocessingConfig | None = None
    layer: str | None = None

    def as_json(self) -> bytes:
        """Return the sidecar's text."""
        content: dict[str, Any] = {"version": VERSION, **_names_as_dict(self.class_names)}
        if self.input_size is not None:
            content["input_size"] = list(self.input_size)
        if self.preprocessing is not None:
            content["preprocessing"] = _recipe_as_json(self.preprocessing)
        if self.layer is not None:
            content["layer"] = self.layer
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def path_beside(model: Path) -> Path:
    """Return where the sidecar of a model's file is."""
    return model.with_suffix(SUFFIX)


def name_of(finish: Callable[..., Any] | None) -> str | None:
    """Return which module of `keras.applications` a last step is from; None for none.

    Raises:
        ModelError: It is a function of another kind, which cannot be written down.
    """
    if finish is None:
        return None
    for name, function in application_functions().items():
        if function is finish:
            return name
    raise ModelError(
        f"The preprocessing {finish!r} is a Python function and cannot be written into a file. What can be: a "
        "preprocess_input of keras.applications, or a seewhy.Preprocessing of numbers. Or give the classifier to "
        "others as a function that returns it: package.module:callable."
    )


def read(path: Path) -> Sidecar:
    """Read and check a sidecar.

    Raises:
        WeightsError: The file cannot be read.
        ModelError: A field is unknown, or has a value it cannot have; the message names the file and the field.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds {_shown(content)}; expected an object: {{'version': {VERSION}, ...}}.")
    content = {"version": None, **content}
    fields = _checked(path, content, FIELDS, "")
    return Sidecar(
        class_names=_class_names(path, fields),
        input_size=tuple(fields["input_size"]) if "input_size" in fields else None,
        preprocessing=_recipe(path, fields["preprocessing"]) if "preprocessing" in fields else None,
        layer=fields.get("layer"),
    )


class _Field(NamedTuple):
    """What a field may hold; null stands for leaving it out, where it need not be there."""

    fits: Callable[[Any], bool]
    expected: str


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_color(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, list) and len(value) == 3 and all(map(_is_number, value)))


def _is_divisor(value: Any) -> bool:
    return _is_color(value) and all(each > 0 for each in (value if isinstance(value, list) else [value]))


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(each) is int and each > 0 for each in value)


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(each, str) for each in value)


FIELDS = {
    "version": _Field(lambda value: type(value) is int and value == VERSION, f"{VERSION}, the version of the format"),
    "class_names": _Field(lambda value: value == "imagenet" or _is_words(value), "a list of names, or 'imagenet'"),
    "class_ids": _Field(_is_words, "a list of words, one for each class"),
    "class_synonyms": _Field(
        lambda value: isinstance(value, list) and all(map(_is_words, value)), "a list of lists of names"
    ),
    "input_size": _Field(_is_size, "[height, width], in pixels"),
    "preprocessing": _Field(
        lambda value: isinstance(value, (str, dict)), "the name of a module of keras.applications, or an object"
    ),
    "layer": _Field(lambda value: isinstance(value, str) and value != "", "a layer's path or name"),
}

RECIPE_FIELDS = {
    "name": _Field(lambda value: isinstance(value, str), "the name of a module of keras.applications"),
    "crop": _Field(lambda value: _is_number(value) and 0 < value <= 1, "a number above 0 and at most 1, or null"),
    "resample": _Field(lambda value: value in get_args(Resample), f"one of {', '.join(get_args(Resample))}"),
    "mean": _Field(_is_color, "a number, or three"),
    "std": _Field(_is_divisor, "a number above 0, or three"),
    "channels_first": _Field(lambda value: isinstance(value, bool), "true or false"),
    "grey": _Field(lambda value: isinstance(value, bool), "true or false"),
}


def _checked(path: Path, content: Mapping[str, Any], fields: Mapping[str, _Field], within: str) -> dict[str, Any]:
    """Return the fields that are given, each as it should be."""
    found = {}
    for name, value in content.items():
        if name not in fields:
            known = ", ".join(fields)
            raise ModelError(
                f"{path} has an unknown field {within + name!r}.{did_you_mean(name, fields)} Known: {known}."
            )
        if value is None and name != "version":
            continue
        if not fields[name].fits(value):
            raise ModelError(_bad(path, within + name, value, fields[name].expected))
        found[name] = value
    return found


def _class_names(path: Path, fields: Mapping[str, Any]) -> ClassNames | None:
    names, ids, synonyms = (fields.get(name) for name in ("class_names", "class_ids", "class_synonyms"))
    if not isinstance(names, list):
        for name in ("class_ids", "class_synonyms"):
            if name in fields:
                raise ModelError(_bad(path, name, fields[name], "nothing, where class_names is not a list"))
        return None if names is None else imagenet()
    try:
        return ClassNames(names, ids=ids, synonyms=synonyms)
    except TargetError as error:
        raise ModelError(f"{path} has fields that do not fit together. {error}") from error


def _recipe(path: Path, value: str | dict[str, Any]) -> PreprocessingConfig:
    is_name = isinstance(value, str)
    fields = {"name": value} if isinstance(value, str) else _checked(path, value, RECIPE_FIELDS, "preprocessing.")
    if "name" in fields and fields["name"] not in application_functions():
        known = application_functions()
        expected = f"a module of keras.applications ({', '.join(known)})"
        field = "preprocessing" if is_name else "preprocessing.name"
        raise ModelError(_bad(path, field, fields["name"], expected) + did_you_mean(fields["name"], known))
    recipe: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in fields.items()}
    return PreprocessingConfig(**recipe)


def _names_as_dict(names: ClassNames | None) -> dict[str, Any]:
    if names is None:
        return {}
    if names is imagenet():
        return {"class_names": "imagenet"}
    each = {"class_names": tuple(names), "class_ids": names.ids, "class_synonyms": names.synonyms}
    return {name: value for name, value in each.items() if value is not None}


def _recipe_as_json(recipe: PreprocessingConfig) -> str | dict[str, Any]:
    """Return the name alone where there is nothing else to say; else everything, so that defaults may change."""
    if recipe.name is not None and recipe.is_only_a_name:
        return recipe.name
    return dataclasses.asdict(recipe)


def _bad(path: Path, field: str, value: Any, expected: str) -> str:
    return f"{path}: the field {field!r} is {_shown(value)}; expected {expected}."


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
