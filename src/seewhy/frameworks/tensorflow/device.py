"""The devices of TensorFlow."""

import tensorflow as tf

from seewhy.errors import OptionError
from seewhy.frameworks.device import Device, absent_device


def show_device(device: Device) -> None:
    """Have TensorFlow see one device only, so that all models of this process run on it.

    Raises:
        OptionError: TensorFlow does not find the device, or has started with others.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device.kind == "cpu" and device.position == 0:
        wanted = []
    elif device.kind in ("gpu", "cuda") and device.position < len(gpus):
        wanted = [gpus[device.position]]
    else:
        raise absent_device(device, "TensorFlow", ["cpu", *(f"gpu:{number}" for number in range(len(gpus)))])
    if tf.config.get_visible_devices("GPU") == wanted:
        return
    try:
        tf.config.set_visible_devices(wanted, "GPU")
    except RuntimeError as error:  # it has started, with all of its devices
        raise OptionError(
            f"TensorFlow has started in this process, and cannot change to the device {device}. Load the model before "
            "anything else runs in TensorFlow."
        ) from error
