"""Normalizations."""

import numpy as np
import torch
from tests.frameworks.onnx.cases.case import Fixed, case, normal, positive
from torch.nn import functional as F  # noqa: N812  # its usual name

IMAGE = (2, 6, 4, 5)
SCALE, BIAS, MEAN, VARIANCE = normal(6), normal(6), normal(6), positive(6)
GROUP_SCALE, GROUP_BIAS = normal(3), normal(3)
EACH = tuple(torch.from_numpy(array) for array in (SCALE, BIAS))


def fixed(*arrays):
    return [Fixed(array) for array in arrays]


def batch(x, epsilon=1e-5):
    return F.batch_norm(x, torch.from_numpy(MEAN), torch.from_numpy(VARIANCE), *EACH, eps=epsilon)


def layer(function, *axes, **options):
    shape = IMAGE[axes[0] :]
    return case("LayerNormalization", function, normal(*IMAGE), Fixed(np.ones(shape)), **options)


def rms(x, weight, axes, epsilon=1e-5):
    return x / (x.square().mean(axes, keepdim=True) + epsilon).sqrt() * weight


def groups_of_scales(x):
    """Group normalization with a scale for each group, as before opset 21."""
    scale, bias = (torch.from_numpy(array).repeat_interleave(2) for array in (GROUP_SCALE, GROUP_BIAS))
    return F.group_norm(x, 3, scale, bias, 1e-3)


NORMALIZATIONS = [
    case("BatchNormalization", batch, normal(*IMAGE), *fixed(SCALE, BIAS, MEAN, VARIANCE)),
    case(
        "BatchNormalization", lambda x: batch(x, 1e-2), normal(2, 6), *fixed(SCALE, BIAS, MEAN, VARIANCE), epsilon=1e-2
    ),
    case("InstanceNormalization", lambda x: F.instance_norm(x, None, None, *EACH), normal(*IMAGE), *fixed(SCALE, BIAS)),
    case(
        "InstanceNormalization",
        lambda x: F.instance_norm(x, None, None, *EACH, eps=0.1),
        normal(2, 6, 7),
        *fixed(SCALE, BIAS),
        epsilon=0.1,
    ),
    layer(lambda x: F.layer_norm(x, (5,)), -1, since=17),
    layer(lambda x: F.layer_norm(x, (6, 4, 5), eps=0.1), 1, 2, 3, axis=1, epsilon=0.1, since=17),
    case("LayerNormalization", lambda x: F.layer_norm(x, (6,), *EACH), normal(2, 3, 6), *fixed(SCALE, BIAS), since=17),
    case(
        "GroupNormalization",
        lambda x: F.group_norm(x, 3, *EACH),
        normal(*IMAGE),
        *fixed(SCALE, BIAS),
        num_groups=3,
        since=21,
    ),
    case(
        "GroupNormalization",
        groups_of_scales,
        normal(*IMAGE),
        *fixed(GROUP_SCALE, GROUP_BIAS),
        num_groups=3,
        epsilon=1e-3,
        since=18,
        until=20,
    ),
    case("RMSNormalization", lambda x: rms(x, EACH[0], (-1,)), normal(2, 3, 6), Fixed(SCALE), since=23),
    case(
        "RMSNormalization",
        lambda x: rms(x, 1, (1, 2), 0.1),
        normal(2, 3, 6),
        Fixed(np.ones((3, 6))),
        axis=1,
        epsilon=0.1,
        since=23,
    ),
    case("LpNormalization", lambda x: F.normalize(x, dim=-1, eps=0), normal(*IMAGE)),
    case("LpNormalization", lambda x: F.normalize(x, dim=1, eps=0), normal(*IMAGE), axis=1, p=2),
    case("LpNormalization", lambda x: F.normalize(x, 1, dim=1, eps=0), normal(*IMAGE), axis=1, p=1),
    case("LpNormalization", lambda x: torch.stack([x[0] / x[0].norm(), x[1] * 0]), np.array([[3.0, 4], [0, 0]])),
    case(
        "LRN",
        lambda x: F.local_response_norm(x, 5, 0.3, 0.6, 1.5),
        normal(2, 8, 3, 3),
        size=5,
        runtime="float32",
        alpha=0.3,
        beta=0.6,
        bias=1.5,
    ),
    case("LRN", lambda x: F.local_response_norm(x, 3), normal(2, 4, 3, 1), size=3, runtime="float32"),
]
