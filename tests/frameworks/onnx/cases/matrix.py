"""Products of matrices, and reductions."""

import numpy as np
import torch
from tests.frameworks.onnx.cases.case import Fixed, case, normal, positive

X = (2, 3, 4)


def gemm(a, b, **options):
    def function(a, b, c=None):
        a, b = (x.T if options.get(name) else x for x, name in ((a, "transA"), (b, "transB")))
        product = options.get("alpha", 1) * (a @ b)
        return product if c is None else product + options.get("beta", 1) * c

    batched = () if options.get("transA") else (0,)
    return [
        case("Gemm", function, normal(*a), normal(*b), batched=batched, **options),
        case("Gemm", function, normal(*a), normal(*b), normal(5), batched=batched, **options),
        case("Gemm", function, normal(*a), normal(*b), normal(1, 1), batched=batched, **options),
    ]


def matmul(*shapes):
    return [
        case(
            "MatMul",
            torch.matmul,
            normal(*a),
            normal(*b),
            batched=[index for index, shape in enumerate((a, b)) if len(shape) > 1 and shape[0] == 2],
        )
        for a, b in shapes
    ]


def einsum(equation, *shapes, batched=()):
    inputs = [normal(*shape) for shape in shapes]
    return case("Einsum", lambda *x: torch.einsum(equation, *x), *inputs, equation=equation, since=12, batched=batched)


PRODUCTS = [
    *gemm((2, 4), (4, 5), alpha=0.7, beta=1.3),
    *gemm((2, 4), (5, 4), transB=1),
    *gemm((4, 2), (4, 5), transA=1, alpha=2.0),
    *gemm((4, 2), (5, 4), transA=1, transB=1, beta=0.5),
    *matmul(((2, 3), (3, 4)), ((2, 3, 4), (4, 5)), ((2, 6, 3, 4), (2, 6, 4, 5)), ((2, 6, 3, 4), (6, 4, 5))),
    *matmul(((3, 4), (2, 6, 4, 5)), ((2, 1, 3, 4), (1, 6, 4, 5)), ((4,), (4,)), ((4,), (4, 5)), ((2, 4), (4,))),
    *matmul(((4,), (2, 4, 5)), ((2, 3, 4), (4,))),
    case("MatMul", torch.matmul, normal(1, 2, 3), normal(5, 3, 4), batched=()),
    einsum("ab,bc->ac", (2, 3), (3, 4), batched=(0,)),
    einsum("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5), batched=(0, 1)),
    einsum("bij,jk", (2, 3, 4), (4, 5), batched=(0,)),
    einsum("b...d,de->b...e", (2, 3, 4), (4, 5), batched=(0,)),
    einsum("...ij,...jk", (2, 3, 4), (2, 4, 5), batched=(0, 1)),
    einsum("bc,bd->b", (2, 3), (2, 4), batched=(0, 1)),
    einsum("bchw->bc", (2, 3, 4, 5), batched=(0,)),
    einsum("abc->cab", (2, 3, 4), batched=(0,)),
    einsum("ab,bc,cd->ad", (2, 3), (3, 4), (4, 5), batched=(0,)),
]


def reduction(operator, function, make=normal):
    """The operator over some axes, a negative one, and all, with and without the reduced axes in the result."""

    def over(*axes, keepdims):
        return lambda x: function(x, axes, bool(keepdims))

    return [
        case(operator, over(2, 3, keepdims=1), make(2, 3, 4, 5), axes=(2, 3), keepdims=1),
        case(operator, over(1, 2, keepdims=0), make(2, 3, 4, 5), axes=(-2, 1), keepdims=0),
        case(operator, over(0, 1, 2, keepdims=1), make(2, 3, 4), batched=()),
        case(operator, over(0, 1, 2, keepdims=0), make(2, 3, 4), keepdims=0, batched=()),
    ]


REDUCTIONS = [
    *reduction("ReduceSum", lambda x, axes, keepdims: x.sum(axes, keepdims)),
    case("ReduceSum", lambda x: x.sum((0, 2)), normal(*X), axes=(0, 2), keepdims=0),
    *reduction("ReduceMean", lambda x, axes, keepdims: x.mean(axes, keepdims)),
    *reduction("ReduceMax", lambda x, axes, keepdims: x.amax(axes, keepdims)),
    *reduction("ReduceMin", lambda x, axes, keepdims: x.amin(axes, keepdims)),
    case("ReduceMax", lambda x: x.amax(1, True), np.array([[1.0, 2, 2], [0, 0, 0]]), axes=(1,)),
    *reduction("ReduceL1", lambda x, axes, keepdims: x.abs().sum(axes, keepdims)),
    *reduction("ReduceL2", lambda x, axes, keepdims: torch.linalg.vector_norm(x, 2, axes, keepdims)),
    case("ReduceL2", lambda x: torch.linalg.vector_norm(x, 2, 1, True), np.array([[3.0, 4], [0, 0]]), axes=(1,)),
    *reduction("ReduceSumSquare", lambda x, axes, keepdims: (x**2).sum(axes, keepdims)),
    *reduction("ReduceLogSum", lambda x, axes, keepdims: x.sum(axes, keepdims).log(), positive),
    *reduction("ReduceLogSumExp", lambda x, axes, keepdims: torch.logsumexp(x, axes, keepdims)),
    case("CumSum", lambda x: x.cumsum(1), normal(*X), Fixed(np.array(1))),
    case("CumSum", lambda x: x.flip(2).cumsum(2).flip(2) - x, normal(*X), Fixed(np.array(-1)), reverse=1, exclusive=1),
]
