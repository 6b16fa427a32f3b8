"""Load and save Keras model files, without running code that a file contains.

A `.keras` file is a zip with the model's config and its weights; a legacy `.h5` file is an HDF5 file with the config in
an attribute. A config can contain Python code (a Lambda layer) or name functions that act, and a file can have
dangerous names and sizes, so it is inspected before Keras loads it.
"""

import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, SeewhyWarning, WeightsError, WeightsMismatchError
from seewhy.models import keras2_config
from seewhy.models.build_limits import limited
from seewhy.models.config_check import UnlistedObject
from seewhy.models.file_inspection import inspect
from seewhy.models.keras_allowlist import TORCH_OPTIMIZERS
from seewhy.timing import Phase

BACKENDS = ("tensorflow", "jax", "torch")
"""Keras's backends; each is also the name of the extra that installs it."""

KERAS_EXTRAS = {"jax": "jax", "torch": "keras-torch"}
"""The extra that installs Keras with a backend; the extra "torch" is for native models and does not install Keras."""

SUFFIXES = (".keras", ".h5", ".hdf5")

KERAS_2_LAYERS = ("LocallyConnected1D", "LocallyConnected2D", "SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer")
"""Layers that Keras 3 does not have. Some of them stand for operations of TensorFlow, such as `2 * x`."""

UNKNOWN_OBJECT = re.compile(r"(?:Could not locate (?:class|function)|Unknown [\w ]+:) '([^']+)'")
"""Keras's messages, for either format, about a class or function that is not registered."""


def load_model(path: Path, *, trust: bool) -> Any:
    """Load an uncompiled model from a `.keras` or legacy `.h5` file.

    Args:
        path: The file.
        trust: True allows code in the file to run.

    Raises:
        ModelError: The file is malicious, contains code or names a class or function that is not on the allow-list
            and is not trusted, needs a class that is not registered, or describes layers out of proportion to its
            weights.
        WeightsError: The file is empty or damaged, or does not contain a model.
        MissingExtraError: Keras is not installed.
    """
    keras = _import_keras(f"For {path.name}, ")
    inspection = inspect(path, trust=trust)
    with _mended(path) as readable:
        if readable != path:
            inspection = inspect(readable, trust=trust)  # what Keras loads is what was inspected
        for unlisted in inspection.unlisted:
            if not (_is_registered(keras, unlisted) or _is_torch_optimizer(keras, unlisted)):
                raise _unlisted_error(path, unlisted.name)
        if trust:
            return _load(keras, path, readable, safe_mode=False)
        with limited(keras, inspection.weight_bytes) as limits:
            try:
                model = _load(keras, path, readable, safe_mode=True)
            except (ModelError, WeightsError) as error:
                if limits.problem is None:
                    raise
                raise _untrusted_error(path, limits.problem) from error
        if limits.problem is not None:  # Keras went on
            raise _untrusted_error(path, limits.problem)
        return model


def load_weights(model: Any, path: Path) -> None:
    """Load a file that `save_weights` wrote, `.weights.h5` or legacy `.h5`, into a model of the same architecture.

    Raises:
        ModelError: The model is not a Keras model.
        WeightsError: The file is damaged.
        WeightsMismatchError: The file contains no weights, or those of another architecture.
    """
    if not is_keras_model(model):
        raise ModelError(
            f"{path} cannot be loaded into a {type(model).__name__}: weights from files can only be loaded into Keras "
            "models. Load them in a function that returns the model: package.module:callable."
        )
    inspect(path, trust=False, weights_only=True)
    try:
        model.load_weights(path)
    except Exception as error:
        # Keras raises errors of a dozen types for damaged or unsupported files, and h5py OSError for damaged ones.
        kind = WeightsError if isinstance(error, OSError) else WeightsMismatchError
        raise kind(
            f"{path} does not contain weights for {model.name}: {_cause(error)} Expected a file that save_weights "
            "of a model of the same architecture wrote, .weights.h5 or .h5."
        ) from error


def _load(keras: Any, path: Path, readable: Path, *, safe_mode: bool) -> Any:
    try:
        return keras.saving.load_model(readable, compile=False, safe_mode=safe_mode)
    except Exception as error:
        # Keras raises errors of a dozen types for damaged or unsupported files.
        raise _load_error(path, error) from error


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
            raise ModelError(f"Keras cannot save the model {model.name!r}: {_cause(error)}") from error
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


@contextmanager
def _mended(path: Path) -> Iterator[Path]:
    """Give the path of a file that Keras 3 can read: a copy with a mended config, for some files of Keras 2."""
    content = None if path.suffix.lower() == ".keras" else _legacy_config(path)
    mended = None if content is None else keras2_config.mend(content)
    if mended is None:
        yield path
        return
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "mended.h5"
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            file.attrs["model_config"] = mended
        yield copy


def _legacy_config(path: Path) -> str | bytes | None:
    """Return the config of an HDF5 file of Keras 2, which was inspected; None for one of Keras 3."""
    import h5py

    with h5py.File(path, "r") as file:
        version, content = file.attrs.get("keras_version", ""), file.attrs["model_config"]
    version = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    if version.startswith("3"):
        return None
    content = content if isinstance(content, bytes) else str(content)
    if keras2_config.uses_changed_function(content):
        warnings.warn(
            f"{path} was saved by Keras {version}, and a layer in it has the activation "
            f"{keras2_config.CHANGED_FUNCTION}, which is another function in Keras 3: predictions may differ.",
            SeewhyWarning,
            stacklevel=2,
        )
    return content


def _is_registered(keras: Any, unlisted: UnlistedObject) -> bool:
    """Whether the user's code registered the class or function under the name that Keras searches for."""
    return unlisted.key is not None and keras.saving.get_registered_object(unlisted.key) is not None


def _is_torch_optimizer(keras: Any, unlisted: UnlistedObject) -> bool:
    return unlisted.name in TORCH_OPTIMIZERS and keras.config.backend() == "torch"


def _unlisted_error(path: Path, name: str) -> ModelError:
    if name.split(".", maxsplit=1)[0] == "keras":
        problem = (
            f"it names {name}, which is not one of the layers and functions of Keras that are known to be harmless"
        )
        return _untrusted_error(path, problem)
    return _not_registered(path, name)


def _untrusted_error(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"{path} is refused: {problem}. If the file is your own, or you trust its author to run any program, load it "
        "with trust=True (--trust on the command line)."
    )


def _not_registered(path: Path, name: str) -> ModelError:
    if name in KERAS_2_LAYERS:
        return ModelError(
            f"{path} contains a layer of Keras 2 that Keras 3 does not have, {name}. Build the model with layers of "
            "Keras 3 in a function that loads the weights and returns the model: model.load_weights(path). Then give "
            "the function: package.module:callable."
        )
    return ModelError(
        f"{path} needs the class or function {name!r}, which is not registered with Keras. Decorate it with "
        "@keras.saving.register_keras_serializable() and import its module before seewhy.load, or give a function "
        "that does so and returns the model: package.module:callable."
    )


def _load_error(path: Path, error: Exception) -> ModelError | WeightsError:
    match = UNKNOWN_OBJECT.search(str(error))
    if match is not None:
        return _not_registered(path, match[1])
    return WeightsError(f"Keras cannot load {path}: {type(error).__name__}: {_cause(error)}")


def _cause(error: BaseException) -> str:
    """Return the last line of a message of Keras, which names the cause; the lines before it show the config."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1].removeprefix("Exception encountered: ")[:300]
