"""Arithmetic, functions of single elements, and activations."""

import numpy as np
import torch
from tests.frameworks.onnx.cases.case import Fixed, case, normal, positive
from torch.nn import functional as F  # noqa: N812  # its usual name

X = (2, 3, 4)
TIES = np.array([[1.0, 2.0, 2.0], [0.0, 0.0, -1.0]])
SCALAR = Fixed(np.array(0.7))


def pairs(operator, function, **options):
    """The operator with broadcasts of either side, and with a constant."""
    return [
        case(operator, function, positive(*X), positive(*X), batched=(0, 1), **options),
        case(operator, function, positive(*X), positive(3, 1), **options),
        case(operator, function, positive(4), positive(*X), batched=(1,), **options),
        case(operator, function, positive(2, 1, 4), positive(1, 3, 1), **options),
        case(operator, function, positive(1, 3, 1), positive(2, 1, 4), batched=(1,), **options),
        case(operator, function, positive(*X), positive(), **options),
        case(operator, lambda x: function(x, torch.tensor(0.7, dtype=torch.float64)), positive(*X), SCALAR, **options),
    ]


def several(operator, function):
    return [
        case(operator, lambda *x: function(torch.stack(torch.broadcast_tensors(*x))), *inputs)
        for inputs in ((normal(*X),), (normal(*X), normal(3, 1)), (normal(*X), normal(4), normal(2, 1, 1)))
    ]


ARITHMETIC = [
    *pairs("Add", torch.add),
    *pairs("Sub", torch.sub),
    *pairs("Mul", torch.mul),
    *pairs("Div", torch.div),
    *pairs("Pow", torch.pow),
    case("Pow", lambda x: x**2, normal(*X), Fixed(np.array(2.0))),
    case("Pow", lambda x: x**3, np.array([0.0, -1, 2]), Fixed(np.array([3]))),
    case("Pow", lambda x: x**0, np.array([0.0, -1, 2]), Fixed(np.array(0.0))),
    case("Pow", torch.pow, np.array([0.0, 1, 2]), np.array([2.0, 3, 0.5]), batched=()),
    *several("Sum", lambda x: x.sum(0)),
    *several("Mean", lambda x: x.mean(0)),
    *several("Max", lambda x: x.amax(0)),
    *several("Min", lambda x: x.amin(0)),
    case("Max", torch.maximum, TIES, np.maximum(TIES, 1)),
    case("Min", torch.minimum, TIES, np.minimum(TIES, 1)),
    case(
        "Where",
        lambda a, b: torch.where(torch.tensor([[True], [False], [True]]), a, b),
        Fixed(np.array([[True], [False], [True]])),
        normal(*X),
        normal(1, 4),
        batched=(1,),
    ),
    case(
        "Where",
        lambda b: torch.where(torch.tensor([True, False, True, True]), torch.tensor(0.7, dtype=torch.float64), b),
        Fixed(np.array([True, False, True, True])),
        SCALAR,
        normal(*X),
        batched=(2,),
    ),
    case("Clip", lambda x: F.hardtanh(x, -0.5, 0.7), normal(*X), Fixed(np.array(-0.5)), SCALAR),
    case("Clip", lambda x: x.clamp(max=0.7), normal(*X), None, SCALAR),
    case("Clip", lambda x: x.clamp(min=-0.5), normal(*X), Fixed(np.array(-0.5))),
    case("Clip", lambda x: x.clone(), normal(*X)),
    case("Clip", F.relu6, np.array([0.0, 6.0, 3.0, 7.0, -1.0]), Fixed(np.array(0.0)), Fixed(np.array(6.0))),
    case("Identity", lambda x: x.clone(), normal(*X)),
    case("Cast", lambda x: x.clone(), normal(*X), to=1),
    case("Cast", lambda x: x.clone(), normal(*X), to=11),
    case("CastLike", lambda x: x.clone(), normal(*X), Fixed(np.zeros(1, np.float32)), since=15),
    case("Dropout", lambda x: x.clone(), normal(*X), until=11),
    case("Dropout", lambda x: x.clone(), normal(*X), since=12),
    case("Dropout", lambda x: x.clone(), normal(*X), Fixed(np.array(0.5)), Fixed(np.array(False)), since=12),
    case("Neg", torch.neg, normal(*X)),
    case("Sqrt", torch.sqrt, positive(*X)),
    case("Reciprocal", torch.reciprocal, positive(*X)),
    case("Exp", torch.exp, normal(*X)),
    case("Log", torch.log, positive(*X)),
    case("Abs", torch.abs, np.append(normal(5), 0.0)),
    case("Erf", torch.erf, normal(*X)),
    case("Sin", torch.sin, normal(*X)),
    case("Cos", torch.cos, normal(*X)),
    case("Atan", torch.atan, normal(*X)),
]

