"""Small image files that ask for much work or memory."""

import io
import re
import struct
import zlib

from PIL import Image


def jpeg_bomb(repeats, size=(2000, 2000)):
    """Return a progressive JPEG whose last scan is repeated: 4,000 times at 4,000 x 4,000 takes half a minute."""
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last_scan = content[[match.start() for match in re.finditer(b"\xff\xda", content)][-1] : -2]
    return content[:-2] + last_scan * repeats + content[-2:]


def png(width, height, data, between=b""):
    """Return a PNG in colour with this image data, which need not fit its size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + between + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(kind, data):
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_line(length):
    """Return a PNG of one column with this many rows: 3 gigabytes in 150 kilobytes for 50,000,000 rows."""
    compressor = zlib.compressobj(9)
    data = b"".join(compressor.compress(bytes(4 * min(1_000_000, length - start))) for start in range(0, length, 10**6))
    return png(1, length, data + compressor.flush())


def gif(comment=0, frames=1):
    """Return a GIF of 4 x 4 black pixels, with a comment in blocks of one byte, and so many frames."""
    start = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + bytes(6)
    said = b"\x21\xfe" + b"\x01x" * comment + b"\x00" if comment else b""
    pixels = bytes.fromhex("08 09 0001081c48b0208080 00")  # as Pillow writes them
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 4, 4, 0) + pixels
    return start + said + frame * frames + b"\x3b"
