"""Create a data folder for `seewhy train transfer`: ones and sevens of MNIST, enlarged, on coloured backgrounds.

python examples/ones_and_sevens.py ones-and-sevens
seewhy train transfer ones-and-sevens --out runs/ones-and-sevens --epochs 4
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

DIGITS = Path(__file__).parent / "data" / "digits_4000.npz"
CLASSES = {"one": 1, "seven": 7}
IMAGES_PER_CLASS = 150
SIZE = 256


def draw(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Draw a digit, uint8 (28, 28), in white, about six times as large, at a random position on a dark background."""
    side = int(generator.integers(140, 200))
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    image = Image.new("RGB", (SIZE, SIZE), tuple(generator.integers(0, 140, 3).tolist()))
    position = tuple(generator.integers(16, SIZE - 15 - side, 2).tolist())
    image.paste("white", position, mask=large)
    return image


def main(folder: Path) -> None:
    """Write the images of both classes."""
    generator = np.random.default_rng(0)
    with np.load(DIGITS) as file:
        images, labels = file["x_train"], file["y_train"]
    for name, digit in CLASSES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images[labels == digit][:IMAGES_PER_CLASS]):
            draw(image, generator).save(folder / name / f"{number:03d}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "ones-and-sevens"))
