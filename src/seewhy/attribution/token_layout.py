"""How a layer's tokens lie on the image: which of them are patches, and how many rows and columns these form.

In this order: what the caller says; what the model declares of its patches; the sizes of layers whose output has two
spatial axes, such as the convolution that makes the patches; and the grids into which squares of pixels cut the input.
Whatever these leave open is decided by runs of the model on an image of which a few cells are changed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from seewhy.attribution.checks import output_of
from seewhy.attribution.plan import Plan
from seewhy.attribution.token_probes import Fit, Grid, probe_tokens
from seewhy.errors import LayerError, TokenGridError
from seewhy.frameworks.structures import InputBatch, image_count, is_image_batch, shape_key
from seewhy.frameworks.tokens import TokenFacts, TokenGrid
from seewhy.targets import Objective, TopK
from seewhy.types import Capture

MAX_OTHERS = 8
"""How many tokens beside the patches are considered where the model does not declare their number."""


def fold_tokens(plan: Plan, inputs: InputBatch, capture: Capture, objective: Objective | None = None) -> Capture:
    """Return a capture at a layer of tokens as one of a layer with rows and columns, without the other tokens.

    A capture whose positions are those of an image, a signal or a volume is returned as it is.

    Raises:
        LayerError: The grid cannot be determined.
    """
    grid = captured_grid(plan, inputs, capture, objective)
    if grid is None:
        return capture
    activations = capture.activations
    gradients, closed_form, xp = capture.gradients, capture.closed_form, capture.xp
    return replace(
        capture,
        activations=grid.fold(activations, 1, xp),
        gradients=None if gradients is None else grid.fold(gradients, 2, xp),
        closed_form=None if closed_form is None else grid.fold(closed_form, 2, xp),
        prefix_tokens=activations[:, : grid.prefix],
        suffix_tokens=activations[:, grid.prefix + grid.patches :],
    )


def captured_grid(
    plan: Plan, inputs: InputBatch, capture: Capture, objective: Objective | None = None
) -> TokenGrid | None:
    """Return the grid of a capture's tokens, as `find_token_grid` does; None if its first axis is not the images."""
    images, *space, _ = capture.activations.shape
    if images != image_count(inputs):
        return None  # the checks of a capture say what is wrong
    return find_token_grid(plan, inputs, tuple(space), output_of(capture), objective)


def find_token_grid(
    plan: Plan,
    inputs: InputBatch,
    space: tuple[int, ...],
    output: str,
    objective: Objective | None = None,
) -> TokenGrid | None:
    """Return how a layer's tokens lie on the image; None where its positions are not tokens of an image.

    The answer is found once for each shape of input and number of tokens.

    Args:
        plan: The model, and `tokens=`, which is obeyed.
        inputs: Checked by `Framework.check_inputs`.
        space: The sizes of the layer's spatial axes, without images and channels.
        output: What has the tokens, for messages: "the output of the layer 'norm'".
        objective: Of a run of the model that shows which tokens are no patches; any that the model allows.

    Raises:
        LayerError: No grid fits, or more than one; or `tokens=` does not fit the layer.
    """
    if plan.tokens is not None:
        return _given(plan, plan.tokens, space, output)
    size = _image_size(plan, inputs)
    if len(space) != 1 or size is None:
        return None
    evidence, key = plan.framework.evidence, ("tokens", shape_key(inputs), space)
    found: TokenGrid | str | None = evidence.get(key)
    if found is None:
        found = _find(plan, inputs, int(space[0]), size, objective or Objective(TopK(1)))
        evidence.add(key, found)
    if isinstance(found, TokenGrid):
        return found
    raise TokenGridError(
        f"{output[0].upper()}{output[1:]} has {space[0]} positions along one axis, and {found}. Say how they lie on "
        "the image, tokens=seewhy.TokenGrid(prefix=..., grid=(h, w)), or explain another layer."
    )


def _given(plan: Plan, tokens: TokenGrid, space: tuple[int, ...], output: str) -> TokenGrid | None:
    """Return tokens= if it fits the layer; several layers need not all have tokens."""
    if len(space) != 1:
        if len(plan.layers) > 1:
            return None
        raise LayerError(
            f"tokens={tokens} was given, and {output} has no tokens: its positions are {space}. Leave tokens= out, or "
            "explain a layer of tokens."
        )
    if tokens.tokens != space[0]:
        raise LayerError(
            f"tokens={tokens} are {tokens.prefix} + {tokens.grid[0]} x {tokens.grid[1]} + {tokens.suffix} = "
            f"{tokens.tokens} tokens, and {output} has {space[0]}. Give a grid that fits, or explain another layer."
        )
    return tokens


