import os
import subprocess
import sys

import pytest

CODE = """
from PIL import Image
from seewhy.images.pillow_memory import keep_image_memory
keep_image_memory()
for _ in range(3):
    Image.new("RGB", (4000, 3000))
print(Image.core.get_blocks_max(), Image.core.get_block_size(), Image.core.get_stats()["reused_blocks"])
"""


@pytest.mark.parametrize(("given", "kept"), [("", b"192 1048576 94"), ("20", b"20 16777216 6")])
def test_the_memory_of_a_large_image_is_that_of_the_one_before(given, kept):
    """In a process of its own, for which a setting of the user's may hold."""
    environment = {"PILLOW_BLOCKS_MAX": given} if given else {}
    output = subprocess.check_output([sys.executable, "-c", CODE], env={**os.environ, **environment})
    assert output.strip() == kept
