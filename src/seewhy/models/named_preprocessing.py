"""Preprocessing by name: what `--preprocessing` and `seewhy.load(..., preprocessing=...)` take."""

from seewhy.errors import OptionError, did_you_mean, short_repr
from seewhy.models.keras_file import application_functions
from seewhy.models.keras_names import module_names
from seewhy.models.sidecar import PreprocessingConfig

NAMED = {
    "imagenet": PreprocessingConfig(crop=0.875, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
    "0..1": PreprocessingConfig(std=255.0),
    "-1..1": PreprocessingConfig(mean=127.5, std=127.5),
    "0..255": PreprocessingConfig(),
}
"""`imagenet` is that of torchvision: a centre crop of 0.875 of the shorter side, and the mean and standard deviation of
ImageNet's colours. The others resize the whole image, and scale pixels to a range.
"""


def check_name(name: str) -> None:
    """Raise OptionError if there is no preprocessing of this name, without importing Keras, which takes seconds."""
    modules = module_names()
    if name not in NAMED and not (name.isidentifier() and (name in modules or not modules)):
        raise _unknown(name, [*NAMED, *modules])


def find_preprocessing(name: str) -> PreprocessingConfig:
    """Return the preprocessing of this name: of `NAMED`, or a module of `keras.applications`, such as "vgg16".

    Raises:
        OptionError: There is no such preprocessing.
        MissingExtraError: The name is none of `NAMED`, and Keras is not installed.
    """
    if name in NAMED:
        return NAMED[name]
    check_name(name)
    modules = application_functions()
    if name not in modules:
        raise _unknown(name, [*NAMED, *modules])
    return PreprocessingConfig(name)


def _unknown(name: str, known: list[str]) -> OptionError:
    return OptionError(
        f"Unknown preprocessing {short_repr(name)}.{did_you_mean(name, known)} Expected {', '.join(NAMED)}, or a "
        "module of keras.applications, such as vgg16."
    )
