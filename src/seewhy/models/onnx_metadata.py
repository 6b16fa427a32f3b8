"""What an ONNX model says about its preprocessing and its classes in its metadata, `metadata_props`.

* SeeWhy's own keys are the fields of a sidecar, as JSON: `seewhy.class_names`, `seewhy.class_ids`,
  `seewhy.class_synonyms`, `seewhy.input_size`, `seewhy.preprocessing`; and `seewhy.layer`, as plain text.
  The other keys that `seewhy.export` writes say what the model's heatmaps are, and change nothing here.
* Ultralytics writes `names`, `imgsz`, `task` and `channels`, each as Python prints it.
* timm's settings are `input_size`, `mean`, `std`, `interpolation`, `crop_pct`, `crop_mode` and `label_names`, as JSON
  or as Python prints them; or an object of these under `pretrained_cfg`.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from seewhy.errors import ModelError, short_repr, warn
from seewhy.frameworks.export_settings import EXPORT_KEYS, PREFIX
from seewhy.models import sidecar
from seewhy.models.class_names import ClassNames, named_classes
from seewhy.models.preprocessing import Resample, is_input_size
from seewhy.models.sidecar import FIELDS, PREPROCESSING_FIELDS, PreprocessingConfig, Sidecar

MAX_JSON, MAX_LITERAL = 16 * 2**20, 2**20
"""Characters of a value. Python needs about a hundred bytes for each character of a literal; the names of 21,000
classes have less than 1 MB."""

ULTRALYTICS_KEYS = {"names", "task"}
TIMM_KEYS = {"mean", "std"}
TIMM_CONFIG = "pretrained_cfg"

MAX_NAMES = 100_000


def read_metadata(metadata: Mapping[str, str], path: Path, *, has_size: bool = False) -> Sidecar:
    """Return what the metadata of a model says, as a sidecar does.

    SeeWhy's own keys take precedence over those of Ultralytics, and these over those of timm. A value of others that is
    not understood is ignored with a warning.

    Args:
        metadata: From key to text.
        path: The file of the model, for messages.
        has_size: Whether the graph says the size of its input; then the size for which the model was trained, which may
            be another, is ignored.

    Raises:
        ModelError: One of SeeWhy's own keys is unknown or has an invalid value.
    """
    found = Sidecar()
    timm = _timm_settings(metadata, path)
    if timm:
        found = _timm(timm, path)
    if metadata.keys() >= ULTRALYTICS_KEYS:
        found = found.updated(_ultralytics(metadata, path))
    if has_size:
        found = replace(found, input_size=None)
    return found.updated(_own(metadata, path))


def _own(metadata: Mapping[str, str], path: Path) -> Sidecar:
    content: dict[str, Any] = {"version": sidecar.VERSION}
    for key, text in metadata.items():
        if not key.startswith(PREFIX) or key in EXPORT_KEYS:
            continue
        field = key.removeprefix(PREFIX)
        content[field] = text if field == "layer" or field not in FIELDS else _json(key, text, path)
    return sidecar.parse(path, content)


def _json(key: str, text: str, path: Path) -> Any:
    try:
        if len(text) > MAX_JSON:
            raise ValueError(f"it has {len(text):,} characters")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the metadata {key!r} is {short_repr(text)}; expected JSON: {error}.") from error


def _literal(key: str, text: str, path: Path) -> Any:
    """Return a value that was written as JSON or as Python prints it; None, with a warning, for any other text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # a literal of Python, perhaps
    try:
        if len(text) > MAX_LITERAL:
            raise ValueError
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        _ignored(key, text, "a value of JSON or Python", path)
        return None


def _ignored(key: str, value: Any, expected: str, path: Path) -> None:
    warn(
        f"{path}: the metadata {key!r} is {short_repr(value)}, and is ignored; expected {expected}. Give what it would "
        "have said: seewhy.load(..., class_names=..., preprocessing=..., input_size=...)."
    )


