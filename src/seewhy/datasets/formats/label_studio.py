"""Label Studio's JSON of tasks with predictions, and the labeling interface of their project."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from seewhy.datasets.filesystems import is_url
from seewhy.datasets.formats.coco import confidence
from seewhy.datasets.formats.image_locations import Locate, image_locations
from seewhy.datasets.formats.json_lists import as_number, write_list
from seewhy.datasets.readable_output import Filter, ReadableOutput, Row
from seewhy.images.writing import write_atomically

LOCAL_FILES = "/data/local-files/?d="
"""The URL by which Label Studio serves files of its document root."""

INTERFACE_SUFFIX = ".interface.xml"

FROM, TO = "label", "image"
"""The names of the tag that draws rectangles, and of the tag of the image."""


def write_label_studio(output: ReadableOutput, path: Path, where: Filter, images: str | None) -> None:
    """Write the boxes of a run as predictions for Label Studio; see `Output.to_label_studio`."""
    locate = _urls(output, images)
    names: dict[str, None] = {}

    def write(file: BinaryIO) -> None:
        write_list(file, _tasks(output, where, locate, names))
        file.write(b"\n")

    write_atomically(path, write, durable=True)
    interface = _interface(list(names)).encode()
    write_atomically(path.with_suffix(INTERFACE_SUFFIX), lambda file: file.write(interface), durable=True)


def _urls(output: ReadableOutput, images: str | None) -> Locate:
    """Return what finds the URL of an image; of a file on the disk, the one by which Label Studio serves its key."""
    locate = None if images is not None else image_locations(output, None)
    start = LOCAL_FILES if images is None else images if images.endswith(("/", "=")) else f"{images}/"

    def url(row: Row) -> str:
        location = row["key"] if locate is None else locate(row)
        return location if is_url(location) else start + quote(row["key"].lstrip("/"))

    return url


def _tasks(output: ReadableOutput, where: Filter, locate: Locate, names: dict[str, None]) -> Iterator[dict[str, Any]]:
    """Yield a task for each image, and note the names of the targets."""
    version = f"{output.settings['model']} {output.settings['method']}"
    for row in output.rows(["position", "key", "width", "height", "label", "targets"], where):
        names.update(dict.fromkeys(target["name"] for target in row["targets"]))
        regions = list(_regions(row))
        prediction = {"model_version": version, "score": as_number(confidence(row["targets"][0])), "result": regions}
        data = {"image": locate(row), "position": row["position"], "key": row["key"], "true_class": row["label"]}
        yield {"data": data, "predictions": [prediction]}


def _regions(row: Row) -> Iterator[dict[str, Any]]:
    """Yield the boxes as rectangles, whose sides are percentages of the image's."""
    width, height = row["width"], row["height"]
    for number, target in enumerate(row["targets"]):
        if (box := target["box"]) is not None:
            yield {
                "id": f"target-{number}",
                "type": "rectanglelabels",
                "from_name": FROM,
                "to_name": TO,
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "score": as_number(confidence(target)),
                "value": {
                    "x": 100 * box["left"] / width,
                    "y": 100 * box["top"] / height,
                    "width": 100 * (box["right"] - box["left"]) / width,
                    "height": 100 * (box["bottom"] - box["top"]) / height,
                    "rotation": 0,
                    "rectanglelabels": [target["name"]],
                },
            }


def _interface(names: list[str]) -> str:
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in names)
    return (
        f'<View>\n  <Image name="{TO}" value="${TO}" zoom="true"/>\n'
        f'  <RectangleLabels name="{FROM}" toName="{TO}">\n{labels}  </RectangleLabels>\n</View>\n'
    )
