"""The execution providers of ONNX Runtime, by the names of devices."""

import onnx
import onnxruntime

from seewhy.errors import OptionError
from seewhy.frameworks.device import Device, absent_device

CPU = "CPUExecutionProvider"

PROVIDERS = {
    "cpu": (CPU,),
    "cuda": ("CUDAExecutionProvider",),
    "gpu": ("CUDAExecutionProvider", "MIGraphXExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider"),
    "mps": ("CoreMLExecutionProvider",),
    "xpu": ("OpenVINOExecutionProvider",),
}
"""What runs a model on a kind of device; the first that is there."""


def provider_of(device: Device) -> str:
    """Return the execution provider that runs models on a device.

    Raises:
        OptionError: ONNX Runtime was built without it, or cannot start it here.
    """
    available = onnxruntime.get_available_providers()
    wanted = PROVIDERS.get(device.kind, (device.kind,))
    provider = next((name for name in wanted if name in available), None)
    if provider is None:
        kinds = [kind for kind, names in PROVIDERS.items() if any(name in available for name in names)]
        hint = " Builds for other devices are packages of their own, such as onnxruntime-gpu."
        raise absent_device(device, "ONNX Runtime", kinds if device.kind in PROVIDERS else available, hint)
    if device.position > 0:
        hint = "" if provider == CPU else " The environment variable CUDA_VISIBLE_DEVICES says which GPU is the first."
        raise OptionError(
            f"There is no device {device} for ONNX Runtime, which takes the first {device.kind} that it sees. Give "
            f"{device.kind}.{hint}"
        )
    if provider != CPU:
        _check_start(device, provider)
    return provider


def _check_start(device: Device, provider: str) -> None:
    """Check that a provider starts: ONNX Runtime takes the processor without a word where a driver is missing."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "probe",
        [value("x", onnx.TensorProto.FLOAT, [1])],
        [value("y", onnx.TensorProto.FLOAT, [1])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal only: what fails is said below
    started = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[provider]).get_providers()
    if provider not in started:
        raise OptionError(
            f"The device {device} cannot be used: ONNX Runtime does not start its {provider} on this machine, as a "
            "driver or a library is missing or has another version. Give cpu, or leave out device=."
        )
