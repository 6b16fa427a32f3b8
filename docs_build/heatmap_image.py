"""Make the image at the top of the README: a photo beside its Grad-CAM overlay.

    python docs_build/heatmap_image.py

The result is kept in docs/screenshots, because a README needs its images where it is read.
"""

from pathlib import Path

import numpy as np
from PIL import Image

import seewhy

ROOT = Path(__file__).parent.parent
PHOTO = ROOT / "examples" / "cat.png"
OUTPUT = ROOT / "docs" / "screenshots" / "heatmap.webp"
TARGET = "tiger cat"
GAP = 12


def main() -> None:
    """Write the photo and its overlay side by side."""
    classifier = seewhy.load("efficientnet-lite0")
    explanation = seewhy.explain(classifier, PHOTO, TARGET)
    gap = np.full((explanation.image.shape[0], GAP, 3), 255, dtype=np.uint8)
    panels = np.concatenate([explanation.image, gap, explanation.overlay(0)], axis=1)
    Image.fromarray(panels).save(OUTPUT, quality=88, method=6)


if __name__ == "__main__":
    main()
