"""Finding out by running the model which of a layer's tokens are which patches of the image.

A few cells of a grid are changed in the image, one at a time. At a layer near the patches the token that changes most
is that of the changed cell, also where attention has already mixed the tokens: each adds to its own values.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError, TargetError
from seewhy.frameworks import Framework, LayerCall, LayerChoice
from seewhy.frameworks.structures import InputBatch, map_tree, only_leaf
from seewhy.frameworks.tokens import TokenGrid
from seewhy.targets import Objective
from seewhy.types import FloatArray

MAX_LAYERS = 4
"""How many layers are tried, from the first one on with as many tokens."""

Grid = tuple[int, int]


class Fit(NamedTuple):
    """A grid of patches, and the number of other tokens, that together are a layer's tokens."""

    grid: Grid
    others: int


def probe_tokens(
    framework: Framework, inputs: InputBatch, count: int, fits: Iterable[Fit], objective: Objective
) -> TokenGrid | None:
    """Return the grid whose tokens change where the image does; None if it is none of them, or not one only.

    Args:
        framework: Runs the model.
        inputs: A batch of images, of which the first is changed.
        count: The number of tokens.
        fits: The grids that are possible.
        objective: Of the runs; any that the model allows.
    """
    calls = [call for call in framework.calls(inputs) if call.has_space and call.shape and call.shape[:-1] == (count,)]
    for call in calls[:MAX_LAYERS]:
        grids = [grid for fit in fits for grid in _matching(framework, inputs, call, fit, objective)]
        if len(grids) == 1:
            return grids[0]
    return None


def _matching(
    framework: Framework, inputs: InputBatch, call: LayerCall, fit: Fit, objective: Objective
) -> Iterator[TokenGrid]:
    """Yield the grid of a fit if the tokens of a layer agree with it."""
    cells = _cells(fit.grid)
    try:
        values = _activations(framework, inputs, call, _probes(framework, inputs, fit.grid, cells), objective)
    except (LayerError, TargetError):
        return  # the layer cannot be reached, or the model does not allow the objective
    changes = np.linalg.norm(values[1:] - values[:1], axis=2)
    own = changes.argmax(axis=1)
    offsets = {int(token) - row * fit.grid[1] - column for token, (row, column) in zip(own, cells, strict=True)}
    prefix = offsets.pop()
    if not offsets and 0 <= prefix <= fit.others and (changes.max(axis=1) > 0).all():
        yield TokenGrid(fit.grid, prefix, fit.others - prefix)


def _cells(grid: Grid) -> list[Grid]:
    """Return the cells that are changed: those in the corners and one between them."""
    rows, columns = grid
    return sorted({(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)})


def _probes(framework: Framework, inputs: InputBatch, grid: Grid, cells: list[Grid]) -> FloatArray:
    """Return the first image, and then copies of it of which one cell each is changed."""
    image: FloatArray = only_leaf(inputs)[0]
    low, high = float(image.min()), float(image.max())
    noise = np.random.default_rng(0).uniform(low, high if high > low else low + 1, image.shape)
    changed = noise.astype(image.dtype)
    height, width = framework.image_size(inputs)
    probes = [image]
    for row, column in cells:
        is_changed = np.zeros((height, width, 1), dtype=bool)
        rows = slice(row * height // grid[0], -(-(row + 1) * height // grid[0]))
        is_changed[rows, column * width // grid[1] : -(-(column + 1) * width // grid[1])] = True
        mask = np.moveaxis(is_changed, -1, 0) if framework.channels_first else is_changed
        probes.append(np.where(mask, changed, image))
    return np.stack(probes)


def _activations(
    framework: Framework, inputs: InputBatch, call: LayerCall, probes: FloatArray, objective: Objective
) -> NDArray[Any]:
    """Return the layer's activations (M, L, K) of M probes, run in batches of the size of the inputs."""
    size = len(only_leaf(inputs))
    batches = np.resize(probes, (-(-len(probes) // size), size, *probes.shape[1:]))
    layer, objective = LayerChoice(call.path, call.number), objective.for_image(0)

    def run(batch: FloatArray) -> NDArray[Any]:
        captured = framework.capture(map_tree(lambda _: batch, inputs), layer, objective, "none")
        return framework.to_numpy(captured.activations)

    return np.concatenate([run(batch) for batch in batches])[: len(probes)]
