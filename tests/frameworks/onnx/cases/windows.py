"""Pooling, convolutions and resizing."""

import itertools

import numpy as np
from tests.frameworks.onnx.cases.case import Fixed, case, integers, normal
from torch.nn import functional as F  # noqa: N812  # its usual name

TIED = np.random.default_rng(2).integers(0, 3, (2, 3, 7, 8)).astype(float)  # many equal elements

POOLING = [
    case("GlobalAveragePool", lambda x: F.adaptive_avg_pool2d(x, 1), normal(2, 3, 4, 5)),
    case("GlobalAveragePool", lambda x: F.adaptive_avg_pool1d(x, 1), normal(2, 3, 4)),
    case("GlobalMaxPool", lambda x: F.adaptive_max_pool2d(x, 1), normal(2, 3, 4, 5)),
    case("GlobalMaxPool", lambda x: F.adaptive_max_pool2d(x, 1), TIED),
    case("GlobalMaxPool", lambda x: F.adaptive_max_pool3d(x, 1), normal(2, 3, 4, 5, 2), runtime="float32"),
    case("MaxPool", lambda x: F.max_pool2d(x, 3, 2, 1), TIED, kernel_shape=(3, 3), strides=(2, 2), pads=(1,) * 4),
    case("MaxPool", lambda x: F.max_pool2d(x, 3, 1, 1), TIED, kernel_shape=(3, 3), pads=(1,) * 4),
    case("MaxPool", lambda x: F.max_pool2d(x, 2), TIED, kernel_shape=(2, 2), strides=(2, 2)),
    case(
        "MaxPool",
        lambda x: F.max_pool2d(x, (2, 3), (1, 2), 0, (2, 1)),
        normal(2, 3, 7, 8),
        kernel_shape=(2, 3),
        strides=(1, 2),
        dilations=(2, 1),
    ),
    case(
        "MaxPool",
        lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
        TIED,
        kernel_shape=(3, 3),
        strides=(2, 2),
        ceil_mode=1,
    ),
    case(
        "MaxPool",
        lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-99), 3, 2),
        TIED,
        kernel_shape=(3, 3),
        strides=(2, 2),
        auto_pad="SAME_UPPER",
    ),
    case("MaxPool", lambda x: F.max_pool1d(x, 3, 2), normal(2, 3, 9), kernel_shape=(3,), strides=(2,)),
    case("MaxPool", lambda x: F.max_pool3d(x, 2, 1), normal(2, 2, 3, 4, 3), kernel_shape=(2, 2, 2)),
]


def average(function, shape, **options):
    return case("AveragePool", function, normal(*shape), **options)


AVERAGES = [
    average(lambda x: F.avg_pool2d(x, 2), (2, 3, 7, 8), kernel_shape=(2, 2), strides=(2, 2)),
    average(
        lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), (2, 3, 5, 6), kernel_shape=(3, 3), pads=(1,) * 4
    ),
    average(
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        (2, 3, 5, 6),
        kernel_shape=(3, 3),
        strides=(2, 2),
        pads=(1,) * 4,
        count_include_pad=1,
    ),
    average(
        lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), (2, 3, 6, 8), kernel_shape=(3, 3), strides=(2, 2), ceil_mode=1
    ),
    average(
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
        (2, 3, 6, 7),
        kernel_shape=(3, 3),
        strides=(2, 2),
        pads=(1,) * 4,
        ceil_mode=1,
        count_include_pad=1,
    ),
    average(lambda x: F.avg_pool1d(x, 3, 2), (2, 3, 9), kernel_shape=(3,), strides=(2,)),
    average(lambda x: F.avg_pool3d(x, 2, 1), (2, 2, 3, 4, 3), kernel_shape=(2, 2, 2)),
    average(None, (2, 3, 7, 8), kernel_shape=(3, 2), strides=(2, 2), auto_pad="SAME_UPPER"),
    average(None, (2, 3, 7, 8), kernel_shape=(3, 2), strides=(2, 3), auto_pad="SAME_LOWER"),
    average(None, (2, 3, 7, 8), kernel_shape=(3, 2), strides=(2, 3), auto_pad="VALID"),
    average(None, (2, 3, 7, 8), kernel_shape=(3, 2), pads=(0, 1, 2, 0), dilations=(2, 1), since=19),
    average(
        None, (2, 3, 7, 8), kernel_shape=(3, 2), pads=(0, 1, 2, 0), dilations=(2, 1), count_include_pad=1, since=19
    ),
]


