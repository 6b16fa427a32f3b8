"""Functions traced into TensorFlow graphs, and run in bfloat16 on request.

TensorFlow rewrites a graph before running it. One of these rewrites, done by oneDNN, puts convolutions and matrix
products into bfloat16, and the operations between them. A call inside a graph carries options of its own for the
function it calls, so no setting that other graphs see has to change: an outer function calls the traced one, with
options that say how it is rewritten.

On a processor without the instructions, TensorFlow ignores the option silently; oneDNN held to older instructions by
an environment variable ends the process. Both are found out here, before a model runs.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import tensorflow as tf

from seewhy.errors import OptionError
from seewhy.frameworks.tensorflow.private_api import NOT_INLINED
from seewhy.types import NativeTensor, Precision

_AVX512 = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
_AVX2_VNNI_2 = frozenset({"avx_ne_convert", "avx_vnni_int8"})
"""The instructions, as Linux names them, with which oneDNN computes in bfloat16: all of one of the two sets."""


def compiled(function: Callable[..., Any], specs: Sequence[Any], precision: Precision = "float32") -> Any:
    """Trace `function` for arguments of these specifications, to run in this precision."""
    if precision == "float32":
        return tf.function(function, autograph=False).get_concrete_function(*specs)
    return _rewritten(function, specs, _to_bfloat16())


@cache
def check_bfloat16() -> None:
    """Check that this TensorFlow runs graphs in bfloat16 on this processor.

    Raises:
        OptionError: It does not; the message says why, and what to do.
    """
    obstacle = bfloat16_obstacle(cpu_flags(), os.environ)
    if obstacle is None and not _rounds_to_bfloat16():
        obstacle = (
            "its graphs are rewritten by oneDNN, which is off here: it runs on x86 processors, not on GPUs, and "
            "TensorFlow turns it on by itself only where the processor has instructions for neural networks, such as "
            "avx512_vnni. Set TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported"
        )
    if obstacle is not None:
        raise OptionError(
            f"precision='bfloat16' has no effect on this TensorFlow: {obstacle}. Alternatives: leave the option out, "
            f"or build the model under keras.config.set_dtype_policy('mixed_bfloat16')."
        )


def bfloat16_obstacle(flags: Collection[str] | None, environment: Mapping[str, str]) -> str | None:
    """Return what keeps oneDNN from computing in bfloat16, with what can be done about it, or None.

    Args:
        flags: The processor's instruction sets, as Linux names them; None where they are unknown.
        environment: The environment variables of this process.
    """
    if environment.get("TF_ENABLE_ONEDNN_OPTS", "").lower() in ("0", "false"):
        return "TF_ENABLE_ONEDNN_OPTS=0 turns oneDNN off, which rewrites its graphs. Unset it"
    variable, sets = _sets_allowed(environment)
    if not sets:
        return f"{variable}={environment[variable]} keeps oneDNN from the instructions it needs for bfloat16. Unset it"
    if flags is None or any(instructions.issubset(flags) for instructions in sets):
        return None
    missing = "; or ".join(", ".join(sorted(instructions.difference(flags))) for instructions in sets)
    return f"oneDNN, which rewrites its graphs, needs instructions that this processor does not have ({missing})"


def cpu_flags() -> frozenset[str] | None:
    """Return the processor's instruction sets, as Linux names them on x86; None on other systems."""
    path = Path("/proc/cpuinfo")
    line = re.search(r"^flags\s*:(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE) if path.exists() else None
    return frozenset(line[1].split()) if line else None


def _sets_allowed(environment: Mapping[str, str]) -> tuple[str, tuple[frozenset[str], ...]]:
    """Return the variable that limits oneDNN's instructions, and which sets of those for bfloat16 it leaves."""
    variable = "ONEDNN_MAX_CPU_ISA" if "ONEDNN_MAX_CPU_ISA" in environment else "DNNL_MAX_CPU_ISA"
    limit = environment.get(variable, "").lower()
    if limit in ("sse41", "avx", "avx2", "avx2_vnni"):
        return variable, ()
    if limit == "avx2_vnni_2":
        return variable, (_AVX2_VNNI_2,)
    return variable, (_AVX512,) if limit.startswith("avx512") else (_AVX512, _AVX2_VNNI_2)


def _rounds_to_bfloat16() -> bool:
    """Multiply 1 + 2^-9 by 1: the product is 1 in bfloat16, and 1 + 2^-9 in every wider type."""
    spec = tf.TensorSpec((1, 1), tf.float32)
    product = compiled(lambda one, other: tf.matmul(one, other), (spec, spec), "bfloat16")
    return float(product(tf.constant([[1 + 2**-9]]), tf.constant([[1.0]]))[0, 0]) == 1


def _rewritten(function: Callable[..., Any], specs: Sequence[Any], options: tf.compat.v1.ConfigProto) -> Any:
    """Trace `function`, and an outer function that calls it with options of its own."""
    # Not inlined: an inlined function would be rewritten with the options of the outer one.
    inner = tf.function(function, autograph=False, experimental_attributes=NOT_INLINED).get_concrete_function(*specs)
    if not inner.outputs:  # nothing to compute
        return inner

    def outer(*args: Any) -> Any:
        flat: list[NativeTensor] = inner.function_type.unpack_inputs(inner.function_type.bind(*args))
        results = tf.raw_ops.StatefulPartitionedCall(
            args=[*flat, *inner.captured_inputs],
            Tout=[output.dtype for output in inner.outputs],
            f=inner,
            config_proto=options.SerializeToString(),
        )
        return inner.function_type.pack_output(results)

    return tf.function(outer, autograph=False).get_concrete_function(*specs)


def _to_bfloat16() -> tf.compat.v1.ConfigProto:
    options = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    rewriting = options.graph_options.rewrite_options
    rewriting.auto_mixed_precision_onednn_bfloat16 = rewriting.ON
    return options
