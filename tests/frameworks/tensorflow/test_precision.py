"""How TensorFlow is made to run one graph in bfloat16, and that it says so where it cannot."""

import os
import subprocess
import sys

import tensorflow as tf

from seewhy.frameworks.tensorflow.precision import compiled

A_LITTLE_MORE = 1 + 2**-9

MATRIX = tf.TensorSpec((None, 1), tf.float32)


def product(one, other):
    return {"product": tf.matmul(one, other, transpose_b=True), "nothing": None, "sum": [one + other]}


def test_one_graph_is_rewritten_and_no_other():
    """Also one that is traced, and one that is run first, after it; and whatever the caller's own options are."""
    given, one = tf.constant([[A_LITTLE_MORE]]), tf.constant([[1.0]])
    before = compiled(product, (MATRIX, MATRIX))
    narrow = compiled(product, (MATRIX, MATRIX), "bfloat16")
    found = narrow(given, one)
    assert float(found["product"][0, 0]) == 1
    assert found["nothing"] is None
    assert float(found["sum"][0][0, 0]) == 2 + 2**-9
    for full in (before, compiled(product, (MATRIX, MATRIX))):
        assert float(full(given, one)["product"][0, 0]) == A_LITTLE_MORE
    assert float(narrow(given, one)["product"][0, 0]) == 1
    assert "auto_mixed_precision_onednn_bfloat16" not in tf.config.optimizer.get_experimental_options()


def test_where_tensorflow_cannot_it_is_said():
    script = "from seewhy.frameworks.tensorflow.precision import check_bfloat16; check_bfloat16()"
    finished = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "OptionError: precision='bfloat16' does nothing on this TensorFlow" in finished.stderr
