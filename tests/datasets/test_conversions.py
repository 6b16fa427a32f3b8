"""An output in the formats of other programs, read back by parsers that know the formats and not the code."""

import base64
import csv
import io
import json
import os
import zlib
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import seewhy
from seewhy import datasets
from seewhy.datasets.formats.safe_names import safe_folder, safe_name, safe_stem
from seewhy.errors import OptionError, OutputError

KEYS = [
    "cat/00.png",
    "cat/00.jpg",
    "CAT/00.PNG",
    "cat/00.png/1.png",
    "../../escaped.png",
    "/etc/passwd",
    "s3://bucket/a b/ä.png",
    "masks.csv/x.png",
    "con.png",
    "é" * 300 + "/" + "長" * 300 + ".png",
    "a\\..\\..\\b.png",
    "=1+1\n,\"'<b>\x00\u202e.png",
    "",
    "/".join("x" * 40),
]


@pytest.fixture(scope="module")
def output(classifier, photos, tmp_path_factory):
    """Explanations of two targets, of photos in class folders."""
    folder = tmp_path_factory.mktemp("converted")
    options = {"chunk_size": 6, "batch_size": 4, "label_by_folder": True, "heatmaps": "float32"}
    return datasets.run(classifier, photos, folder / "out", ["cat", "dog"], **options)


@pytest.fixture(scope="module")
def explanations(output, classifier, photos):
    keys = output.table(["key"])["key"].to_pylist()
    return seewhy.Explainer(classifier).explain([photos / key for key in keys], ["cat", "dog"])


@pytest.fixture(scope="module")
def hostile(classifier, photos, tmp_path_factory):
    """Explanations of images whose keys mean to do harm."""
    folder = tmp_path_factory.mktemp("hostile")
    image = (photos / "cat" / "05.png").read_bytes()
    pq.write_table(pa.table({"image": [image] * len(KEYS), "key": KEYS}), folder / "images.parquet")
    return datasets.run(classifier, folder / "images.parquet", folder / "out", key_column="key", chunk_size=5)


def boxes_of(explanations):
    """Return (image, target, box) of every box, by the explanations themselves."""
    return [
        (number, target, boxes[0])
        for number, each in enumerate(explanations)
        for target in range(2)
        if (boxes := each.boxes(target=target))
    ]


def test_coco(output, explanations, tmp_path):
    assert output.to_coco(tmp_path / "boxes.json") == tmp_path / "boxes.json"
    coco = json.loads((tmp_path / "boxes.json").read_text())
    assert coco["categories"] == [
        {"id": 1, "name": "cat", "supercategory": ""},
        {"id": 2, "name": "dog", "supercategory": ""},
    ]
    keys = output.table(["key"])["key"].to_pylist()
    assert [(image["id"], image["file_name"]) for image in coco["images"]] == list(enumerate(keys))
    assert [(image["height"], image["width"]) for image in coco["images"]] == [e.image.shape[:2] for e in explanations]
    expected = boxes_of(explanations)
    assert len(coco["annotations"]) == len(expected) >= 20
    for number, (each, (image, target, (top, left, bottom, right))) in enumerate(
        zip(coco["annotations"], expected, strict=True)
    ):
        assert (each["id"], each["image_id"], each["category_id"]) == (number + 1, image, target + 1)
        assert each["bbox"] == [left, top, right - left, bottom - top]
        assert each["area"] == (right - left) * (bottom - top)
        assert each["score"] == pytest.approx(explanations[image].targets[target].probability, rel=1e-5)
    output.to_coco(tmp_path / "some.json", lambda row: row["label"] == "dog")
    assert [each["id"] for each in json.loads((tmp_path / "some.json").read_text())["images"]] == list(range(10, 20))


def test_targets_that_are_no_classes_are_categories_after_the_classes(classifier, photos, tmp_path):
    targets = ["dog", seewhy.targets.Difference("cat", "dog")]
    output = datasets.run(classifier, photos, tmp_path / "out", targets)
    coco = json.loads(output.to_coco(tmp_path / "a.json").read_text())
    assert [(each["id"], each["name"]) for each in coco["categories"]] == [(2, "dog"), (3, "cat rather than dog")]
    scores = [row["targets"][1]["score"] for row in output.rows(["targets"]) if row["targets"][1]["box"]]
    assert [each["score"] for each in coco["annotations"] if each["category_id"] == 3] == pytest.approx(scores)


