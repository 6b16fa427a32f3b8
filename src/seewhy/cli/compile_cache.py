"""`--compile-cache`: what JAX has compiled, kept in a folder for the next start."""

import os
from collections.abc import Iterable
from pathlib import Path

from seewhy.errors import OptionError, OutputError
from seewhy.frameworks import Framework


def keep_compiled(folder: Path) -> None:
    """Have JAX keep what it compiles, and take from the folder what it has compiled before. JAX is not imported yet.

    Raises:
        OutputError: The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror or error
        raise OutputError(f"Cannot make the folder {folder}: {why}. Give another with --compile-cache.") from error
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder.absolute())
    # By itself JAX keeps what takes a second or more: of a start that is one thing, and fifty small ones take as long.
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


def check_is_jax(frameworks: Iterable[Framework]) -> None:
    """Raise OptionError if nothing runs on JAX, so that nothing would be kept."""
    names = dict.fromkeys(each.name for each in frameworks)
    if "keras-jax" not in names:
        raise OptionError(
            f"--compile-cache keeps what JAX compiles, and the model runs on {', '.join(names)}. Leave it out; or "
            "run a Keras model on JAX: set the environment variable KERAS_BACKEND to jax."
        )