AT_0 = np.append(normal(9) * 3, 0.0)  # where a function has no slope, its gradient is torch's

ACTIVATIONS = [
    case("Relu", F.relu, AT_0),
    case("ThresholdedRelu", lambda x: F.threshold(x, 0.3, 0.0), AT_0, alpha=0.3),
    case("ThresholdedRelu", lambda x: F.threshold(x, 1.0, 0.0), AT_0),
    case("LeakyRelu", F.leaky_relu, AT_0),
    case("LeakyRelu", lambda x: F.leaky_relu(x, 0.3), AT_0, alpha=0.3),
    case("PRelu", lambda x, slope: F.prelu(x, slope.reshape(3)), normal(2, 3, 4, 4), positive(3, 1, 1)),
    case("PRelu", lambda x: F.prelu(x, torch.tensor([0.7], dtype=torch.float64)), AT_0, Fixed(np.array([0.7]))),
    case("Elu", F.elu, AT_0),
    case("Elu", lambda x: F.elu(x, 0.3), normal(*X), alpha=0.3),
    case("Selu", F.selu, AT_0),
    case("Celu", lambda x: F.celu(x, 0.3), AT_0, alpha=0.3, since=12),
    case("Celu", F.celu, AT_0, since=12),
    case("Sigmoid", torch.sigmoid, normal(*X)),
    case("Tanh", torch.tanh, normal(*X)),
    case("Softplus", F.softplus, normal(*X)),
    case("Softsign", F.softsign, AT_0),
    case("HardSigmoid", F.hardsigmoid, AT_0, alpha=1 / 6),
    case("HardSigmoid", lambda x: (0.2 * x + 0.5).clamp(0, 1), normal(*X) * 3),
    case("HardSwish", F.hardswish, np.linspace(-5, 5, 24), since=14),
    case("Swish", F.silu, normal(*X), since=24),
    case("Swish", lambda x: x * torch.sigmoid(1.5 * x), normal(*X), alpha=1.5, since=24),
    case("Mish", F.mish, normal(*X), since=18),
    case("Gelu", F.gelu, normal(*X), since=20),
    case("Gelu", lambda x: F.gelu(x, approximate="tanh"), normal(*X), approximate="tanh", since=20),
    case("Softmax", lambda x: x.softmax(-1), normal(*X), since=13),
    case("Softmax", lambda x: x.softmax(1), normal(*X), axis=1, since=13),
    case("Softmax", lambda x: x.flatten(1).softmax(1).reshape(x.shape), normal(*X), until=12),
    case("Softmax", lambda x: x.flatten(0).softmax(0).reshape(x.shape), normal(*X), axis=0, until=12),
    case("Softmax", lambda x: x.softmax(-1), normal(*X), axis=-1, until=12),
    case("LogSoftmax", lambda x: x.log_softmax(-2), normal(*X), axis=-2, since=13),
    case("LogSoftmax", lambda x: x.flatten(1).log_softmax(1).reshape(x.shape), normal(*X), until=12),
]

MICROSOFT = [
    case("com.microsoft.Gelu", F.gelu, normal(*X), runtime="float32"),
    case("com.microsoft.FastGelu", lambda x: F.gelu(x, approximate="tanh"), normal(*X)),
    case("com.microsoft.QuickGelu", lambda x: x * torch.sigmoid(1.702 * x), normal(*X)),
]
