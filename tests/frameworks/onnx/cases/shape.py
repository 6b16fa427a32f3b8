"""Operators that move elements."""

import numpy as np
import torch
from tests.frameworks.onnx.cases.case import Fixed, case, integers, normal
from torch.nn import functional as F  # noqa: N812  # its usual name

X = (2, 3, 4)
IMAGE = (2, 8, 4, 6)
LAST = np.iinfo(np.int64).max


def slices(function, shape, starts, ends, axes=None, steps=None):
    given = [None if numbers is None else integers(*numbers) for numbers in (starts, ends, axes, steps)]
    while given[-1] is None:
        given.pop()
    return case("Slice", function, normal(*shape), *given)


def split(sizes, axis, **options):
    return case(
        "Split", lambda x: x.split(sizes, axis), normal(*IMAGE), axis=axis, split=sizes, outputs=len(sizes), **options
    )


def gather(indices, axis, shape=X):
    indices = np.array(indices)

    def function(x):
        flat = x.index_select(axis, torch.from_numpy(indices.ravel() % x.shape[axis]))
        return flat.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

    return case("Gather", function, normal(*shape), Fixed(indices), axis=axis)


def pad(pads, mode, **options):
    """Padding of the last two axes."""
    top, left, bottom, right = pads
    torch_mode = {"edge": "replicate", "wrap": "circular"}.get(mode, mode)
    full = integers(0, 0, top, left, 0, 0, bottom, right)
    return case(
        "Pad",
        lambda x: F.pad(x, (left, right, top, bottom), torch_mode),
        normal(2, 3, 5, 6),
        full,
        mode=mode,
        **options,
    )


SHAPES = [
    case("Reshape", lambda x: x.reshape(-1, 12), normal(*X), integers(-1, 12)),
    case("Reshape", lambda x: x.reshape(2, 2, 6), normal(*X), integers(0, 2, 6)),
    case("Reshape", lambda x: x.reshape(-1), normal(*X), integers(-1)),
    case("Flatten", lambda x: x.flatten(1), normal(*X)),
    case("Flatten", lambda x: x.reshape(6, 4), normal(*X), axis=2),
    case("Flatten", lambda x: x.reshape(1, 24), normal(*X), axis=0),
    case("Squeeze", lambda x: x.flatten(1), normal(2, 3, 1, 1), axes=(2, -1)),
    case("Squeeze", lambda x: x.squeeze(), normal(2, 3, 1, 1), batched=()),
    case("Unsqueeze", lambda x: x[:, :, None, :, None], normal(*X), axes=(2, 4)),
    case("Transpose", lambda x: x.permute(2, 1, 0), normal(*X)),
    case("Transpose", lambda x: x.permute(0, 2, 3, 1), normal(*IMAGE), perm=(0, 2, 3, 1)),
    case("Expand", lambda x: x.expand(2, 3, 5), normal(2, 3, 1), integers(1, 1, 5)),
    case("Expand", lambda x: x.expand(2, 3, 4), normal(3, 1), integers(2, 3, 4), batched=()),
    case("Expand", lambda x: x.expand(5, 2, 3, 4), normal(*X), integers(5, 1, 1, 1)),
    case("Tile", lambda x: x.tile(1, 2, 3), normal(*X), integers(1, 2, 3)),
    case("Tile", lambda x: x.tile(3, 1, 2), normal(*X), integers(3, 1, 2)),
    case("Concat", lambda *x: torch.cat(x, 1), normal(*X), normal(2, 5, 4), normal(2, 1, 4), axis=1, batched=(0, 1, 2)),
    case("Concat", lambda *x: torch.cat(x, -1), normal(*X), normal(2, 3, 5), axis=-1, batched=(0, 1)),
    case(
        "Concat",
        lambda x: torch.cat([torch.zeros(2, 1, 4), x], 1),
        Fixed(np.zeros((2, 1, 4))),
        normal(*X),
        axis=1,
        batched=(),
    ),
    split((3, 5), 1),
    split((2, 2, 2), -1),
    split((4,), 2),
    case("Split", lambda x: x.split((1, 1)), normal(2, 3), split=(1, 1), outputs=2, batched=()),
    case("DepthToSpace", lambda x: F.pixel_shuffle(x, 2), normal(*IMAGE), blocksize=2, mode="CRD"),
    case("DepthToSpace", None, normal(*IMAGE), blocksize=2, mode="DCR"),
    case("DepthToSpace", None, normal(*IMAGE), blocksize=2),
    case("SpaceToDepth", None, normal(*IMAGE), blocksize=2, until=27),
    case("SpaceToDepth", lambda x: F.pixel_unshuffle(x, 2), normal(*IMAGE), blocksize=2, mode="CRD", since=28),
    case("Trilu", torch.triu, normal(*X), since=14),
    case("Trilu", lambda x: torch.tril(x, 1), normal(*X), Fixed(np.array(1)), upper=0, since=14),
    slices(lambda x: x[:, 1:3], X, (1,), (3,), (1,)),
    slices(lambda x: x[:, :, -2:], X, (-2,), (LAST,), (-1,)),
    slices(lambda x: x[:, 1:, 0:2], X, (0, 1, 0), (LAST, 5, 2)),
    slices(lambda x: x[:, :, ::2], X, (0,), (LAST,), (2,), (2,)),
    slices(lambda x: x[:, ::2, 1::2], IMAGE, (0, 1), (8, 4), (1, 2), (2, 2)),
    slices(lambda x: x.flip(1), X, (-1,), (-LAST,), (1,), (-1,)),
    slices(lambda x: x.flip(2)[:, :, :2], X, (LAST,), (1,), (2,), (-1,)),
    slices(lambda x: x[:, 1:-1, 1:-1], IMAGE, (1, 1), (-1, -1), (1, 2), (1, 1)),
    case("Gather", lambda x: x[[2, 0]], normal(3, 4), integers(2, 0), batched=()),
    gather(0, 1),
    gather(-1, 2),
    gather([2, 0], 1),
    gather([1, 1, 3, 1], 2),
    gather([[0, 2], [2, -1]], 1),
    gather([3, 2, 1, 0], 2),
    case(
        "GatherElements",
        lambda x: x.gather(1, torch.tensor([[[0, 2, 2, 1]] * 2] * 2)),
        normal(*X),
        Fixed(np.array([[[0, 2, 2, 1]] * 2] * 2)),
        axis=1,
        since=16,
        batched=(),
    ),
    pad((1, 2, 3, 0), "constant"),
    pad((-1, 2, 0, -2), "constant"),
    pad((2, 1, 3, 2), "reflect"),
    pad((2, 1, 3, 2), "edge"),
    pad((2, 1, 3, 2), "wrap", since=19),
    case(
        "Pad",
        lambda x: F.pad(x, (1, 2), value=0.7),
        normal(*X),
        integers(1, 2),
        Fixed(np.array(0.7)),
        integers(-1),
        since=18,
    ),
]
