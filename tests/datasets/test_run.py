"""A run: every image in exactly one row, the same bytes however it was run, and a table that others read."""

import json
import os
import pickle

import duckdb
import numpy as np
import pandas
import polars
import pyarrow.compute as pc
import pytest
import torch
from PIL import Image

import datasets as hugging_face
import seewhy
from seewhy import datasets
from seewhy.datasets.find_source import SourceOptions, find_source
from seewhy.datasets.schema import check_fits
from seewhy.datasets.writer import make_writer
from seewhy.errors import ImageError, OptionError, OutputError, TargetError
from seewhy.targets import resolve


@pytest.fixture(scope="module")
def damaged(photos, tmp_path_factory):
    """The photos with two files that cannot be read, of which one is the first of all."""
    folder = tmp_path_factory.mktemp("damaged") / "photos"
    for file in photos.glob("*/*.png"):
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / file.relative_to(photos)).write_bytes(file.read_bytes())
    (folder / "cat" / "00.png").write_bytes(b"no image")
    (folder / "dog" / "03.png").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def options():
    return {"targets": ["cat", "dog"], "batch_size": 4, "chunk_size": 6, "label_by_folder": True, "overlays": "png"}


@pytest.fixture(scope="module")
def output(classifier, damaged, tmp_path_factory, options):
    return datasets.run(classifier, damaged, tmp_path_factory.mktemp("out"), **options)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_image_is_in_exactly_one_row(output, classifier, damaged):
    table, errors = output.table(), output.errors()
    assert sorted([*table["position"].to_pylist(), *errors["position"].to_pylist()]) == list(range(20))
    assert errors["key"].to_pylist() == ["cat/00.png", "dog/03.png"]
    assert errors["kind"].to_pylist() == ["ImageFormatError", "ImageError"]
    assert errors["message"].to_pylist()[1] == f"{damaged}/dog/03.png is empty (0 bytes)."
    expected = seewhy.Explainer(classifier).explain([damaged / key for key in table["key"].to_pylist()], ["cat", "dog"])
    heatmaps = table["heatmaps"].combine_chunks().to_numpy_ndarray()
    for row, heatmap, theirs in zip(table.drop_columns("heatmaps").to_pylist(), heatmaps, expected, strict=True):
        assert row["label"] == row["key"][:3]
        assert row["label_index"] == {"cat": 0, "dog": 1}[row["label"]]
        assert (row["height"], row["width"]) == theirs.image.shape[:2]
        np.testing.assert_allclose(heatmap, theirs.heatmaps, rtol=1e-3, atol=1e-6)
        assert [each["index"] for each in row["predictions"]] == [each.index for each in theirs.predictions]
        for number, target in enumerate(row["targets"]):
            boxes = theirs.boxes(target=number)
            assert target["name"] == theirs.targets[number].name
            assert target["score"] == pytest.approx(theirs.targets[number].score, rel=1e-5)
            assert target["has_evidence"] == theirs.targets[number].has_evidence
            assert (target["box"] and tuple(target["box"].values())) == (boxes[0] if boxes else None)


def test_explanations_come_back(output, classifier, damaged):
    rows = list(output.explanations(pc.field("label") == "dog"))
    assert [os.path.basename(each.source) for each in rows] == [f"{n:02}.png" for n in range(10) if n != 3]
    (theirs,) = seewhy.Explainer(classifier).explain([rows[4].source], ["cat", "dog"])
    np.testing.assert_array_equal(rows[4].image, theirs.image)
    np.testing.assert_allclose(rows[4].normalized_heatmaps, theirs.normalized_heatmaps, atol=2e-3)
    assert (rows[4].layer, rows[4].method, rows[4].title) == (theirs.layer, theirs.method, theirs.title)
    assert rows[4].predictions[0].name == theirs.predictions[0].name
    chosen = output.explanations(lambda row: row["key"] in ("cat/05.png", "dog/00.png"))
    assert [each.source for each in chosen] == [f"{damaged}/cat/05.png", f"{damaged}/dog/00.png"]


def test_overlays_are_those_of_the_explanations(output, classifier, damaged):
    """In particular of the first and the last batch of each part; tests below compare them after interruptions."""
    assert len(list((output.path / "overlays").rglob("*.png"))) == 2 * 18
    for row in output.rows(["position", "key"]):
        (theirs,) = seewhy.Explainer(classifier).explain([damaged / row["key"]], ["cat", "dog"])
        for target, path in enumerate(output.overlay_paths(row)):
            with Image.open(path) as image:
                difference = np.asarray(image).astype(int) - theirs.overlay(target)
            assert np.abs(difference).max() <= 2
    stem = f"{row['position']:09}_{row['key'][-6:-4]}"
    assert path == output.path / "overlays" / "000000" / f"{stem}_1.png"


