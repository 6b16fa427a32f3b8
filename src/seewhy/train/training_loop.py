"""Epoch by epoch: each is seeded by its number alone, so that a run can stop after any of them and go on.

Everything an epoch depends on is the weights, the optimizer's variables, and what is drawn by chance (the order of the
images, their distortions, dropout). The first two are kept after each epoch; the last comes from (seed, epoch).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from seewhy.errors import ModelRunError, WeightsError
from seewhy.train.progress import TrainingProgress
from seewhy.train.run import Row, Run, State


@dataclass(frozen=True)
class TrainingPhase:
    """Epochs that are trained alike.

    Attributes:
        epochs: How many.
        learning_rate: Of an epoch, counted from 0 in this phase.
        prepare: Says which layers are trained; called before the model is compiled.
    """

    epochs: int
    learning_rate: Callable[[int], float]
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Data:
    """What an epoch is fed.

    Attributes:
        training: The epoch's number to arguments of `keras.Model.fit`, in an order and a shape of that epoch's own.
        validation: `validation_data` of `fit`.
    """

    training: Callable[[int], dict[str, Any]]
    validation: Any


def fit(
    model: Any,
    phases: Sequence[TrainingPhase],
    data: Data,
    run: Run,
    seed: int,
    progress: TrainingProgress,
    on_epoch: Callable[[list[Row]], None] = lambda _: None,
) -> list[Row]:
    """Train all epochs that are not finished yet.

    Args:
        model: A `keras.Model` that ends in a softmax; it is changed.
        phases: One after the other, each with an optimizer of its own.
        data: What it is trained on and measured on.
        run: Keeps the state after each epoch.
        seed: Whatever is drawn by chance comes from this and the epoch's number.
        progress: Shows how far it is.
        on_epoch: Called after each epoch with the history, before the state is kept.

    Returns:
        A row for each epoch, those finished before too.

    Raises:
        ModelRunError: The loss is not a number any more.
        OutputError: The state cannot be written.
    """
    state = run.state()
    rows = [] if state is None else list(state.history)
    if state is not None:
        _put(model.weights, state.weights)
    total = sum(phase.epochs for phase in phases)
    first = 0
    for number, phase in enumerate(phases):
        last = first + phase.epochs
        if len(rows) < last:
            _compile(model, phase)
            if state is not None and state.phase == number:
                _put(model.optimizer.variables, state.optimizer)
        for epoch in range(len(rows), last):
            row = _one_epoch(model, phase.learning_rate(epoch - first), epoch, data, seed, progress.epoch(epoch, total))
            rows.append(row)
            on_epoch(rows)
            run.save_state(_state(model, rows, number))
            progress.finished(row, total)
        first = last
    return rows


def _compile(model: Any, phase: TrainingPhase) -> None:
    phase.prepare()
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.optimizer.build(model.trainable_variables)


def _one_epoch(
    model: Any, learning_rate: float, epoch: int, data: Data, seed: int, callback: keras.callbacks.Callback
) -> Row:
    model.optimizer.learning_rate = learning_rate
    _seed_layers(model, seed, epoch)
    history = model.fit(
        **data.training(epoch),
        shuffle=False,  # the order is the epoch's already
        validation_data=data.validation,
        initial_epoch=epoch,
        epochs=epoch + 1,
        verbose=0,
        callbacks=[callback],
    ).history
    found = {name.replace("val_", "validation_"): float(values[-1]) for name, values in history.items()}
    if not np.isfinite(found["loss"]):
        raise ModelRunError(
            f"Training failed: after epoch {epoch + 1} the loss is {found['loss']}. Are the images what they should "
            "be? Another --seed, or a larger --batch-size, may help."
        )
    names = ("loss", "accuracy", "validation_loss", "validation_accuracy")
    return {"epoch": epoch + 1, "learning_rate": learning_rate, **{name: found[name] for name in names}}


def _seed_layers(model: Any, seed: int, epoch: int) -> None:
    """Set every random generator in the model (dropout, augmentation) to a state of this epoch."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for position, state in enumerate(states):
        drawn = np.random.default_rng((seed, epoch, position)).integers(2**31, size=state.shape)
        state.assign(drawn.astype(str(state.dtype)))


def _state(model: Any, rows: list[Row], phase: int) -> State:
    weights, optimizer = (
        [np.asarray(keras.ops.convert_to_numpy(each)) for each in variables]
        for variables in (model.weights, model.optimizer.variables)
    )
    return State(list(rows), phase, weights, optimizer)


def _put(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Give variables the values that were kept of them."""
    shapes, kept = [tuple(each.shape) for each in variables], [each.shape for each in values]
    if shapes != kept:
        raise WeightsError(
            f"The state that was kept has {len(kept)} arrays that do not fit the model's {len(shapes)} variables: it "
            "was kept by another version. Begin anew with another --out."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
