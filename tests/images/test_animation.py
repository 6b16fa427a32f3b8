import io

import numpy as np
import pytest
from PIL import Image

from seewhy.errors import OptionError
from seewhy.images.animation import animation_writer

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
FRAMES = [np.full((20, 30, 3), color, np.uint8) for color in COLORS]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_all_frames_are_written_and_loop(suffix):
    file = io.BytesIO()
    animation_writer(FRAMES, suffix, 0.5)(file)
    with Image.open(file) as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (3, (30, 20), 0)
        for position, color in enumerate(COLORS):
            image.seek(position)
            image.load()  # a WebP frame's duration is known once it is read
            assert image.info["duration"] == 500
            shown = np.asarray(image.convert("RGB"), dtype=int)
            assert np.abs(shown - color).max() <= 40  # both formats are lossy


@pytest.mark.parametrize("seconds", [0, -1, "1", True, float("nan"), 61])
def test_a_duration_out_of_range(seconds):
    with pytest.raises(OptionError, match=r"seconds is .*expected a number from 0\.02 to 60"):
        animation_writer(FRAMES, ".gif", seconds)


def test_a_numpy_number_is_a_duration():
    file = io.BytesIO()
    animation_writer(FRAMES, ".gif", np.float32(0.5))(file)
    with Image.open(file) as image:
        assert image.info["duration"] == 500
