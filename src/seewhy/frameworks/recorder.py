"""Recorders observe the calls of a model's layers while it runs."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seewhy.frameworks.cleanup import interrupt_behind
from seewhy.frameworks.structures import InputBatch, model_run_error

FROM_ANY_MODEL = (MemoryError, StopIteration, OSError, ImportError, EOFError, BufferError)
"""What a model of any framework may raise, besides the exceptions that its framework uses."""


class Recorder(ABC):
    """Observes every call of a layer, and may replace the layer's output.

    Attributes:
        error: The exception that `record` raised, if any. The model or its framework may catch, rewrite or chain that
            exception while it propagates. Stored here, it stays distinct from the model's own exceptions.
    """

    error: BaseException | None = None

    def begin(self, layer: Any) -> None:
        """Observe that a call of a layer begins; `observe` or `cancel` follows when it ends."""

    def cancel(self) -> None:
        """Observe that a call ended by an exception."""

    def observe(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Record a call, and store the exception if recording fails."""
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
            output: The layer's output.
            arguments: The call's (args, kwargs); None where the framework does not provide them.

        Returns:
            The output that the model continues with.
        """


@contextmanager
def translated_errors(
    inputs: InputBatch,
    failures: tuple[type[Exception], ...],
    recorder: Recorder | None,
    message: Callable[[Exception], object] = str,
) -> Iterator[None]:
    """Translate exceptions of the model into `ModelRunError`, and leave the recorder's own exception as it is.

    Args:
        inputs: The batch that the model runs on.
        failures: The types of exceptions that a model may raise.
        recorder: Observes the model's layers.
        message: Returns the message of an exception.
    """
    earlier = sys.exception()
    translated: tuple[type[Exception], ...] = failures + FROM_ANY_MODEL
    try:
        yield
    except translated as error:
        if (interrupt := interrupt_behind(error, earlier)) is not None:
            raise interrupt from None
        if recorder is not None and recorder.error is not None:
            raise recorder.error from None
        raise model_run_error(inputs, message(error) or type(error).__name__) from error