def convolution(function, shape, weight, **options):
    kernel, bias = normal(*weight), normal(weight[0])
    return [
        case(
            "Conv", lambda x: function(x, *_double(kernel)), normal(*shape), Fixed(kernel), runtime="float32", **options
        ),
        case(
            "Conv",
            lambda x, b: function(x, *_double(kernel), b),
            normal(*shape),
            Fixed(kernel),
            bias,
            runtime="float32",
            **options,
        ),
    ]


def transposed(function, shape, weight, **options):
    kernel = normal(*weight)
    return case(
        "ConvTranspose",
        lambda x: function(x, *_double(kernel)),
        normal(*shape),
        Fixed(kernel),
        runtime="float32",
        **options,
    )


def linear(operator, shape, weight, **options):
    """A case without a counterpart in torch."""
    return case(operator, None, normal(*shape), Fixed(normal(*weight)), runtime="float32", **options)


def _double(array):
    import torch

    return (torch.from_numpy(array),)


CONVOLUTIONS = [
    *convolution(lambda *x: F.conv2d(*x, padding=3), (2, 3, 5, 6), (4, 3, 2, 2), pads=(3,) * 4),
    *convolution(
        lambda x, w, b=None: F.conv2d(x, w, b, 1, 1, 1, 2), (2, 4, 5, 6), (6, 2, 3, 3), pads=(1,) * 4, group=2
    ),
    *convolution(F.conv2d, (2, 3, 5, 6), (4, 3, 1, 1)),
    *convolution(lambda *x: F.conv2d(*x, padding=1), (2, 3, 5, 6), (4, 3, 3, 3), pads=(1,) * 4),
    *convolution(
        lambda x, w, b=None: F.conv2d(x, w, b, 2, 1), (2, 3, 6, 7), (4, 3, 3, 3), pads=(1,) * 4, strides=(2, 2)
    ),
    *convolution(lambda x, w, b=None: F.conv2d(x, w, b, 3, 0), (2, 3, 7, 9), (4, 3, 2, 2), strides=(3, 3)),
    *convolution(
        lambda x, w, b=None: F.conv2d(x, w, b, 1, 2, 2, 4),
        (2, 4, 6, 6),
        (4, 1, 3, 3),
        pads=(2,) * 4,
        dilations=(2, 2),
        group=4,
    ),
    *convolution(
        lambda x, w, b=None: F.conv2d(x, w, b, 2, 1, 1, 2),
        (2, 4, 6, 6),
        (6, 2, 3, 3),
        pads=(1,) * 4,
        strides=(2, 2),
        group=2,
    ),
    *convolution(lambda x, w, b=None: F.conv1d(x, w, b, 2), (2, 3, 8), (4, 3, 3), strides=(2,)),
    *convolution(
        lambda x, w, b=None: F.conv3d(x, w, b, 2, 1), (2, 2, 3, 4, 5), (3, 2, 3, 2, 3), strides=(2,) * 3, pads=(1,) * 6
    ),
    linear("Conv", (2, 3, 6, 7), (4, 3, 3, 2), auto_pad="SAME_UPPER", strides=(2, 2)),
    linear("Conv", (2, 3, 6, 7), (4, 3, 3, 2), auto_pad="SAME_LOWER", strides=(2, 3)),
    linear("Conv", (2, 3, 6, 7), (4, 3, 3, 2), auto_pad="VALID", strides=(2, 3), kernel_shape=(3, 2)),
    linear("Conv", (2, 3, 6, 7), (4, 3, 3, 2), pads=(0, 1, 2, 0), dilations=(1, 2)),
    transposed(F.conv_transpose2d, (2, 3, 4, 5), (3, 4, 2, 2)),
    transposed(lambda x, w: F.conv_transpose2d(x, w, stride=2), (2, 3, 4, 5), (3, 4, 2, 2), strides=(2, 2)),
    transposed(
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1),
        (2, 3, 4, 5),
        (3, 4, 3, 3),
        strides=(2, 2),
        pads=(1,) * 4,
        output_padding=(1, 1),
    ),
    transposed(
        lambda x, w: F.conv_transpose2d(x, w, None, 3, 0, 2),
        (2, 3, 4, 5),
        (3, 4, 3, 3),
        strides=(3, 3),
        output_padding=(2, 2),
    ),
    transposed(
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 0, 2, 2),
        (2, 4, 4, 5),
        (4, 3, 3, 3),
        strides=(2, 2),
        pads=(1,) * 4,
        group=2,
        dilations=(2, 2),
    ),
    transposed(lambda x, w: F.conv_transpose1d(x, w, stride=2), (2, 3, 4), (3, 4, 3), strides=(2,)),
    transposed(lambda x, w: F.conv_transpose3d(x, w, stride=2), (2, 2, 2, 3, 2), (2, 3, 2, 3, 2), strides=(2,) * 3),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 3, 3), strides=(2, 2), auto_pad="SAME_UPPER"),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 3, 3), strides=(2, 2), auto_pad="SAME_LOWER"),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 3, 3), strides=(2, 2), output_shape=(8, 10)),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 3, 3), strides=(2, 2), auto_pad="VALID"),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 5, 6), strides=(2, 1), auto_pad="SAME_UPPER"),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 5, 6), strides=(2, 1), auto_pad="SAME_LOWER"),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 5, 6), strides=(2, 2), output_shape=(8, 11)),
    linear("ConvTranspose", (2, 3, 4, 5), (3, 4, 5, 6), strides=(2, 2), pads=(0, 1, 3, 2)),
    case(
        "com.microsoft.FusedConv",
        lambda x, z: F.relu(F.conv2d(x, *_double(KERNEL), padding=1) + z),
        normal(2, 3, 5, 5),
        Fixed(np.random.default_rng(3).normal(size=(3, 3, 3, 3))),
        Fixed(np.zeros(3)),
        normal(2, 3, 5, 5),
        pads=(1,) * 4,
        activation="Relu",
        batched=(0, 3),
        runtime="float32",
    ),
]
KERNEL = np.random.default_rng(3).normal(size=(3, 3, 3, 3))


