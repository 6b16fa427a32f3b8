"""Functions traced into TensorFlow graphs, and run in bfloat16 where that is asked.

TensorFlow rewrites a graph before it runs it. One of its rewritings puts convolutions and matrix products into
bfloat16, and what stands between them. A call inside a graph carries options of its own for what it calls, so nothing
has to be set that other graphs see: a traced function is called by an outer one, which says how it is rewritten.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import tensorflow as tf

from seewhy.errors import OptionError
from seewhy.types import Precision, Tensor


def compiled(function: Callable[..., Any], specs: Sequence[Any], precision: Precision = "float32") -> Any:
    """Trace `function` for arguments of these specifications, to run in this precision."""
    if precision == "float32":
        return tf.function(function, autograph=False).get_concrete_function(*specs)
    return _rewritten(function, specs, _to_bfloat16())


@cache
def check_bfloat16() -> None:
    """Raise OptionError unless TensorFlow does run in bfloat16 what is to run so: where it cannot, it does not say so.

    1 + 2^-9 is 1 in bfloat16, and itself in all other types that matrices are multiplied in.
    """
    spec = tf.TensorSpec((1, 1), tf.float32)
    product = compiled(lambda one, other: tf.matmul(one, other), (spec, spec), "bfloat16")
    if float(product(tf.constant([[1 + 2**-9]]), tf.constant([[1.0]]))[0, 0]) != 1:
        raise OptionError(
            "precision='bfloat16' does nothing on this TensorFlow: the rewriting of its graphs needs oneDNN, which "
            "runs on x86 processors alone, not on GPUs, and which TF_ENABLE_ONEDNN_OPTS=0 turns off. Leave it out; or "
            "build the model under keras.config.set_dtype_policy('mixed_bfloat16')."
        )


def _rewritten(function: Callable[..., Any], specs: Sequence[Any], options: tf.compat.v1.ConfigProto) -> Any:
    """Trace `function` inside of another that calls it with options of its own."""
    # Not inlined, for then it would be rewritten as the outer one is.
    attributes = {"_noinline": True}
    inner = tf.function(function, autograph=False, experimental_attributes=attributes).get_concrete_function(*specs)
    if not inner.outputs:  # nothing to compute
        return inner

    def outer(*args: Any) -> Any:
        flat: list[Tensor] = inner.function_type.unpack_inputs(inner.function_type.bind(*args))
        results = tf.raw_ops.StatefulPartitionedCall(
            args=[*flat, *inner.captured_inputs],
            Tout=[each.dtype for each in inner.outputs],
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
