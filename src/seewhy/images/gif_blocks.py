"""The blocks of a GIF file, without decoding any: how many there are, and whether the file ends where it should."""

from typing import NamedTuple

BLOCK_BYTES, LEAST_BLOCKS = 64, 400_000
"""Programs write blocks of 255 bytes, but for the last of each image: a file has no more than this many, and some."""

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
"""What the parts of a GIF file begin with."""


class GifBlocks(NamedTuple):
    """What a GIF file consists of.

    Attributes:
        has_end: Whether it ends with its trailer; True where that cannot be told.
        excess: The number of blocks of data that were found, if they are too many for the size of the file; else 0.
        images: The number of its images, of which there may be more after what was found.
    """

    has_end: bool
    excess: int
    images: int


def scan_blocks(content: bytes) -> GifBlocks:
    """Go through the parts of a GIF file, up to the first that is not as the format says."""
    limit = LEAST_BLOCKS + len(content) // BLOCK_BYTES
    found = images = 0
    try:
        position = 13 + _table_size(content[10])
        while content[position] != TRAILER:
            if content[position] == EXTENSION:
                position += 2
            elif content[position] == IMAGE:
                position += 11 + _table_size(content[position + 9])
                images += 1
            else:
                return GifBlocks(has_end=True, excess=0, images=images)
            found += 1
            while content[position]:  # each block of data begins with its length; 0 ends them
                position += content[position] + 1
                found += 1
                if found > limit:
                    return GifBlocks(has_end=True, excess=found, images=images)
            position += 1
            if found > limit:
                return GifBlocks(has_end=True, excess=found, images=images)
    except IndexError:
        return GifBlocks(has_end=False, excess=0, images=images)
    return GifBlocks(has_end=True, excess=0, images=images)


def _table_size(flags: int) -> int:
    """Return the number of bytes of the colour table that these flags announce."""
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0
