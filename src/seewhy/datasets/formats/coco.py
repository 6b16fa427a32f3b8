"""COCO's JSON: images, boxes and categories, as pycocotools reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from seewhy.datasets.formats.json_lists import as_json, as_number, write_list
from seewhy.datasets.readable_output import Filter, ReadableOutput, Row
from seewhy.images.writing import write_atomically


def write_coco(output: ReadableOutput, path: Path, where: Filter) -> None:
    """Write the boxes of a run as COCO's JSON; see `Output.to_coco`."""
    settings = output.settings
    info = {
        "description": f"Evidence of {settings['model']}, by {settings['method']} at {settings['layer']}",
        "version": settings["seewhy_version"],
    }

    def write(file: BinaryIO) -> None:
        categories = _Categories()
        file.write(b'{"info": ' + as_json(info) + b',\n"licenses": [],\n"images": ')
        write_list(file, _images(output, where, categories))
        file.write(b',\n"annotations": ')
        write_list(file, _annotations(output, where, categories))
        file.write(b',\n"categories": ')
        write_list(file, categories.items())
        file.write(b"}\n")

    write_atomically(path, write, durable=True)


class _Categories:
    """The targets that occur: a class has the id index + 1, as 0 is the background in many programs."""

    def __init__(self) -> None:
        self._classes: dict[int, str] = {}
        self._others: dict[str, int] = {}

    def add(self, target: Row) -> None:
        """Add a target; one that is no class is numbered by its name."""
        if target["index"] >= 0:
            self._classes[target["index"]] = target["name"]
        else:
            self._others.setdefault(target["name"], len(self._others))

    def id_of(self, target: Row) -> int:
        """Return the id of a target, once all are added: those that are no classes follow the classes."""
        if target["index"] >= 0:
            return int(target["index"]) + 1
        return max(self._classes, default=-1) + 2 + self._others[target["name"]]

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield the categories, in the order of their ids."""
        for index, name in [*sorted(self._classes.items()), *((-1, name) for name in self._others)]:
            yield {"id": self.id_of({"index": index, "name": name}), "name": name, "supercategory": ""}


def _images(output: ReadableOutput, where: Filter, categories: _Categories) -> Iterator[dict[str, Any]]:
    for row in output.rows(["position", "key", "width", "height", "targets"], where):
        for target in row["targets"]:
            categories.add(target)
        yield {"id": row["position"], "file_name": row["key"], "width": row["width"], "height": row["height"]}


def _annotations(output: ReadableOutput, where: Filter, categories: _Categories) -> Iterator[dict[str, Any]]:
    number = 0  # the evaluation of pycocotools takes an annotation with the id 0 for none
    for row in output.rows(["position", "targets"], where):
        for target in row["targets"]:
            if (box := target["box"]) is None:
                continue
            number += 1
            width, height = box["right"] - box["left"], box["bottom"] - box["top"]
            yield {
                "id": number,
                "image_id": row["position"],
                "category_id": categories.id_of(target),
                "bbox": [box["left"], box["top"], width, height],
                "area": width * height,
                "iscrowd": 0,
                "segmentation": [],
                "score": as_number(confidence(target)),
            }


def confidence(target: Row) -> float | None:
    """Return the probability of a target; what was explained, where it has none."""
    value = target["score"] if target["probability"] is None else target["probability"]
    return None if value is None else float(value)
