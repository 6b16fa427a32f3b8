"""Images for studies, made of the example photos: seeded crops and flips."""

from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
PHOTOS = ("cat.png", "coffee.png", "flower.jpg", "rocket.jpg")
SMALLEST = 0.6
"""The smallest side of a crop, as a share of the photo's."""


def write_crops(folder: Path, count: int, seed: int = 0) -> None:
    """Write crops of the photos in turn, every second one mirrored, as `cat-000.png` and so on."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    photos = [Image.open(EXAMPLES / name).convert("RGB") for name in PHOTOS]
    for number in range(count):
        photo, name = photos[number % len(photos)], Path(PHOTOS[number % len(photos)]).stem
        share = random.uniform(SMALLEST, 1)
        width, height = round(photo.width * share), round(photo.height * share)
        left = int(random.integers(0, photo.width - width + 1))
        top = int(random.integers(0, photo.height - height + 1))
        crop = photo.crop((left, top, left + width, top + height))
        if number // len(photos) % 2:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        crop.save(folder / f"{name}-{number:03}.png")
