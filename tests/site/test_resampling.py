"""The page makes the model's input of a photo's pixels as Python does, to the last bit."""

import base64

import numpy as np
import pytest

from seewhy import Preprocessing

READ = """async ([base64, height, width, preprocessing, strip]) => {
    const { inputGeometry } = await import("./page/geometry.js");
    const { createResizer } = await import("./page/resampling.js");
    const rgb = Uint8ClampedArray.from(atob(base64), (letter) => letter.charCodeAt(0));
    const geometry = inputGeometry(preprocessing, height, width);
    const resizer = createResizer({ width, height }, geometry, preprocessing.resample);
    for (let row = 0; row < height; row += strip) {
        const count = Math.min(strip, height - row);
        resizer.push(rgb.subarray(row * width * 3, (row + count) * width * 3), row, count);
    }
    return { pixels: Array.from(resizer.finish()), box: geometry.box };
}"""

SHRINKING, GROWING, LONG = (61, 83), (11, 9), (9, 257)


@pytest.fixture(scope="module")
def reader(chromium, site_url):
    """A function that makes the input of pixels in the browser."""
    page = chromium.new_page()
    page.goto(site_url)

    def read(image, preprocessing, strip=7):
        values = {name: getattr(preprocessing, name) for name in ("size", "crop", "resize", "resample")}
        encoded = base64.b64encode(image.tobytes()).decode()
        result = page.evaluate(READ, [encoded, *image.shape[:2], values, strip])
        return np.reshape(result["pixels"], (*preprocessing.size, 3)), tuple(result["box"])

    yield read
    page.close()


@pytest.mark.slow(reason="starts Chromium")
@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("shape", [SHRINKING, GROWING, LONG, (16, 24)])
@pytest.mark.parametrize(
    "part", [{}, {"crop": 0.875}, {"crop": 1.0}, {"resize": 20}, {"resize": (30, 26)}, {"resize": 12}]
)
def test_the_input_is_python_s(reader, resample, shape, part):
    """Noise at full contrast: wherever a filter overshoots, values have to be clipped as Pillow clips them."""
    generator = np.random.default_rng(sum(shape))
    image = generator.integers(0, 2, (*shape, 3), dtype=np.uint8) * 255
    image[::3] = generator.integers(0, 256, (*image[::3].shape,), dtype=np.uint8)
    preprocessing = Preprocessing((16, 24), resample=resample, **part)
    expected = preprocessing([image])
    pixels, box = reader(image, preprocessing)
    np.testing.assert_array_equal(pixels, expected.values[0])
    assert box == pytest.approx(expected.placements[0].box, abs=1e-9)
