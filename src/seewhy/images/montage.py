"""Montages: labelled images in rows, drawn without matplotlib."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from seewhy.errors import OptionError
from seewhy.images.text import printable
from seewhy.types import ImageArray

FONT_SIZE = 14
LINE = 20
"""The height of a line of text, in pixels."""
GAP = 6
SMALLEST, LARGEST = 160, 420
"""The longer side of a tile, in pixels: smaller images are enlarged by whole numbers, larger ones scaled down."""
MAX_PIXELS = 100_000_000
"""The number of pixels of a montage."""
PAPER, INK = (255, 255, 255), (25, 25, 25)


class Tile(NamedTuple):
    """An image, uint8 (H, W, 3), and what stands above it."""

    label: str
    image: ImageArray


class Block(NamedTuple):
    """Tiles below a heading."""

    heading: str
    tiles: Sequence[Tile]


def draw_montage(blocks: Sequence[Block], *, columns: int) -> ImageArray:
    """Draw blocks of tiles below each other; all images have one size.

    Args:
        blocks: One or more, each with as many tiles.
        columns: How many tiles a row has at most.

    Returns:
        uint8 (H, W, 3), with even sides, as encoders of video need them.

    Raises:
        OptionError: The montage would have too many pixels.
    """
    height, width = _tile_size(blocks[0].tiles[0].image)
    columns = min(columns, len(blocks[0].tiles))
    rows = -(-len(blocks[0].tiles) // columns)
    font = ImageFont.load_default(FONT_SIZE)
    block_height, column_width = LINE + rows * (LINE + height + GAP), max(width, _label_width(blocks, font))
    heading_width = min(max(_text_width(block.heading, font) for block in blocks), LARGEST)
    size = (GAP + max(columns * (column_width + GAP), heading_width + GAP), GAP + len(blocks) * block_height)
    if size[0] * size[1] > MAX_PIXELS:
        raise OptionError(
            f"The montage would have {size[0]:,} x {size[1]:,} pixels; the limit is {MAX_PIXELS:,}. Draw fewer frames."
        )
    canvas = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, block in enumerate(blocks):
        top = GAP + number * block_height
        _write(draw, font, (GAP, top), block.heading, size[0] - 2 * GAP)
        for position, tile in enumerate(block.tiles):
            row, column = divmod(position, columns)
            left, upper = GAP + column * (column_width + GAP), top + LINE + row * (LINE + height + GAP)
            _write(draw, font, (left, upper), tile.label, column_width)
            canvas.paste(_scaled(tile.image, height, width), (left, upper + LINE))
    return np.asarray(canvas)


def _label_width(blocks: Sequence[Block], font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    """Return the width that the labels of narrow tiles need, within limits."""
    return min(max(_text_width(tile.label, font) for block in blocks for tile in block.tiles), SMALLEST)


def _text_width(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return math.ceil(font.getlength(_one_line(text)))


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())


def _tile_size(image: ImageArray) -> tuple[int, int]:
    height, width = image.shape[:2]
    longer = max(height, width)
    scale = max(1, SMALLEST // longer) if longer < SMALLEST else min(1.0, LARGEST / longer)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _scaled(image: ImageArray, height: int, width: int) -> Image.Image:
    source = Image.fromarray(image)
    is_smaller = image.shape[0] > height
    return source.resize((width, height), Image.Resampling.LANCZOS if is_smaller else Image.Resampling.BILINEAR)


def _write(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    corner: tuple[int, int],
    text: str,
    width: int,
) -> None:
    """Write a line of text, shortened to a width."""
    line = _one_line(text)
    while line and draw.textlength(line, font) > width:
        line = line[:-2] + "…" if len(line) > 2 else ""
    draw.text(corner, line, INK, font)
