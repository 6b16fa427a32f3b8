"""The option `--compile-cache`: a folder in which JAX caches compiled code."""

import os
from collections.abc import Iterable
from pathlib import Path

from seewhy.errors import OptionError, OutputError
from seewhy.frameworks import Framework


def set_compile_cache(folder: Path) -> None:
    """Set the folder of JAX's compilation cache. Call it before JAX is imported.

    Raises:
        OutputError: The folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise OutputError(
            f"Cannot create the folder {folder}: {reason}. Give another folder with --compile-cache."
        ) from error
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder.absolute())
    # By default, JAX only caches what takes a second or more to compile, which leaves out some fifty small functions.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


def check_is_jax(frameworks: Iterable[Framework]) -> None:
    """Raise OptionError if no model runs on JAX, in which case the cache would have no effect."""
    names = dict.fromkeys(framework.name for framework in frameworks)
    if "keras-jax" not in names:
        raise OptionError(
            f"--compile-cache is for models on JAX, and the model runs on {', '.join(names)}. Leave it out; or run "
            "efficientnet-lite0 with --backend jax, or another Keras model with the environment variable "
            "KERAS_BACKEND=jax."
        )
