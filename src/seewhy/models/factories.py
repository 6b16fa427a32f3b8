"""A function of the user's that returns a model: `package.module:callable`.

Importing the module runs its code, with all the rights of the user who started SeeWhy.
"""

import importlib
import inspect
import re
import sys
import traceback
from functools import partial
from operator import attrgetter
from types import ModuleType
from typing import Any

from seewhy import timing
from seewhy.errors import ModelError, SeewhyError, did_you_mean
from seewhy.models.classifier import Classifier
from seewhy.timing import Phase

SYNTAX = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_callable(source: str) -> bool:
    """Whether a source is written `package.module:callable`."""
    return SYNTAX.fullmatch(source) is not None


def check(source: str) -> None:
    """Raise ModelError if the module is one of Python's own."""
    module_name = source.partition(":")[0]
    if module_name.split(".", maxsplit=1)[0] in sys.stdlib_module_names:
        raise ModelError(
            f"Cannot load {source!r}: {module_name!r} is a module of Python itself; expected one of yours, with a "
            "function that returns a model."
        )


def load(source: str) -> Classifier:
    """Import a module, call a function in it without arguments, and return its model as a classifier.

    The name may also refer to a model or a `Classifier`, which is used as it is.

    Raises:
        ModelError: The module or the name does not exist, the module is one of Python's own, the user's code failed
            or exited, or its result is not a model.
    """
    check(source)
    module_name, _, name = source.partition(":")
    module = _import(source, module_name)
    value = _attribute(source, module, name)
    if inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, partial):
        value = _call(source, value)
    if isinstance(value, Classifier):
        return value
    try:
        return Classifier(value, name=getattr(value, "name", None) or source)
    except ModelError as error:
        raise ModelError(f"{source!r} did not return a model that SeeWhy can run. {error}") from error


def _attribute(source: str, module: ModuleType, name: str) -> Any:
    try:
        return attrgetter(name)(module)
    except AttributeError as error:
        hint = did_you_mean(name, vars(module))
        raise ModelError(f"Cannot load {source!r}: the module {module.__name__!r} has no {name!r}.{hint}") from error


def _import(source: str, name: str) -> ModuleType:
    try:
        with timing.phase(Phase.IMPORTING):
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        # The user's module may raise anything, or exit. It is missing only if the error names the module itself or a
        # package that contains it; any other name is one that the module failed to import.
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise ModelError(
                f"Cannot load {source!r}: there is no module {error.name!r}. Python searches the installed packages, "
                "PYTHONPATH and, on the command line, the current folder."
            ) from error
        raise _failure(f"Cannot load {source!r}: importing {name!r} failed", error) from error


def _call(source: str, function: Any) -> Any:
    try:
        return function()
    except SeewhyError:
        raise
    except (Exception, SystemExit) as error:
        # The user's function may raise anything, or exit.
        raise _failure(f"Cannot load {source!r}: calling it failed", error) from error


def _failure(message: str, error: BaseException) -> ModelError:
    """Return an error with what the user's code raised, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return ModelError(f"{message} ({frame.filename}, line {frame.lineno}): {type(error).__name__}: {error}")
