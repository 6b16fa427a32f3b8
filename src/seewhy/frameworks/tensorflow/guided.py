"""Guided backpropagation on TensorFlow: what the ReLUs between the tap and the logits let back.

While the model is traced, its ReLUs are given a gradient of ours in place of their own, which is TensorFlow's
`gradient_override_map`. The graph then tells whether there are activations of other kinds.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from seewhy.frameworks.guided import GUIDED, HARD_SIGMOID, PRELU, WHERE, NonRelu, check_non_relu
from seewhy.types import GradientRule, Tensor

OTHERS = {
    "Elu": "ELU",
    "Erf": "GELU",
    "Erfc": "GELU",
    "Exp": "exponential",
    "Expm1": "CELU",
    "LeakyRelu": "leaky ReLU",
    "LogSoftmax": "softmax",
    "Selu": "SELU",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
"""Activations that are no ReLUs, by their operation."""

HIDING = {
    "Case": "branch",
    "If": "branch",
    "PartitionedCall": "tf.function",
    "StatefulPartitionedCall": "tf.function",
    "StatelessCase": "branch",
    "StatelessIf": "branch",
    "StatelessWhile": "loop",
    "While": "loop",
}
"""Operations that run a graph of their own, which the trace of the model does not show."""

SHAPES = {"Rank", "Shape", "ShapeN", "Size"}
"""Operations whose outputs do not hang on the values they are given."""

SQRT_2_OVER_PI = 0.7978845608
"""What GELU's approximation multiplies by before its tanh."""

RELU, MAXIMUM = "SeeWhyGuidedRelu", "SeeWhyGuidedMaximum"


@contextmanager
def guided_relus(gradient_rule: GradientRule) -> Iterator[None]:
    """Give every ReLU that is traced while this is open the guided gradient, if that is how gradients are taken."""
    if gradient_rule not in GUIDED:
        yield
        return
    graph = tf.compat.v1.get_default_graph()
    with graph.gradient_override_map({"Relu": RELU, "Relu6": RELU, "Maximum": MAXIMUM}):
        yield


def check_activations(tapped: Tensor, logits: Tensor, layers: Iterable[str], gradient_rule: GradientRule) -> None:
    """Refuse activations between the tap and the logits that are no ReLUs, unless gradients may pass them as they are.

    Args:
        tapped: The tapped tensor.
        logits: What it came to.
        layers: The paths of the model's layers.
        gradient_rule: How gradients flow.

    Raises:
        MethodError: There are; or something hides what is in it.
    """
    if gradient_rule not in GUIDED:
        return
    later = _computed_of(tapped)
    on_path = later & _needed_for(logits.op, later)
    found = []
    for operation in tapped.graph.get_operations():
        if operation in on_path:
            kind = HIDING.get(operation.type) or _other(operation, later)
            if kind is not None:
                found.append(NonRelu(kind, _layer(operation, layers), is_hidden=operation.type in HIDING))
    check_non_relu(found, gradient_rule)


@tf.RegisterGradient(RELU)  # type: ignore[untyped-decorator]
def _guided_relu(operation: Any, gradient: Tensor) -> Tensor:
    values = operation.inputs[0]
    passes = values > 0
    if operation.type == "Relu6":
        passes &= values < 6
    if _other(operation) is None:
        passes &= gradient > 0
    return tf.where(passes, gradient, tf.zeros_like(gradient))


@tf.RegisterGradient(MAXIMUM)  # type: ignore[untyped-decorator]
def _guided_maximum(operation: Any, gradient: Tensor) -> list[Tensor | None]:
    inputs = list(operation.inputs)
    numbers = [_number(each) for each in inputs]
    if 0.0 not in numbers:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            maximum = tf.maximum(*inputs)
        gradients: list[Tensor | None] = tape.gradient(maximum, inputs, output_gradients=gradient)
        return gradients
    zero = numbers.index(0.0)
    passes = (inputs[1 - zero] > 0) & (gradient > 0)
    let_back = tf.where(passes, gradient, tf.zeros_like(gradient))
    return [None, let_back] if zero == 0 else [let_back, None]


