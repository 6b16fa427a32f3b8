"""PyArrow, which the extra `datasets` installs."""

import importlib
from typing import Any

from seewhy.errors import MissingExtraError


def pyarrow() -> Any:
    """Return PyArrow.

    Raises:
        MissingExtraError: It is not installed.
    """
    return _imported("pyarrow")


def pyarrow_compute() -> Any:
    """Return PyArrow's module of expressions.

    Raises:
        MissingExtraError: PyArrow is not installed.
    """
    return _imported("pyarrow.compute")


def pyarrow_parquet() -> Any:
    """Return PyArrow's module for Parquet files.

    Raises:
        MissingExtraError: PyArrow is not installed.
    """
    return _imported("pyarrow.parquet")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise MissingExtraError("For data sets, pyarrow", "datasets") from error
