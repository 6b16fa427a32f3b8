"""A callback of Lightning that explains images while a model is trained."""

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Unpack

from seewhy.errors import MissingExtraError
from seewhy.images.reading import ImageLike
from seewhy.integrations.tracker import Tracker
from seewhy.integrations.training_explanations import ExplanationOptions, TrainingExplanations
from seewhy.representation import counted, description
from seewhy.targets import TargetSpec

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
"""The two names of Lightning. The callback is of the one that the caller imported; the extra installs the first."""

try:
    import torch

    _Callback: Any = importlib.import_module(
        next((name for name in PACKAGES if name in sys.modules), PACKAGES[0])
    ).Callback
except ModuleNotFoundError as error:
    raise MissingExtraError("For a callback of Lightning, lightning", "lightning") from error


class LightningExplanations(_Callback):  # type: ignore[misc]
    """Explains a fixed sample of images before the training and after every few epochs of a Lightning trainer.

    As `KerasExplanations`, with the same folder and the same promises. `trainer.validate` explains the sample too, with
    gradients: it leaves the inference mode in which a validation runs. Of several processes, the one of rank 0
    explains; a strategy that splits the weights of the model itself, such as FSDP, is not supported.

    Args:
        images: As for `KerasExplanations`; the other arguments likewise.
        model: Returns the part of the LightningModule to explain, a function of it; None explains all of it.

    Raises:
        OptionError, ImageError, UsageError: As for `KerasExplanations`.
    """

    def __init__(
        self,
        images: Iterable[ImageLike],
        folder: str | os.PathLike[str] = "explanations",
        every: int = 1,
        targets: TargetSpec = "top-1",
        trackers: Iterable[Tracker] = (),
        *,
        model: Callable[[Any], Any] | None = None,
        **options: Unpack[ExplanationOptions],
    ) -> None:
        super().__init__()
        self._sample = TrainingExplanations(images, folder, every, targets, trackers, **options)
        self._model = model
        self._is_started = False

    def __repr__(self) -> str:
        return description(self, f"of {counted(len(self._sample), 'image')} to {self._sample.folder}")

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Explain the untrained model."""
        self._start(trainer)
        if not any(torch.nn.parameter.is_lazy(each) for each in pl_module.parameters()):
            self._explain(pl_module, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Explain the model, if it is time."""
        if (trainer.current_epoch + 1) % self._sample.every == 0:
            self._explain(pl_module, trainer.current_epoch + 1)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Explain the model after a validation by `trainer.validate`; those of a training belong to its epochs."""
        if trainer.state.fn == "validate":
            self._start(trainer)
            self._explain(pl_module, trainer.current_epoch)
            self._finish()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the animations."""
        self._finish()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Write the animations of a training that was interrupted."""
        self._finish()

    def _start(self, trainer: Any) -> None:
        if trainer.is_global_zero:
            self._sample.start(trainer.current_epoch)
            self._is_started = True

    def _explain(self, module: Any, epoch: int) -> None:
        if self._is_started:
            with torch.inference_mode(False), torch.enable_grad():
                self._sample.explain(module if self._model is None else self._model(module), epoch)

    def _finish(self) -> None:
        if self._is_started:
            self._is_started = False
            self._sample.finish()
