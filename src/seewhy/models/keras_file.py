"""Load and save Keras model files, without running code that a file contains.

A `.keras` file is a zip with the model's config and its weights; a legacy `.h5` file is an HDF5 file with the config in
an attribute. A config can contain Python code (a Lambda layer), and a zip can have dangerous names and sizes, so the
file is checked before Keras loads it.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError
from seewhy.timing import Phase

BACKENDS = ("tensorflow", "jax", "torch")
"""Keras's backends; each is also the name of the extra that installs it."""

KERAS_EXTRAS = {"jax": "jax", "torch": "keras-torch"}
"""The extra that installs Keras with a backend; the extra "torch" is for native models and does not install Keras."""

SUFFIXES = (".keras", ".h5", ".hdf5")
HDF5_START, ZIP_START = b"\x89HDF\r\n\x1a\n", b"PK"
CONFIG = "config.json"
WEIGHTS = ("model.weights.h5", "model.weights.npz")
MAX_CONFIG_SIZE = 64 * 2**20
"""Bytes. The configs of the largest models of keras.applications take about 1 MB."""

BOMB_SIZE, BOMB_RATIO = 256 * 2**20, 100
"""A zip entry is refused if it has more bytes than this and is compressed by more than this ratio."""

UNKNOWN_OBJECT = re.compile(r"(?:Could not locate (?:class|function)|Unknown [\w ]+:) '([^']+)'")
"""Keras's messages, for either format, about a class or function that is not registered."""


