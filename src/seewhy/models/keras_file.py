"""Keras models in files: look before loading, load without running what is in them, save.

A `.keras` file is a zip with a description of the model and its weights; a legacy `.h5` file is an HDF5 file with
the description in an attribute. A description can carry Python code (a Lambda layer), and a zip can lie about sizes
and names, so all of that is looked at first.
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
"""What Keras can run on, each also the name of the extra that brings it."""

KERAS_EXTRAS = {"jax": "jax", "torch": "keras-torch"}
"""The extra that brings Keras with a backend; "torch" is for native models, and has no Keras."""

SUFFIXES = (".keras", ".h5", ".hdf5")
HDF5_START, ZIP_START = b"\x89HDF\r\n\x1a\n", b"PK"
DESCRIPTION = "config.json"
WEIGHTS = ("model.weights.h5", "model.weights.npz")
MAX_DESCRIPTION = 64 * 2**20
"""Bytes. The largest models of keras.applications are described in one; beyond this it is no description."""

BOMB_SIZE, BOMB_RATIO = 256 * 2**20, 100
"""A part that is larger than this, and so many times larger than what is stored of it, is no set of weights."""

UNKNOWN = re.compile(r"(?:Could not locate (?:class|function)|Unknown [\w ]+:) '([^']+)'")
"""How Keras says, in either format, that it does not know a class or function of the file."""


def load_model(path: Path, *, trust: bool) -> Any:
    """Load a model from a `.keras` or a legacy `.h5` file, uncompiled.

    Args:
        path: The file.
        trust: True lets code that is in the file run.

    Raises:
        ModelError: The file holds code and is not trusted, is made to do harm, or has a class Keras does not know.
        WeightsError: The file is empty, damaged, or holds no model.
        MissingExtraError: Keras is not installed.
    """
    keras = _keras(f"For {path.name}, ")
    description = _describe(path)
    if not trust and _holds_code(description):
        raise ModelError(
            f"{path} holds a Lambda layer: Python code, which would run on this machine. If the file is your own, or "
            "you would run any program of whoever made it, load it with trust=True (--trust on the command line)."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        # Whatever a file makes Keras stumble over comes out as one of a dozen types.
        raise _load_error(path, error) from error


def load_weights(model: Any, path: Path) -> None:
    """Load weights into a model of the same architecture: what `save_weights` wrote, `.weights.h5` or legacy `.h5`.

    Raises:
        ModelError: The model is not of Keras.
        WeightsError: The file holds no weights, or those of another architecture.
    """
    if not is_keras(model):
        raise ModelError(
            f"{path} cannot be loaded into a {type(model).__name__}: weights from files are loaded into Keras "
            "models only. Give a function that loads them: package.module:callable."
        )
    try:
        model.load_weights(path)
    except Exception as error:
        # Whatever a file makes Keras stumble over comes out as one of a dozen types.
        raise WeightsError(
            f"{path} does not hold weights for {model.name}: {_first_line(error)} Expected a file that save_weights "
            "of a model of the same architecture wrote, .weights.h5 or .h5."
        ) from error


def save_model(model: Any, file: BinaryIO) -> None:
    """Write a Keras model into an open file, in the format `.keras`.

    Raises:
        ModelError: A layer cannot say how it is built.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ModelError(f"Keras cannot save the model {model.name!r}: {_first_line(error)}") from error
        with path.open("rb") as written:
            shutil.copyfileobj(written, file)


def is_keras(model: Any) -> bool:
    """Whether a model is one of Keras 3, importing nothing."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Model)


def application_functions() -> dict[str, Callable[..., Any]]:
    """Return `preprocess_input` of every module of `keras.applications`, by the module's name."""
    applications = _keras("The preprocessing of keras.applications: ").applications
    modules = {name: getattr(applications, name) for name in sorted(dir(applications))}
    return {name: each.preprocess_input for name, each in modules.items() if hasattr(each, "preprocess_input")}


def missing(need: str, error: ModuleNotFoundError) -> Exception:
    """Say which extra brings Keras, or the backend it is set to; where something else is missing, that is the fault."""
    if error.name in BACKENDS:
        return MissingExtraError(need + error.name, error.name)
    if error.name == "keras":
        return MissingExtraError(f"{need}keras", KERAS_EXTRAS.get(os.environ.get("KERAS_BACKEND", ""), "tensorflow"))
    return error


