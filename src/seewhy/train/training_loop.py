"""The training loop, which can be interrupted and resumed after any epoch with the same result.

An epoch depends on the weights, the optimizer's variables, and random numbers (the order of the images, augmentation,
dropout). The first two are saved in a checkpoint after each epoch; the random numbers depend on (seed, epoch) only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from seewhy.errors import ModelRunError, WeightsError
from seewhy.train.progress import TrainingProgress
from seewhy.train.run_folder import Checkpoint, Row, Run


@dataclass(frozen=True)
class TrainingPhase:
    """A number of epochs with the same trainable layers and the same optimizer.

    Attributes:
        epochs: The number of epochs.
        learning_rate: Returns the learning rate of an epoch, counted from 0 within the phase.
        set_trainable: Sets which layers are trainable; called before the model is compiled.
    """

    epochs: int
    learning_rate: Callable[[int], float]
    set_trainable: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class TrainingData:
    """The data of each epoch.

    Attributes:
        training: Returns the arguments of `keras.Model.fit` for an epoch, shuffled and augmented for that epoch.
        validation: The argument `validation_data` of `keras.Model.fit`.
    """

    training: Callable[[int], dict[str, Any]]
    validation: Any


def fit(
    model: Any,
    phases: Sequence[TrainingPhase],
    data: TrainingData,
    run: Run,
    seed: int,
    progress: TrainingProgress,
    on_epoch: Callable[[list[Row]], None] = lambda _: None,
) -> list[Row]:
    """Train the epochs that are not finished yet.

    Args:
        model: A `keras.Model` that ends in a softmax; its weights are changed.
        phases: The training phases in order, each with its own optimizer.
        data: The training and validation data.
        run: The folder for the checkpoint after each epoch.
        seed: The seed of all random numbers, together with the number of the epoch.
        progress: Prints the progress.
        on_epoch: Called after each epoch with the history, before the checkpoint is written.

    Returns:
        A row for each epoch, including those finished before.

    Raises:
        ModelRunError: The loss is not finite.
        OutputError: The checkpoint cannot be written.
    """
    checkpoint = run.load_checkpoint()
    rows = [] if checkpoint is None else list(checkpoint.history)
    if checkpoint is not None:
        _assign(model.weights, checkpoint.weights)
    total = sum(phase.epochs for phase in phases)
    first = 0
    for number, phase in enumerate(phases):
        last = first + phase.epochs
        is_finished = checkpoint is not None and checkpoint.phase == number and len(rows) == total
        if len(rows) < last or is_finished:  # after its last epoch, a run keeps the state of the optimizer too
            _compile(model, phase)
            if checkpoint is not None and checkpoint.phase == number:
                _assign(model.optimizer.variables, checkpoint.optimizer)
        for epoch in range(len(rows), last):
            learning_rate = phase.learning_rate(epoch - first)
            row = _train_epoch(model, learning_rate, epoch, data, seed, progress.epoch(epoch, total))
            rows.append(row)
            on_epoch(rows)
            run.save_checkpoint(_checkpoint(model, rows, number))
            progress.print_epoch(row, total)
        first = last
    return rows


def _compile(model: Any, phase: TrainingPhase) -> None:
    phase.set_trainable()
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)


def _train_epoch(
    model: Any, learning_rate: float, epoch: int, data: TrainingData, seed: int, callback: keras.callbacks.Callback
) -> Row:
    model.optimizer.learning_rate = learning_rate
    _seed_layers(model, seed, epoch)
    history = model.fit(
        **data.training(epoch),
        shuffle=False,  # already in the order for this epoch
        validation_data=data.validation,
        initial_epoch=epoch,
        epochs=epoch + 1,
        verbose=0,
        callbacks=[callback],
    ).history
    metrics = {name.replace("val_", "validation_"): float(values[-1]) for name, values in history.items()}
    if not np.isfinite(metrics["loss"]):
        raise ModelRunError(
            f"Training failed: after epoch {epoch + 1} the loss is {metrics['loss']}. Check the training images. "
            "Another --seed, or a larger --batch-size, may help."
        )
    names = ("loss", "accuracy", "validation_loss", "validation_accuracy")
    return {"epoch": epoch + 1, "learning_rate": learning_rate, **{name: metrics[name] for name in names}}


def _seed_layers(model: Any, seed: int, epoch: int) -> None:
    """Seed every random generator in the model (dropout, augmentation) for this epoch."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for position, state in enumerate(states):
        values = np.random.default_rng((seed, epoch, position)).integers(2**31, size=state.shape)
        state.assign(values.astype(str(state.dtype)))


def _checkpoint(model: Any, rows: list[Row], phase: int) -> Checkpoint:
    weights, optimizer = (
        [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]
        for variables in (model.weights, model.optimizer.variables)
    )
    return Checkpoint(list(rows), phase, weights, optimizer)


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Assign the values in a checkpoint to variables."""
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise WeightsError(
            f"The checkpoint has {len(values)} arrays that do not fit the {len(variables)} variables of the model: it "
            "was written by another version. Start a new run with another --out."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