def resize(shape, scales=None, sizes=None, function=None, **options):
    scales = None if scales is None else Fixed(np.array(scales, np.float32))
    roi = Fixed(np.zeros(0, np.float32))
    given = [roi, scales] if sizes is None else [roi, roi, integers(*sizes)]
    return case("Resize", function, normal(*shape), *given, runtime="float32", **options)


TWICE = (1, 1, 2, 2)
RESIZE = [
    resize(
        (2, 2, 3, 4),
        TWICE,
        function=lambda x: F.interpolate(x, scale_factor=2),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    resize(
        (2, 2, 3, 4),
        TWICE,
        function=lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        mode="linear",
        coordinate_transformation_mode="pytorch_half_pixel",
    ),
    resize(
        (2, 2, 3, 4),
        None,
        (2, 2, 5, 7),
        lambda x: F.interpolate(x, (5, 7), mode="bilinear", align_corners=True),
        mode="linear",
        coordinate_transformation_mode="align_corners",
        batched=(),
    ),
    resize(
        (2, 2, 6, 7),
        None,
        (2, 2, 5, 9),
        lambda x: F.interpolate(x, (5, 9), mode="bicubic"),
        mode="cubic",
        coordinate_transformation_mode="pytorch_half_pixel",
        cubic_coeff_a=-0.75,
        batched=(),
    ),
    *(
        resize(
            (1, 2, 5, 4),
            (1, 1, 1.6, 0.5),
            mode="nearest",
            coordinate_transformation_mode=coordinates,
            nearest_mode=nearest,
        )
        for coordinates, nearest in itertools.product(
            ("half_pixel", "asymmetric", "align_corners"), ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        )
    ),
    *(
        resize((1, 2, 5, 4), (1, 1, 1.7, 0.5), mode=mode, coordinate_transformation_mode=coordinates)
        for coordinates, mode in itertools.product(
            ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"), ("linear", "cubic")
        )
    ),
    resize(
        (1, 2, 5, 4), (1, 1, 1.7, 0.6), mode="linear", coordinate_transformation_mode="half_pixel_symmetric", since=19
    ),
    resize((1, 2, 5, 6), (1, 1, 1.7, 1.5), mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
    resize((2, 2, 3, 4), (2, 2), mode="linear", axes=(2, 3), since=18),
    resize((2, 2, 3, 4), None, (5, 7), mode="linear", axes=(2, 3), since=18),
    resize((1, 2, 3, 4, 2), (1, 1, 2, 2, 3), mode="linear"),
]
