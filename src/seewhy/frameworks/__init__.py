"""The only code that runs a model."""

import importlib.util
import sys
from typing import Any

from seewhy.errors import MissingExtraError, ModelError
from seewhy.frameworks.base import Framework
from seewhy.frameworks.fixed_batch import FixedBatch
from seewhy.frameworks.layers import LayerCall, LayerChoice
from seewhy.types import Backend, Precision

__all__ = ["Framework", "LayerCall", "LayerChoice", "exported", "framework_for"]


def framework_for(model: Any, precision: Precision = "float32") -> Framework:
    """Wrap a model for its framework. Only frameworks that the caller has imported are imported.

    Args:
        model: A `keras.Model`, a `torch.nn.Module`, or an ONNX model: an `OnnxModel` or an `onnx.ModelProto`.
        precision: "float32" runs the model in its own types; "bfloat16" runs its convolutions and matrix products in
            that type.

    Returns:
        The model behind the interface that all frameworks share.

    Raises:
        ModelError: The object is not a model that SeeWhy can run, or it has not been built.
        OptionError: The model cannot run in bfloat16.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        if not model.built:
            raise ModelError(f"The model {model.name!r} has no weights yet: build it, or call it on an input.")
        framework = _wrap_keras(model, keras.backend.backend(), precision)
        return framework if framework.batch_size is None else FixedBatch(framework, framework.batch_size)
    torch = sys.modules.get("torch")
    # On the PyTorch backend a Keras layer is a torch module too, but it takes Keras' inputs.
    if torch is not None and isinstance(model, torch.nn.Module) and not _is_keras(model):
        return _wrap_torch(model, torch, precision)
    onnx = sys.modules.get("onnx")
    if onnx is not None and isinstance(model, (onnx.ModelProto, _onnx_model())):
        return _wrap_onnx(model, onnx, precision)
    if isinstance(model, str):
        raise ModelError(f"A model was given by name, {model!r}: load it first, with seewhy.load({model!r}).")
    raise ModelError(
        f"Cannot explain {_type_of(model)}: expected a keras.Model (Keras 3) or a torch.nn.Module. Save a model of "
        "tf_keras or of Keras 2 as HDF5, model.save('model.h5'), and load that file with seewhy.load('model.h5')."
    )


def exported(framework: Framework, backend: Backend, precision: Precision = "float32") -> Framework:
    """Return what runs the model of a framework in another runtime.

    Args:
        framework: Runs the model.
        backend: "onnx" is ONNX Runtime.
        precision: In which type.

    Raises:
        MissingExtraError: The runtime is not installed.
        OptionError: It cannot run the model in this type, here.
    """
    if framework.name == backend == "onnx":
        return framework
    for package in ("onnx", "onnxruntime", *(["openvino"] if backend == "openvino" else [])):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"For backend={backend!r}, {package}", backend)
    if backend == "openvino":
        from seewhy.frameworks.onnx.openvino_session import check_processor

        check_processor(precision)
    from seewhy.frameworks.exported import Exported

    if isinstance(framework, FixedBatch):
        return FixedBatch(Exported(framework.of_full_batches, backend, precision), framework.batch_size or 1)
    return Exported(framework, backend, precision)


def _wrap_keras(model: Any, backend: str, precision: Precision) -> Framework:
    if backend == "tensorflow":
        from seewhy.frameworks.tensorflow.framework import KerasTensorflow

        return KerasTensorflow(model, precision)
    if backend == "jax":
        from seewhy.frameworks.jax.framework import KerasJax

        return KerasJax(model, precision)
    if backend == "torch":
        from seewhy.frameworks.torch.keras import KerasTorch

        return KerasTorch(model, precision)
    raise ModelError(f"Keras runs on {backend} here; SeeWhy explains Keras models on TensorFlow, JAX and PyTorch.")


def _wrap_torch(model: Any, torch: Any, precision: Precision) -> Framework:
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"The model {model.original_name} is a TorchScript module: it is compiled as a whole, and its layers "
            "cannot be reached. Give the torch.nn.Module that it was compiled from."
        )
    if any(torch.nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
        raise ModelError(f"The model {type(model).__name__} has no weights yet: call it on an input.")
    from seewhy.frameworks.torch.framework import Torch

    return Torch(model, precision)


def _onnx_model() -> type[Any]:
    from seewhy.frameworks.onnx.model import OnnxModel

    return OnnxModel


def _wrap_onnx(model: Any, onnx: Any, precision: Precision) -> Framework:
    from seewhy.frameworks.onnx.framework import Onnx
    from seewhy.frameworks.onnx.inner_batch import with_inner_batch_declared

    given = _onnx_model()(model) if isinstance(model, onnx.ModelProto) else model
    framework = Onnx(with_inner_batch_declared(given), precision)
    return framework if framework.batch_size is None else FixedBatch(framework, framework.batch_size)


def _is_keras(model: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Layer)


def _type_of(thing: Any) -> str:
    return f"an object of type {type(thing).__module__}.{type(thing).__qualname__}"
