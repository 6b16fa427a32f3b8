"""A callback of Keras that explains images while a model is trained."""

import json
import os
import sys
from collections.abc import Iterable
from typing import Any, Unpack

from seewhy.errors import MissingExtraError
from seewhy.images.reading import ImageLike
from seewhy.integrations.tracker import Tracker
from seewhy.integrations.training_explanations import ExplanationOptions, TrainingExplanations
from seewhy.representation import counted, description
from seewhy.targets import TargetSpec

try:
    import keras
except ModuleNotFoundError as error:
    raise MissingExtraError("For a callback of Keras, keras", "tensorflow") from error


class KerasExplanations(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Explains a fixed sample of images before the training and after every few epochs, on any Keras backend.

    The model is trained as without the callback: its weights, its batch statistics and all random states are those of
    the same training without it. Where a training has several processes, the first explains.

    `folder` holds `epoch-0003/image-0.png`, the image and the overlay of each target; `epoch-0003/explanations.json`,
    their scores and predictions; and after the training `image-0.webp`, an animation over the epochs. Epoch 0 is
    before the training. What fails later than the first explanation is a warning, and the training goes on.

    Args:
        images: The sample: paths, PIL images or uint8 arrays (H, W, 3). They are read once, when this is made.
        folder: Where the images are written.
        every: The number of epochs from one explanation to the next.
        targets: As for `Explainer.explain`.
        trackers: `TensorBoard`, `WeightsAndBiases` and `MLflow`, where the images are logged too; or other objects
            with their methods.
        **options: `preprocess`, `class_names` and `input_size` as for `seewhy.Classifier`; `method`, `layer`, `score`
            and other options of `seewhy.Explainer`. `layer="auto"` is chosen at the first explanation, and kept.

    Raises:
        OptionError: The sample has no image, or `every` is not a number of epochs.
        ImageError: An image cannot be read.
        UsageError: When the training begins: the model cannot be explained in this way, such as a model without a layer
            with space; or a tracker cannot be used, such as one that is not logged in.
    """

    def __init__(
        self,
        images: Iterable[ImageLike],
        folder: str | os.PathLike[str] = "explanations",
        every: int = 1,
        targets: TargetSpec = "top-1",
        trackers: Iterable[Tracker] = (),
        **options: Unpack[ExplanationOptions],
    ) -> None:
        super().__init__()
        self._sample = TrainingExplanations(images, folder, every, targets, trackers, **options)
        self._is_started = False

    def __repr__(self) -> str:
        return description(self, f"of {counted(len(self._sample), 'image')} to {self._sample.folder}")

    def on_train_begin(self, logs: Any = None) -> None:
        """Finish what a training that was interrupted left, of which Keras says no end."""
        self.on_train_end()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before the first epoch, explain the untrained model; this is where Keras says which epoch is the first."""
        if self._is_started or not _is_first_process():
            return
        self._sample.start(epoch)
        self._is_started = True
        if self.model.built:  # else its weights are made by the first batch
            self._explain(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Explain the model, if it is time."""
        if self._is_started and (epoch + 1) % self._sample.every == 0:
            self._explain(epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        """Write the animations."""
        if self._is_started:
            self._is_started = False
            self._sample.finish()

    def _explain(self, epoch: int) -> None:
        model = self.model  # which, on JAX, brings the state of the training into the model
        counts = [each for each in model.non_trainable_variables if "int" in str(each.dtype)]
        self._sample.explain(model, epoch, counts)


def _is_first_process() -> bool:
    """Whether this process is the first of those that train the model together, or the only one."""
    backend = keras.backend.backend()
    if backend == "torch":
        distributed = sys.modules["torch"].distributed
        return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0
    if backend == "jax":
        return bool(sys.modules["jax"].process_index() == 0)
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")  # by which TensorFlow knows its processes
    task = config.get("task", {})
    first = "chief" if "chief" in config.get("cluster", {}) else "worker"
    return (task.get("type", first), int(task.get("index", 0))) == (first, 0)