def test_a_part_is_not_done_if_an_overlay_cannot_be_written(classifier, photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "overlays").touch()
    with pytest.raises(OutputError, match=r"Cannot write .*overlays/000000/000000000_00.jpg"):
        datasets.run(classifier, photos / "cat", tmp_path / "out", overlays="jpg")  # in one batch, the last
    assert not (tmp_path / "out" / "results").exists()
    (tmp_path / "out" / "overlays").unlink()
    output = datasets.run(classifier, photos / "cat", tmp_path / "out", overlays="jpg", resume=True)
    assert len(list((tmp_path / "out" / "overlays").rglob("*.jpg"))) == output.summary()["explained"] == 10
    with pytest.raises(OptionError, match="has no overlays"):
        datasets.run(classifier, photos / "cat", tmp_path / "none").overlay_paths({"position": 0, "key": "a"})


def test_a_worker_elsewhere_writes_the_same_part(output, classifier, damaged, tmp_path, options):
    """What an executor sends to its workers can be pickled, and a part is overwritten by whoever explains it again."""
    source = find_source(damaged, options["chunk_size"], SourceOptions(label_by_folder=True))
    target = resolve(options["targets"], classifier.find_class)
    writer = make_writer(seewhy.Explainer(classifier), target, tmp_path, output.settings)
    worker, chunk = pickle.loads(pickle.dumps((writer, source.chunks[2])))  # noqa: S301
    for _ in range(2):
        assert worker.write(chunk) == (5, 1)
    for kind in ("results", "errors"):
        name = f"{kind}/part-000002.parquet"
        assert (tmp_path / name).read_bytes() == (output.path / name).read_bytes()
    assert len(contents(tmp_path / "overlays")) == 10
    assert contents(tmp_path / "overlays").items() <= contents(output.path / "overlays").items()


def test_the_summary_counts_what_the_tables_hold(output):
    summary, table = output.summary(), output.table()
    best = [row[0]["index"] for row in table["predictions"].to_pylist()]
    assert (summary["images"], summary["explained"], summary["failed"]) == (20, 18, 2)
    assert summary["errors"] == {"ImageFormatError": 1, "ImageError": 1}
    assert summary["misclassified"] == sum(a != b for a, b in zip(best, table["label_index"].to_pylist(), strict=True))
    assert summary["without_evidence"] == sum(
        not any(target["has_evidence"] for target in row) for row in table["targets"].to_pylist()
    )
    manifest = json.loads((output.path / "manifest.json").read_text())
    assert (manifest["results"], manifest["errors"], len(manifest["parts"])) == (18, 2, 4)


def test_other_programs_read_the_table(output, tmp_path):
    table = output.table()
    expected = np.float32(table["heatmaps"].combine_chunks().to_numpy_ndarray()).reshape(18, -1)
    files = f"{output.path}/results/*.parquet"
    frame = pandas.read_parquet(output.path / "results")
    np.testing.assert_array_equal(np.stack(frame["heatmaps"]).astype(np.float32), expected)
    assert frame["targets"][0][1]["name"] == "dog"
    frame = polars.read_parquet(files)
    np.testing.assert_array_equal(np.float32(frame["heatmaps"].to_list()), expected)
    rows = duckdb.sql(f"SELECT heatmaps, targets[2].name FROM '{files}' ORDER BY position").fetchall()  # noqa: S608
    np.testing.assert_array_equal(np.float32([row[0] for row in rows]), expected)
    assert {row[1] for row in rows} == {"dog"}
    rows = hugging_face.load_dataset(
        "parquet", data_files=files, features=output.features(), cache_dir=str(tmp_path), split="train"
    )
    np.testing.assert_array_equal(np.float32(rows["heatmaps"][:]), expected)


def test_shards_and_a_run_that_was_stopped_write_the_same_bytes(output, classifier, damaged, tmp_path, options):
    for number in (3, 1, 2):
        limit = 60 if number == 2 else None  # in processes of their own
        shard = datasets.run(classifier, damaged, tmp_path / "shards", **options, shard=(number, 3), time_limit=limit)
    assert shard.is_complete
    assert contents(tmp_path / "shards") == contents(output.path)
    answers = iter([False, False, True])
    stopped = datasets.run(classifier, damaged, tmp_path / "stopped", **options, should_stop=lambda: next(answers))
    assert not stopped.is_complete
    assert len(list((tmp_path / "stopped" / "results").iterdir())) == 2
    with pytest.raises(OptionError, match=r"not complete\. Go on with resume=True"):
        datasets.run(classifier, damaged, tmp_path / "stopped", **options)
    (tmp_path / "stopped" / "results" / "part-000000.parquet").write_bytes(b"PAR1")  # damaged meanwhile
    (tmp_path / "stopped" / "errors" / "part-000001.parquet").write_bytes(b"PAR1")  # of an attempt that was killed
    (tmp_path / "stopped" / "results" / "part-000001.parquet").unlink()
    seen = []
    datasets.run(
        classifier, damaged, tmp_path / "stopped", **options, resume=True, progress=lambda each: seen.append(each.done)
    )
    assert contents(tmp_path / "stopped") == contents(output.path)
    assert seen[-1] == 20
    datasets.run(classifier, damaged, tmp_path / "stopped", **options, resume=True)  # complete: nothing is done
    with pytest.raises(OptionError, match="holds a run that is complete"):
        datasets.run(classifier, damaged, tmp_path / "stopped", **options)


