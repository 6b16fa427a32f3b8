"""`seewhy.load(device=...)`: names of devices, and models that run on the one that is named."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelRunError, OptionError
from seewhy.frameworks.device import Device, parse_device

BACKEND = keras.backend.backend()


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("cpu", Device("cpu")),
        ("CPU:0", Device("cpu", 0)),
        ("/GPU:1", Device("gpu", 1)),
        ("/device:GPU:1", Device("gpu", 1)),
        ("cuda:3", Device("cuda", 3)),
        ("CUDAExecutionProvider", Device("CUDAExecutionProvider")),
    ],
)
def test_devices_are_written_as_the_frameworks_write_them(text, device):
    assert parse_device(text) == device
    assert parse_device(str(device)) == device


@pytest.mark.parametrize(
    "text", ["", "cdua", "cuda:", "cuda:-1", "cuda:1000", "cpu:0:0", "ExecutionProvider", "cpu\n", 0, None, ["cpu"]]
)
def test_what_is_no_device_is_refused(text):
    with pytest.raises(OptionError, match="Unknown device"):
        parse_device(text)


def test_a_misspelled_device_is_refused_before_anything_is_imported():
    code = (
        "import sys, seewhy\n"
        "try: seewhy.load('torchvision:resnet18', device='cdua')\n"
        "except seewhy.errors.OptionError as error: print(error)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Did you mean 'cuda'?" in done.stdout
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("source", "framework"),
    [
        ("efficientnet-lite0", "ONNX Runtime"),
        ("efficientnet-lite0-torch", "PyTorch"),
        ("torchvision:resnet18", "PyTorch"),
        ("timm:resnet18", "PyTorch"),
    ],
)
def test_a_device_that_is_not_here_is_refused_with_those_that_are(source, framework):
    with pytest.raises(OptionError) as raised:
        seewhy.load(source, weights=None, device="xpu:7")
    assert str(raised.value).startswith(f"There is no device xpu:7: {framework} finds cpu")
    assert "or leave out device=." in str(raised.value)


def test_a_device_that_keras_does_not_find_is_refused():
    framework = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}[BACKEND]
    with pytest.raises(OptionError, match=f"There is no device tpu:1: {framework} finds cpu"):
        seewhy.load("mobilenetv2", weights=None, device="tpu:1")


def test_the_device_of_a_model_is_checked_before_it_is_built(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(OptionError, match="ONNX Runtime finds cpu"):
        seewhy.load(tmp_path / "broken.onnx", device="cuda")
    with pytest.raises(OptionError, match="ONNX Runtime finds cpu"):  # of a folder that contains one
        seewhy.load(str(tmp_path), device="cuda")


def test_heatmaps_are_the_same_where_the_default_device_is_named():
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
    for options in ({}, {"backend": "torch"}):
        plain, named = (
            seewhy.explain(seewhy.load("efficientnet-lite0", weights=None, **options, **device), image)
            for device in ({}, {"device": "cpu"})
        )
        np.testing.assert_array_equal(plain.heatmaps, named.heatmaps)


def test_an_onnx_model_keeps_its_provider_where_its_classifier_is_replaced():
    classifier = seewhy.load("efficientnet-lite0", weights=None, device="AzureExecutionProvider")
    other = classifier.replace(class_names=[f"class {number}" for number in range(1000)])
    for each in (classifier, other):
        assert each.model.providers == ("AzureExecutionProvider", "CPUExecutionProvider")
        assert each.framework.name == "onnx"
    plain = seewhy.load("efficientnet-lite0", weights=None)
    image = np.zeros((32, 32, 3), np.uint8)
    np.testing.assert_array_equal(*(seewhy.explain(each, image).heatmaps for each in (plain, other)))


def test_onnx_runtime_takes_no_number_and_its_providers_are_listed():
    with pytest.raises(OptionError, match=r"takes the first cpu that it sees\. Give cpu\.$"):
        seewhy.load("efficientnet-lite0", device="cpu:1")
    with pytest.raises(OptionError, match=r"finds .*CPUExecutionProvider on this machine"):
        seewhy.load("efficientnet-lite0", device="CUDAExecutionProvider")


def test_a_model_with_a_fixed_batch_size_is_moved(tmp_path, monkeypatch):
    (tmp_path / "fixed_nets.py").write_text(
        "import keras\ndef build(): return keras.Sequential([keras.Input(batch_shape=(2, 8, 8, 3)), "
        "keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()])\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    classifier = seewhy.load("fixed_nets:build", device="cpu")
    assert classifier.framework.batch_size == 2
    assert isinstance(classifier.model, keras.Model)


def test_an_exported_model_runs_on_the_cpu():
    with pytest.raises(OptionError, match=r"backend='onnx' runs an exported model on the CPU"):
        seewhy.load("efficientnet-lite0-torch", backend="onnx", device="cuda")
    assert seewhy.load("efficientnet-lite0-torch", weights=None, backend="onnx", device="cpu").backend == "onnx"


def test_the_model_of_a_function_is_moved_after_it_was_made(tmp_path, monkeypatch):
    (tmp_path / "nets_for_devices.py").write_text(
        "import torch\ndef build(): return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU())\n", "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OptionError, match="PyTorch finds cpu"):
        seewhy.load("nets_for_devices:build", device="mps")
    assert next(seewhy.load("nets_for_devices:build", device="cpu:0").model.parameters()).device.type == "cpu"


def test_a_device_without_memory_for_the_model_is_an_error_of_ours():
    import torch

    from seewhy.frameworks.torch.device import move_module

    class TooLarge(torch.nn.Module):
        def to(self, *_):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(ModelRunError, match=r"does not fit into the memory of the device cpu: CUDA out of memory\."):
        move_module(TooLarge(), Device("cpu"))


ON_THE_SECOND_DEVICE = """
import os, sys
os.environ["XLA_FLAGS"], os.environ["KERAS_BACKEND"] = "--xla_force_host_platform_device_count=2", "jax"
import keras, numpy as np, seewhy

