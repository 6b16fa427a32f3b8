"""Writing results: whole or not at all."""

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from seewhy import timing
from seewhy.errors import OutputError
from seewhy.timing import Phase
from seewhy.types import ImageArray

Writer = Callable[[BinaryIO], object]


@timing.phase(Phase.WRITING)
def write_atomically(path: Path, write: Writer) -> None:
    """Write a file beside its final place and move it there: at `path` stands the old file or the whole new one.

    Raises:
        OutputError: The folder cannot be made, or the file cannot be written there.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):  # gone where all went well; where nothing can be written, nothing is left
            temporary.unlink()


def image_writer(pixels: ImageArray, suffix: str) -> Writer:
    """Return what writes pixels, uint8 (H, W, 3), as PNG or JPEG by the file's suffix."""

    def write(file: BinaryIO) -> None:
        if suffix == ".png":
            # Pillow's own level 6 takes four times as long, longer than the model took, for a tenth less.
            Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
        else:
            Image.fromarray(pixels).save(file, format="JPEG", quality=92, subsampling=0)

    return write
