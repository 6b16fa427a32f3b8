import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def digits(examples):
    """The digits of examples/data."""
    with np.load(examples / "data" / "digits_4000.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def few_digits(digits, tmp_path_factory):
    """A file of 200 digits to train on and 60 to test on."""
    path = tmp_path_factory.mktemp("digits") / "few.npz"
    counts = {"train": 200, "test": 60}
    np.savez(path, **{name: array[: counts[name[2:]]] for name, array in digits.items()})
    return path


def draw_bars(folder):
    """Make a folder of 24 images of two classes: a bright horizontal bar, or a vertical one."""
    generator = np.random.default_rng(0)
    for name in ("lying", "standing"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.full((40, 40, 3), generator.integers(0, 100), dtype=np.uint8)
            start = generator.integers(4, 28)
            pixels[start : start + 8, 2:-2] = generator.integers(160, 256, 3)
            image = pixels if name == "lying" else pixels.transpose(1, 0, 2)
            Image.fromarray(np.ascontiguousarray(image)).save(folder / name / f"{number:02d}.png")
    return folder


@pytest.fixture
def bars(tmp_path):
    return draw_bars(tmp_path / "bars")


@pytest.fixture(scope="session")
def bars_with_a_broken_one(tmp_path_factory):
    folder = draw_bars(tmp_path_factory.mktemp("data") / "bars")
    (folder / "lying" / "broken.png").write_text("no image")
    return folder
