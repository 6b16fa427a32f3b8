"""What a server allows."""

from dataclasses import dataclass

from seewhy.errors import OptionError

MAX_TARGETS = 20
"""The most classes of one request: each has a map, which for some methods is as large as the model's input."""

MAX_MAPS = 8
"""The most combinations of method and layer of one request."""


@dataclass(frozen=True)
class Settings:
    """What a server allows.

    Attributes:
        hosts: The names under which it may be called, besides localhost and addresses in digits; small letters.
        max_bytes: The most bytes of one request, nearly all of which are the image.
        max_pixels: The most pixels of an image.
        places: How many requests may run or wait; beyond that they are told to come again.
        time_limit: Seconds after which a request is given up, waiting included.
        upload_time: Seconds in which a request has to have arrived.
    """

    hosts: tuple[str, ...] = ()
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    slots: int = 16
    time_limit: float = 120.0
    upload_time: float = 30.0

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_pixels", "slots", "time_limit", "upload_time"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} is {getattr(self, name)!r}; expected more than 0.")
