"""A data set of JPEG files to a table: `seewhy.datasets.run` on EfficientNet-Lite0 against the bare forward passes.

The files are varied from `examples/`: crops, mirrored and of other brightness, 256 x 256. The forward passes run on
batches that are in memory already. The two take turns in one process. Then, in processes of their own: the most memory
that the forward passes take, and a run over a tenth of the files and over all of them.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.interleaved import machine
from benchmarks.results import publish
from PIL import Image, ImageEnhance

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("cat.png", "coffee.png", "flower.jpg", "rocket.jpg")
SIDE, BATCH_SIZE, PRELOADED, STAGE_IMAGES = 256, 16, 256, 128
GOALS = {"tensorflow": 0.85, "onnx": 0.6}
"""The least throughput, as a share of that of the forward passes."""

MEMORY_GOAL = 300
"""The most megabytes above those of the forward passes."""


def make_images(folder: Path, count: int, rounds: int) -> None:
    """Write so many JPEG files, into a folder for each round."""
    sources = [Image.open(EXAMPLES / name).convert("RGB") for name in NAMES]
    random = np.random.default_rng(0)
    for number in range(count):
        source = sources[number % len(sources)]
        side = int(random.integers(min(source.size) // 2, min(source.size)))
        left, top = (int(random.integers(0, length - side + 1)) for length in source.size)
        image = source.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image
        image = ImageEnhance.Brightness(image).enhance(random.uniform(0.7, 1.3))
        path = folder / str(number % rounds) / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=int(random.integers(80, 96)))


def load(backend: str) -> tuple[Any, Callable[[Any], object]]:
    """Return the classifier, and its bare forward pass from a NumPy batch to a NumPy array."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import seewhy

    classifier = seewhy.load("efficientnet-lite0", backend=backend)
    if backend == "tensorflow":
        from benchmarks.forwards import KERAS_RUNS

        return classifier, KERAS_RUNS["tensorflow"](classifier.model)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    session = onnxruntime.InferenceSession(classifier.model.SerializeToString(), options)
    name = session.get_inputs()[0].name
    return classifier, lambda batch: session.run(None, {name: batch})


def forwards(run: Callable[[Any], object], inputs: Any, count: int) -> None:
    """Run the model on so many images that are in memory already, and do nothing else."""
    for start in range(0, count, BATCH_SIZE):
        first = start % len(inputs)
        run(inputs[first : first + min(BATCH_SIZE, count - start)])


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that pass, and the seconds of all cores together."""
    start, cores = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - cores


def stages(classifier: Any, run: Callable[[Any], object], paths: list[Path], folder: Path) -> dict[str, float]:
    """Return the milliseconds of all cores together, for each image, of each stage by itself."""
    import seewhy
    from seewhy.datasets.part import PartWriter
    from seewhy.datasets.records import Record
    from seewhy.images.reading import read
    from seewhy.targets import resolve

    explainer = seewhy.Explainer(classifier)
    pixels = [read(path) for path in paths]
    inputs = np.concatenate([classifier.preprocess([image]).values for image in pixels])
    batches = [inputs[start : start + BATCH_SIZE] for start in range(0, len(inputs), BATCH_SIZE)]
    heatmaps = [explainer.heatmaps(batch) for batch in batches]
    shape = heatmaps[0].values.shape[1:]
    target = resolve("top-1", classifier.find_class)
    writer = PartWriter(explainer, target, folder, shape, "float16", BATCH_SIZE, {}, {})
    records = [writer._prepare(Record(0, str(path), None, path)) for path in paths]

    def rows() -> None:
        for number, batch in enumerate(batches):
            for row in range(len(batch)):
                writer._explained(heatmaps[number], row, records[number * BATCH_SIZE + row])

    calls = {
        "reading and decoding": lambda: [read(path) for path in paths],
        "preprocessing": lambda: [classifier.preprocess([image]) for image in pixels],
        "forward passes": lambda: [run(batch) for batch in batches],
        "forward passes and heatmaps": lambda: [explainer.heatmaps(batch) for batch in batches],
        "rows, with boxes": rows,
    }
    found = {}
    for name, call in calls.items():
        call()
        found[name] = 1000 * statistics.median(timed(call)[1] for _ in range(3)) / len(paths)
    return found | {"reading and decoding in processes of their own": isolated(paths)}


def isolated(paths: list[Path]) -> float:
    """Return the milliseconds of all cores, for each image, of decoding in processes of their own: `--time-limit`."""
    from seewhy.datasets.decoding import DecoderProcesses
    from seewhy.datasets.records import Record

    def seconds(times: int) -> float:
        start = time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        processes = DecoderProcesses(60)
        for path in paths * times:
            processes.decode(Record(0, str(path), None, path))
        processes.close()
        return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - start

    once = seconds(1)  # with the start of the processes
    return 1000 * (seconds(4) - once) / (3 * len(paths))


def measure(backend: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Measure one backend in this process."""
    import seewhy
    from seewhy import datasets

    classifier, run = load(backend)
    paths = sorted(folder.glob("*/*.jpg"))
    inputs = np.concatenate([classifier.preprocess([path]).values for path in paths[:PRELOADED]])
    explainer = seewhy.Explainer(classifier)
    run(inputs[:BATCH_SIZE])
    times: dict[str, list[tuple[float, float]]] = {"forward": [], "run": []}
    with tempfile.TemporaryDirectory() as out:
        warm = Path(out, "warm.txt")  # what is traced and compiled once is left out of the times
        warm.write_text("\n".join(map(str, paths[: 2 * BATCH_SIZE])))
        datasets.run(explainer, warm, f"{out}/warm", batch_size=BATCH_SIZE)
        for number in range(rounds):
            count = len(list((folder / str(number)).iterdir()))
            whole = partial(datasets.run, explainer, folder / str(number), f"{out}/{number}", batch_size=BATCH_SIZE)
            times["forward"].append(timed(lambda count=count: forwards(run, inputs, count)))
            times["run"].append(timed(whole))
        of_stages = stages(classifier, run, paths[:STAGE_IMAGES], Path(out))
    return {"times": times, "images": len(paths), "stages": of_stages}


