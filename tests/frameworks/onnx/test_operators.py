"""The gradient of each operator, compared with torch's in float64, and run by ONNX Runtime in float32 and float16."""

import numpy as np
import onnx
import pytest
from tests.frameworks.onnx.cases import CASES
from tests.frameworks.onnx.gradient_runs import MISSING_TYPE, model_of, run, session, torch_gradients, with_gradient

from seewhy.frameworks.onnx.operators.table import GRADIENTS
from seewhy.frameworks.onnx.shapes import ValueInfo

TOLERANCES = {np.float64: 1e-6, np.float32: 1e-4, np.float16: 0.05}  # attributes are float32, also in float64


def test_every_row_has_a_case():
    assert {case.operator for case in CASES} == set(GRADIENTS)


@pytest.mark.parametrize("operator", GRADIENTS)
def test_gradient(operator):
    for number, case in enumerate(case for case in CASES if case.operator == operator):
        expected = linear_gradients(case) if case.function is None else torch_gradients(case)
        early, middle, late = case.opsets
        exact = np.float64 if case.function is not None and case.runtime == "any" else np.float32
        for opset, dtype, batched in (
            (early, exact, False),
            (middle, np.float32, True),  # the number of images is unknown
            (late, exact, True),
            (late, np.float16, False),
        ):
            check(case, expected, opset, dtype, batched, f"case {number} at opset {opset} in {dtype.__name__}")


def check(case, expected, opset, dtype, batched, name):
    """Compare outputs and gradients with those expected."""
    model, inputs = model_of(case, opset, dtype, batched=batched)
    if dtype == np.float16 and not is_implemented(model):
        return
    outputs, seeds, gradients = expected
    shapes = {
        value.name: tuple(size.dim_value or None for size in value.type.tensor_type.shape.dim)
        for value in model.graph.input
    }
    count = (None,) if any(None in shape for shape in shapes.values()) else ()
    infos = {
        f"y{index}": ValueInfo(np.dtype(dtype), (*count, *output.shape[len(count) :]))
        for index, output in enumerate(outputs)
    }
    joined, sources = with_gradient(model, shapes, infos, list(inputs))
    if (case.operator, opset < 21) != ("GroupNormalization", True):  # which ONNX deprecated, and torch exported
        onnx.checker.check_model(joined)
    given = [value for value in joined.graph.input if value.name.startswith("seed")]
    types = [onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in given]
    found = run(
        joined, inputs | {value.name: seed.astype(of) for value, seed, of in zip(given, seeds, types, strict=True)}
    )
    single = any(value.dtype == np.float32 for value in found.values())
    tolerance = max(TOLERANCES[dtype], TOLERANCES[np.float32] if single else 0)
    for index, wanted in enumerate(outputs):
        close(found[f"y{index}"], wanted, tolerance, f"{name}: output {index}")
    for source, wanted in zip(inputs, gradients, strict=True):
        assert found[sources[source]].dtype == inputs[source].dtype
        close(found[sources[source]], wanted, tolerance, f"{name}: gradient of {source}")


def is_implemented(model):
    """Whether ONNX Runtime runs the operator in the model's type."""
    try:
        session(model)
    except MISSING_TYPE:
        return False
    return True


def linear_gradients(case):
    """Return what `torch_gradients` does, from outputs of a linear operator for each element of its input."""
    model, inputs = model_of(case, case.until, np.float32, batched=False)
    (source, x) = next(iter(inputs.items()))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    count = x[0].size
    (rows,) = run(model, {source: np.eye(count, dtype=np.float32).reshape(count, *x.shape[1:])}).values()
    outputs = np.tensordot(x.reshape(len(x), count), rows, 1)
    seed = np.random.default_rng(1).normal(size=outputs.shape)
    gradient = np.tensordot(seed.reshape(len(x), -1), rows.reshape(count, -1).T, 1)
    return [outputs], [seed], [gradient.reshape(x.shape)]


def close(found, wanted, tolerance, name):
    assert found.shape == wanted.shape, name
    assert np.abs(found - wanted).max(initial=0) <= tolerance * max(np.abs(wanted).max(initial=0), 1), name
