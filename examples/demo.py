"""Explain the example photos, and a 2 x 2 mosaic of them, with the embedded default model.

Run it with `make demo`. It calls the `seewhy` command, and prints what a user of the command sees. All commands run in
one process and share one model, so that the runtime is started, and the model built, only once. No image is a figure of
several panels, which would need matplotlib.
"""

import functools
import os
import shlex
import sys
from pathlib import Path

from PIL import Image

from seewhy.cli import main as seewhy
from seewhy.cli.model_options import ModelArguments

HERE = Path(__file__).parent
OUT = Path("demo")
TILE = (400, 400)

QUADRANTS = ("cat.png", "coffee.png", "rocket.jpg", "flower.jpg")
"""The mosaic's images: top left, top right, bottom left, bottom right."""

TARGETS = "tiger cat,espresso,missile,daisy"
"""The class of each quadrant, in the same order."""


def make_mosaic() -> Image.Image:
    """Return an image with the centre crops of the four example photos as its quadrants."""
    mosaic = Image.new("RGB", (2 * TILE[0], 2 * TILE[1]))
    for position, name in enumerate(QUADRANTS):
        row, column = divmod(position, 2)
        with Image.open(HERE / name) as image:
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            tile = image.convert("RGB").resize(TILE, box=(left, top, left + side, top + side))
        mosaic.paste(tile, (column * TILE[0], row * TILE[1]))
    return mosaic


def run(*arguments: str) -> int:
    """Print and run a `seewhy` command, and return its exit code."""
    print("\n$", shlex.join(["seewhy", *arguments]), flush=True)
    sys.argv = ["seewhy", *arguments]
    try:
        seewhy()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def main() -> int:
    """Run all commands, and return the exit code."""
    ModelArguments.load = functools.cache(ModelArguments.load)
    OUT.mkdir(exist_ok=True)
    make_mosaic().save(OUT / "mosaic.png")
    photos = [os.path.relpath(HERE / name) for name in ("cat.png", "coffee.png", "rocket.jpg")]
    failed = run("explain", *photos, "--targets", "top-3", "--figure", "overlay", "--out", str(OUT))
    failed |= run("explain", photos[0], "--method", "hirescam", "--format", "png,html", "--out", str(OUT))
    failed |= run("explain", str(OUT / "mosaic.png"), "--targets", TARGETS, "--figure", "overlay", "--out", str(OUT))
    if not failed:
        print(f"\nThe images, and a report to open in a browser, are in {OUT.resolve()}:")
        print("\n".join(f"  {path.name}" for path in sorted(OUT.glob("*.*"))))
    return failed


if __name__ == "__main__":
    sys.exit(main())