def test_masks(output, explanations, tmp_path):
    folder = output.to_masks(tmp_path / "masks")
    frame = pandas.read_csv(folder / "masks.csv")
    assert frame["file"][:3].tolist() == ["cat/00_0.png", "cat/00_1.png", "cat/01_0.png"]
    for row in frame.itertuples():
        mask = np.asarray(Image.open(folder / row.file))
        np.testing.assert_array_equal(mask, explanations[row.position].mask(target=row.target) * 255)
    half = output.to_masks(tmp_path / "half", lambda row: row["position"] == 3, threshold=0.5)
    assert sorted(os.listdir(half / "cat")) == ["03_0.png", "03_1.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(half / "cat" / "03_1.png")), explanations[3].mask(0.5, 1) * 255)
    with pytest.raises(OutputError, match="is not empty"):
        output.to_masks(half)
    with pytest.raises(OptionError, match="threshold is 2"):
        output.to_masks(tmp_path / "new", threshold=2)


def test_fiftyone(output, explanations, photos, tmp_path):
    dataset = json.loads(output.to_fiftyone(tmp_path / "samples.json").read_text())
    embedded = "fiftyone.core.fields.EmbeddedDocumentField(fiftyone.core.labels."
    assert dataset["sample_fields"]["heatmap_2"] == f"{embedded}Heatmap)"
    keys = output.table(["key"])["key"].to_pylist()
    assert [sample["filepath"] for sample in dataset["samples"]] == [str(photos / key) for key in keys]
    for sample, each in zip(dataset["samples"], explanations, strict=True):
        assert set(sample) - {"filepath", "tags", "metadata"} == set(dataset["sample_fields"])
        assert sample["ground_truth"]["label"] == sample["key"][:3]
        assert sample["prediction"]["label"] == each.predictions[0].name
        for number, name in enumerate(("heatmap", "heatmap_2")):
            assert sample[name]["_cls"] == "Heatmap"
            content = zlib.decompress(base64.b64decode(sample[name]["map"]["$binary"]["base64"]))
            values = np.load(io.BytesIO(content), allow_pickle=False)
            np.testing.assert_allclose(values / 255, each.normalized_heatmaps[number], atol=0.003)
    boxes = [
        (number, ["cat", "dog"].index(box["label"]), box["bounding_box"])
        for number, sample in enumerate(dataset["samples"])
        for box in sample["evidence"]["detections"]
    ]
    for (image, target, (x, y, w, h)), (*expected, (top, left, bottom, right)) in zip(
        boxes, boxes_of(explanations), strict=True
    ):
        height, width = explanations[image].image.shape[:2]
        assert [image, target] == expected
        edges = (y * height, x * width, (y + h) * height, (x + w) * width)
        assert edges == pytest.approx((top, left, bottom, right))
    elsewhere = output.to_fiftyone(tmp_path / "other.json", images=tmp_path)
    assert json.loads(elsewhere.read_text())["samples"][0]["filepath"] == f"{tmp_path}/cat/00.png"


def test_label_studio(output, explanations, tmp_path):
    tasks = json.loads(output.to_label_studio(tmp_path / "tasks.json").read_text())
    interface = ElementTree.parse(tmp_path / "tasks.interface.xml").getroot()  # noqa: S314  # written here
    drawing, image = interface.find("RectangleLabels"), interface.find("Image")
    assert {label.get("value") for label in drawing} == {"cat", "dog"}
    assert image.get("value") == "$image"
    assert tasks[3]["data"]["image"] == "/data/local-files/?d=cat/03.png"
    regions = [(number, region) for number, task in enumerate(tasks) for region in task["predictions"][0]["result"]]
    for (number, region), (image_number, target, box) in zip(regions, boxes_of(explanations), strict=True):
        value, (height, width) = region["value"], explanations[number].image.shape[:2]
        assert (number, value["rectanglelabels"]) == (image_number, [["cat", "dog"][target]])
        assert (region["from_name"], region["to_name"]) == (drawing.get("name"), image.get("name"))
        assert drawing.get("toName") == image.get("name")
        assert (region["original_width"], region["original_height"]) == (width, height)
        left, top = value["x"] * width / 100, value["y"] * height / 100
        edges = (top, left, top + value["height"] * height / 100, left + value["width"] * width / 100)
        assert edges == pytest.approx(box)
    tasks = json.loads(output.to_label_studio(tmp_path / "b.json", images="https://images.org/a").read_text())
    assert tasks[10]["data"]["image"] == "https://images.org/a/dog/00.png"


def test_csv(output, explanations, tmp_path):
    frame = pandas.read_csv(output.to_csv(tmp_path / "targets.csv"))
    assert len(frame) == 40
    for row in frame.itertuples():
        target, boxes = (
            explanations[row.position].targets[row.target],
            explanations[row.position].boxes(target=row.target),
        )
        assert (row.label, row.predicted_name) == (row.key[:3], explanations[row.position].predictions[0].name)
        assert (row.index, row.name, row.has_evidence) == (target.index, target.name, target.has_evidence)
        assert (row.score, row.probability) == pytest.approx((target.score, target.probability), rel=1e-5)
        assert np.isnan(row.top) if not boxes else (row.top, row.left, row.bottom, row.right) == boxes[0]


def test_keys_can_do_no_harm(hostile, tmp_path):
    target = tmp_path / "inside" / "masks"
    before = set(os.listdir(tmp_path))
    hostile.to_masks(target)
    assert set(os.listdir(tmp_path)) - before == {"inside"}
    with (target / "masks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == hostile.table(["key"])["key"].to_pylist()
    files = [target / row["file"] for row in rows]
    assert len({os.path.realpath(file) for file in files}) == len(KEYS)
    for file in files:
        assert target in file.resolve().parents
        with Image.open(file) as mask:
            assert mask.size == (9, 13)
    assert rows[0]["file"] == "cat/00.png"
    assert rows[1]["file"] == "000000001_00.png"  # whose name the first one has
    for name, write in (("a", hostile.to_coco), ("b", hostile.to_label_studio), ("c", hostile.to_fiftyone)):
        options = {} if name == "a" else {"images": "https://images.org/?d=" if name == "b" else "/data"}
        content = json.loads(write(tmp_path / f"{name}.json", **options).read_text())
        shown = {
            "a": lambda image: image["file_name"],
            "b": lambda task: unquote(task["data"]["image"]).removeprefix("https://images.org/?d="),
            "c": lambda sample: sample["key"],
        }[name]
        items = content["images"] if name == "a" else content if name == "b" else content["samples"]
        expected = [key.lstrip("/") for key in KEYS] if name == "b" else KEYS
        assert [shown(item) for item in items] == expected
    assert pandas.read_csv(hostile.to_csv(tmp_path / "d.csv"), keep_default_na=False)["key"].tolist() == KEYS
    with pytest.raises(OptionError, match=r"no files of their own.*images="):
        hostile.to_fiftyone(tmp_path / "e.json")


def test_names_are_valid_everywhere():
    assert safe_stem("cat/00.jpeg") == "00"
    assert safe_stem("a.parquet:17") == "a.parquet_17"
    assert safe_name("AUX.png") == "_AUX.png"
    assert safe_name("..") == "_"
    assert len(safe_name("長" * 300).encode()) <= 120
    assert str(safe_folder("s3://b/../c d/./e.png")) == "b/c d"
    assert str(safe_folder("a/" * 40 + "b")) == "."


def test_what_is_there_is_not_overwritten_or_mistaken(output, photos, tmp_path, classifier):
    listing = tmp_path / "list.csv"
    listing.write_text(f"path\n{photos}/cat/00.png\n")
    listed = datasets.run(classifier, listing, tmp_path / "listed")
    for write, path, message in (
        (output.to_coco, "boxes.csv", r"has the suffix '\.csv'; expected '\.json'"),
        (output.to_csv, tmp_path / "boxes", r"has the suffix ''; expected '\.csv'"),
        (output.to_coco, output.path / "run.json", "belongs to the output"),
        (output.to_csv, output.path / "results" / "a.csv", "belongs to the output"),
        (output.to_masks, output.path, "belongs to the output"),
        (listed.to_csv, listing, "is the source of the run"),
        (output.to_csv, None, "The path is None"),
    ):
        with pytest.raises(OptionError, match=message):
            write(path)
    part = next((listed.path / "results").iterdir())
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(OutputError, match=r"part-000000.parquet cannot be read: .*resume=True"):
        listed.to_coco(tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()
    with pytest.raises(OptionError, match=r"no column 'kex'\. Did you mean 'key'"):
        next(output.rows(["kex"]))
