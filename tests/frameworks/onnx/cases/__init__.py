"""Cases for each operator that has a gradient."""

from tests.frameworks.onnx.cases.elementwise import ACTIVATIONS, ARITHMETIC, MICROSOFT
from tests.frameworks.onnx.cases.matrix import PRODUCTS, REDUCTIONS
from tests.frameworks.onnx.cases.normalization import NORMALIZATIONS
from tests.frameworks.onnx.cases.shape import SHAPES
from tests.frameworks.onnx.cases.windows import AVERAGES, CONVOLUTIONS, POOLING, RESIZE

CASES = [
    *ARITHMETIC,
    *ACTIVATIONS,
    *MICROSOFT,
    *PRODUCTS,
    *REDUCTIONS,
    *SHAPES,
    *POOLING,
    *AVERAGES,
    *CONVOLUTIONS,
    *RESIZE,
    *NORMALIZATIONS,
]
