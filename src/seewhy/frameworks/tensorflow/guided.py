"""Guided backpropagation on TensorFlow: `gradient_override_map` replaces the gradients of ReLUs.

The gradients are replaced while the model is traced. The traced graph then shows whether the head has other
activations.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from seewhy.frameworks.non_relu import (
    GUIDED_RULES,
    HARD_SIGMOID,
    PRELU,
    SQRT_2_OVER_PI,
    WHERE,
    NonReluActivation,
    check_activations,
    clamp_name,
)
from seewhy.frameworks.tensorflow.logits import CUSTOM_DERIVATIVE
from seewhy.frameworks.tensorflow.operation_types import OPAQUE_OPERATIONS
from seewhy.frameworks.tensorflow.trunk_and_head import head_operations
from seewhy.types import GradientRule, NativeTensor

NON_RELU_ACTIVATIONS = {
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
"""The name of each activation other than a ReLU, by the type of its operation."""

RELU_GRADIENT, MAXIMUM_GRADIENT = "SeeWhyGuidedRelu", "SeeWhyGuidedMaximum"


@contextmanager
def guide_relus(gradient_rule: GradientRule) -> Iterator[None]:
    """Give every ReLU that is traced while this is open the guided gradient, if that is the gradient rule."""
    if gradient_rule not in GUIDED_RULES:
        yield
        return
    graph = tf.compat.v1.get_default_graph()
    with graph.gradient_override_map({"Relu": RELU_GRADIENT, "Relu6": RELU_GRADIENT, "Maximum": MAXIMUM_GRADIENT}):
        yield


def check_head_activations(
    tapped: NativeTensor,
    logits: NativeTensor,
    layers: Iterable[str],
    gradient_rule: GradientRule,
    *,
    is_inlined: bool = False,
) -> None:
    """Refuse activations other than ReLUs between the tap and the logits, unless the rule allows them.

    Args:
        tapped: The tapped tensor.
        logits: The logits, which depend on it.
        layers: The paths of the model's layers.
        gradient_rule: How gradients flow from the scores to the tap.
        is_inlined: Whether the logits are computed by copies of the operations of a tf.function.

    Raises:
        MethodError: There are other activations and the rule does not allow them, or an opaque operation may contain
            some.
    """
    if gradient_rule not in GUIDED_RULES:
        return
    dependents = head_operations(tapped)
    head = dependents & _dependencies(logits.op, dependents)
    activations = [NonReluActivation("tf.function", None, is_opaque=True)] if is_inlined else []
    for operation in tapped.graph.get_operations():
        if operation in head:
            opaque = _opaque_name(operation)
            name = opaque or _non_relu_name(operation, dependents)
            if name is not None:
                is_opaque = opaque is not None
                activations.append(NonReluActivation(name, _layer_of(operation, layers), is_opaque))
    check_activations(activations, gradient_rule)


def _opaque_name(operation: Any) -> str | None:
    """Name an operation whose ReLUs cannot be reached; None for any other operation.

    The derivative of a function with one of its own may run the ReLUs in it once more, without the guided gradient.
    """
    if operation.type != CUSTOM_DERIVATIVE:
        return OPAQUE_OPERATIONS.get(operation.type)
    # Its inputs are the function's results, and then its arguments, at which the search ends.
    visited, pending = {tensor.op for tensor in operation.inputs[1:]}, [operation.inputs[0].op]
    while pending:
        inner = pending.pop()
        if inner in visited:
            continue
        if inner.type in ("Relu", "Relu6", "Maximum"):
            return "function with a derivative of its own"
        visited.add(inner)
        pending.extend(tensor.op for tensor in inner.inputs)
    return None


@tf.RegisterGradient(RELU_GRADIENT)  # type: ignore[untyped-decorator]
def _guided_relu(operation: Any, gradient: NativeTensor) -> NativeTensor:
    values = operation.inputs[0]
    passes = values > 0
    if operation.type == "Relu6":
        passes &= values < 6
    if _non_relu_name(operation) is None:
        passes &= gradient > 0
    return tf.where(passes, gradient, tf.zeros_like(gradient))


@tf.RegisterGradient(MAXIMUM_GRADIENT)  # type: ignore[untyped-decorator]
def _guided_maximum(operation: Any, gradient: NativeTensor) -> list[NativeTensor | None]:
    inputs = list(operation.inputs)
    numbers = [_constant_value(tensor) for tensor in inputs]
    if 0.0 not in numbers:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            maximum = tf.maximum(*inputs)
        gradients: list[NativeTensor | None] = tape.gradient(maximum, inputs, output_gradients=gradient)
        return gradients
    zero = numbers.index(0.0)
    passes = (inputs[1 - zero] > 0) & (gradient > 0)
    guided = tf.where(passes, gradient, tf.zeros_like(gradient))
    return [None, guided] if zero == 0 else [guided, None]


def _dependencies(last: Any, operations: set[Any]) -> set[Any]:
    """Return `last` and those of some operations that it depends on."""
    dependencies: set[Any] = set()
    pending = [last]
    while pending:
        operation = pending.pop()
        if operation not in dependencies and operation in operations:
            dependencies.add(operation)
            pending += [tensor.op for tensor in operation.inputs]
    return dependencies


def _non_relu_name(operation: Any, dependents: set[Any] | None = None) -> str | None:
    """Return the name of an activation other than a ReLU; None for a ReLU and for any other operation.

    Args:
        operation: An operation of the graph.
        dependents: The operations that depend on the tap. A where(...) is an activation if its condition does.
    """
    kind = operation.type
    if kind in ("Relu", "Relu6"):
        return _composed_name(operation)
    if kind == "Tanh" and operation.inputs[0].op.type == "Mul":
        factors = [_constant_value(tensor) for tensor in operation.inputs[0].op.inputs]
        is_gelu = any(abs(factor - SQRT_2_OVER_PI) < 1e-3 for factor in factors if factor is not None)
        return "GELU" if is_gelu else "tanh"
    if kind == "Sigmoid":
        return "SiLU (swish)" if _multiplies_its_input(operation) else "sigmoid"
    if kind == "Maximum":
        bound = next((number for number in map(_constant_value, operation.inputs) if number), None)
        return None if bound is None else clamp_name(bound)
    if kind in ("Select", "SelectV2"):
        return WHERE if dependents is not None and operation.inputs[0].op in dependents else None
    return NON_RELU_ACTIVATIONS.get(kind)


def _composed_name(operation: Any) -> str | None:
    """Name an activation composed of ReLUs: hard sigmoid, `relu6(x + 3) / 6`; PReLU, `relu(x) - a * relu(-x)`."""
    values = operation.inputs[0]
    if operation.type == "Relu6":
        is_shifted = values.op.type in ("Add", "AddV2") and 3.0 in map(_constant_value, values.op.inputs)
        return HARD_SIGMOID if is_shifted else None
    negations = [consumer for consumer in values.consumers() if consumer.type == "Neg"]
    is_negated = any(consumer.type == "Relu" for negation in negations for consumer in negation.outputs[0].consumers())
    return PRELU if is_negated or values.op.type == "Neg" else None


def _multiplies_its_input(sigmoid: Any) -> bool:
    """Whether a sigmoid is that of `x * sigmoid(x)` or `x * sigmoid(b * x)`."""
    values = sigmoid.inputs[0]
    factors = values.op.inputs if values.op.type == "Mul" else ()
    sources = {tensor.ref() for tensor in (values, *factors)}
    products = [consumer for consumer in sigmoid.outputs[0].consumers() if consumer.type == "Mul"]
    return any(tensor.ref() in sources for product in products for tensor in product.inputs)


def _layer_of(operation: Any, layers: Iterable[str]) -> str | None:
    """Return the path of the innermost layer in an operation's name scope; Keras may append numbers to layer names."""
    for scope in reversed(operation.name.split("/")[:-1]):
        for name in (scope, re.sub(r"_\d+$", "", scope)):
            paths = [path for path in layers if path.rpartition("/")[2] == name]
            if len(paths) == 1:
                return paths[0]
    return None


def _constant_value(tensor: NativeTensor) -> float | None:
    """Return the value of a constant with one element; None for any other tensor."""
    value = tf.get_static_value(tensor)
    return float(value.reshape(())) if value is not None and value.size == 1 and value.dtype.kind in "fiu" else None
