"""The output folder: several processes on it at once, and what cannot be one."""

import json
import os

import pyarrow.parquet as pq
import pytest
import torch

import seewhy
from seewhy import datasets
from seewhy.datasets import batch_run, probe
from seewhy.errors import ModelRunError, OptionError, OutputError


@pytest.fixture(scope="module")
def options():
    return {"batch_size": 8, "chunk_size": 8}


@pytest.fixture
def other_first(monkeypatch, classifier, photos, options):
    """Let another process begin a run in the same folder, in the last moment before this one does."""

    def begin(folder, **changed):
        choose = batch_run.choose

        def choose_late(*arguments):
            monkeypatch.setattr(batch_run, "choose", choose)
            datasets.run(classifier, photos, folder, should_stop=lambda: True, **(options | changed))
            return choose(*arguments)

        monkeypatch.setattr(batch_run, "choose", choose_late)

    return begin


def test_of_two_runs_that_begin_at_once_the_second_is_refused(classifier, photos, tmp_path, options, other_first):
    for more, changed, message in (
        ({}, {}, "holds a run that is not complete"),
        ({"shard": (1, 2)}, {"targets": "top-2"}, "targets: top-2 then, top-1 now"),
    ):
        folder = tmp_path / message[:5]
        other_first(folder, **changed)
        with pytest.raises(OptionError, match=message):
            datasets.run(classifier, photos, folder, **options, **more)
        assert json.loads((folder / "run.json").read_text())["targets"] == changed.get("targets", "top-1")
        assert not list(folder.rglob("*.parquet"))
        assert not list(folder.rglob(".seewhy-*"))


def test_shards_that_begin_at_once_take_over_what_the_first_chose(
    classifier, photos, tmp_path, options, other_first, monkeypatch
):
    other_first(tmp_path, shard=(2, 2))
    settings = probe._settings
    monkeypatch.setattr(probe, "_settings", lambda *given: settings(*given) | {"method_reason": os.urandom(4).hex()})
    output = datasets.run(classifier, photos, tmp_path, **options, shard=(1, 2))
    begun = json.loads((tmp_path / "run.json").read_text())
    for part in (tmp_path / "results").iterdir():
        metadata = json.loads(pq.read_metadata(part).metadata[b"seewhy"])
        assert metadata["run"]["method_reason"] == begun["method_reason"]
    assert not output.is_complete
    assert datasets.run(classifier, photos, tmp_path, **options, shard=(2, 2)).is_complete


def test_a_part_is_written_again_where_another_process_took_its_file_away(
    classifier, photos, tmp_path, options, monkeypatch
):
    write, removed = pq.write_table, []

    def write_and_lose(*arguments, **keywords):
        write(*arguments, **keywords)
        if not removed:
            (file,) = (tmp_path / "results").glob(".seewhy-*")
            file.unlink()
            removed.append(file)

    monkeypatch.setattr(pq, "write_table", write_and_lose)
    (tmp_path / ".seewhy-left").touch()  # by a process that was killed while it wrote run.json
    output = datasets.run(classifier, photos, tmp_path, **options)
    assert (output.table().num_rows, len(removed)) == (20, 1)
    assert not list(tmp_path.rglob(".seewhy-*"))


def test_what_cannot_be_an_output_folder_is_refused(classifier, photos, tmp_path):
    (tmp_path / "file").touch()
    for out, error, message in (
        (tmp_path / ("a" * 300), OutputError, "cannot be used: File name too long"),
        ("a\0b", OutputError, r"'a\\x00b' cannot be used: embedded null"),
        (tmp_path / "file" / "out", OutputError, "Not a directory"),
        (b"out", OptionError, r"out is b'out'; expected the path of a folder"),
        ("", OptionError, "out is ''"),
        (photos, OptionError, "is the folder of the images"),
    ):
        with pytest.raises(error, match=message):
            datasets.run(classifier, photos, out)


def test_a_model_that_explains_no_image_is_refused_before_it_has_failed_on_all_of_them(
    photos, tmp_path, monkeypatch, classifier
):
    class Failing(torch.nn.Module):
        def forward(self, images):
            raise RuntimeError(f"cannot run on {len(images)}")

    model = torch.nn.Sequential(classifier.model[0], Failing())
    failing = seewhy.Classifier(model, preprocess=classifier.preprocessing, name="m\udce9")
    monkeypatch.setattr(probe, "MAX_FAILURES", 21)
    output = datasets.run(failing, photos, tmp_path / "all")  # as there are no more than 20
    assert output.summary()["errors"] == {"ModelRunError": 20}
    assert output.settings["model"] == r"m\xe9"
    monkeypatch.setattr(probe, "MAX_FAILURES", 5)
    with pytest.raises(ModelRunError, match="cannot run on 1"):
        datasets.run(failing, photos, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