def _keras(need: str) -> Any:
    try:
        with timing.phase(Phase.IMPORTING):
            import keras
    except ModuleNotFoundError as error:
        raise missing(need, error) from error
    return keras


def _describe(path: Path) -> Any:
    """Return what the file says of its model, without building any of it."""
    try:
        with path.open("rb") as file:
            start = file.read(len(HDF5_START))
        if not start:
            raise WeightsError(f"{path} is empty; expected a model saved by Keras.")
        is_legacy = path.suffix.lower() != ".keras"
        if not start.startswith(HDF5_START if is_legacy else ZIP_START):
            raise WeightsError(_wrong_kind(path, is_legacy, start))
        content = _hdf5_description(path) if is_legacy else _zip_description(path)
        return json.loads(content)
    except (OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"{path} cannot be read; it may be damaged: {_first_line(error)}") from error
    except ValueError as error:
        raise WeightsError(f"The description of the model in {path} is damaged: {_first_line(error)}") from error


def _wrong_kind(path: Path, is_legacy: bool, start: bytes) -> str:
    if start == HDF5_START:
        return f"{path} is in Keras's older format, HDF5. Rename it to {path.with_suffix('.h5').name}."
    if is_legacy and start.startswith(ZIP_START):
        return f"{path} is a zip, not HDF5. If it is a Keras 3 file, rename it to {path.with_suffix('.keras').name}."
    return f"{path} is no model saved by Keras; expected {'HDF5' if is_legacy else 'a zip'}."


def _zip_description(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            _check_part(path, part)
        names = archive.namelist()
        if DESCRIPTION not in names or not set(WEIGHTS) & set(names):
            raise WeightsError(f"{path} is a zip without {DESCRIPTION} and {WEIGHTS[0]}: no model saved by Keras.")
        return archive.read(DESCRIPTION)


def _check_part(path: Path, part: zipfile.ZipInfo) -> None:
    """Refuse a part of a zip that would be written somewhere else, or that is far larger than it looks."""
    name = part.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or ":" in name:
        raise ModelError(f"{path} is made to write outside its folder: it holds a part named {part.filename!r}.")
    limit = MAX_DESCRIPTION if name == DESCRIPTION else max(BOMB_SIZE, BOMB_RATIO * part.compress_size)
    if part.file_size > limit:
        raise ModelError(
            f"{path} is made to fill the memory: its part {part.filename!r} holds {part.compress_size:,} bytes that "
            f"unpack to {part.file_size:,}."
        )


def _hdf5_description(path: Path) -> str | bytes:
    import h5py

    with h5py.File(path, "r") as file:
        description = file.attrs.get("model_config")
    if description is None:
        raise WeightsError(
            f"{path} holds no model, at most its weights. Build the model, load the weights into it, and save it "
            "whole; or give a function that does so: package.module:callable."
        )
    return bytes(description) if isinstance(description, bytes) else str(description)


def _holds_code(description: Any) -> bool:
    """Whether any Lambda's function, or any function at all, stands in the description as code and not as a name."""
    for each in _objects(description):
        kind, config = each.get("class_name"), each.get("config")
        if kind == "__lambda__":
            return True
        if kind == "Lambda" and not (isinstance(config, dict) and _is_name(config.get("function"))):
            return True
    return False


def _is_name(function: Any) -> bool:
    return isinstance(function, dict) and function.get("class_name") == "function"


def _objects(description: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON text, at any depth."""
    waiting = [description]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _load_error(path: Path, error: Exception) -> ModelError | WeightsError:
    unknown = UNKNOWN.search(str(error))
    if unknown is not None:
        return ModelError(
            f"{path} needs the class or function {unknown[1]!r}, which Keras does not know. Import the module that "
            "defines it under @keras.saving.register_keras_serializable() before seewhy.load, or give a function that "
            "does so and returns the model: package.module:callable."
        )
    return WeightsError(f"Keras cannot load {path}: {type(error).__name__}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
