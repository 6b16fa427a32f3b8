"""An ONNX model of two images and a number: the weighted difference of the images' mean features, plus the number."""

import numpy as np
from onnx import ModelProto, parser

RANDOM = np.random.default_rng(1)
KERNEL = RANDOM.standard_normal((5, 3)).astype(np.float32)
WEIGHTS = RANDOM.standard_normal((2, 5)).astype(np.float32)

TEXT = """<ir_version: 9, opset_import: ["": 17]>
pair (float[n, 3, 4, 4] right, float[n, 3, 4, 4] left, float[n, 1] age) => (float[n, 2] scores)
<float[5, 3, 1, 1] kernel = {KERNEL}, float[2, 5] weights = {WEIGHTS}> {
  features = Conv(left, kernel)
  others = Conv(right, kernel)
  mean = GlobalAveragePool(features)
  other_mean = GlobalAveragePool(others)
  apart = Sub(mean, other_mean)
  difference = Abs(apart)
  flat = Flatten(difference)
  scored = Gemm<transB = 1>(flat, weights)
  scores = Add(scored, age)
}"""


def pair_model() -> ModelProto:
    text = TEXT
    for name, values in (("KERNEL", KERNEL), ("WEIGHTS", WEIGHTS)):
        text = text.replace(f"{{{name}}}", "{" + ", ".join(f"{value:.9g}" for value in values.ravel()) + "}")
    return parser.parse_model(text)
