"""The errors that SeeWhy raises.

* SeewhyError                  a failure; the command line exits with 1
  x UsageError                 a wrong call; the command line exits with 2
    + ModelError               an unknown model name, an unsupported object, or parts that do not fit together
    + LayerError               an unknown or ambiguous layer, or one without spatial positions
      - NoGradientError        no gradient of the score reaches the layer
      - TokenGridError         the grid of the layer's tokens cannot be determined
    + TargetError              an unknown, ambiguous or impossible target
      - NotClassScoresError    a class is the target, and the output is not one score for each class
      - NotPredictedError      a segmentation model or a detector does not find the target in an image
    + MethodError              an unknown method, or one that does not apply to the model
    + OptionError              an unknown colour map, figure or score; a number out of range
    + InputError               arrays of the wrong shape or type, or with values that are not finite
    + MissingExtraError        an optional dependency is not installed (also an ImportError)
  x ImageError                 an image that cannot be read or decoded
    + ImageNotFoundError       no file at the path (also a UsageError)
    + ImageFormatError         a file that is not an image, or in an unsupported format
    + ImageTooLargeError       more pixels, bytes or work to decode than the limit
    + RecordingError           a volume, signal or video that cannot be read or does not suit (also a UsageError)
  x ModelRunError              the model failed while running, or its outputs are not finite
  x WeightsError               a weights file that is damaged
    + WeightsMismatchError     a weights file that does not fit the model (also a ModelError)
  x OutputError                a file or folder that cannot be written

Outside the tree is a Python warning:

* SeewhyWarning                the call succeeds, but its result may not be what was intended

Every message says what was given, what was expected, and what to do.
"""

import difflib
import json
import shlex
import sys
import warnings
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit


class SeewhyError(Exception):
    """The base class of all errors that SeeWhy raises."""

    exit_code = 1


class UsageError(SeewhyError):
    """The call is wrong and has to be changed."""

    exit_code = 2


class ModelError(UsageError):
    """The model is unknown or of an unsupported type, or its parts do not fit together."""


class LayerError(UsageError):
    """The layer is unknown or ambiguous, or its output has no spatial positions."""


class NoGradientError(LayerError):
    """No gradient of the score reaches the layer, so gradient methods cannot explain it."""


class TokenGridError(LayerError):
    """The grid of a layer's tokens cannot be determined."""


class TargetError(UsageError):
    """The target is unknown, ambiguous, or impossible for this model."""


class NotClassScoresError(TargetError):
    """A class is the target, and the model's output is not one score for each class."""


class NotPredictedError(TargetError):
    """A segmentation model does not predict the class, or a detector finds nothing such; another image may have it."""


class MethodError(UsageError):
    """The method is unknown, or does not apply to this kind of model."""


class OptionError(UsageError):
    """An option has an unknown value or one outside its range."""


class InputError(UsageError):
    """The model's input has the wrong shape or type, or is not finite."""


class MissingExtraError(UsageError, ImportError):
    """An optional dependency is needed and not installed.

    Args:
        need: The missing package, with or without its purpose: "torch", or "For model.keras, keras".
        extra: The extra of SeeWhy that installs it; None if no extra does.
        command: The command that installs it where no extra does.
    """

    def __init__(self, need: str, extra: str | None, command: str = "") -> None:
        super().__init__(f"{need} is not installed. Install it with: {install_command(extra) if extra else command}")


class ImageError(SeewhyError):
    """An image cannot be read or decoded."""


class ImageNotFoundError(ImageError, UsageError):
    """There is no file at the path."""


class ImageFormatError(ImageError):
    """The file is not an image, or is in a format that SeeWhy does not read."""


class ImageTooLargeError(ImageError):
    """An image has more pixels, a longer side, or takes more bytes or more work to decode than the limit."""


class RecordingError(ImageError, UsageError):
    """A volume, a signal or a video cannot be read, or does not suit the model."""


class ModelRunError(SeewhyError):
    """The model failed while running, or its outputs are not finite."""


class WeightsError(SeewhyError):
    """A weights file is damaged or does not fit the model."""


class WeightsMismatchError(WeightsError, ModelError):
    """A weights file is that of another architecture."""


class OutputError(SeewhyError):
    """A file or folder cannot be written."""


class SeewhyWarning(UserWarning):
    """The call succeeds, but its result may not be what was intended."""


def install_command(extra: str) -> str:
    """Return the command that installs an extra from where SeeWhy was installed: a clone, a repository, or an index."""
    from importlib.metadata import PackageNotFoundError, distribution  # imported late: it is slow

    try:
        origin = json.loads(distribution("seewhy").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url, package = str(origin.get("url", "")), f"seewhy[{extra}]"
    options = "--editable " if origin.get("dir_info", {}).get("editable") else ""
    if "vcs_info" in origin:
        package = f"{package} @ {origin['vcs_info']['vcs']}+{url}"
    elif url.startswith("file:"):
        package = f"{unquote(urlsplit(url).path)}[{extra}]"
    return f"pip install {options}{shlex.quote(package)}"


def frames_inside() -> int:
    """Return the `stacklevel` with which the caller of this function warns at the line that called SeeWhy."""
    level, outermost, frame = 0, 0, sys._getframe(1)
    while frame.f_back is not None:
        level += 1
        if str(frame.f_globals.get("__name__")).partition(".")[0] == "seewhy":
            outermost = level  # frames of the standard library, as of a decorator, may lie between those of SeeWhy
        frame = frame.f_back
    return outermost + 1


def warn(message: str) -> None:
    """Issue a `SeewhyWarning` at the line that called SeeWhy."""
    warnings.warn(message, SeewhyWarning, stacklevel=frames_inside())


MAX_SHOWN = 200
"""The number of characters of a value that an error message shows."""


def short_repr(value: object) -> str:
    """Return a value as an error message shows it: `repr`, shortened if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print integers of more than 4,300 digits
        return f"an integer of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def did_you_mean(name: str, known_names: Iterable[str], *, limit: int = 3) -> str:
    """Return `" Did you mean 'a' or 'b'?"` with the names most similar to `name`; "" if none is similar."""
    by_folded = {known.casefold(): known for known in known_names}
    similar = difflib.get_close_matches(name.casefold(), by_folded, n=limit, cutoff=0.6)
    if not similar:
        return ""
    return " Did you mean " + " or ".join(repr(by_folded[folded]) for folded in similar) + "?"
