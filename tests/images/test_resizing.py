import numpy as np
import pytest
from PIL import Image

from seewhy.images.resizing import BAND_PIXELS, resize_image

BOXES = {"whole": None, "crop": (113.0, 40.0, 1013.0, 940.0), "fractions": (3.7, 101.3, 1100.2, 999.9)}


@pytest.mark.parametrize("resample", [each for each in Image.Resampling if each != Image.Resampling.NEAREST])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_bands_have_the_values_of_the_whole(box, resample):
    """Shrunk as usual, to the very height, and enlarged along one axis."""
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1201, 3), np.uint8)
    assert pixels[..., 0].size > 2 * BAND_PIXELS
    for source in (pixels, pixels[..., 0]):
        for size in ((64, 48), (30, 1000), (20, 1100)):
            expected = Image.fromarray(source).resize(size, resample, box=box)
            found = resize_image(source, size, resample, box or (0, 0, 1201, 1000))
            np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((900, 40), None),
        ((1100, 40), None),  # wider, and the height is shrunk
        ((800, 600), (100.0, 0.0, 1000.0, 1200.0)),
        ((70, 100), (3.0, 500.0, 800.0, 600.0)),  # rows of a part, as they are
        ((200, 1300), (100.0, 0.0, 300.0, 1200.0)),
    ],
)
def test_images_that_are_not_resized_along_their_rows_first(size, box):
    """Pillow filters the columns first where these lose more pixels, and leaves a part whose size is kept as it is."""
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1001, 3), np.uint8)
    for resample in Image.Resampling:
        expected = Image.fromarray(pixels).resize(size, resample, box=box)
        found = resize_image(pixels, size, resample, box or (0, 0, 1001, 1200))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_the_nearest_pixels_of_a_large_image():
    pixels = np.random.default_rng(1).integers(0, 256, (900, 1100, 3), np.uint8)
    box = (10.3, 20.6, 1000.1, 899.0)
    expected = Image.fromarray(pixels).resize((33, 44), Image.Resampling.NEAREST, box=box)
    found = resize_image(pixels, (33, 44), Image.Resampling.NEAREST, box)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
