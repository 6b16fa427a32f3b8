"""Names of files that are made from keys, which others chose: a path, a URL, or any text.

A name is valid on Linux, macOS and Windows, lies in the folder that it is meant for, and has at most `MAX_BYTES` bytes.
"""

import re
import unicodedata
from pathlib import PurePosixPath

from seewhy.images.finding import SUFFIXES

MAX_BYTES = 120
"""The maximum size of a name; file systems allow 255 bytes, and a number and a suffix are added."""

MAX_DEPTH = 16
"""The maximum number of folders in each other."""

_UNSAFE = re.compile(r"[^\w .,()+=@-]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices, on Windows


def safe_name(text: str) -> str:
    """Return text as the name of a file or a folder: letters, digits and a few signs of any language."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", text))
    while len(name.encode()) > MAX_BYTES:
        name = name[:-1]
    name = name.strip(" .")
    if not name or name[0] == "-" or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name


def safe_stem(key: str) -> str:
    """Return the last part of a key, without the suffix of an image, as the name of a file."""
    last = key.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    suffix = PurePosixPath(last).suffix
    return safe_name(last[: -len(suffix)] if suffix.lower() in SUFFIXES else last)


def safe_folder(key: str) -> PurePosixPath:
    """Return the folders of a key as a path that leads into them only; empty where there are none, or too many."""
    parts = key.replace("\\", "/").rpartition("://")[2].split("/")[:-1]
    names = [safe_name(part) for part in parts if part.strip(" .")]
    return PurePosixPath(*names) if len(names) <= MAX_DEPTH else PurePosixPath()
