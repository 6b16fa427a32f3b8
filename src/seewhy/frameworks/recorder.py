"""What observes layer calls while a model runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seewhy.frameworks.structures import Inputs, model_run_error


class Recorder(ABC):
    """Is told of every call of a layer, and may replace the layer's output.

    Attributes:
        error: The exception that `record` raised, if it did. On its way out through the model it may be caught,
            rewritten or chained by anyone; kept here, it is still told from an exception of the model's own.
    """

    error: BaseException | None = None

    def observe(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call, and keep the exception if that fails."""
        try:
            return self.record(path, layer, output, arguments)
        except BaseException as error:
            self.error = error
            raise

    @abstractmethod
    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call.

        Args:
            path: The layer's path.
            layer: The layer.
            output: What it returned.
            arguments: What it was called with, (args, kwargs); None where the framework does not tell.

        Returns:
            What the model goes on with in place of the output.
        """


@contextmanager
def translated_errors(
    inputs: Inputs,
    failures: tuple[type[Exception], ...],
    recorder: Recorder | None,
    message: Callable[[Exception], object] = str,
) -> Iterator[None]:
    """Translate what a model raises when it cannot run into `ModelRunError`; the recorder's own error stays itself.

    Args:
        inputs: What the model is run on.
        failures: What the model may raise.
        recorder: What observes the model's layers.
        message: Returns the message of an error.
    """
    try:
        yield
    except failures as error:
        if recorder is not None and recorder.error is not None:
            raise recorder.error from None
        raise model_run_error(inputs, message(error)) from error
