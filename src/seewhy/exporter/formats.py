"""The formats in which models are exported, and which of them each framework has."""

from pathlib import Path
from typing import Literal, get_args

from seewhy.errors import OptionError, OutputError, did_you_mean, short_repr

FormatName = Literal["onnx", "openvino", "savedmodel", "stablehlo"]

SUFFIXES: dict[str, str] = {"onnx": ".onnx", "openvino": ".xml", "savedmodel": "", "stablehlo": ".stablehlo"}
"""The suffix of a file of each format; a SavedModel is a folder."""


def choose_format(path: Path, to: str | None) -> FormatName:
    """Return the format that was named, or that the suffix of a path tells.

    Raises:
        OptionError: There is no such format, or the path has the suffix of another.
    """
    known = get_args(FormatName)
    if to is not None and to not in known:
        raise OptionError(
            f"Unknown format {short_repr(to)}.{did_you_mean(str(to), known)} Expected one of {', '.join(known)}."
        )
    suffix = path.suffix.lower()
    by_suffix = next((name for name, each in SUFFIXES.items() if each == suffix), None)
    chosen = to or by_suffix
    if chosen is None or (SUFFIXES[chosen] and suffix != SUFFIXES[chosen]):
        expected = f"a name that ends in {SUFFIXES[chosen]}" if chosen else _listed()
        raise OptionError(f"Cannot export to {short_repr(str(path))}; expected {expected}.")
    return chosen  # type: ignore[return-value]  # one of the names, checked above


def check_path(path: Path, kind: FormatName) -> None:
    """Raise OutputError where a path cannot be written, before a model is run."""
    if "\0" in str(path):
        raise OutputError(f"Cannot write {str(path)!r}: a path cannot contain a null character.")
    try:
        _check_place(path, is_folder=kind == "savedmodel")
    except OSError as error:  # such as for a name that is too long
        raise OutputError(f"Cannot write {short_repr(str(path))}: {error.strerror or error}.") from error


def _check_place(path: Path, *, is_folder: bool) -> None:
    if path.is_dir() and not is_folder:
        raise OutputError(f"Cannot write {path}: it is a folder. Give the name of a file in it.")
    if is_folder and path.exists() and not (path / "saved_model.pb").is_file():
        raise OutputError(f"Cannot write the folder {path}: it exists, and is no SavedModel. Give another name.")
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    if not existing.is_dir():
        raise OutputError(f"Cannot write {path}: {existing} is no folder.")


def _listed() -> str:
    named = [f"{suffix or 'no suffix'} for {name}" for name, suffix in SUFFIXES.items()]
    return f"a name with the suffix {', '.join(named[:-1])}, or {named[-1]}"
