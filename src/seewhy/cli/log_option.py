"""The option `--log-level` of every command: what SeeWhy logs, on standard error."""

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any

import typer

from seewhy.cli.error_messages import command_line_message
from seewhy.representation import one_line

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

HELP = (
    "Log on standard error, with the time. info: what was chosen, and why, and which files are downloaded or cached. "
    "debug: also what was planned, compiled and tried."
)


class LogHandler(logging.Handler):
    """Writes records to what `sys.stderr` is when they are made: a progress bar replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as a line."""
        sys.stderr.write(one_line(command_line_message(self.format(record))) + "\n")


class LevelName(StrEnum):
    """The values of `--log-level`."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


LogLevelOption = Annotated[LevelName | None, typer.Option("--log-level", help=HELP, show_default="nothing is logged")]


def with_log_level(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has the option `--log-level`, too."""

    @wraps(command)
    def run(*, log_level: LevelName | None = None, **arguments: Any) -> None:
        with nullcontext() if log_level is None else log_to_stderr(getattr(logging, log_level.name.upper())):
            command(**arguments)

    name, default = "log_level", inspect.Parameter.KEYWORD_ONLY
    option = inspect.Parameter(name, default, default=None, annotation=LogLevelOption)
    signature = inspect.signature(command)
    vars(run)["__signature__"] = signature.replace(parameters=[*signature.parameters.values(), option])
    run.__annotations__ = {**command.__annotations__, name: LogLevelOption}
    return run


def is_logging(level: int) -> bool:
    """Whether `--log-level` was given, and writes messages of a level."""
    handlers = logging.getLogger("seewhy").handlers
    return any(isinstance(handler, LogHandler) and handler.level <= level for handler in handlers)


@contextmanager
def log_to_stderr(level: int) -> Iterator[None]:
    """Write what SeeWhy logs to standard error."""
    logger, handler = logging.getLogger("seewhy"), LogHandler(level)
    handler.setFormatter(logging.Formatter(FORMAT))
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False  # frameworks add handlers to the root logger, which would write the same again
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])  # and not `level`, which would leave what child loggers have cached
        logger.propagate = before[1]
