"""What workers of Ray check before they explain, and what cannot be sent to them; without Ray."""

import os
import sys
from functools import partial
from types import SimpleNamespace

import pytest

import seewhy
from seewhy import datasets
from seewhy.datasets.find_source import find_source
from seewhy.datasets.ray_cluster import RayOptions
from seewhy.datasets.ray_executor import RayExecutor, await_parts
from seewhy.datasets.ray_worker import THREADS, Refusal, Worker
from seewhy.datasets.run_folder import RunFolder
from seewhy.datasets.writer import make_writer
from seewhy.errors import MissingExtraError, ModelError, OptionError, OutputError
from seewhy.targets import resolve

RAY = {"executor": "ray"}


@pytest.fixture
def worker(monkeypatch):
    """A worker in this process, which may change its environment and its current folder."""
    for name in (*THREADS, "TF_NUM_INTEROP_THREADS", "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.chdir(".")
    return Worker(1)


@pytest.fixture
def sent(classifier, photos, tmp_path):
    """Return what a worker is sent, changed as given."""
    output = datasets.run(classifier, photos, tmp_path / "out", chunk_size=6)
    source = find_source(photos, 6)
    target = resolve("top-1", classifier.find_class)
    writer = make_writer(seewhy.Explainer(classifier), target, output.path, output.settings)

    def plan(make=None, **changed):
        made = RayExecutor(make or partial(seewhy.Explainer, classifier), RayOptions(), None)._plan(
            writer, source.chunks[1]
        )
        for name, value in changed.items():
            object.__setattr__(made, name, value)
        return made

    plan.writer, plan.chunks = writer, source.chunks
    return plan


def test_a_worker_writes_the_part_and_reports_it(worker, sent, tmp_path):
    file = tmp_path / "out" / "results" / "part-000001.parquet"
    before = file.read_bytes()
    file.unlink()
    assert worker.prepare(sent()) is None
    part = worker.write(sent.chunks[1])
    assert (part.results, part.failed) == (6, [])
    assert file.read_bytes() == before
    assert worker.place().process == os.getpid()


def test_a_worker_refuses_what_would_give_other_rows(worker, sent, classifier, tmp_path):
    def missing():
        raise ModelError("There is no file model.onnx.")

    chunk, position = sent().sample
    assert position == chunk.start == 6
    for plan, kind, message in (
        (
            sent(folder=tmp_path / "nowhere"),
            "OutputError",
            f"The output folder {tmp_path}/nowhere is not there. It must be",
        ),
        (
            sent(run_hash="0"),
            "OutputError",
            f"The output folder {tmp_path}/out holds another run. It must be on a file",
        ),
        (
            sent(sample=(chunk, 99)),
            "OptionError",
            "The source cannot be read: The image 99 of the source is not there.",
        ),
        (sent(missing), "ModelError", "There is no file model.onnx."),
        (
            sent(missing, working_folder="/nowhere"),
            "ModelError",
            "There is no folder /nowhere, to which relative paths",
        ),
        (
            sent(partial(seewhy.Explainer, classifier, "hirescam")),
            "OptionError",
            "is hirescam, expected auto. Give all",
        ),
    ):
        refusal = worker.prepare(plan)
        assert refusal.kind == kind
        assert message in refusal.message
        assert isinstance(refusal.error("A worker: "), getattr(seewhy.errors, kind))
        assert str(refusal.error("A worker: ")) == f"A worker: {refusal.message}"


def test_a_full_disk_is_reported_and_not_raised(worker, sent, monkeypatch):
    def full(*_):
        raise OutputError("Cannot write: No space left on device.")

    assert worker.prepare(sent()) is None
    monkeypatch.setattr(worker._writer, "write", full, raising=False)
    assert worker.write(sent.chunks[0]) == Refusal("OutputError", "Cannot write: No space left on device.")


def test_a_plan_that_needs_what_is_not_there_is_refused(worker):
    pickled = b"cnot_installed_here\nfunction\n."  # a reference to a function of a module
    assert "needs what is not there: No module named 'not_installed_here'" in worker.load(pickled).message


def test_errors_whose_class_takes_other_arguments_are_sent_too():
    error = Refusal.of(MissingExtraError("torch", "torch")).error()
    assert isinstance(error, MissingExtraError)
    assert str(error).startswith("torch is not installed. Install it with: ")


def test_parts_that_other_machines_wrote_are_awaited(sent, tmp_path):
    folder = RunFolder(tmp_path / "out")
    await_parts(folder, sent.chunks, 0)
    (tmp_path / "out" / "results" / "part-000002.parquet").unlink()
    with pytest.raises(
        OutputError, match=r"wrote 1 parts that are not in .* such as part 2\. The output folder must be"
    ):
        await_parts(folder, sent.chunks, 0)


def test_what_cannot_be_given_to_workers_is_refused(classifier, photos, tmp_path, monkeypatch):
    for model, options, message in (
        (classifier, {"executor": "dask"}, r"'dask'.*local"),
        (classifier, {"workers": 2}, "workers= is for workers of Ray. Give executor='ray' too"),
        (classifier, {"gpus_per_worker": 1}, "gpus_per_worker= is for"),
        ("vgg16", RAY | {"workers": 0}, "workers is 0; expected 1 to 10,000"),
        ("vgg16", RAY | {"cpus_per_worker": 0.5}, r"cpus_per_worker is 0\.5; expected 1"),
        ("vgg16", RAY | {"gpus_per_worker": 1.5}, r"gpus_per_worker is 1\.5; expected a whole number, or a fraction"),
        ("vgg16", RAY | {"address": ""}, "address is ''; expected 'auto' or HOST:PORT"),
        (classifier, RAY, "in the memory of this process. Give the name or the path of a model, such as 'vgg16'"),
        (seewhy.Explainer(classifier), RAY, "or a function without arguments that makes the explainer, such as lambda"),
    ):
        monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
        with pytest.raises(OptionError, match=message):
            datasets.run(model, photos, tmp_path / "out", **options)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingExtraError, match=r"For the executor 'ray', ray is not installed. Install it with: .*ray"
    ):
        datasets.run("vgg16", photos, tmp_path / "out", **RAY)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "No cluster of Ray answers at 127.0.0.1:1: Connection refused. Start"),
        ("nowhere", "'ray start'"),
    ],
)
def test_no_cluster_at_an_address(address, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    with pytest.raises(OptionError, match=message):
        RayOptions(address=address).check()


def test_the_number_of_workers_fits_the_cluster():
    resources = {"CPU": 64, "GPU": 4, "memory": 10e9}
    assert RayOptions().count(resources, 1_000_000_000) == 10
    assert RayOptions(cpus_per_worker=16).count(resources, 1_000_000_000) == 4
    assert RayOptions(gpus_per_worker=0.5).count(resources, 1_000_000_000) == 8
    assert RayOptions(gpus_per_worker=8).count(resources, 1) == 1  # which waits for a machine
    assert RayOptions(workers=99).count(resources, 1_000_000_000) == 99
