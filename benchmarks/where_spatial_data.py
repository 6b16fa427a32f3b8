"""Inputs for the where-test of other models than classifiers of images, and where the evidence lies in them.

An input is noise with objects of different classes, each in a window of its own: shapes in an image, stripes in a
volume, waves in a signal, movements and flashing shapes in a video. Brightness says nothing, as it is random. In
training an input has none to all of the classes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLASSES = 3
NOISE = 0.25
MOST_TRIES = 5000

Array = NDArray[np.float32]
Draw = Callable[[int, tuple[int, ...]], Array]


class Space(NamedTuple):
    """Where objects are drawn.

    Attributes:
        sizes: The sizes of an input's axes, without images and channels.
        window: The size of the window of an object.
        draw: Returns an object of a class in its window, of values from 0 to 1.
    """

    sizes: tuple[int, ...]
    window: tuple[int, ...]
    draw: Draw


class Scenes(NamedTuple):
    """Inputs with objects.

    Attributes:
        inputs: float32 (N, 1, *space).
        present: bool (N, C), which classes are there.
        starts: int (N, C, axes), where the window of each class begins; that of a class that is not there is 0.
        labels: int64 (N, *space), the class of each position plus 1; 0 where there is none.
    """

    inputs: Array
    present: NDArray[np.bool_]
    starts: NDArray[np.int64]
    labels: NDArray[np.int64]


def shape(kind: int, window: tuple[int, ...]) -> Array:
    """Return a ball, a hollow cube or a cross, of as many axes as the window."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in window), indexing="ij")
    distances = np.abs(np.stack(axes))
    if kind == 0:
        inside = (distances**2).sum(axis=0) <= 1
    elif kind == 1:
        inside = distances.max(axis=0) > 0.6
    else:
        inside = np.sort(distances, axis=0)[-2] < 0.3  # near an axis
    return inside.astype(np.float32)


def stripes(kind: int, window: tuple[int, ...]) -> Array:
    """Return stripes across one of the axes of the window, in a ball."""
    values = np.cos(np.pi / 2 * np.arange(window[kind])).reshape(
        [-1 if axis == kind else 1 for axis in range(len(window))]
    )
    return (values * shape(0, window)).astype(np.float32)


def wave(kind: int, window: tuple[int, ...]) -> Array:
    """Return a slow wave, a fast wave, or a pulse that falls slowly."""
    (size,) = window
    time = np.arange(size) / size
    values = (np.sin(6 * np.pi * time), np.sin(18 * np.pi * time), 2 * np.exp(-4 * time) - 0.5)[kind]
    return values.astype(np.float32)


def movement(kind: int, window: tuple[int, ...]) -> Array:
    """Return a square that moves to the right, to the left, or down, over as many frames as the window has."""
    frames, rows, columns = window
    side = 4
    clip = np.zeros(window, np.float32)
    for frame in range(frames):
        step = round(frame * (columns - side) / (frames - 1))
        top = step if kind == 2 else (rows - side) // 2
        left = ((columns - side) // 2, step, columns - side - step)[(kind + 1) % 3]
        clip[frame, top : top + side, left : left + side] = 1
    return clip


def flash(kind: int, window: tuple[int, ...]) -> Array:
    """Return a shape that is there for some frames."""
    frames, *sizes = window
    return np.repeat(shape(kind, tuple(sizes))[None], frames, axis=0)


SPACES = {
    "image": Space((48, 48), (13, 13), shape),
    "volume": Space((24, 24, 24), (10, 10, 10), stripes),
    "signal": Space((256,), (48,), wave),
    "movements": Space((12, 32, 32), (6, 12, 12), movement),
    "flashes": Space((12, 32, 32), (4, 11, 11), flash),
}


def draw_scenes(name: str, count: int, seed: int, *, objects: int | None = None) -> Scenes:
    """Return inputs with objects.

    Args:
        name: A key of `SPACES`.
        count: How many inputs.
        seed: Of the random numbers.
        objects: How many classes are in each input; None for 0 to all of them.
    """
    random, space = np.random.default_rng(seed), SPACES[name]
    inputs = random.normal(0, NOISE, (count, 1, *space.sizes)).astype(np.float32)
    present = np.zeros((count, CLASSES), bool)
    starts = np.zeros((count, CLASSES, len(space.sizes)), np.int64)
    labels = np.zeros((count, *space.sizes), np.int64)
    for row in range(count):
        number = int(random.integers(CLASSES + 1)) if objects is None else objects
        chosen = random.permutation(CLASSES)[:number]
        places = _apart(space, number, random)
        for kind, start in zip(chosen, places, strict=True):
            window = tuple(slice(first, first + size) for first, size in zip(start, space.window, strict=True))
            drawn = space.draw(int(kind), space.window)
            inputs[row, 0][window] += drawn * random.uniform(0.8, 1.4)
            labels[row][window] = np.where(drawn > 0, kind + 1, labels[row][window])
            present[row, kind], starts[row, kind] = True, start
    return Scenes(inputs, present, starts, labels)


def _apart(space: Space, number: int, random: np.random.Generator) -> list[tuple[int, ...]]:
    """Return where windows begin that do not overlap."""
    for _ in range(MOST_TRIES):
        highs = [size - window + 1 for size, window in zip(space.sizes, space.window, strict=True)]
        places = random.integers(0, highs, (number, len(highs)))
        distances = np.abs(places[:, None] - places) >= np.array(space.window)
        if (distances.any(axis=-1) | np.eye(number, dtype=bool)).all():
            return [tuple(map(int, place)) for place in places]
    raise ValueError(f"{number} windows of {space.window} do not fit into {space.sizes}")


def peaks_inside(heatmaps: Array, starts: NDArray[np.int64], space: Space) -> NDArray[np.bool_]:
    """Return whether the centre of each heatmap's highest position lies in a window; False without positive values.

    Args:
        heatmaps: (N, *positions), of any resolution.
        starts: (N, axes), where the windows begin.
        space: Their size, and that of the input.
    """
    count, *positions = heatmaps.shape
    flat = heatmaps.reshape(count, -1)
    found = np.stack(np.unravel_index(flat.argmax(axis=1), positions), axis=1)
    centres = (found + 0.5) * np.array(space.sizes) / np.array(positions)
    inside = (centres >= starts) & (centres < starts + np.array(space.window))
    return np.asarray(inside.all(axis=1) & (flat.max(axis=1) > 0))


def window_means(heatmaps: Array, starts: NDArray[np.int64], space: Space) -> NDArray[np.float64]:
    """Return the mean of each heatmap in its window, at the resolution of the input without interpolation."""
    count, *positions = heatmaps.shape
    means = np.zeros(count)
    for row, start in enumerate(starts):
        indices = [
            (np.arange(first, first + window) * cells) // size
            for first, window, cells, size in zip(start, space.window, positions, space.sizes, strict=True)
        ]
        means[row] = heatmaps[row][np.ix_(*indices)].mean()
    return means
