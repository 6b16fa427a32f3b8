"""Attention maps in a chain: which tokens each map reads, and what reads its result."""

from collections.abc import Sequence
from typing import Literal

from seewhy.errors import LayerError
from seewhy.types import AttentionCapture, Namespace, Tensor

Step = Literal["mix", "pool", "class", "first class"]
"""What a map does: every token attends to all of them; new tokens, fewer of them, attend to all, and the old ones are
left behind; a class token attends to itself and to all others; or it does so for the first time, which is where it
joins them."""

SUGGESTION = 'Use method="auto", which takes one that suits the model, or a method that explains a layer or the input.'


def chain_steps(shapes: Sequence[tuple[int, ...]]) -> tuple[Step, ...]:
    """Return what each map does, for shapes (H, Lq, Lk), in the order in which the maps are computed.

    Raises:
        LayerError: The maps form no chain from the image's tokens to those that the model's head reads.
    """
    steps: list[Step] = []
    tokens = int(shapes[0][-1])
    has_class = [shape[1:] == (1, tokens) for shape in shapes[:2]] == [True, True]  # among the tokens from the first on
    for number, shape in enumerate(shapes, 1):
        queries, keys = shape[-2:]
        if len(shape) > 3:
            raise _in_windows(number, shapes)
        if has_class and queries == 1 and keys == tokens:
            steps.append("class")
        elif not has_class and queries == keys == tokens:
            steps.append("mix")
        elif not has_class and keys == tokens and queries < keys:
            steps.append("pool")
            tokens = int(queries)
        elif not has_class and queries == 1 and keys == tokens + 1:
            steps.append("first class")
            tokens, has_class = tokens + 1, True
        else:
            raise _broken(number, shapes, tokens)
    return tuple(steps)


def check_links(links: Sequence[bool], map_count: int | None = None) -> None:
    """Check that each map follows the one before it.

    Args:
        links: For each map but the first, whether its values are computed from the map before it.
        map_count: How many of the maps the score depends on, the first ones; None for all.

    Raises:
        LayerError: Maps lie side by side.
    """
    links = links[: None if map_count is None else max(0, map_count - 1)]
    if not all(links):
        number = links.index(False) + 2
        raise LayerError(
            f"Attention layer {number} of {len(links) + 1} does not read what attention layer {number - 1} computed: "
            "they lie side by side, as in a model of several branches, so the maps cannot be chained. "
            f"{SUGGESTION}"
        )


def steps_of(capture: AttentionCapture) -> tuple[Step, ...]:
    """Return what each map of a capture does, as `chain_steps` does."""
    return chain_steps(map_shapes(capture))


def map_shapes(capture: AttentionCapture) -> list[tuple[int, ...]]:
    """Return (H, Lq, Lk) of each map."""
    return [tuple(each.shape[1:]) for each in capture.maps]


def _in_windows(number: int, shapes: Sequence[tuple[int, ...]]) -> LayerError:
    return LayerError(
        f"Attention layer {number} of {len(shapes)} attends within windows, shape {shapes[number - 1]}: its maps say "
        "which tokens of a window attend to each other, and not where the windows are, which may be shifted from layer "
        f"to layer. {SUGGESTION}"
    )


def _broken(number: int, shapes: Sequence[tuple[int, ...]], tokens: int) -> LayerError:
    _, queries, keys = shapes[number - 1]
    if number == 1:
        return LayerError(
            f"Attention layer 1 of {len(shapes)} has a map of {queries} queries x {keys} keys: the model merges tokens "
            f"before they are attended to, so the maps cannot be chained. {SUGGESTION}"
        )
    return LayerError(
        f"Attention layer {number} of {len(shapes)} has a map of {queries} x {keys} tokens, where there were {tokens} "
        "tokens before: the model merges or reorders tokens between its attention layers, or it has several branches, "
        f"so the maps cannot be chained. {SUGGESTION}"
    )


def read_back(capture: AttentionCapture, matrices: Sequence[Tensor], *, skip: float, share: float) -> Tensor:
    """Return how much of each of the image's tokens the model's head reads, along a chain of layers.

    With R the product of all layers, and w how much the head reads of each token, this is w R, from the last layer to
    the first. A layer keeps its tokens by a skip connection, and adds what attention gives:

        w <- skip * w + share * w A

    Args:
        capture: The maps and what the head reads of the last one's rows.
        matrices: (N, T, Lq, Lk) each, what layers pass from tokens to tokens, in their order.
        skip: The weight of the skip connection.
        share: The weight of attention.

    Returns:
        (N, T, L), without the class token where it only joins the others in the last layers.
    """
    xp, weights = capture.xp, capture.require_reads()
    for step, matrix in reversed(list(zip(steps_of(capture), matrices, strict=True))):
        queries = matrix.shape[2]  # the class token alone, which is the first, or all tokens
        passed = xp.matmul(weights[:, :, None, :queries], matrix)[:, :, 0] * share
        if step == "pool":
            weights = passed
        elif step == "mix":
            weights = weights * skip + passed
        else:
            weights = _class_weights(weights, passed, skip, xp)
        if step == "first class":
            weights = weights[:, :, 1:]
    return weights


def read_beyond_own(capture: AttentionCapture, matrices: Sequence[Tensor]) -> Tensor:
    """Return `read_back` with skip=1 and share=1 without what the head reads of the tokens themselves, (N, T, L).

    Where all tokens keep their places, this is w R - w. The two differ little where the matrices are small, so their
    difference d is carried from layer to layer and not taken at the end: d <- d + (w + d) A. Where tokens are pooled or
    a class token joins them, nothing is left out.
    """
    if any(step != "mix" for step in steps_of(capture)):
        return read_back(capture, matrices, skip=1.0, share=1.0)
    xp, reads = capture.xp, capture.require_reads()
    gained = reads * 0.0
    for matrix in reversed(matrices):
        gained = gained + xp.einsum("ntq,ntqk->ntk", reads + gained, matrix)
    return gained


def _class_weights(weights: Tensor, passed: Tensor, skip: float, xp: Namespace) -> Tensor:
    """Return the weights of all tokens, (N, T, Lk), before a layer in which the class token, the first, attends.

    After the last such layer they are (N, T, 1): the head reads the class token.
    """
    own = weights[:, :, :1] * skip
    others = passed[:, :, 1:]
    if weights.shape[-1] > 1:
        others = others + weights[:, :, 1:]
    return xp.concatenate([own + passed[:, :, :1], others], axis=-1)
