"""The memory that Pillow keeps for the next image."""

from PIL import Image

BLOCK_BYTES = 2**20
"""The size of a block. An image has as many as it takes; a small image makes one smaller, which must grow again."""

KEPT_BLOCKS = 192
"""How many blocks are kept: an image of 12 megapixels has 47, and four images are worked on at once."""


def keep_image_memory() -> None:
    """Let Pillow keep the memory of large images, which it otherwise returns to the system, for the next ones.

    To get it from the system again takes a third of the time of decoding and encoding photos of 12 megapixels. The
    setting holds for the process, so that only commands make it. One that the environment has made, by
    `PILLOW_BLOCKS_MAX`, stays.
    """
    core = Image.core  # type: ignore[attr-defined]  # Pillow's documentation names it, its declarations do not
    if core.get_blocks_max() == 0:
        core.set_block_size(BLOCK_BYTES)
        core.set_blocks_max(KEPT_BLOCKS)
