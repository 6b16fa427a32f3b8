"""How TensorFlow is made to run one graph in bfloat16, and the reason that is given where it cannot."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf
from tests.hardware import skip_unless_tensorflow_runs_bfloat16

from seewhy.errors import OptionError
from seewhy.frameworks.tensorflow import precision
from seewhy.frameworks.tensorflow.precision import bfloat16_obstacle, compiled, cpu_flags

A_LITTLE_MORE = 1 + 2**-9

MATRIX = tf.TensorSpec((None, 1), tf.float32)

ZEN3 = {"sse4_2", "fma", "avx", "avx2"}
SKYLAKE_SERVER = ZEN3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
KNIGHTS_LANDING = ZEN3 | {"avx512f", "avx512cd", "avx512er", "avx512pf"}
SIERRA_FOREST = ZEN3 | {"avx_vnni", "avx_vnni_int8", "avx_ne_convert"}
PROCESSORS = {
    "zen3": ZEN3,
    "skylake_server": SKYLAKE_SERVER,
    "knights_landing": KNIGHTS_LANDING,
    "sierra_forest": SIERRA_FOREST,
    "unknown": None,
}


def product(one, other):
    return {"product": tf.matmul(one, other, transpose_b=True), "nothing": None, "sum": [one + other]}


def test_one_graph_is_rewritten_and_no_other():
    """Also one that is traced, and one that is run first, after it; and whatever the caller's own options are."""
    skip_unless_tensorflow_runs_bfloat16()
    given, one = tf.constant([[A_LITTLE_MORE]]), tf.constant([[1.0]])
    before = compiled(product, (MATRIX, MATRIX))
    narrow = compiled(product, (MATRIX, MATRIX), "bfloat16")
    results = narrow(given, one)
    assert float(results["product"][0, 0]) == 1
    assert results["nothing"] is None
    assert float(results["sum"][0][0, 0]) == 2 + 2**-9
    for full in (before, compiled(product, (MATRIX, MATRIX))):
        assert float(full(given, one)["product"][0, 0]) == A_LITTLE_MORE
    assert float(narrow(given, one)["product"][0, 0]) == 1
    assert "auto_mixed_precision_onednn_bfloat16" not in tf.config.optimizer.get_experimental_options()


def check_in_a_fresh_process(**environment):
    script = "from seewhy.frameworks.tensorflow.precision import check_bfloat16; check_bfloat16()"
    return subprocess.run(
        [sys.executable, "-c", script],
        env={name: value for name, value in os.environ.items() if "ONEDNN" not in name} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("TF_ENABLE_ONEDNN_OPTS", "0", "TF_ENABLE_ONEDNN_OPTS=0 turns oneDNN off, which rewrites its graphs. Unset it"),
        ("ONEDNN_MAX_CPU_ISA", "AVX2", "ONEDNN_MAX_CPU_ISA=AVX2 keeps oneDNN from the instructions it needs"),
    ],
)
def test_a_process_where_tensorflow_cannot_says_why(monkeypatch, variable, value, reason):
    """Before anything runs: oneDNN, held to older instructions, would end the process, not raise."""
    for name in os.environ:
        if "ONEDNN" in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(precision, "_rounds_to_bfloat16", lambda: pytest.fail("TensorFlow was run"))
    with pytest.raises(OptionError, match=f"precision='bfloat16' has no effect on this TensorFlow: {reason}"):
        precision.check_bfloat16.__wrapped__()


@pytest.mark.slow(reason="starts TensorFlow in another process")
def test_tensorflow_agrees_about_this_processor():
    """TensorFlow's own look at the processor: a refusal that came of misread flags would skip the tests above."""
    from tensorflow.python.util._pywrap_utils import IsDataTypeSupportedByOneDNNOnThisCPU

    if IsDataTypeSupportedByOneDNNOnThisCPU(tf.bfloat16.as_datatype_enum):
        assert bfloat16_obstacle(cpu_flags(), {}) is None
        assert check_in_a_fresh_process(TF_ENABLE_ONEDNN_OPTS="1").returncode == 0
    else:
        assert "needs instructions that this processor does not have" in (bfloat16_obstacle(cpu_flags(), {}) or "")


@pytest.mark.parametrize(
    ("processor", "missing"),
    [
        ("zen3", "(avx512bw, avx512dq, avx512f, avx512vl; or avx_ne_convert, avx_vnni_int8)"),
        ("knights_landing", "(avx512bw, avx512dq, avx512vl; or avx_ne_convert, avx_vnni_int8)"),
        ("skylake_server", None),
        ("sierra_forest", None),
        ("unknown", None),
    ],
)
def test_missing_instructions_are_named(processor, missing):
    reason = f"oneDNN, which rewrites its graphs, needs instructions that this processor does not have {missing}"
    assert bfloat16_obstacle(PROCESSORS[processor], {}) == (reason if missing else None)


@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize(
    ("limit", "allowed"),
    [
        ("AVX2", ()),
        ("avx2_vnni", ()),
        ("AVX2_VNNI_2", ("sierra_forest", "unknown")),
        ("AVX512_CORE", ("skylake_server", "unknown")),
        ("DEFAULT", ("skylake_server", "sierra_forest", "unknown")),
    ],
)
def test_limits_of_onednn_are_regarded(variable, limit, allowed):
    reasons = {name: bfloat16_obstacle(flags, {variable: limit}) for name, flags in PROCESSORS.items()}
    assert tuple(name for name, reason in reasons.items() if reason is None) == allowed
    if not allowed:
        assert f"{variable}={limit} keeps oneDNN from" in reasons["skylake_server"]
