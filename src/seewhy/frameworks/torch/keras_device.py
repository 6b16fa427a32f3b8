"""The device of Keras on PyTorch, which is one for all models of a process."""

import keras

from seewhy.errors import OptionError
from seewhy.frameworks.device import Device
from seewhy.frameworks.torch.device import torch_device


def check_keras_device(device: Device) -> None:
    """Check that Keras on PyTorch runs on a device, which it chose when it was imported.

    Raises:
        OptionError: PyTorch does not find the device, or Keras runs on another one.
    """
    wanted, has = torch_device(device), keras.ops.convert_to_tensor(0.0).device
    if (wanted.type, wanted.index or 0) != (has.type, has.index or 0):
        raise OptionError(
            f"Keras runs on the device {has} in this process, and cannot change to {wanted}. Set the environment "
            f"variable KERAS_TORCH_DEVICE={wanted} before Keras is imported."
        )