def _ultralytics(metadata: Mapping[str, str], path: Path) -> Sidecar:
    """Return the metadata of a model of Ultralytics, which takes pixels in 0..1.

    Classifiers take the centre of an image whose shorter side has the size of the input. Detectors take an image within
    grey bars; here it is resized to the size of the input.
    """
    size = _size("imgsz", _literal("imgsz", metadata["imgsz"], path), path) if "imgsz" in metadata else None
    is_classifier = metadata["task"] == "classify"
    return Sidecar(
        class_names=_names("names", _literal("names", metadata["names"], path), path),
        input_size=size,
        preprocessing=PreprocessingConfig(
            crop=1.0 if is_classifier else None, std=255.0, grey=metadata.get("channels") == "1"
        ),
    )


def _timm_settings(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    if TIMM_CONFIG in metadata:
        settings = _literal(TIMM_CONFIG, metadata[TIMM_CONFIG], path)
        if isinstance(settings, dict):
            return settings
        if settings is not None:
            _ignored(TIMM_CONFIG, settings, "an object of settings", path)
        return {}
    if not metadata.keys() >= TIMM_KEYS:
        return {}
    texts = {"interpolation", "crop_mode"}
    keys = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode", "label_names")
    settings = {
        key: metadata[key] if key in texts else _literal(key, metadata[key], path) for key in keys if key in metadata
    }
    return {key: value for key, value in settings.items() if value is not None}


def _timm(settings: Mapping[str, Any], path: Path) -> Sidecar:
    sides = settings.get("input_size")
    is_shape = isinstance(sides, (list, tuple)) and len(sides) == 3
    names = settings.get("label_names")
    return Sidecar(
        class_names=None if names is None else _names("label_names", names, path),
        input_size=_size("input_size", list(sides[1:]) if is_shape else sides, path) if sides else None,
        preprocessing=_timm_preprocessing(settings, path),
    )


def _timm_preprocessing(settings: Mapping[str, Any], path: Path) -> PreprocessingConfig | None:
    """Return the preprocessing; timm's mean and std are for values in 0..1."""
    resample, mode = str(settings.get("interpolation", "bicubic")).strip("\"'"), settings.get("crop_mode", "center")
    fraction, mean, std = settings.get("crop_pct", 1.0), _scaled(settings.get("mean")), _scaled(settings.get("std"))
    for key, field, value in (("mean", "mean", mean), ("std", "std", std), ("crop_pct", "crop", fraction)):
        if value is None or not PREPROCESSING_FIELDS[field].is_valid(value):
            _ignored(key, settings.get(key), f"what timm has: {PREPROCESSING_FIELDS[field].expected}", path)
            return None
    if resample not in get_args(Resample) or mode not in ("center", "squash") or (mode == "squash" and fraction != 1):
        _ignored("crop_mode", f"{mode}, {fraction}, {resample}", "center, with a filter such as bicubic", path)
        return None
    return PreprocessingConfig(
        crop=None if mode == "squash" else fraction,
        resample=resample,  # type: ignore[arg-type]  # checked above
        mean=tuple(mean),  # type: ignore[arg-type]  # three, checked above
        std=tuple(std),  # type: ignore[arg-type]
    )


def _scaled(color: Any) -> list[float] | None:
    """Return a color in 0..255 for one in 0..1; None if it is not one."""
    if not isinstance(color, (list, tuple)) or not all(type(value) in (int, float) for value in color):
        return None
    return [255.0 * value for value in color] if len(color) == 3 else None


def _size(key: str, value: Any, path: Path) -> tuple[int, int] | None:
    sides = [value, value] if type(value) is int else value
    is_pair = isinstance(sides, (list, tuple)) and len(sides) == 2 and all(type(side) is int for side in sides)
    if is_pair and is_input_size(*sides):
        return (sides[0], sides[1])
    if value is not None:
        _ignored(key, value, "a height and a width in pixels", path)
    return None


def _names(key: str, value: Any, path: Path) -> ClassNames | None:
    """Return class names, given as a list or by index; ImageNet's own, with their synonyms, where they are those."""
    by_index = dict(enumerate(value)) if isinstance(value, (list, tuple)) else value
    if (
        isinstance(by_index, dict)
        and 0 < len(by_index) <= MAX_NAMES
        and {str(index) for index in by_index} == {str(index) for index in range(len(by_index))}
        and all(isinstance(name, str) and name for name in by_index.values())
    ):
        return named_classes(by_index)
    if value is not None:
        _ignored(key, value, "a name for each class", path)
    return None
