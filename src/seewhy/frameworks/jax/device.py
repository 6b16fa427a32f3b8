"""The devices of JAX."""

import jax
import keras

from seewhy.frameworks.device import Device, absent_device


def jax_device(device: Device) -> jax.Device:
    """Return a device as JAX has it.

    Raises:
        OptionError: JAX does not find it.
    """
    try:
        found = jax.devices(device.kind)
    except RuntimeError:  # it has no such platform
        found = []
    if device.position >= len(found):
        default, cpus = jax.devices(), jax.devices("cpu")
        names = (f"{each.platform}:{each.id}" for each in dict.fromkeys([*default, *cpus]))
        raise absent_device(device, "JAX", names)
    return found[device.position]


def move_variables(model: keras.Model, device: Device) -> None:
    """Move the variables of a model to a device, on which JAX then runs the model.

    Raises:
        OptionError: JAX does not find the device.
    """
    where = jax_device(device)
    for variable in model.variables:
        variable.assign(jax.device_put(variable.value, where))
