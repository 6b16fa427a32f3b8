"""What workers of Ray cost and how they scale: a data set of JPEG files to a table, by EfficientNet-Lite0.

The same files are explained by the local executor with one thread, and by 1, 2 and 4 workers with one thread each, on a
cluster on this machine. Core milliseconds are counted in the workers, over all parts but the first of each, in which
frameworks compile. Every output is compared with the first one, byte for byte.
"""

import argparse
import functools
import inspect
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.batch import BATCH_SIZE, make_images
from benchmarks.interleaved import machine
from benchmarks.results import publish

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

CHUNK_SIZE = 32


def maker(backend: str, records: Path) -> Callable[[], Any]:
    """Return a function that makes the explainer, and lets its process write down what each part takes."""

    def make() -> Any:
        import seewhy
        from seewhy.datasets.part import PartWriter

        write = inspect.unwrap(PartWriter.write)  # without that of an earlier run in this process

        @functools.wraps(write)
        def timed(self: Any, chunk: Any, progress: Any = None) -> Any:
            before = time.process_time()
            counts = write(self, chunk, progress)
            megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            record = {"images": sum(counts), "seconds": time.process_time() - before, "megabytes": megabytes}
            with (records / f"{os.getpid()}.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
            return counts

        PartWriter.write = timed  # type: ignore[method-assign]
        return seewhy.Explainer(seewhy.load("efficientnet-lite0", backend=backend))

    return make


def measure(backend: str, photos: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Return what a run takes; 0 workers are the local executor."""
    from seewhy import datasets

    (folder / "records").mkdir(parents=True)
    options: dict[str, Any] = {"executor": "ray", "workers": workers} if workers else {}
    start = time.perf_counter()
    rates = []
    datasets.run(
        maker(backend, folder / "records"),
        photos,
        folder / "out",
        batch_size=BATCH_SIZE,
        chunk_size=CHUNK_SIZE,
        progress=lambda each: rates.append(each.rate),
        **options,
    )
    seconds = time.perf_counter() - start
    lines = [path.read_text().splitlines() for path in (folder / "records").iterdir()]
    later = [json.loads(line) for process in lines for line in process[1:]]
    return {
        "seconds": seconds,
        "rate": rates[-1],
        "core_ms": [1000 * each["seconds"] / each["images"] for each in later],
        "megabytes": max(each["megabytes"] for each in later),
        "contents": {path.name: path.read_bytes() for path in (folder / "out").rglob("*.*") if path.is_file()},
    }


def row(backend: str, workers: int, found: dict[str, Any], is_same: bool) -> dict[str, str]:
    """Return the cells of a run."""
    return {
        "": f"{backend}, {f'{workers} workers' if workers else 'local'}",
        "core ms an image, median": f"{statistics.median(found['core_ms']):.1f}",
        "images a second": f"{found['rate']:.1f}",
        "seconds, with the start": f"{found['seconds']:.1f}",
        "MB of a worker": str(found["megabytes"]),
        "the same bytes": "yes" if is_same else "no",
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000, help="how many files (default 1000)")
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "onnx"], help="what runs the model")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4], help="how many workers (default 1 2 4)")
    arguments = parser.parse_args()
    rows, measured = [], []
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name, "photos")
        make_images(photos, arguments.images, 1)
        for backend in arguments.backends:
            first: dict[str, bytes] = {}
            for workers in (0, *arguments.workers):
                found = measure(backend, photos, Path(name, backend, str(workers)), workers)
                contents = found.pop("contents")
                first = first or contents
                rows.append(row(backend, workers, found, contents == first))
                measured.append({"backend": backend, "workers": workers, **found})
    title = f"{arguments.images} JPEG files to a table by workers of Ray: EfficientNet-Lite0, batches of {BATCH_SIZE}"
    publish("workers", title, rows, measured, machine("ray", "keras", "tensorflow", "onnxruntime", "pyarrow"))


if __name__ == "__main__":
    main()