def _computed_of(tapped: Tensor) -> set[Any]:
    """Return the operations that depend on the tapped tensor."""
    found: set[Any] = set()
    waiting = list(tapped.consumers())
    while waiting:
        operation = waiting.pop()
        if operation not in found and operation.type not in SHAPES:
            found.add(operation)
            waiting += [taker for output in operation.outputs for taker in output.consumers()]
    return found


def _needed_for(last: Any, among: set[Any]) -> set[Any]:
    """Return those of some operations that the last one depends on, and itself."""
    found: set[Any] = set()
    waiting = [last]
    while waiting:
        operation = waiting.pop()
        if operation not in found and operation in among:
            found.add(operation)
            waiting += [given.op for given in operation.inputs]
    return found


def _other(operation: Any, later: set[Any] | None = None) -> str | None:
    """Return the name of an activation that is no ReLU; None for a ReLU and for all that is no activation.

    Args:
        operation: Any.
        later: What depends on the tap, to tell a choice by values from one that is always the same.
    """
    kind = operation.type
    if kind in ("Relu", "Relu6"):
        return _other_relu(operation)
    if kind == "Tanh" and operation.inputs[0].op.type == "Mul":
        numbers = [_number(each) for each in operation.inputs[0].op.inputs]
        return "GELU" if any(abs(each - SQRT_2_OVER_PI) < 1e-3 for each in numbers if each is not None) else "tanh"
    if kind == "Sigmoid":
        return "SiLU (swish)" if _multiplies_its_input(operation) else "sigmoid"
    if kind == "Maximum":
        least = next((number for number in map(_number, operation.inputs) if number), None)
        return None if least is None else f"cut at {least:g}, which is not 0"
    if kind in ("Select", "SelectV2"):
        return WHERE if later is not None and operation.inputs[0].op in later else None
    return OTHERS.get(kind)


def _other_relu(operation: Any) -> str | None:
    """Tell apart what is written with ReLUs: hard sigmoids, `relu6(x + 3) / 6`; PReLUs, `relu(x) - a * relu(-x)`."""
    values = operation.inputs[0]
    if operation.type == "Relu6":
        is_shifted = values.op.type in ("Add", "AddV2") and 3.0 in map(_number, values.op.inputs)
        return HARD_SIGMOID if is_shifted else None
    negations = [taker for taker in values.consumers() if taker.type == "Neg"]
    beside = any(taker.type == "Relu" for each in negations for taker in each.outputs[0].consumers())
    return PRELU if beside or values.op.type == "Neg" else None


def _multiplies_its_input(sigmoid: Any) -> bool:
    """Whether this is the sigmoid of `x * sigmoid(x)`, or of `x * sigmoid(b * x)`."""
    values = sigmoid.inputs[0]
    normalize = values.op.inputs if values.op.type == "Mul" else ()
    sources = {each.ref() for each in (values, *normalize)}
    products = [taker for taker in sigmoid.outputs[0].consumers() if taker.type == "Mul"]
    return any(each.ref() in sources for product in products for each in product.inputs)


def _layer(operation: Any, layers: Iterable[str]) -> str | None:
    """Return the path of the innermost layer that an operation's name names; Keras puts numbers behind names."""
    for scope in reversed(operation.name.split("/")[:-1]):
        for name in (scope, re.sub(r"_\d+$", "", scope)):
            paths = [path for path in layers if path.rpartition("/")[2] == name]
            if len(paths) == 1:
                return paths[0]
    return None


def _number(tensor: Tensor) -> float | None:
    """Return the value of a constant of one number; None for anything else."""
    value = tf.get_static_value(tensor)
    return float(value.reshape(())) if value is not None and value.size == 1 and value.dtype.kind in "fiu" else None
