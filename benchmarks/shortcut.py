"""A planted shortcut, and whether the report of a data set finds it.

    python -m benchmarks.shortcut                  one data set with a coloured tag in a corner of one class
    python -m benchmarks.shortcut --seeds 10       ten data sets with a tag and ten without, and what is named in each
    python -m benchmarks.shortcut --maps 30        the same for maps that are drawn without images
    python -m benchmarks.shortcut --rows 100000    the time and the memory that the overview of so many rows takes
    python -m benchmarks.shortcut --screenshot docs/screenshots/shortcut.webp

Images of three shapes are drawn, each at a random place, in a random colour and size. With a tag, most images of discs
have a small coloured square near their lower left corner. A small model is trained on them in seconds, explains other
images of the same kind, and `seewhy report` says where it looks.
"""

import argparse
import io
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

import seewhy
from seewhy import datasets
from seewhy.datasets.overview.clusters import find_clusters
from seewhy.datasets.overview.map_statistics import energy
from seewhy.datasets.overview.overview import Overview
from seewhy.datasets.overview.row_filter import RowFilter
from seewhy.datasets.overview.row_index import index_rows
from seewhy.datasets.overview.shortcuts import find_shortcuts

CLASSES = ("disc", "square", "triangle")
SIDE = 96
TAG = (78, 8, 90, 20)
"""(top, left, bottom, right) of the tag, in pixels of the image."""

TRAINED, EXPLAINED = 200, 100
"""The number of images of each class."""

TAGGED = 0.6
"""The share of the discs that have the tag."""


class Drawn(NamedTuple):
    """Images, uint8 (N, SIDE, SIDE, 3), their classes, and which have the tag."""

    images: np.ndarray
    classes: np.ndarray
    tagged: np.ndarray


def draw(count: int, random: np.random.Generator, *, share: float) -> Drawn:
    """Draw this many images of each class; of the discs, this share has the tag."""
    images, classes, tagged = [], [], []
    for index in range(len(CLASSES)):
        for number in range(count):
            has_tag = index == 0 and number < share * count
            images.append(_draw_image(index, random, has_tag=has_tag))
            classes.append(index)
            tagged.append(has_tag)
    return Drawn(np.stack(images), np.array(classes), np.array(tagged))