def peak(backend: str, folder: Path, what: str) -> int:
    """Return the most megabytes that this process held."""
    from seewhy import datasets

    classifier, run = load(backend)
    inputs = np.concatenate([classifier.preprocess([path]).values for path in sorted(folder.glob("0/*"))[:PRELOADED]])
    forwards(run, inputs, 4 * BATCH_SIZE)
    if what != "forward":
        del inputs
        with tempfile.TemporaryDirectory() as out:
            datasets.run(classifier, folder / "0" if what == "tenth" else folder, out, batch_size=BATCH_SIZE)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def alone(*arguments: str) -> Any:
    """Return what a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.batch", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def row(backend: str, found: dict[str, Any]) -> dict[str, str]:
    """Return the cells of one backend."""
    times = found["times"]
    shares = [[forward[kind] / run[kind] for forward, run in zip(*times.values(), strict=True)] for kind in (0, 1)]
    seconds = sum(run[0] for run in times["run"])
    peaks = found["peaks"]
    return {
        "": backend,
        "images a second": f"{found['images'] / seconds:.1f}",
        "of the forward passes": f"{statistics.median(shares[0]):.2f} ({min(shares[0]):.2f} to {max(shares[0]):.2f})",
        "the same by core seconds": f"{statistics.median(shares[1]):.2f}",
        "goal": f"{GOALS[backend]:.2f}",
        **{f"{name}, core ms": f"{value:.2f}" for name, value in found["stages"].items()},
        "MB, forward": str(peaks["forward"]),
        "MB, a tenth": str(peaks["tenth"]),
        "MB, all": str(peaks["all"]),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000, help="how many files (default 5000)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds, into which they are divided (default 10)")
    parser.add_argument("--backends", nargs="+", choices=list(GOALS), default=list(GOALS), help="what runs the model")
    parser.add_argument("--one", nargs=3, metavar=("BACKEND", "FOLDER", "WHAT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        backend, folder, what = arguments.one
        is_timed = what == "times"
        result = measure(backend, Path(folder), arguments.rounds) if is_timed else peak(backend, Path(folder), what)
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as name:
        make_images(Path(name), arguments.images, arguments.rounds)
        found = {}
        for backend in arguments.backends:
            found[backend] = alone("--one", backend, name, "times", "--rounds", str(arguments.rounds))
            found[backend]["peaks"] = {
                what: alone("--one", backend, name, what) for what in ("forward", "tenth", "all")
            }
    title = f"{arguments.images} JPEG files of {SIDE} x {SIDE} to a table: EfficientNet-Lite0, batches of {BATCH_SIZE}"
    versions = machine("keras", "tensorflow", "onnxruntime", "pillow", "pyarrow")
    publish("batch", title, [row(backend, each) for backend, each in found.items()], found, versions)


if __name__ == "__main__":
    main()
