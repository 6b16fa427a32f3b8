"""Images of objects that were photographed and cut out, one object each, with exact masks.

    apt-get install tuxpaint-stamps-default            Debian's package of Tux Paint's stamps, under the GPL
    python -m benchmarks.cutouts FOLDER                the two sets of images below, with labels

FOLDER/pasted    each object at a random place of a background, in a random size, with its mask; for localisation
FOLDER/centred   each object in the centre, and large; for the mosaics of the grid pointing game

The objects are the stamps in which EfficientNet-Lite0 recognises what they are with a probability of about 0.5 or more
on white or on grey: one stamp for each class, each photographed by itself. The backgrounds are parts of the example
photos without an object: a table, leaves and a sky.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
STAMPS = Path("/usr/share/tuxpaint/stamps")
SIDE = 320
SIZES = (0.35, 0.6)
"""The longer side of a pasted object, as a share of the image's."""

LARGE = 0.85
"""The longer side of a centred object."""

SMALLEST_BACKGROUND = 0.6
"""The smallest part of a background that is shown, as a share of each of its sides."""

ANIMALS = {
    "hen": "birds/hen",
    "cock": "birds/rooster",
    "drake": "birds/duck",
    "goose": "birds/gander",
    "king penguin": "birds/penguin",
    "flamingo": "birds/pink_flamingo",
    "lorikeet": "birds/rainbow-lorikeet",
    "toucan": "birds/tucan",
    "vulture": "birds/vulture",
    "magpie": "birds/magpie",
    "peacock": "birds/peacock",
    "134": "birds/crowned_crane",
    "slug": "insects/Brown_slug",
    "isopod": "insects/Woodlouse",
    "mantis": "insects/mantis",
    "gorilla": "mammals/apes/gorilla",
    "otter": "mammals/aquatic/otter",
    "sea lion": "mammals/aquatic/sea_lion",
    "badger": "mammals/badger",
    "brown bear": "mammals/bears/european-bear",
    "teddy": "mammals/bears/toys/edward_bear",
    "bison": "mammals/bovines/bison",
    "ox": "mammals/bovines/bull",
    "ram": "mammals/bovines/ram",
    "Arabian camel": "mammals/camel/dromedary",
    "lion": "mammals/cats/lion",
    "tiger": "mammals/cats/tiger_sumatran",
    "dingo": "mammals/dogs/dingo",
    "zebra": "mammals/equines/zebra",
    "hippopotamus": "mammals/hippopotamus",
    "hog": "mammals/pig",
    "beaver": "mammals/rodents/beaver",
    "wild boar": "mammals/wildboar",
    "koala": "marsupials/koala",
    "wombat": "marsupials/wombat",
}

THINGS = {
    "strawberry": "food/fruit/Strawberry2",
    "custard apple": "food/fruit/cherimoya",
    "lemon": "food/fruit/lemon",
    "pineapple": "food/fruit/pineapple",
    "broccoli": "food/vegetables/broccoli",
    "ear": "food/vegetables/corn",
    "binoculars": "hobbies/binoculars",
    "reflex camera": "hobbies/camera_35mm",
    "cornet": "hobbies/music/brass/trumpet",
    "drum": "hobbies/music/percussion/drum_tomtom_floor",
    "cello": "hobbies/music/string/cello",
    "electric guitar": "hobbies/music/string/guitar_electric",
    "acoustic guitar": "hobbies/music/string/guitar_classical",
    "violin": "hobbies/music/string/violin",
    "bassoon": "hobbies/music/wind/bassoon",
    "toilet seat": "household/toilet",
    "hammer": "household/tools/hammer",
    "paintbrush": "household/tools/paintbrush_large",
    "ashcan": "household/wheelie_bin",
    "Band Aid": "medical/bandage_adhesive",
    "stethoscope": "medical/stethoscope",
    "syringe": "medical/syringe",
    "bolete": "plants/mushrooms/cep-2",
    "basketball": "sports/basketball",
    "soccer ball": "sports/soccer",
    "racket": "sports/tennis_racket",
    "tricycle": "vehicles/cycle/pink_tricycle",
    "fire engine": "vehicles/emergency/firetruck",
    "balloon": "vehicles/flight/balloon360",
    "garbage truck": "vehicles/garbagetruck",
    "minibus": "vehicles/masstransit/green_korean_bus",
    "airliner": "vehicles/flight/planes/747",
}

OBJECTS = {label: f"animals/{path}" for label, path in ANIMALS.items()} | THINGS
"""The path of each stamp by its class in ImageNet."""

BACKGROUNDS = (
    ("coffee.png", (490, 0, 600, 400)),
    ("flower.jpg", (455, 0, 640, 330)),
    ("rocket.jpg", (345, 0, 435, 330)),
)


def write_cutouts(folder: Path, stamps: Path, seed: int = 0) -> None:
    """Write both sets of images, with labels, and masks of the pasted ones."""
    random = np.random.default_rng(seed)
    for name in ("pasted/images", "pasted/masks", "centred/images"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = [("image", "label")]
    for label, path in OBJECTS.items():
        stamp = _object(stamps / f"{path}.png")
        name = f"{Path(path).name}.png"
        image, mask = _paste(stamp, random.uniform(*SIZES), random)
        image.save(folder / "pasted/images" / name)
        mask.save(folder / "pasted/masks" / name)
        _paste(stamp, LARGE, random, is_centred=True)[0].save(folder / "centred/images" / name)
        rows.append((name, label))
    for part in ("pasted", "centred"):
        with (folder / part / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


def _object(path: Path) -> Image.Image:
    """Return a stamp without the transparent pixels around it."""
    stamp = Image.open(path).convert("RGBA")
    return stamp.crop(stamp.getchannel("A").getbbox())


def _paste(
    stamp: Image.Image, share: float, random: np.random.Generator, *, is_centred: bool = False
) -> tuple[Image.Image, Image.Image]:
    """Return an object on a background, and its mask."""
    scale = share * SIDE / max(stamp.size)
    size = (max(1, round(stamp.width * scale)), max(1, round(stamp.height * scale)))
    stamp = stamp.resize(size, Image.Resampling.LANCZOS)
    if random.integers(2):
        stamp = stamp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image, room = _background(random), (SIDE - stamp.width, SIDE - stamp.height)
    place = (room[0] // 2, room[1] // 2) if is_centred else tuple(int(random.integers(side + 1)) for side in room)
    image.paste(stamp, place, stamp.getchannel("A"))
    mask = Image.new("L", image.size)
    mask.paste(stamp.getchannel("A").point(lambda alpha: 255 * (alpha >= 128)), place)
    return image, mask


def _background(random: np.random.Generator) -> Image.Image:
    """Return a random part of one of the backgrounds."""
    photo, box = BACKGROUNDS[int(random.integers(len(BACKGROUNDS)))]
    image = Image.open(EXAMPLES / photo).convert("RGB").crop(box)
    width, height = (round(side * random.uniform(SMALLEST_BACKGROUND, 1)) for side in image.size)
    left, top = int(random.integers(image.width - width + 1)), int(random.integers(image.height - height + 1))
    part = image.crop((left, top, left + width, top + height))
    return part.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def main() -> None:
    """Read the command line and write the images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stamps", type=Path, default=STAMPS, help="the folder of Tux Paint's stamps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not arguments.stamps.is_dir():
        parser.error(f"{arguments.stamps} is not there; install the Debian package tuxpaint-stamps-default")
    write_cutouts(arguments.folder, arguments.stamps, arguments.seed)


if __name__ == "__main__":
    main()