def _image_size(plan: Plan, inputs: InputBatch) -> Grid | None:
    """Return (h, w) of the input in pixels; None where it is not one batch of images."""
    if not is_image_batch(inputs):
        return None
    size = plan.framework.image_size(inputs)
    return None if 1 in size else size


def _find(plan: Plan, inputs: InputBatch, count: int, size: Grid, objective: Objective) -> TokenGrid | str:
    """Return the grid of `count` tokens, or why it cannot be determined."""
    facts = plan.framework.token_facts
    fits, is_certain = _fits(plan, inputs, count, size, facts)
    declared = {others: pair for pair in _declared_others(facts) if (others := sum(pair))}
    if len(fits) > 1 and declared:
        fits = {fit for fit in fits if fit.others in declared} or fits
    if len(fits) == 1 and is_certain:
        (fit,) = fits
        if not fit.others or fit.others in declared:
            return TokenGrid(fit.grid, *declared.get(fit.others, (0, 0)))
    strips = set() if is_certain else {Fit(grid, 0) for grid in ((count, 1), (1, count)) if max(grid) <= max(size)}
    found = probe_tokens(plan.framework, inputs, count, sorted(fits | strips), objective)
    if found is not None:
        return found
    if not fits:
        return f"no grid of patches of the input, {size[0]} x {size[1]} pixels, has as many"
    grids = " or ".join(f"{grid[0]} x {grid[1]} patches and {others} other tokens" for grid, others in sorted(fits))
    return f"they may be {grids}, but the tokens do not change where the image is changed as such a grid would"


def _declared_others(facts: TokenFacts) -> Iterator[tuple[int, int]]:
    """Yield the numbers of tokens before and after the patches that the model may have."""
    for prefix in sorted(facts.prefixes or ({0, 1} if facts.suffixes else ())):
        for suffix in sorted(facts.suffixes or {0}):
            yield prefix, suffix


def _fits(plan: Plan, inputs: InputBatch, count: int, size: Grid, facts: TokenFacts) -> tuple[set[Fit], bool]:
    """Return the grids that a number of tokens fits, and whether something else than their number suggests them."""
    by_patches = {grid for patch in facts.patches for grid in _rounded(size, patch)}
    if fits := set(_fitting(count, by_patches, facts)):
        return fits, True
    calls = plan.framework.own_calls(inputs)
    grids = set(_proportional((*facts.grids, *(call.shape[:-1] for call in calls if call.shape is not None)), size))
    images = {size} | {grid for grid in grids if grid[0] > size[0] / 2}  # a preprocessing layer's output, not patches
    # An image of as many pixels is no preprocessing: the tokens are its pixels.
    known = (by_patches | grids) - {image for image in images if _cells(image) != count}
    if known:
        merged = {grid for known_grid in known for grid in _halved(known_grid)}
        fits = set(_fitting(count, known, facts)) | {Fit(grid, 0) for grid in merged if _cells(grid) == count}
        return fits, bool(fits)
    even, rounded = set[Grid](), set[Grid]()
    for image in images:
        for side in range(1, max(image) + 1):
            is_even = image[0] % side == image[1] % side == 0
            (even if is_even else rounded).update(_rounded(image, (side, side)))
    few = {Fit(grid, others) for grid, others in _fitting(count, rounded, facts) if others < 2}
    return few | set(_fitting(count, even, facts)), False


def _fitting(count: int, grids: Iterable[Grid], facts: TokenFacts) -> Iterator[Fit]:
    declared = {sum(pair) for pair in _declared_others(facts)}
    for grid in grids:
        others = count - _cells(grid)
        is_allowed = others in declared if declared else 0 <= others <= MAX_OTHERS
        if _cells(grid) > 1 and (others == 0 or is_allowed):
            yield Fit(grid, others)


def _cells(grid: Grid) -> int:
    return grid[0] * grid[1]


def _rounded(size: Grid, patch: Grid) -> set[Grid]:
    """Return the numbers of patches (h, w) along an image, without and with those that it does not fill."""
    (height, width), (rows, columns) = size, patch
    return {(height // rows, width // columns), (-(-height // rows), -(-width // columns))}


def _halved(grid: Grid) -> Iterator[Grid]:
    """Yield the grids of later stages, which merge two by two patches."""
    while max(grid) > 1:
        grid = -(-grid[0] // 2), -(-grid[1] // 2)
        yield grid


def _proportional(spaces: Iterable[tuple[int | None, ...]], size: Grid) -> Iterator[Grid]:
    """Yield the grids whose cells, on an image of this size, are square, but for less than one cell."""
    for space in spaces:
        rows, columns = (space[0] or 0, space[1] or 0) if len(space) == 2 else (0, 0)
        is_square = abs(rows * size[1] / size[0] - columns) < 1 or abs(columns * size[0] / size[1] - rows) < 1
        if rows and columns and is_square:
            yield rows, columns
