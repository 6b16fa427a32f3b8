"""What is shown while a model trains: a bar for each epoch, and a line when it is over."""

from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seewhy.train.run import Row


class TrainingProgress:
    """Shows epochs on a terminal; elsewhere, only the lines.

    Args:
        console: Where to; None shows nothing.
        held_out: What the images are called that the model is measured on: "test", "validation".
    """

    def __init__(self, console: Console | None, held_out: str) -> None:
        self.console = console
        self.held_out = held_out

    def epoch(self, epoch: int, total: int) -> keras.callbacks.Callback:
        """Return what shows the progress of one epoch, counted from 0."""
        console = self.console
        if console is None or not console.is_terminal:
            return keras.callbacks.Callback()
        return _EpochBar(console, f"epoch {epoch + 1}/{total}")

    def finished(self, row: Row, total: int) -> None:
        """Say what came of an epoch."""
        if self.console is not None:
            self.console.print(
                f"epoch {row['epoch']}/{total}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
                f"{self.held_out} loss {row['validation_loss']:.4f}, accuracy {row['validation_accuracy']:.4f}",
                highlight=False,
            )


class _EpochBar(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """A bar that is gone when the epoch is over, also when it ends in an error."""

    def __init__(self, console: Console, title: str) -> None:
        super().__init__()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[found]}"),
            console=console,
            transient=True,
        )
        self.task = self.bars.add_task(title, total=None, found="")

    def on_train_begin(self, logs: Any = None) -> None:
        self.bars.start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        found = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        self.bars.update(self.task, completed=batch + 1, total=self.params.get("steps"), found=found)

    def on_train_end(self, logs: Any = None) -> None:
        self.bars.stop()
