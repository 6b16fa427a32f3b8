"""Masks as PNG files: white where the evidence for a target is."""

import csv
import io
import os
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from seewhy.datasets.formats.placed_heatmaps import PLACED_COLUMNS, placement_of
from seewhy.datasets.formats.safe_names import safe_folder, safe_stem
from seewhy.datasets.readable_output import Filter, ReadableOutput, Row
from seewhy.errors import OutputError
from seewhy.images.writing import image_writer, write_atomically, write_together
from seewhy.results.evidence_boxes import evidence_mask
from seewhy.types import FloatArray

INDEX = "masks.csv"


def write_masks(output: ReadableOutput, folder: Path, where: Filter, threshold: float | None) -> None:
    """Write a mask for each target of each image; see `Output.to_masks`."""
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder} is not empty. Give another folder for the masks, or delete it.")

    def write_all(new: Path) -> None:
        write_atomically(new / INDEX, lambda file: _write_masks(output, new, where, threshold, file))

    write_together(folder, write_all)


def _write_masks(output: ReadableOutput, folder: Path, where: Filter, threshold: float | None, index: BinaryIO) -> None:
    text = io.TextIOWrapper(index, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["position", "key", "target", "index", "name", "file"])
    quantile = output.settings["peak_quantile"]
    for row in output.rows(["position", "key", "targets", *PLACED_COLUMNS], where):
        placement = placement_of(row)
        for number, target in enumerate(row["targets"]):
            heatmap: FloatArray = np.asarray(row["heatmaps"][number], np.float32)
            mask = evidence_mask(heatmap, placement, quantile, threshold)
            name = _unused_name(folder, row, number)
            write_atomically(folder / name, image_writer(mask.astype(np.uint8) * np.uint8(255), ".png"))
            writer.writerow([row["position"], row["key"], number, target["index"], target["name"], name])
    text.detach()


def _unused_name(folder: Path, row: Row, number: int) -> str:
    """Return the path of a mask in the folder: that of the image, unless another mask has it already.

    Only the disk knows which names are the same to it, such as "a" and "A".
    """
    ending = f"_{number}.png" if len(row["targets"]) > 1 else ".png"
    parent, stem = safe_folder(row["key"]), safe_stem(row["key"])
    path = parent / f"{stem}{ending}"
    if _is_usable(folder, path):
        return str(path)
    return f"{row['position']:09}_{stem}{ending}"


def _is_usable(folder: Path, path: PurePosixPath) -> bool:
    if path.parts[0].casefold() == INDEX or os.path.lexists(folder / path):
        return False
    parents = [folder / parent for parent in path.parents]
    return all(parent.is_dir() for parent in parents if os.path.lexists(parent))
