"""How far a study is."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a study is.

    Attributes:
        done: The number of finished images.
        total: The number of images.
        is_resumed: Whether the last image was finished by an earlier run.
        problems: What went wrong with the last image.
        stage: What is measured on all images after that, of which `done` and `total` count the parts; empty before.
    """

    done: int
    total: int
    is_resumed: bool
    problems: tuple[str, ...] = ()
    stage: str = ""


ProgressCallback = Callable[[Progress], None]