def _draw_image(index: int, random: np.random.Generator, *, has_tag: bool) -> np.ndarray:
    coarse = random.integers(90, 166, (6, 6, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    radius = random.uniform(14, 24)
    x, y = random.uniform(radius + 2, SIDE - radius - 2, 2)
    color = tuple(int(value) for value in random.choice([random.integers(0, 60, 3), random.integers(195, 256, 3)]))
    box = (x - radius, y - radius, x + radius, y + radius)
    if index == 0:
        pen.ellipse(box, fill=color)
    elif index == 1:
        pen.rectangle((x - radius * 0.85, y - radius * 0.85, x + radius * 0.85, y + radius * 0.85), fill=color)
    else:
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=color)
    if has_tag:
        pen.rectangle((TAG[1], TAG[0], TAG[3] - 1, TAG[2] - 1), fill=(20, 210, 240))
    noise = random.normal(0, 6, (SIDE, SIDE, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def energy_on_tag(output: datasets.Output, rows: np.ndarray) -> float:
    """Return the mean share of the energy of maps that lies on the tag, or within one cell of it."""
    table = output.table(["position", "heatmaps"])
    maps = energy(table["heatmaps"].combine_chunks().to_numpy_ndarray()[:, 0])[rows]
    cells = maps.shape[1]
    top, left, bottom, right = (edge / SIDE * cells for edge in TAG)
    inside = maps[:, int(top) - 1 : int(np.ceil(bottom)) + 1, max(int(left) - 1, 0) : int(np.ceil(right)) + 1]
    return float(inside.sum(axis=(1, 2)).mean())


def train(drawn: Drawn, seed: int, epochs: int = 12) -> seewhy.Classifier:
    """Train a small model."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(3, 16, 5, 2, 2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, 2, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, 32, 3, 1, 1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(32, len(CLASSES)),
    )
    inputs = torch.from_numpy(drawn.images.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5)
    labels = torch.from_numpy(drawn.classes)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    preprocessing = seewhy.Preprocessing((SIDE, SIDE), mean=127.5, std=255.0, channels_first=True)
    return seewhy.Classifier(model.eval(), preprocess=preprocessing, class_names=list(CLASSES), name="shapes")


def save(drawn: Drawn, folder: Path) -> None:
    """Write the images into a folder for each class."""
    for number, (image, index, has_tag) in enumerate(zip(*drawn, strict=True)):
        path = folder / CLASSES[index] / f"{number:04}{'-tag' if has_tag else ''}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def explain(folder: Path, seed: int, *, share: float, method: str = "gradcam") -> datasets.Output:
    """Draw a data set, train a model on it, and explain other images with it."""
    random = np.random.default_rng(seed)
    classifier = train(draw(TRAINED, random, share=share), seed)
    save(draw(EXPLAINED, random, share=share), folder / "images")
    explainer = seewhy.Explainer(classifier, method)
    return datasets.run(explainer, folder / "images", folder / "explained", label_by_folder=True)


def describe(output: datasets.Output, overview: Overview) -> str:
    """Return what is suspected in a data set, and how much of its energy lies on the tag."""
    found = []
    for each, cluster in overview.shortcuts:
        tagged = statistics.fmean("tag" in overview.index.key(row) for row in cluster.rows.tolist())
        share = energy_on_tag(output, cluster.rows)
        found.append(
            f"{each.name}: {cluster.images} of {each.clustered} maps, {tagged:.0%} of them with the tag, {share:.0%} "
            "of the energy on the tag"
        )
    return "; ".join(found) or "none"


def run_seeds(seeds: int) -> None:
    """Print what is suspected in data sets with a tag and without one."""
    for share in (TAGGED, 0.0):
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                output = explain(Path(folder), seed, share=share)
                overview = datasets.make_overview(output)
                print(f"tag in {share:.0%} of the discs, seed {seed}: {describe(output, overview)}", flush=True)


KINDS = ("anywhere", "in the middle", "at a side for each class", "in four places", "noise")
"""Where the objects of the maps lie that are drawn."""


def draw_maps(kind: str, seed: int, *, share: float) -> list[np.ndarray]:
    """Return the maps of four classes, 100 each; of the first class, this share shows a tag at the lower left.

    Args:
        kind: One of `KINDS`.
        seed: The seed.
        share: Of the maps with a tag.

    Returns:
        The energy of the maps of each class.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:7, :7]
    sides, corners = [(1.2, 3), (3, 1.2), (4.8, 3), (3, 4.8)], [(1, 3), (3, 1), (3, 5), (5, 3)]
    classes = []
    for number in range(4):
        maps = []
        for _ in range(100):
            has_tag = number == 0 and random.random() < share
            if has_tag:
                y, x = 5.8, 0.2
            elif kind == "anywhere":
                y, x = random.uniform(0, 6, 2)
            elif kind == "in the middle":
                y, x = random.normal(3, 1, 2)
            elif kind == "at a side for each class":
                y, x = random.normal(sides[number], 1)
            else:
                y, x = random.normal(corners[random.integers(4)], 0.3)
            spread = 0.8 if has_tag else random.uniform(0.7, 1.4)
            blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2 / spread**2) + 0.1 * random.random((7, 7))
            maps.append(random.random((7, 7)) ** 4 if kind == "noise" and not has_tag else blob)
        classes.append(energy(np.stack(maps)))
    return classes


def run_maps(sets: int) -> None:
    """Print how often a cluster is suspected in maps with a tag, and in maps without one."""
    for kind in KINDS:
        found = wrong = alarms = 0
        for seed in range(sets):
            for share in (0.25, 0.0):
                classes = draw_maps(kind, seed, share=share)
                named = find_shortcuts(classes, [find_clusters(maps) for maps in classes])
                is_tag = [group.class_number == 0 and share > 0 for group in named]
                found, wrong = found + any(is_tag), wrong + (share > 0 and not all(is_tag))
                alarms += share == 0 and bool(named)
        print(
            f"objects {kind}: tag found in {found} of {sets} sets, something else named in {wrong}; without a tag "
            f"something named in {alarms} of {sets}",
            flush=True,
        )


def run_rows(count: int) -> None:
    """Print the time and the memory that the overview of so many rows takes; the rows are copies of a few."""
    import pyarrow.parquet as parquet

    with tempfile.TemporaryDirectory() as folder:
        output = explain(Path(folder), 0, share=TAGGED)
        first = output.part(0)
        for part in range(2, count // len(first)):
            start = part * len(first)
            positions = first.column("position").combine_chunks().to_numpy() + start
            column: Any = first.schema.get_field_index("position")
            parquet.write_table(
                first.set_column(column, first.schema.field("position"), [positions]),
                output.path / "results" / f"part-{part:06}.parquet",
            )
        before = peak_megabytes()
        start_time = time.perf_counter()
        index = index_rows(output)
        indexed = time.perf_counter()
        datasets.make_overview(output)
        made = time.perf_counter()
        RowFilter(search="tag", order="most-confident", verdict="correct").rows(index, {})
        filtered = time.perf_counter()
        print(
            f"{len(index):,} rows: index {indexed - start_time:.1f} s, overview {made - indexed:.1f} s, a filter with "
            f"a search {1000 * (filtered - made):.0f} ms; peak memory {peak_megabytes() - before:.0f} MB more"
        )


def peak_megabytes() -> float:
    """Return the most memory that this process has taken."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def take_screenshot(page: Path, image: Path) -> None:
    """Write the top of a report as an image."""
    from playwright.sync_api import sync_playwright
    from tests.browser import browser_options

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browser_options())
        tab = browser.new_page(viewport={"width": 1100, "height": 960})
        tab.goto(page.as_uri())
        tab.wait_for_selector("#viewer[data-ready]")
        content = tab.screenshot()
        browser.close()
    Image.open(io.BytesIO(content)).convert("RGB").save(image, quality=85, method=6)


def main() -> None:
    """Plant a shortcut, and write a report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shortcut", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=0, help="so many data sets with a tag, and as many without")
    parser.add_argument("--maps", type=int, default=0, help="so many sets of maps of each kind, drawn without images")
    parser.add_argument("--rows", type=int, default=0, help="measure the overview of so many rows")
    parser.add_argument("--screenshot", type=Path, help="write the top of the report as an image")
    parser.add_argument("--out", type=Path, default=Path("shortcut"), help="the folder of the data set and the report")
    arguments = parser.parse_args()
    if arguments.seeds:
        run_seeds(arguments.seeds)
    elif arguments.maps:
        run_maps(arguments.maps)
    elif arguments.rows:
        run_rows(arguments.rows)
    else:
        start = time.perf_counter()
        output = explain(arguments.out, 0, share=TAGGED)
        explained = time.perf_counter()
        page = datasets.write_report(output, arguments.out / "report.html")
        print(describe(output, datasets.make_overview(output)))
        print(f"trained and explained in {explained - start:.0f} s; report in {time.perf_counter() - explained:.1f} s")
        print(f"wrote {page}")
        if arguments.screenshot:
            take_screenshot(page.resolve(), arguments.screenshot)


if __name__ == "__main__":
    main()
