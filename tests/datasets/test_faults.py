"""Runs that are killed, interrupted, or run out of space: what was done stays, and `--resume` does the rest."""

import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image

from seewhy import datasets

IMAGES = 240
COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'seewhy'; from seewhy.cli import main; main()"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a tiny ONNX model, which starts in a second, and photos of which 2% cannot be read."""
    folder, random_values = tmp_path_factory.mktemp("work"), np.random.default_rng(0)
    shapes = {"kernel": (4, 3, 3, 3), "weight": (4, 2)}
    weights = [
        numpy_helper.from_array(random_values.normal(size=shape).astype(np.float32) / 9, name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    values = [
        helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 3, 32, 32]),
        helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 2]),
    ]
    graph = helper.make_graph(nodes, "tiny", values[:1], values[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "m.onnx")
    (folder / "photos").mkdir()
    for number in range(IMAGES):
        pixels = random_values.integers(0, 256, (32, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number:03}.png")
        if number % 50 == 7:
            (folder / "photos" / f"{number:03}.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    return folder


def arguments(out, *more):
    sizes = [
        "--input-size",
        "32",
        "--preprocessing",
        "0..255",
        "--chunk-size",
        "4",
        "--batch-size",
        "2",
        "--overlays",
        "jpg",
    ]
    return [*COMMAND, "batch", "photos", "--out", out, "--model", "m.onnx", *sizes, *more]


def rows_of(folder):
    output = datasets.open(folder)
    names = ["position", "key", "targets", "predictions", "heatmaps"]
    overlays = {path.name: path.read_bytes() for path in (folder / "overlays").glob("*/*")}
    return output.table(names).to_pylist(), output.errors().to_pylist(), overlays


def run(work, out, *more, **options):
    return subprocess.run(arguments(out, *more), cwd=work, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def undisturbed(work):
    finished = run(work, "undisturbed", "--quiet")
    assert finished.returncode == 1, finished.stderr  # 2% cannot be read
    results, errors, overlays = rows_of(work / "undisturbed")
    assert len(overlays) == len(results)
    assert sorted(row["position"] for row in [*results, *errors]) == list(range(IMAGES))
    assert len(errors) == 5
    return results, errors, overlays


@pytest.mark.slow(reason="starts the command up to twelve times")
def test_a_run_that_is_killed_at_any_moment_ends_with_the_same_rows(work, undisturbed):
    moments, kills = random.Random(0), 0  # noqa: S311  # the same moments in every run
    for _ in range(10):
        before = len(list((work / "killed").glob("results/*")))
        more = ["--resume"] if (work / "killed" / "run.json").exists() else []
        with subprocess.Popen(arguments("killed", *more), cwd=work, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(list((work / "killed").glob("results/part*"))) <= before:
                time.sleep(0.01)  # until it works
            time.sleep(moments.uniform(0, 0.08))
            process.send_signal(signal.SIGKILL)
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 5
    last = run(work, "killed", "--resume", "--quiet")
    assert last.returncode == 1, last.stderr
    assert rows_of(work / "killed") == undisturbed
    assert not list((work / "killed").rglob(".seewhy-*"))


@pytest.mark.slow(reason="starts the command twice")
def test_ctrl_c_finishes_the_part_in_hand_and_says_how_to_go_on(work, undisturbed):
    with subprocess.Popen(arguments("stopped"), cwd=work, stderr=subprocess.PIPE, text=True) as process:
        while not list((work / "stopped").glob("results/part*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Finishing the part in hand" in stderr
    command = stderr.strip().splitlines()[-1]
    assert command.startswith("Stopped. To go on, run: seewhy batch photos --out stopped --model m.onnx")
    assert command.endswith("--resume")
    assert run(work, "stopped", "--resume", "--quiet").returncode == 1
    assert rows_of(work / "stopped") == undisturbed


@pytest.fixture(params=["tmpfs", "limit"])
def full_disk(request, work):
    """Return a folder with little space and options for a process with little space; here a file may be too long."""
    folder = work / f"full-{request.param}"
    if request.param == "limit":
        yield folder, {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))}
        return
    folder.mkdir()
    mounted = subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here")
    yield folder, {}
    subprocess.run(["/bin/umount", folder], check=True)


@pytest.mark.slow(reason="starts the command three times")
def test_a_full_disk_stops_the_run_cleanly(work, undisturbed, full_disk):
    folder, options = full_disk
    signal_before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # Python's own default, for the child
    try:
        stopped = run(work, folder / "out", "--quiet", **options)
    finally:
        signal.signal(signal.SIGXFSZ, signal_before)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines()[-1].startswith("Error: Cannot write ")
    assert "To go on, make room and run: seewhy batch photos" in stopped.stderr
    assert not (folder / "out" / "manifest.json").exists()
    assert not list((folder / "out").rglob(".seewhy-*"))
    if options:
        finished = run(work, folder / "out", "--resume", "--quiet")
    else:
        subprocess.run(["/bin/mount", "-o", "remount,size=9m", folder], check=True)
        finished = run(work, folder / "out", "--resume", "--quiet")
    assert finished.returncode == 1, finished.stderr
    assert rows_of(folder / "out") == undisturbed
