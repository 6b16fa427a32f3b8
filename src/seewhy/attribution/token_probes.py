"""Finding out by running the model which of a layer's tokens are which patches of the image.

A few cells of a grid are changed in the image, one at a time. At a layer near the patches the token that changes most
is that of the changed cell, also where attention has already mixed the tokens: each adds to its own values.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.input_variants import noise_like
from seewhy.errors import LayerError, TargetError
from seewhy.frameworks import Framework, LayerCall, LayerChoice
from seewhy.frameworks.structures import InputBatch, map_tree, only_leaf
from seewhy.frameworks.tokens import TokenGrid
from seewhy.targets import Objective
from seewhy.types import FloatArray

MAX_LAYERS = 4
"""How many layers are tried, from the first one on with as many tokens."""

Grid = tuple[int, int]

Window = tuple[tuple[int, int], tuple[int, int]]
"""The first pixel and the one after the last of a cell, along the image's height and width."""


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
    own = framework.own_calls(inputs)  # another image has a tower of its own
    calls = [call for call in own if call.has_space and call.shape and call.shape[:-1] == (count,)]
    for call in calls[:MAX_LAYERS]:
        grids = {grid for fit in fits for grid in _matching(framework, inputs, call, fit, objective)}
        if len(grids) == 1:
            return grids.pop()
    return None


def _matching(
    framework: Framework, inputs: InputBatch, call: LayerCall, fit: Fit, objective: Objective
) -> Iterator[TokenGrid]:
    """Yield the grid of a fit if the tokens of a layer agree with it."""
    rows, columns = fit.grid
    corners = sorted({(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)})
    cells = [*corners, (rows // 2, columns // 2)]
    for windows in _windows(framework.image_size(inputs), fit.grid, cells):
        try:
            values = _activations(framework, inputs, call, _probes(framework, inputs, windows), objective)
        except (LayerError, TargetError):
            return  # the layer cannot be reached, or the model does not allow the objective
        if len(values) != len(cells) + 1:
            return  # the layer has no row for each image, as an embedding of positions
        changes = np.linalg.norm(values[1:] - values[:1], axis=2)
        *own, middle = changes.argmax(axis=1).tolist()
        offsets = {token - row * columns - column for token, (row, column) in zip(own, corners, strict=True)}
        # Several cells may see the pixels of one between them; those of a corner are seen most by its own, but for the
        # padding of convolutions before the tokens.
        if min(fit.grid) == 1 and not fit.others and all(map(_is_near, own, corners, [fit.grid] * len(own))):
            offsets = {0}
        prefix = offsets.pop()
        is_near = _is_near(middle - prefix, cells[-1], fit.grid)
        if not offsets and 0 <= prefix <= fit.others and is_near and (changes.max(axis=1) > 0).all():
            yield TokenGrid(fit.grid, prefix, fit.others - prefix)
            return


def _is_near(token: int, cell: tuple[int, int], grid: Grid) -> bool:
    """Whether a token of a grid is that of a cell, or next to it."""
    row, column = divmod(token, grid[1])
    return abs(row - cell[0]) <= 1 and abs(column - cell[1]) <= 1


def _windows(size: Grid, grid: Grid, cells: list[Grid]) -> Iterable[tuple[Window, ...]]:
    """Return where the cells are, if they fill the image, leave out its last pixels, or reach beyond them."""

    def along(axis: int, cell: int) -> list[tuple[int, int]]:
        pixels, count = size[axis], grid[axis]
        sides = (pixels // count, -(-pixels // count))
        return [
            (cell * pixels // count, -(-(cell + 1) * pixels // count)),
            *((cell * side, (cell + 1) * side) for side in sides),
        ]

    by_cell = [list(zip(along(0, row), along(1, column), strict=True)) for row, column in cells]
    return dict.fromkeys(zip(*by_cell, strict=True))


def _probes(framework: Framework, inputs: InputBatch, windows: Iterable[Window]) -> FloatArray:
    """Return the first image, and then copies of it of which one cell each is changed."""
    image: FloatArray = only_leaf(inputs)[0]
    changed = noise_like(image, image.shape)
    probes = [image]
    for (top, bottom), (left, right) in windows:
        is_changed = np.zeros((*framework.image_size(inputs), 1), dtype=bool)
        is_changed[top:bottom, left:right] = True
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
