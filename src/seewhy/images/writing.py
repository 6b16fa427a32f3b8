"""Writing files atomically: a file is written completely or not at all."""

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
    """Write a temporary file in the same folder, then move it to `path`, so that `path` never holds half a file.

    Args:
        path: The final path; its folder is created if missing.
        write: Writes the content to the binary file it is given.

    Raises:
        OutputError: The folder cannot be created, or the file cannot be written there.
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
        with contextlib.suppress(OSError):  # after a success it has been moved already
            temporary.unlink()


def image_writer(pixels: ImageArray, suffix: str) -> Writer:
    """Return a function that writes pixels, uint8 (H, W, 3), as PNG if the suffix is ".png" and as JPEG otherwise."""

    def write(file: BinaryIO) -> None:
        if suffix == ".png":
            # Pillow's default level 6 takes four times as long, longer than the model, for a file a tenth smaller.
            Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
        else:
            Image.fromarray(pixels).save(file, format="JPEG", quality=92, subsampling=0)

    return write
