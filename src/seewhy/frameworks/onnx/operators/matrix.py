"""Gradients of products of matrices."""

from seewhy.frameworks.onnx.operators.node_gradient import (
    GradientRule,
    InputGradients,
    NodeGradient,
    NoGradientRuleError,
)
from seewhy.frameworks.onnx.shapes import Shape


def gemm(g: NodeGradient) -> InputGradients:
    """Gradient of y = alpha A' B' + beta C, where A' and B' may be transposed."""
    a, b = g.inputs[:2]
    alpha, beta = g.attribute("alpha", 1.0), g.attribute("beta", 1.0)
    trans_a, trans_b = bool(g.attribute("transA", 0)), bool(g.attribute("transB", 0))
    of_a = of_b = of_c = None
    if g.needs(0):
        of_a = (
            _gemm(g, b, g.gradient, alpha, trans_b, True)
            if trans_a
            else _gemm(g, g.gradient, b, alpha, False, not trans_b)
        )
    if g.needs(1):
        of_b = (
            _gemm(g, g.gradient, a, alpha, True, trans_a)
            if trans_b
            else _gemm(g, a, g.gradient, alpha, not trans_a, False)
        )
    if g.needs(2):
        of_c = g.sum_to(g.builder.mul(g.gradient, g.scalar(beta)), g.inputs[2])
    return of_a, of_b, of_c


def _gemm(g: NodeGradient, a: str, b: str, alpha: float, trans_a: bool, trans_b: bool) -> str:
    return g.builder.op("Gemm", a, b, alpha=alpha, transA=int(trans_a), transB=int(trans_b))


def matmul(g: NodeGradient) -> InputGradients:
    """Gradient of y = A B, all axes but the last two broadcast; a vector is a row or a column."""
    build, (a, b) = g.builder, g.inputs
    shape_a, shape_b = g.shape(a), g.shape(b)
    gradient, full_a, full_b = g.gradient, a, b
    if len(shape_b) == 1:
        full_b, gradient = build.unsqueeze(b, [1]), build.unsqueeze(gradient, [-1])
    if len(shape_a) == 1:
        full_a, gradient = build.unsqueeze(a, [0]), build.unsqueeze(gradient, [-2])
    matrix_a = (1, *shape_a) if len(shape_a) == 1 else shape_a
    matrix_b = (*shape_b, 1) if len(shape_b) == 1 else shape_b
    of_a = of_b = None
    if g.needs(0):
        product = build.op("MatMul", gradient, _swapped(g, full_b, len(matrix_b)))
        summed = g.sum_to_shape(product, (*_batch(matrix_a, matrix_b), *matrix_a[-2:]), matrix_a)
        of_a = build.squeeze(summed, [0]) if len(shape_a) == 1 else summed
    if g.needs(1):
        product = build.op("MatMul", _swapped(g, full_a, len(matrix_a)), gradient)
        summed = g.sum_to_shape(product, (*_batch(matrix_a, matrix_b), *matrix_b[-2:]), matrix_b)
        of_b = build.squeeze(summed, [1]) if len(shape_b) == 1 else summed
    return of_a, of_b


def _swapped(g: NodeGradient, value: str, rank: int) -> str:
    return g.builder.transpose(value, [*range(rank - 2), rank - 1, rank - 2])


def _batch(a: Shape, b: Shape) -> Shape:
    """Return the shape to which all axes but the last two of both are broadcast."""
    rank = max(len(a), len(b)) - 2
    one = (1,) * rank
    pairs = zip((*one, *a[:-2])[-rank:], (*one, *b[:-2])[-rank:], strict=True) if rank else ()
    return tuple(size_a if size_b == 1 else size_b for size_a, size_b in pairs)


def einsum(g: NodeGradient) -> InputGradients:
    """Gradient of a sum of products of the operands: that of the output times the other operands."""
    operands, output = _labels(g)
    return [_einsum_operand(g, operands, output, index) if g.needs(index) else None for index in range(len(operands))]


def _einsum_operand(g: NodeGradient, operands: list[str], output: str, index: int) -> str:
    build, own = g.builder, operands[index]
    others = [other for other in range(len(operands)) if other != index]
    present = "".join([output, *(operands[other] for other in others)])
    kept = "".join(label for label in own if label in present)
    equation = ",".join([output, *(operands[other] for other in others)]) + "->" + kept
    product = build.op("Einsum", g.gradient, *(g.inputs[other] for other in others), equation=equation)
    summed_only = [axis for axis, label in enumerate(own) if label not in present]
    if not summed_only:
        return product
    return g.expand(build.unsqueeze(product, summed_only), g.inputs[index], summed_only)


def _labels(g: NodeGradient) -> tuple[list[str], str]:
    """Return the labels of each operand and of the output, without an ellipsis and with an output that is spelt out."""
    left, arrow, output = g.attribute("equation").replace(" ", "").partition("->")
    operands = left.split(",")
    if "..." in left or "..." in output:
        operands, output = _without_ellipsis(g, operands, output, bool(arrow))
    elif not arrow:
        output = "".join(sorted(label for label in set(left) - {","} if left.count(label) == 1))
    if any(len(set(labels)) < len(labels) for labels in (*operands, output)):
        raise NoGradientRuleError("an operand of its equation has a label twice")
    _refuse_broadcast(g, operands)
    return operands, output


def _without_ellipsis(g: NodeGradient, operands: list[str], output: str, arrow: bool) -> tuple[list[str], str]:
    spare = [label for label in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if label not in "".join(operands)]
    counts = [
        g.rank(name) - len(labels.replace("...", "")) if "..." in labels else 0
        for name, labels in zip(g.inputs, operands, strict=True)
    ]
    most = "".join(spare[: max(counts)])
    if not arrow:
        once = "".join(operands).replace(".", "")
        output = "..." + "".join(sorted(label for label in set(once) if once.count(label) == 1))
    if "..." not in output:
        raise NoGradientRuleError("its equation sums over an ellipsis")
    filled = [labels.replace("...", most[len(most) - count :]) for labels, count in zip(operands, counts, strict=True)]
    return filled, output.replace("...", most)


def _refuse_broadcast(g: NodeGradient, operands: list[str]) -> None:
    """Refuse operands that have different sizes for one label."""
    sizes: dict[str, int | None] = {}
    for name, labels in zip(g.inputs, operands, strict=True):
        for label, size in zip(labels, g.shape(name), strict=True):
            if sizes.setdefault(label, size) != size:
                raise NoGradientRuleError("an axis of its operands is broadcast")


MATRIX: dict[str, GradientRule] = {
    "Gemm": gemm,
    "MatMul": matmul,
    "Einsum": einsum,
}
