"""The progress of training on the console: a bar for the current epoch, and a line for each finished one."""

from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seewhy.train.run_folder import Row


class TrainingProgress:
    """Prints progress: bars and lines on a terminal, only lines elsewhere.

    Args:
        console: The console; None prints nothing.
        evaluation_split: The name of the evaluation images: "test" or "validation".
    """

    def __init__(self, console: Console | None, evaluation_split: str) -> None:
        self.console = console
        self.evaluation_split = evaluation_split

    def epoch(self, epoch: int, total: int) -> keras.callbacks.Callback:
        """Return a callback that shows the progress of an epoch, counted from 0."""
        console = self.console
        if console is None or not console.is_terminal:
            return keras.callbacks.Callback()
        return _EpochBar(console, f"epoch {epoch + 1}/{total}")

    def print_epoch(self, row: Row, total: int) -> None:
        """Print the results of a finished epoch."""
        if self.console is not None:
            self.console.print(
                f"epoch {row['epoch']}/{total}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
                f"{self.evaluation_split} loss {row['validation_loss']:.4f}, accuracy {row['validation_accuracy']:.4f}",
                highlight=False,
            )


class _EpochBar(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """A progress bar that is removed when the epoch ends, with or without an error."""

    def __init__(self, console: Console, title: str) -> None:
        super().__init__()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=console,
            transient=True,
        )
        self.task = self.bars.add_task(title, total=None, metrics="")

    def on_train_begin(self, logs: Any = None) -> None:
        self.bars.start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        self.bars.update(self.task, completed=batch + 1, total=self.params.get("steps"), metrics=metrics)

    def on_train_end(self, logs: Any = None) -> None:
        self.bars.stop()
