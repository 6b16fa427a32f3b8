"""Load an `.onnx` file that may be anyone's: inspected in another process, before ONNX Runtime has it.

An ONNX model contains no code, but it can name files outside its folder, and a file of a few bytes can fill the memory
when the model is loaded or run.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError
from seewhy.models.file_inspection import ONNX_PROGRAM, run_inspector
from seewhy.regular_files import FileTooLargeError, NotRegularFileError
from seewhy.timing import Phase

if TYPE_CHECKING:
    from seewhy.frameworks.onnx.model import OnnxModel

_logger = logging.getLogger("seewhy.models")

SUFFIXES = (".onnx",)

PACKAGES = ("onnx", "onnxruntime")

MIN_ONNX = (1, 21)
"""The first version of onnx that does not follow links out of the folder of a model."""

DEFAULT_PROVIDERS = ("CPUExecutionProvider",)


def load_model(
    path: Path, *, trust: bool, providers: Sequence[str] = DEFAULT_PROVIDERS, threads: int | None = None
) -> "OnnxModel":
    """Load a model from an `.onnx` file, and from the files with weights beside it.

    Args:
        path: The file.
        trust: True skips the inspection in another process.
        providers: As for `OnnxModel`; threads likewise.

    Raises:
        ModelError: The file is malicious, not supported, or needs more memory than its weights explain.
        WeightsError: The file is empty, damaged or not ONNX, or one with weights is missing.
        MissingExtraError: onnx or onnxruntime is not installed, or onnx is too old.
        OptionError: `providers` or `threads` are not valid.
    """
    if trust:
        _import_packages(path)
    else:
        _logger.debug("%s is inspected in a process of its own", path)
        run_inspector(ONNX_PROGRAM, path, {"path": os.path.abspath(path)}, lambda: _import_packages(path))
    from seewhy.frameworks.onnx.model import OnnxModel
    from seewhy.frameworks.onnx.versions import prepare
    from seewhy.models.onnx_reading import read_model

    try:
        proto, _ = read_model(path)
    except (NotRegularFileError, FileTooLargeError) as error:
        raise ModelError(f"{path} is not read: {error}.") from error
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    return OnnxModel(prepare(proto, path), name=path.stem, providers=providers, threads=threads)


def _import_packages(path: Path) -> None:
    """Import the packages; while the file is inspected, as this takes about as long."""
    try:
        with timing.phase(Phase.IMPORTING):
            import onnx
            import onnxruntime  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise MissingExtraError(f"For {path.name}, {error.name}", "onnx") from error
    if tuple(map(int, onnx.__version__.split(".")[:2])) < MIN_ONNX:
        raise MissingExtraError(f"For {path.name}, onnx {'.'.join(map(str, MIN_ONNX))} or newer", "onnx")
