"""The server's settings, and the fixed limits of one request."""

import math
from dataclasses import dataclass, fields

from seewhy.errors import OptionError

MAX_TARGETS = 20
"""Of one request: each target has a heatmap, which for some methods is as large as the model's input."""

MAX_EXPLANATIONS = 8
"""Of one request: the number of methods times the number of layers."""


@dataclass(frozen=True)
class Settings:
    """The server's settings.

    Attributes:
        hosts: The accepted host names, in lower case, besides localhost and IP addresses.
        max_bytes: The maximum size of a request, nearly all of which is the image.
        max_pixels: The maximum number of pixels of an image.
        slots: How many requests may run or wait at a time; more are refused with status 503.
        time_limit: Seconds after which a request is stopped, including the time it waits.
        upload_time_limit: Seconds after which an upload that is not complete is refused.
        header_time_limit: Seconds after which a connection whose request has not sent all its headers is closed.
        send_time_limit: Seconds after which a connection whose client does not read the response is closed.
        decode_time_limit: Seconds after which decoding an image is ended.
    """

    hosts: tuple[str, ...] = ()
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    slots: int = 16
    time_limit: float = 120.0
    upload_time_limit: float = 30.0
    header_time_limit: float = 10.0
    send_time_limit: float = 60.0
    decode_time_limit: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "hosts" and not 0 < value < math.inf:
                raise OptionError(f"{field.name} is {value!r}; expected a number greater than 0.")