def load_model(path: Path, *, trust: bool) -> Any:
    """Load an uncompiled model from a `.keras` or legacy `.h5` file.

    Args:
        path: The file.
        trust: True allows code in the file to run.

    Raises:
        ModelError: The file contains code and is not trusted, is malicious, or needs a class that is not registered.
        WeightsError: The file is empty or damaged, or does not contain a model.
        MissingExtraError: Keras is not installed.
    """
    keras = _import_keras(f"For {path.name}, ")
    config = _read_config(path)
    if not trust and _contains_code(config):
        raise ModelError(
            f"{path} contains a Lambda layer, whose Python code would run on this machine. If the file is your own, "
            "or you trust its author to run any program, load it with trust=True (--trust on the command line)."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        # Keras raises errors of a dozen types for damaged or unsupported files.
        raise _load_error(path, error) from error


def load_weights(model: Any, path: Path) -> None:
    """Load a file that `save_weights` wrote, `.weights.h5` or legacy `.h5`, into a model of the same architecture.

    Raises:
        ModelError: The model is not a Keras model.
        WeightsError: The file does not contain weights, or those of another architecture.
    """
    if not is_keras_model(model):
        raise ModelError(
            f"{path} cannot be loaded into a {type(model).__name__}: weights from files can only be loaded into Keras "
            "models. Load them in a function that returns the model: package.module:callable."
        )
    try:
        model.load_weights(path)
    except Exception as error:
        # Keras raises errors of a dozen types for damaged or unsupported files.
        raise WeightsError(
            f"{path} does not contain weights for {model.name}: {_first_line(error)} Expected a file that save_weights "
            "of a model of the same architecture wrote, .weights.h5 or .h5."
        ) from error


def save_model(model: Any, file: BinaryIO) -> None:
    """Write a Keras model to an open file in the `.keras` format.

    Raises:
        ModelError: Keras cannot save the model, for example because a layer has no config.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ModelError(f"Keras cannot save the model {model.name!r}: {_first_line(error)}") from error
        with path.open("rb") as written:
            shutil.copyfileobj(written, file)


def is_keras_model(model: Any) -> bool:
    """Whether a model is a Keras model; imports nothing."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def application_functions() -> dict[str, Callable[..., Any]]:
    """Return `preprocess_input` of every module of `keras.applications`, by the module's name."""
    applications = _import_keras("For the preprocessing of keras.applications, ").applications
    modules = {name: getattr(applications, name) for name in sorted(dir(applications))}
    return {name: module.preprocess_input for name, module in modules.items() if hasattr(module, "preprocess_input")}


def missing_extra(need: str, error: ModuleNotFoundError) -> Exception:
    """Return an error that names the extra with Keras or its backend; the same error if another module is missing."""
    if error.name in BACKENDS:
        return MissingExtraError(need + error.name, error.name)
    if error.name == "keras":
        return MissingExtraError(f"{need}keras", KERAS_EXTRAS.get(os.environ.get("KERAS_BACKEND", ""), "tensorflow"))
    return error


def _import_keras(need: str) -> Any:
    try:
        with timing.phase(Phase.IMPORTING):
            import keras
    except ModuleNotFoundError as error:
        raise missing_extra(need, error) from error
    return keras


def _read_config(path: Path) -> Any:
    """Return the config in a model file, without building the model."""
    try:
        with path.open("rb") as file:
            start = file.read(len(HDF5_START))
        if not start:
            raise WeightsError(f"{path} is empty; expected a model saved by Keras.")
        is_legacy = path.suffix.lower() != ".keras"
        if not start.startswith(HDF5_START if is_legacy else ZIP_START):
            raise WeightsError(_format_mismatch(path, is_legacy, start))
        content = _read_hdf5_config(path) if is_legacy else _read_zip_config(path)
        return json.loads(content)
    except (OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"{path} cannot be read; it may be damaged: {_first_line(error)}") from error
    except ValueError as error:
        raise WeightsError(f"The config of the model in {path} is damaged: {_first_line(error)}") from error


def _format_mismatch(path: Path, is_legacy: bool, start: bytes) -> str:
    if start == HDF5_START:
        return f"{path} is in Keras's legacy format, HDF5. Rename it to {path.with_suffix('.h5').name}."
    if is_legacy and start.startswith(ZIP_START):
        return (
            f"{path} is a zip file, not HDF5. If it is a Keras 3 file, rename it to {path.with_suffix('.keras').name}."
        )
    return f"{path} is not a model saved by Keras; expected {'HDF5' if is_legacy else 'a zip file'}."


def _read_zip_config(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            _check_entry(path, entry)
        names = archive.namelist()
        if CONFIG not in names or not set(WEIGHTS) & set(names):
            raise WeightsError(
                f"{path} is a zip file without {CONFIG} and {WEIGHTS[0]}; expected a model saved by Keras."
            )
        return archive.read(CONFIG)


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    """Raise ModelError for a zip entry that would be written outside the folder, or is a decompression bomb."""
    name = entry.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or ":" in name:
        raise ModelError(f"{path} is malicious: its entry {entry.filename!r} would be written outside its folder.")
    limit = MAX_CONFIG_SIZE if name == CONFIG else max(BOMB_SIZE, BOMB_RATIO * entry.compress_size)
    if entry.file_size > limit:
        raise ModelError(
            f"{path} is malicious: its entry {entry.filename!r} of {entry.compress_size:,} bytes would fill the memory "
            f"with {entry.file_size:,}."
        )


def _read_hdf5_config(path: Path) -> str | bytes:
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
    if config is None:
        raise WeightsError(
            f"{path} does not contain a model, at most its weights. Build the model, load the weights and save the "
            "whole model; or give a function that returns it: package.module:callable."
        )
    return bytes(config) if isinstance(config, bytes) else str(config)


def _contains_code(config: Any) -> bool:
    """Whether a function in a config, of a Lambda layer or elsewhere, is stored as code and not by its name."""
    for entry in _nested_objects(config):
        class_name, arguments = entry.get("class_name"), entry.get("config")
        if class_name == "__lambda__":
            return True
        if class_name == "Lambda" and not (isinstance(arguments, dict) and _is_named(arguments.get("function"))):
            return True
    return False


def _is_named(function: Any) -> bool:
    return isinstance(function, dict) and function.get("class_name") == "function"


def _nested_objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in a config, at any depth."""
    stack = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _load_error(path: Path, error: Exception) -> ModelError | WeightsError:
    match = UNKNOWN_OBJECT.search(str(error))
    if match is not None:
        return ModelError(
            f"{path} needs the class or function {match[1]!r}, which is not registered with Keras. Decorate it with "
            "@keras.saving.register_keras_serializable() and import its module before seewhy.load, or give a function "
            "that does so and returns the model: package.module:callable."
        )
    return WeightsError(f"Keras cannot load {path}: {type(error).__name__}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
