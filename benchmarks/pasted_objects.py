"""Images with exact masks: objects of the example photos, cut out and pasted onto backgrounds at seeded places.

    python -m benchmarks.pasted_objects FOLDER                 60 images, with masks and labels
    seewhy evaluate FOLDER/images --labels FOLDER/labels.csv --masks FOLDER/masks --metrics localisation --out STUDY

The cat's face, the cup with its saucer and the flower are cut out as ellipses. The backgrounds are parts of the photos
without an object: a table, leaves and a sky.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

EXAMPLES = Path(__file__).parent.parent / "examples"
SIDE = 320
SIZES = (0.35, 0.6)
"""The longer side of an object, as a share of the image's."""

OBJECTS = {
    "tiger cat": ("cat.png", (25, 0, 365, 298)),
    "espresso": ("coffee.png", (76, 16, 480, 390)),
    "daisy": ("flower.jpg", (169, 85, 446, 361)),
}
"""By the class that EfficientNet-Lite0 predicts for it: the photo, and (left, top, right, bottom) of the ellipse."""

BACKGROUNDS = (
    ("coffee.png", (490, 0, 600, 400)),
    ("flower.jpg", (455, 0, 640, 330)),
    ("rocket.jpg", (345, 0, 435, 330)),
)


def write_pasted(folder: Path, count: int, seed: int = 0) -> None:
    """Write images, masks and labels: each object in turn, on a random background, of random size and place."""
    random = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = [("image", "label")]
    for number in range(count):
        label = list(OBJECTS)[number % len(OBJECTS)]
        image, mask = _paste(label, random)
        name = f"{label.replace(' ', '_')}-{number:03}.png"
        image.save(folder / "images" / name)
        mask.save(folder / "masks" / name)
        rows.append((name, label))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _paste(label: str, random: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Return an image and its mask."""
    photo, box = BACKGROUNDS[int(random.integers(len(BACKGROUNDS)))]
    image = Image.open(EXAMPLES / photo).convert("RGB").crop(box).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    photo, box = OBJECTS[label]
    cut = Image.open(EXAMPLES / photo).convert("RGB").crop(box)
    scale = random.uniform(*SIZES) * SIDE / max(cut.size)
    cut = cut.resize((round(cut.width * scale), round(cut.height * scale)), Image.Resampling.LANCZOS)
    ellipse = Image.new("L", cut.size)
    ImageDraw.Draw(ellipse).ellipse((0, 0, cut.width - 1, cut.height - 1), fill=255)
    if random.integers(2):
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    place = (int(random.integers(SIDE - cut.width + 1)), int(random.integers(SIDE - cut.height + 1)))
    image.paste(cut, place, ellipse)
    mask = Image.new("L", image.size)
    mask.paste(ellipse, place)
    return image, mask


def main() -> None:
    """Read the command line and write the images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_pasted(arguments.folder, arguments.images, arguments.seed)


if __name__ == "__main__":
    main()
