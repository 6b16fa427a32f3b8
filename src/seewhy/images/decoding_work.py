"""The work that decoding an image takes, estimated from the file's structure before anything is decoded.

A small file can ask for much work: each scan of a progressive JPEG goes over the whole image again, and a file may
repeat a scan of a hundred bytes thousands of times. Limits of size and of pixels do not see that.
"""

import re
import struct
from collections.abc import Iterator

from seewhy.images.gif_blocks import scan_blocks

MAX_SCANS = 100
"""The maximum number of scans of a JPEG. Encoders write about 10; libtiff has the same limit for JPEG in TIFF."""

MAX_SCANNED_SAMPLES = 3_200_000_000
"""The maximum of scans x pixels x components of a JPEG: 13 scans over an image of `MAX_PIXELS` pixels in colour."""

MAX_CHUNKS = 200_000
"""The maximum number of chunks of a PNG, which Pillow reads one by one in Python."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8"
GIF_SIGNATURE = b"GIF8"

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff]")
"""How libjpeg finds the next marker: it skips everything else, the data of a scan included."""

_RESTARTS_AND_TEM = (*range(0xD0, 0xD8), 0x01)
_START_OF_FRAME = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA


def excessive_work(content: bytes) -> str | None:
    """Return what makes a file take too much work to decode; None if nothing does.

    Args:
        content: The bytes of the file.

    Returns:
        What the file has, such as "4,010 scans", and the limit; None for formats whose work their pixels bound.
    """
    if content.startswith(JPEG_SIGNATURE):
        return _excessive_scans(content)
    if content.startswith(PNG_SIGNATURE):
        return _excessive_chunks(content)
    if content.startswith(GIF_SIGNATURE) and (blocks := scan_blocks(content).excess):
        return f"more than {blocks - 1:,} blocks of data in {len(content):,} bytes"
    return None


def _excessive_scans(content: bytes) -> str | None:
    pixels = scans = samples = 0
    for marker, segment in _jpeg_segments(content):
        if marker in _START_OF_FRAME and len(segment) >= 5:
            height, width = struct.unpack(">HH", segment[1:5])
            pixels = height * width
        elif marker == _START_OF_SCAN:
            scans += 1
            samples += pixels * max(1, segment[0] if segment else 1)
            if scans > MAX_SCANS:
                return f"more than {MAX_SCANS} scans"
            if samples > MAX_SCANNED_SAMPLES:
                return f"more than {MAX_SCANNED_SAMPLES:,} samples in its scans"
    return None


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker that has a length, with its segment, in the way in which libjpeg goes from one to the next."""
    position = len(JPEG_SIGNATURE)
    while (match := _NEXT_MARKER.search(content, position)) is not None:
        marker, position = content[match.end() - 1], match.end()
        if marker in _RESTARTS_AND_TEM:
            continue
        if marker in (_START_OF_IMAGE, _END_OF_IMAGE) or position + 2 > len(content):
            return  # a second start is an error to libjpeg, and data after the end is not read
        (length,) = struct.unpack_from(">H", content, position)
        yield marker, content[position + 2 : position + max(2, length)]
        position += max(2, length)


def _excessive_chunks(content: bytes) -> str | None:
    position, chunks = len(PNG_SIGNATURE), 0
    while position + 8 <= len(content):
        chunks += 1
        if chunks > MAX_CHUNKS:
            return f"more than {MAX_CHUNKS:,} chunks"
        (length,) = struct.unpack_from(">I", content, position)
        position += 12 + length  # its length, its type, its content and its checksum
    return None
