"""Workers of Ray write what the local executor writes, also when they or the program that started them are killed."""

import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from seewhy import datasets
from seewhy.datasets import ray_executor
from seewhy.errors import OptionError, SeewhyError, SeewhyWarning

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'seewhy'; from seewhy.cli import main; main()"]
CHUNK_SIZE = 6
OPTIONS = {"chunk_size": CHUNK_SIZE, "batch_size": 2, "targets": ["top-2"]}


@pytest.fixture(autouse=True)
def current_folder(work, monkeypatch):
    monkeypatch.chdir(work)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def maker(in_worker=None, prepare=None):
    """Return a function that makes the explainer; in workers another model, or after `prepare`."""
    program = os.getpid()

    def make():
        import seewhy

        is_worker = os.getpid() != program
        if is_worker and prepare:
            prepare()
        name = in_worker if is_worker and in_worker else "model.onnx"
        return seewhy.Explainer(seewhy.load(name, preprocessing="0..255", input_size=32))

    return make


@pytest.fixture(scope="module")
def expected(work):
    """What the local executor writes."""
    before = os.getcwd()
    os.chdir(work)
    datasets.run(maker(), "photos", "expected", **OPTIONS)
    os.chdir(before)
    return contents(work / "expected")


def run(out, make, address, **options):
    return datasets.run(make, "photos", out, **OPTIONS, executor="ray", address=address, **options)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_writes_the_same_bytes(cluster, expected, workers, caplog, capfd, tmp_path):
    caplog.set_level(logging.WARNING, "seewhy.datasets")
    seen = []

    def note():
        (tmp_path / str(os.getpid())).touch()

    limit = 60 if workers == 2 else None  # decoding in processes of their own
    output = run(
        tmp_path / "out",
        maker(prepare=note),
        cluster,
        workers=workers,
        time_limit=limit,
        progress=lambda each: seen.append(each.done),
    )
    assert contents(output.path) == expected
    assert len([path for path in tmp_path.iterdir() if path.is_file()]) == workers  # each loaded the model once
    assert seen == sorted(seen)
    assert seen[-1] == 60
    assert sorted(record.args[0] for record in caplog.records) == ["007.png", "057.png"]
    assert capfd.readouterr() == ("", "")


def killed(folder, times, *, after_part=None, before_part=None):
    """Return what makes a worker kill itself when a part is written and not reported, or before, so many times each."""

    def die(number):
        deaths = len(list(folder.glob(f"death-{number}-*")))
        if deaths < times:
            (folder / f"death-{number}-{deaths}").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def prepare():
        from seewhy.datasets.part import PartWriter

        write = PartWriter.write

        def write_and_die(self, chunk, progress=None):
            if chunk.number == before_part:
                die(chunk.number)
            counts = write(self, chunk, progress)
            if chunk.number == after_part:
                die(chunk.number)
            return counts

        PartWriter.write = write_and_die

    return prepare


def test_a_worker_killed_before_it_reports_its_part_loses_and_doubles_nothing(cluster, expected, tmp_path, capfd):
    prepare, out, seen = killed(tmp_path, 1, after_part=3, before_part=6), tmp_path / "out", []
    with pytest.warns(SeewhyWarning, match="ended before it reported part [36], which is explained again: its"):
        run(out, maker(prepare=prepare), cluster, workers=2, progress=lambda each: seen.append(each.done))
    assert len(list(tmp_path.glob("death-*"))) == 2
    assert contents(out) == expected
    assert seen[-1] == 60
    assert "died" not in capfd.readouterr().out  # what Ray prints of it


def test_a_part_that_ends_every_worker_is_left_out_and_can_be_explained_later(cluster, expected, tmp_path):
    prepare, out = killed(tmp_path, 3, after_part=0), tmp_path / "out"
    with pytest.warns(SeewhyWarning), pytest.raises(SeewhyError, match=r"1 parts are missing: .* part 0, with"):
        run(out, maker(prepare=prepare), cluster, workers=2)
    (out / "results" / "part-000000.parquet").unlink()  # as if they had been killed before
    assert len(list((out / "results").iterdir())) == 9
    run(out, maker(), cluster, workers=1, resume=True)
    assert contents(out) == expected


def test_workers_that_cannot_start_are_refused_in_words(cluster, tmp_path, monkeypatch):
    for make, message in (
        (maker(in_worker="missing.onnx"), "A worker on .*: .*missing.onnx"),
        (maker(prepare=lambda: os.kill(os.getpid(), signal.SIGKILL)), "ended while it started, as 3 did: its process"),
    ):
        with pytest.raises(SeewhyError, match=message):
            run(tmp_path / "out", make, cluster, workers=1, resume=True)
    monkeypatch.setattr(ray_executor, "PLACE_SECONDS", 0.5)
    with pytest.raises(OptionError, match=r"no place for a worker .* 3 CPU on one machine; the cluster has 4 CPU"):
        run(tmp_path / "out", maker(), cluster, cpus_per_worker=3, resume=True)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "run.json"]


def command(out, *more):
    sizes = ["--input-size", "32", "--preprocessing", "0..255", "--chunk-size", str(CHUNK_SIZE), "--batch-size", "2"]
    model = ["--model", "model.onnx", "--targets", "top-2", "--executor", "ray", "--workers", "2"]
    return [*COMMAND, "batch", "photos", "--out", out, *model, *sizes, *more]


def wait_for_a_part(folder):
    while not list(folder.glob("results/part*")):
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_program_that_is_killed_or_stopped_is_resumed(cluster, work, expected, number):
    """SIGKILL on the cluster, which goes on; Ctrl+C on a cluster of the program's own, which ends with it."""
    name, more = ("killed", ["--address", cluster]) if number == signal.SIGKILL else ("stopped", [])
    options = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command(name, *more), **options) as process:
        wait_for_a_part(work / name)
        os.killpg(process.pid, number)  # as a terminal does
        stderr = process.communicate(timeout=60)[1]
    if number == signal.SIGINT:
        assert process.returncode == 130, stderr
        assert f"Stopped. To go on, run: seewhy batch photos --out {name} --model model.onnx" in stderr
    assert len(list((work / name).glob("results/part*"))) < 10
    finished = subprocess.run(
        command(name, "--address", cluster, "--resume", "--json"), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1, finished.stderr  # 2% cannot be read
    assert finished.stdout.startswith('{\n  "complete": true')
    assert contents(work / name) == expected
