"""Outputs of runs that are made by hand, without a model: what an overview says of them can be computed."""

import numpy as np
from PIL import Image

from seewhy import Placement, TargetResult, datasets
from seewhy.datasets.find_source import SourceOptions, find_source
from seewhy.datasets.part import RESULTS, part_path, write_table
from seewhy.datasets.run_folder import RunFolder
from seewhy.datasets.schema import SCHEMA_VERSION, ExplainedImage, result_schema, result_table

CONSTANTS = {"layer": "conv", "method": "gradcam", "model": "net", "model_fingerprint": "0", "seewhy_version": "0"}
SIDE = 24


def handmade_output(folder, maps, predicted, names, *, keys=None, labels=None, first=0, chunk_size=50):
    """Write images and an output in which each is explained by its map.

    Args:
        folder: Where both are written.
        maps: (N, T, u, v); the first is that of the predicted class plus `first`, a second that of the next class.
        predicted: The predicted class of each image, (N,).
        names: The names of the classes.
        keys: The name of each image's file.
        labels: The true class of each, or None.
        first: What is added to the predicted class for the class of the first map.
        chunk_size: The number of rows of a part.
    """
    count = len(maps)
    keys = keys or [f"{number:04}.png" for number in range(count)]
    (folder / "images").mkdir(parents=True)
    for number, key in enumerate(keys):
        Image.new("RGB", (SIDE, SIDE), (number % 256, 80, 120)).save(folder / "images" / key)
    source = find_source(folder / "images", chunk_size)
    found = {record.key: record.position for chunk in source.chunks for record in chunk.records()}
    assert len(found) == count
    settings = {
        "schema": SCHEMA_VERSION,
        "source": str(folder / "images"),
        "source_fingerprint": source.fingerprint,
        "source_options": SourceOptions().as_dict(),
        "images": count,
        "chunk_size": chunk_size,
        "heatmaps": "float32",
        "heatmap_shape": list(maps.shape[1:]),
        "title": "Grad-CAM",
        "peak_quantile": 1.0,
        "method_reason": "",
        "method": "gradcam",
        "layer": "conv",
        "model": "net",
    }
    run = RunFolder(folder / "explained")
    run.begin(settings)
    rows = [
        _row(number, found[key], key, maps[number], int(predicted[number]), names, labels, first)
        for number, key in enumerate(keys)
    ]
    rows.sort(key=lambda row: row.position)
    schema = result_schema(maps.shape[1:], "float32", {})
    for chunk in source.chunks:
        own = rows[chunk.start : chunk.start + chunk.count]
        write_table(part_path(run.path, RESULTS, chunk.number), result_table(own, schema, CONSTANTS))
    assert run.finish(source.chunks)
    return datasets.open(run.path)


def _row(number, position, key, maps, predicted, names, labels, first):
    probability = round(0.4 + 0.6 * (number % 7) / 7, 3)
    label = None if labels is None else labels[number]
    classes = [(predicted + first + step) % len(names) for step in range(len(maps))]
    targets = [
        TargetResult(index, names[index], 1.0, probability, bool((own > 0).any()))
        for index, own in zip(classes, maps, strict=True)
    ]
    return ExplainedImage(
        position,
        key,
        None if label is None else names[label],
        label,
        [(predicted, names[predicted], probability)],
        targets,
        [None] * len(maps),
        maps.astype(np.float32),
        Placement((SIDE, SIDE), (0.0, 0.0, float(SIDE), float(SIDE))),
    )


def blob(y, x, spread=1.0, side=7):
    """Return a Gaussian at a place of a square map, in cells."""
    rows, columns = np.mgrid[:side, :side]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2 / spread**2)


def random_maps(seed, count, classes, *, tagged=0.0, everywhere=False):
    """Return maps of objects at random places, and their classes; some of the first class show a tag at a corner.

    With `everywhere`, as many of every class do.
    """
    random = np.random.default_rng(seed)
    numbers = np.arange(count) % classes
    maps = []
    for number in numbers:
        y, x, spread = *random.uniform(0.5, 5.5, 2), random.uniform(0.7, 1.3)
        if random.random() < tagged and (number == 0 or everywhere):
            y, x, spread = 5.8, 0.2, 0.8
        maps.append(blob(y, x, spread) + 0.1 * random.random((7, 7)))
    return np.stack(maps), numbers
