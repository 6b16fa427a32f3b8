"""Everything SeeWhy raises on purpose.

* SeewhyError                  something failed; the command line exits with 1
  x UsageError                 what was asked cannot be meant; the command line exits with 2
    + ModelError               an unknown name, an object that is no model, class names that do not fit
    + LayerError               an unknown or ambiguous layer, or one without space
      - NoGradientError        the score does not depend on the layer
    + TargetError              an unknown, ambiguous or impossible target
    + MethodError              an unknown method, or one that the model is not made for
    + OptionError              an unknown colour map, figure or score; a number out of range
    + InputError               arrays of the wrong shape or type, or not finite
    + MissingExtraError        an optional part is not installed (also an ImportError)
  x ImageError                 an image that cannot be decoded
    + ImageNotFoundError       a path with nothing there (also a UsageError)
    + ImageFormatError         what is no image, or one in a format that is not read
    + ImageTooLargeError       more pixels than are decoded
  x ModelRunError               the model itself failed, or gave something that is not a number
  x WeightsError               a weights file that is damaged or not what it should be
  x OutputError                a result that cannot be written

Beside it stands what is only said, as a Python warning:

* SeewhyWarning                what was asked is done, and may not be what was meant

Every message says what was given, what was expected, and what to do.
"""

import difflib
from collections.abc import Iterable


class SeewhyError(Exception):
    """The root of the tree."""

    exit_code = 1


class UsageError(SeewhyError):
    """What was asked cannot be meant as it stands."""

    exit_code = 2


class ModelError(UsageError):
    """The model is unknown, is no model, or its parts do not fit together."""


class LayerError(UsageError):
    """The layer is unknown, ambiguous, or has nothing to explain."""


class NoGradientError(LayerError):
    """No gradient reaches the layer, so no method that needs one can say anything about it."""


class TargetError(UsageError):
    """The target is unknown, ambiguous, or impossible for this model."""


class MethodError(UsageError):
    """The method is unknown, or says nothing about a model of this kind."""


class OptionError(UsageError):
    """An option has a value outside its range."""


class InputError(UsageError):
    """The model's input has the wrong shape or type, or is not finite."""


class MissingExtraError(UsageError, ImportError):
    """An optional part of SeeWhy is needed and not installed."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need} is not installed. Install it with: pip install 'seewhy[{extra}]'")


class ImageError(SeewhyError):
    """An image that cannot be read."""


class ImageNotFoundError(ImageError, UsageError):
    """There is no image at the path."""


class ImageFormatError(ImageError):
    """It is no image, or one in a format that SeeWhy does not read."""


class ImageTooLargeError(ImageError):
    """An image has more pixels than SeeWhy decodes."""


class ModelRunError(SeewhyError):
    """The model failed while it ran, or its outputs are not finite."""


class WeightsError(SeewhyError):
    """A weights file is damaged, or is not the file it should be."""


class OutputError(SeewhyError):
    """A result cannot be written."""


class SeewhyWarning(UserWarning):
    """What was asked is done, and may not be what was meant."""


def did_you_mean(given: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return `" Did you mean 'a' or 'b'?"` for names near to `given`, else an empty string."""
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(given.casefold(), by_folded, n=most, cutoff=0.6)
    if not near:
        return ""
    return " Did you mean " + " or ".join(repr(by_folded[name]) for name in near) + "?"
