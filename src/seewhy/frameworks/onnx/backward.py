"""The gradient of a graph by reverse mode: new nodes that compute it from the values of the graph.

For each node between the sources and the values whose gradients are given, from the last to the first, the row of its
operator in the table emits the gradients of its inputs from those of its outputs. A value that several nodes read has
the sum of their gradients.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from onnx import NodeProto

from seewhy.errors import MethodError
from seewhy.frameworks.onnx.graph import Graph, reads
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.known_values import KnownValues
from seewhy.frameworks.onnx.operators.node_gradient import GradientRule, NodeGradient, NoGradientRuleError
from seewhy.frameworks.onnx.operators.table import CONSTANT_ALMOST_EVERYWHERE, GRADIENTS, QUANTIZING, operator_name

GRADIENT_FREE = "eigencam, recipro_cam, scorecam, occlusion or rise"
"""Methods that need no gradient, as a message names them."""

PLACEHOLDER = "gradient"
"""The name of a gradient while operators without a rule are searched for, when nothing is computed."""


def backward(
    graph: Graph,
    builder: GraphBuilder,
    gradients: Mapping[str, str],
    sources: Sequence[str],
    rules: Mapping[str, GradientRule] = GRADIENTS,
) -> dict[str, str | None]:
    """Emit the gradient with respect to sources, given that with respect to values that depend on them.

    The nodes read values of the graph by their names; `backward_reads` names these. The gradient of a source includes
    what reaches the score through other sources. Each gradient has the shape and the type of its value.

    Args:
        graph: The model.
        builder: Emits the nodes.
        gradients: For each value whose gradient is given, the name of the gradient.
        sources: The values whose gradients are wanted.
        rules: The gradient rule of each operator.

    Returns:
        For each source, the name of its gradient; None where none of the values depends on it, or only in steps.

    Raises:
        MethodError: Operators between them have no gradient rule; the message names all of them.
    """
    builder.reserve(model_names(graph))
    missing: dict[str, str] = {}
    found = _emit(graph, builder, gradients, sources, missing, rules)
    if missing:
        raise MethodError(missing_message(missing))
    return found


def without_gradient(graph: Graph, outputs: Iterable[str], sources: Sequence[str]) -> dict[str, str]:
    """Return the operators between sources and outputs that have no gradient rule, each with a node and the reason."""
    missing: dict[str, str] = {}
    _emit(graph, GraphBuilder(graph.opset), dict.fromkeys(outputs, PLACEHOLDER), sources, missing)
    return missing


def missing_message(missing: Mapping[str, str]) -> str:
    """Return the message about operators without a gradient rule."""
    named = "; ".join(f"{operator} ({reason})" for operator, reason in missing.items())
    return (
        f"No gradient can be computed through these operators of the ONNX model: {named}. "
        f"Choose a layer after them, or a method that needs no gradient, such as {GRADIENT_FREE}."
    )


def backward_reads(graph: Graph, builder: GraphBuilder, gradients: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of the graph that the emitted nodes read: neither its constants nor the given gradients.

    Args:
        graph: The model.
        builder: What `backward` emitted its nodes with.
        gradients: The gradients that were given to it.
    """
    given = set(gradients.values())
    return tuple(name for name in builder.external_inputs() if name not in given and graph.constant(name) is None)


def _emit(
    graph: Graph,
    builder: GraphBuilder,
    gradients: Mapping[str, str],
    sources: Sequence[str],
    missing: dict[str, str],
    rules: Mapping[str, GradientRule] = GRADIENTS,
) -> dict[str, str | None]:
    """Emit the gradients, and collect operators without a rule, whose inputs get a placeholder for a gradient."""
    dependent, known_values = _dependent(graph, sources), KnownValues(graph)
    missing.update(_quantizations(graph, dependent, gradients))
    parts: dict[str, list[str]] = {value: [name] for value, name in gradients.items()}
    for node in reversed(graph.nodes):
        if not any(name in parts for name in node.output) or not any(name in dependent for name in reads(node)):
            continue
        output_gradients = tuple(_total(builder, parts, name) for name in node.output)
        needed = tuple(name in dependent and graph.is_float(name) for name in node.input)
        if not any(needed):
            continue
        step = NodeGradient(graph, node, builder, output_gradients, needed, known_values)
        for name, gradient in zip(node.input, _input_gradients(step, missing, rules), strict=True):
            if gradient is not None:
                parts.setdefault(name, []).append(gradient)
    return {source: _total(builder, parts, source) for source in sources}


def _input_gradients(
    step: NodeGradient, missing: dict[str, str], rules: Mapping[str, GradientRule]
) -> list[str | None]:
    """Return the gradient of each input that needs one."""
    operator = operator_name(step.node)
    try:
        rule = rules.get(operator)
        if rule is None:
            raise NoGradientRuleError("it has no gradient rule")
        found = [*rule(step), *[None] * len(step.needed)][: len(step.needed)]
        for index, gradient in enumerate(found):
            if step.needed[index] and gradient is None:
                raise NoGradientRuleError(f"the model computes its input {index}, '{step.node.input[index]}'")
    except NoGradientRuleError as error:
        missing.setdefault(operator, f"'{step.node.name or step.node.output[0]}': {error}")
        found = [PLACEHOLDER] * len(step.needed)
    return [gradient if needed else None for gradient, needed in zip(found, step.needed, strict=True)]


def _total(builder: GraphBuilder, parts: dict[str, list[str]], value: str) -> str | None:
    """Return the sum of the parts of a value's gradient; None where there are none."""
    if value not in parts:
        return None
    parts[value] = [builder.total(parts[value])]
    return parts[value][0]


def _dependent(graph: Graph, sources: Iterable[str]) -> set[str]:
    """Return the values whose gradients have to pass to the sources: those that change with them, not in steps."""
    found = set(sources)
    for node in graph.nodes:
        if not is_constant_almost_everywhere(graph, node) and any(
            name in found and graph.is_float(name) for name in reads(node)
        ):
            found.update(name for name in node.output if name)
    return found


def _quantizations(graph: Graph, dependent: set[str], outputs: Iterable[str]) -> dict[str, str]:
    """Return the operators that round what the outputs are computed from to a few values, each with a node.

    Their gradient is 0 almost everywhere, and a model that was quantized has no other path to its outputs, or some.
    """
    needed, found = set(outputs), dict[str, str]()
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.output):
            continue
        needed.update(reads(node))
        if node.op_type in QUANTIZING and node.input[0] in dependent:
            found[operator_name(node)] = f"'{node.name or node.output[0]}': it rounds to 8 bits or fewer"
    return found


def is_constant_almost_everywhere(graph: Graph, node: NodeProto) -> bool:
    """Whether the gradient of a node is 0: its outputs change in steps, if at all."""
    if node.op_type in ("Cast", "CastLike"):
        return not graph.is_float(node.output[0])
    return operator_name(node) in CONSTANT_ALMOST_EVERYWHERE


def model_names(graph: Graph) -> Iterator[str]:
    """Yield the names that a model's values and nodes have."""
    yield from graph.inputs
    yield from graph.initializers
    for node in graph.nodes:
        yield node.name
        yield from node.output
