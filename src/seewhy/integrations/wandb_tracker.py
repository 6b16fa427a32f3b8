"""Images in Weights & Biases."""

from collections.abc import Mapping
from typing import Any

from seewhy.errors import MissingExtraError, OptionError, OutputError
from seewhy.representation import description
from seewhy.types import ImageArray

EPOCH = "seewhy/epoch"
"""The metric that is the horizontal axis of the images."""


class WeightsAndBiases:
    """Logs images to Weights & Biases: to the run that is active when the training begins, or to one of its own.

    Args:
        **options: Arguments of `wandb.init`, for a run of its own: `project="digits"`, `mode="offline"`.

    Raises:
        MissingExtraError: wandb is not installed.
    """

    def __init__(self, **options: Any) -> None:
        try:
            import wandb
        except ModuleNotFoundError as error:
            raise MissingExtraError("To log to Weights & Biases, wandb", "wandb") from error
        self._wandb, self._options = wandb, options
        self._run: Any = None
        self._is_own = False

    def __repr__(self) -> str:
        return description(self, "to its active run" if self._run is None else f"to the run {self._run.name}")

    def start(self) -> None:
        """Take the active run, or start one.

        Raises:
            OptionError: No run can be started, such as without a login.
        """
        self._run, self._is_own = self._wandb.run, self._wandb.run is None
        try:
            if self._is_own:
                self._run = self._wandb.init(**self._options)
            self._run.define_metric("seewhy/*", step_metric=EPOCH)
        except self._wandb.errors.Error as error:
            raise OptionError(
                f"Weights & Biases cannot start a run: {error} Log in with `wandb login`; or log to files, with "
                "WeightsAndBiases(mode='offline')."
            ) from error

    def log(self, images: Mapping[str, ImageArray], epoch: int) -> None:
        """Log the images of an epoch, with the epoch as their axis: the steps of a run belong to the training."""
        logged = {name: self._wandb.Image(image) for name, image in images.items()}
        try:
            self._run.log({**logged, EPOCH: epoch})
        except (self._wandb.errors.Error, OSError) as error:
            raise OutputError(f"Weights & Biases did not take the images of epoch {epoch}: {error}") from error

    def close(self) -> None:
        """Finish the run, if it is its own."""
        run, self._run = self._run, None
        try:
            if self._is_own and run is not None:
                run.finish()
        except (self._wandb.errors.Error, OSError) as error:
            raise OutputError(f"Weights & Biases cannot end the run {run.name}: {error}") from error
