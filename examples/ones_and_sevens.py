"""Make a folder of two classes for `seewhy train transfer`: ones and sevens of MNIST, large, on coloured grounds.

python examples/ones_and_sevens.py ones-and-sevens
seewhy train transfer ones-and-sevens --out runs/ones-and-sevens --epochs 4
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

DIGITS = Path(__file__).parent / "data" / "digits_4000.npz"
CLASSES = {"one": 1, "seven": 7}
EACH = 150
SIDE = 256


def draw(digit: np.ndarray, generator: np.random.Generator) -> Image.Image:
    """Draw a digit, uint8 (28, 28), white and six times as large, somewhere on a dark colour."""
    side = int(generator.integers(140, 200))
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    ground = Image.new("RGB", (SIDE, SIDE), tuple(generator.integers(0, 140, 3).tolist()))
    place = tuple(generator.integers(16, SIDE - 15 - side, 2).tolist())
    ground.paste("white", place, mask=large)
    return ground


def main(folder: Path) -> None:
    """Draw both classes."""
    generator = np.random.default_rng(0)
    with np.load(DIGITS) as file:
        images, labels = file["x_train"], file["y_train"]
    for name, digit in CLASSES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images[labels == digit][:EACH]):
            draw(image, generator).save(folder / name / f"{number:03d}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "ones-and-sevens"))