def build():
    keras.utils.set_random_seed(0)
    return keras.Sequential([
        keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")])

first, second = (seewhy.load("__main__:build", device=device) for device in ("cpu:0", "cpu:1"))
inputs = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
for method in ("gradcam", "recipro_cam"):
    one, other = (seewhy.Explainer(each, method).heatmaps(inputs, targets=[0, 1]) for each in (first, second))
    is_same = np.array_equal(one.values, other.values)
    print(one.tensor.devices(), other.tensor.devices(), np.abs(one.values).max() > 0, is_same)
print(second.predict([np.zeros((8, 8, 3), np.uint8)]) == first.predict([np.zeros((8, 8, 3), np.uint8)]))
print({device.id for variable in second.model.variables for device in variable.value.devices()})
"""


@pytest.mark.slow("starts JAX with two devices in a process of its own, and compiles there")
def test_jax_runs_a_model_on_the_second_of_two_devices():
    command = [sys.executable, "-W", "ignore", "-c", ON_THE_SECOND_DEVICE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["{CpuDevice(id=0)} {CpuDevice(id=1)} True True"] * 2 + ["True", "{1}"]


@pytest.mark.slow("imports Keras and PyTorch in a process of its own")
def test_keras_on_pytorch_takes_its_device_before_it_is_imported():
    code = (
        "import os, sys; os.environ['KERAS_BACKEND'] = 'torch'; from seewhy.frameworks import device, device_choice\n"
        "device_choice.prepare_device(device.parse_device('cpu'), 'keras')\n"
        "print(os.environ['KERAS_TORCH_DEVICE'], 'keras' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "cpu True\n"


@pytest.mark.skipif(BACKEND != "torch", reason="of Keras on PyTorch")
def test_keras_on_pytorch_cannot_change_its_device(monkeypatch):
    import torch

    from seewhy.frameworks.torch import keras_device

    monkeypatch.setattr(keras_device, "torch_device", lambda _: torch.device("cuda", 0))
    with pytest.raises(OptionError, match=r"device cpu .* KERAS_TORCH_DEVICE=cuda:0 before Keras is imported"):
        seewhy.load("mobilenetv2", weights=None, device="cuda")


def test_the_devices_that_pytorch_has_are_named_and_numbered(monkeypatch):
    """On a machine with two GPUs, as far as PyTorch's own count of them tells."""
    import torch

    from seewhy.frameworks.torch.device import torch_device

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert torch_device(Device("cuda")) == torch.device("cuda")
    assert torch_device(Device("gpu")) == torch.device("cuda")
    assert torch_device(Device("gpu", 1)) == torch.device("cuda", 1)
    with pytest.raises(OptionError, match=r"no device cuda:2: PyTorch finds cpu, cuda:0, cuda:1 on this machine"):
        torch_device(Device("cuda", 2))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert torch_device(Device("gpu")) == torch.device("mps")


def test_tensorflow_sees_the_device_that_is_named_only(monkeypatch):
    """On a machine with two GPUs, as far as TensorFlow's own list of them tells."""
    tf = pytest.importorskip("tensorflow")
    from seewhy.frameworks.tensorflow.device import show_device

    gpus, visible = ["first", "second"], ["first", "second"]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: gpus)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: list(visible))

    def make_visible(devices, kind):
        assert kind == "GPU"
        visible[:] = devices

    monkeypatch.setattr(tf.config, "set_visible_devices", make_visible)
    for name, expected in (("gpu:1", ["second"]), ("cuda", ["first"]), ("cpu", [])):
        show_device(parse_device(name))
        assert visible == expected
    with pytest.raises(OptionError, match=r"no device gpu:2: TensorFlow finds cpu, gpu:0, gpu:1 on this machine"):
        show_device(Device("gpu", 2))

    def has_started(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", has_started)
    show_device(Device("cpu"))  # which it sees already
    with pytest.raises(OptionError, match=r"TensorFlow has started .* cannot change to the device gpu\."):
        show_device(Device("gpu"))


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_provider_that_does_not_start_is_refused(monkeypatch):
    """ONNX Runtime takes the processor without a word where a provider that it was built with has no driver."""
    import onnxruntime

    from seewhy.frameworks.onnx.device import provider_of

    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    for name in ("cuda", "gpu", "CUDAExecutionProvider"):
        with pytest.raises(OptionError, match=r"ONNX Runtime does not start its CUDAExecutionProvider on this machine"):
            provider_of(parse_device(name))
    assert provider_of(Device("cpu")) == "CPUExecutionProvider"