def test_a_run_is_resumed_with_the_same_model_method_and_source_only(output, classifier, damaged, photos, options):
    other = seewhy.Classifier(
        classifier.model, preprocess=seewhy.Preprocessing(size=(8, 8)), class_names=["cat", "dog"]
    )
    for model, source, changed, difference in (
        (other, damaged, {}, "model_fingerprint: "),
        (seewhy.Explainer(classifier, method="hirescam"), damaged, {}, "requested_method: auto then, hirescam now"),
        (classifier, photos, {}, "source: "),
        (classifier, damaged, {"targets": "top-2"}, r'targets: \["cat", "dog"\] then, top-2 now'),
        (classifier, damaged, {"heatmaps": "float32"}, "requested_heatmaps: auto then, float32 now"),
        (classifier, damaged, {"overlays": None}, "overlays: png then, null now"),
    ):
        with pytest.raises(OptionError, match=f"other settings.*{difference}"):
            datasets.run(model, source, output.path, **(options | changed), resume=True)


def test_heatmaps_keep_their_digits(classifier, photos, tmp_path):
    """float16 has too few digits for scores of some scales, of all images or of a few."""
    torch.manual_seed(0)
    for scale in (1e-9, 1e9):
        scaled = torch.nn.Sequential(*classifier.model[:-1], torch.nn.Linear(4, 2))
        with torch.no_grad():
            scaled[-1].weight *= scale
        scaled = seewhy.Classifier(scaled, preprocess=classifier.preprocessing)
        output = datasets.run(scaled, photos / "cat", tmp_path / f"{scale}")
        assert output.settings["heatmaps"] == "float32"
        (theirs,) = seewhy.Explainer(scaled).explain([photos / "cat" / "00.png"])
        np.testing.assert_allclose(next(output.rows())["heatmaps"], theirs.heatmaps, rtol=1e-4)
    values = np.array([[[2.0, 0.5]], [[1e-7, 0]]], np.float32)
    check_fits(values[:1], "float16", (1, 1, 2), "a")
    check_fits(values, "float32", (2, 1, 2), "a")
    with pytest.raises(ImageError, match=r"reaches 1e-07 only, too little for float16\. Take heatmaps='float32'"):
        check_fits(values, "float16", (2, 1, 2), "a")


def test_what_cannot_run_is_refused(classifier, photos, tmp_path):
    torch.manual_seed(0)
    huge = torch.nn.Sequential(*classifier.model[:-1], torch.nn.Linear(4, 2))
    with torch.no_grad():
        huge[-1].weight *= 1e9
    huge = seewhy.Classifier(huge, preprocess=classifier.preprocessing)
    wrong = seewhy.Classifier(classifier.model, preprocess=classifier.preprocessing, class_names=["a", "b", "c"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "results").mkdir()
    (tmp_path / "full" / "results" / "other.parquet").touch()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").touch()
    for model, source, changed, error, message in (
        (huge, photos, {"heatmaps": "float16"}, OptionError, "float16 cannot hold. Take heatmaps='float32'"),
        (classifier, photos, {"heatmaps": "int8"}, OptionError, "heatmaps is 'int8'; expected 'auto', 'float16' or"),
        (classifier, photos, {"overlays": "gif"}, OptionError, "overlays is 'gif'; expected 'png' or 'jpg'"),
        (wrong, photos, {}, seewhy.errors.ModelError, "3 class names were given, and the model"),
        (classifier, photos, {"shard": (0, 2)}, OptionError, r"shard is \(0, 2\)"),
        (classifier, photos, {"targets": [[0]] * 20}, TargetError, "the same targets for all"),
        (classifier, photos, {"out": tmp_path / "full"}, OptionError, "is not empty"),
        (wrong, photos, {"label_by_folder": True}, TargetError, "do not name a class"),
        (classifier, photos, {"image_colum": "a"}, OptionError, "no argument 'image_colum'"),
        (classifier, photos, {"time_limit": 0}, OptionError, "time_limit is 0"),
    ):
        with pytest.raises(error, match=message):
            datasets.run(model, source, **({"out": tmp_path / "out"} | changed))
    with pytest.raises(OptionError, match="The source is None; expected a folder"):
        datasets.run(classifier, None, tmp_path / "out")
    with pytest.raises(OptionError, match="is not the output of a run"):
        datasets.open(tmp_path / "full")
    output = datasets.run(classifier, tmp_path / "bad", tmp_path / "nothing")  # every image fails
    assert (output.summary()["failed"], output.table().num_rows) == (1, 0)


def test_a_source_that_changed_is_not_read_back(classifier, photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    image = (photos / "cat" / "00.png").read_bytes()
    (folder / "a.png").write_bytes(image)
    output = datasets.run(classifier, folder, tmp_path / "out")
    (folder / "b.png").write_bytes(image)
    with pytest.raises(OptionError, match="images were added, removed or written again; images: 1 then, 2 now"):
        datasets.run(classifier, folder, tmp_path / "out", resume=True)
    with pytest.raises(ImageError, match="has changed since the run"):
        next(output.explanations())
