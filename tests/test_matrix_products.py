"""Products of matrices that NumPy does not divide among threads."""

import numpy as np
import pytest

from seewhy import matrix_products
from seewhy.matrix_products import product

SHAPES = {
    "small": ((3, 4), (4, 5)),
    "some rows at a time": ((300, 70), (70, 90)),
    "one row at a time": ((3, 700), (700, 500)),
    "a row each": ((2, 3, 300, 70), (2, 3, 70, 90)),
    "broadcast": ((300, 70), (2, 1, 70, 90)),
    "many": ((64, 2048), (2048, 49)),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_the_product(shapes, dtype):
    left, right = (np.random.default_rng(0).normal(size=shape).astype(dtype) for shape in shapes)
    found = product(left, right)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, left.astype(np.longdouble) @ right.astype(np.longdouble), rtol=1e-4, atol=1e-4)


def test_no_part_is_large_enough_to_be_divided(monkeypatch):
    sizes = []

    def multiply(left, right, out):
        sizes.append(len(left) * left.shape[1] * right.shape[1])
        out[...] = left @ right

    monkeypatch.setattr(matrix_products.np, "matmul", multiply)
    left, right = np.ones((300, 70), np.float32), np.ones((70, 90), np.float32)
    np.testing.assert_array_equal(product(left, right), np.full((300, 90), 70, np.float32))
    assert sum(sizes) == 300 * 70 * 90
    assert max(sizes) <= matrix_products.UNDIVIDED
