"""The memory that Pillow keeps for the next image."""

from PIL import Image

KEPT_BLOCKS = 12
"""How many blocks of 16 MB are kept: an image of 12 megapixels has three, and four images are worked on at once."""


def keep_image_memory() -> None:
    """Let Pillow keep the memory of large images, which it otherwise returns to the system, for the next ones.

    To get it from the system again takes a third of the time of decoding and encoding photos of 12 megapixels. The
    setting holds for the process, so that only commands make it, and it adds to one that `PILLOW_BLOCKS_MAX` has made.
    """
    Image.core.set_blocks_max(max(KEPT_BLOCKS, Image.core.get_blocks_max()))
