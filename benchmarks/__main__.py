"""Every benchmark in turn: `make bench`. Each can be run by itself, and then has options.

    python -m benchmarks.cost      an explanation against the bare forward pass, on every framework
    python -m benchmarks.growth    how it grows with the classes, the batch, and the size of the image
    python -m benchmarks.peers     SeeWhy, Captum, torchcam, pytorch-grad-cam; xplique, tf-keras-vis, notebooks' code
    python -m benchmarks.runtimes  ONNX Runtime and OpenVINO beside PyTorch's forward pass and the peers
    python -m benchmarks.memory    the most memory that it takes, and that the bare forward pass takes
    python -m benchmarks.models    ViT-tiny, Swin-tiny, ConvNeXt-tiny, and tiny configs of Hugging Face and KerasHub
    python -m benchmarks.stream    the throughput of Explainer.stream beside the bare forward passes
    python -m benchmarks.shapes    images of another shape in the same process, which TensorFlow traces anew
    python -m benchmarks.pipeline  200 JPEG files, from file to file, against the bare forward passes alone
    python -m benchmarks.methods   every method of one capture against Grad-CAM, and Eigen-CAM of pytorch-grad-cam
    python -m benchmarks.perturbations  Score-CAM and RISE against as many bare forward passes
    python -m benchmarks.start     cold starts
    python -m benchmarks.precision bfloat16 beside float32: the time, and how the heatmaps differ
    python -m benchmarks.summary   the goals, and whether they were met; it reads what the others have written

They print tables, and write them into benchmarks/results as Markdown and, with every single time, as JSON. All of them
take about an hour on two cores that do nothing else. What an earlier run has written is removed first. If one fails,
the others still run, and the exit status is 1.

    python -m benchmarks --quick   a few rounds of a few cases, to see that everything runs
    python -m benchmarks.evaluate  how long a study of 100 images takes, and its memory; not part of `make bench`
    python -m benchmarks.cutouts   writes the images on which docs/howto/which-method.md compares the methods
    python -m benchmarks.boxes     how well boxes localize, on exact masks; not part of `make bench`
    python -m benchmarks.where     whether the peaks of heatmaps lie on what decided; records its tables itself
    python -m benchmarks.shortcut  a planted shortcut, and whether the report of a data set names it
    python -m benchmarks.attention what models with attention cost; records its table itself
    make bench-runtimes            runtimes alone, and records it
    python -m benchmarks.record    keeps what was measured in docs/measured.json, of which docs/costs.md is made
"""

import argparse
import subprocess
import sys
import time

from benchmarks.record import APART
from benchmarks.results import remove_results

BENCHMARKS = {
    "cost": ("--quick",),
    "growth": ("--quick",),
    "peers": ("--quick",),
    "runtimes": ("--quick",),
    "memory": ("--frameworks", "torch", "keras-tensorflow", "--images", "2"),
    "models": ("--quick",),
    "stream": ("--images", "16", "--rounds", "2", "--frameworks", "torch"),
    "shapes": ("--starts", "2", "--frameworks", "keras-tensorflow"),
    "pipeline": ("--images", "32", "--rounds", "2"),
    "methods": ("--seconds", "0"),
    "perturbations": ("--quick",),
    "start": ("--starts", "1"),
    "precision": ("--rounds", "1", "--model", "EfficientNet-Lite0"),
    "summary": (),
}
"""Their names, and what makes them quick."""


def run(benchmarks: dict[str, tuple[str, ...]], *, quick: bool) -> list[str]:
    """Run benchmarks in turn, each in a process of its own, and return the names of those that failed."""
    begin, failed = time.monotonic(), []
    for number, (benchmark, quickly) in enumerate(benchmarks.items(), start=1):
        start = time.monotonic()
        _say(f"{benchmark}, {number} of {len(benchmarks)}, begins after {(start - begin) / 60:.1f} minutes")
        command = [sys.executable, "-m", f"benchmarks.{benchmark}", *(quickly if quick else ())]
        if (status := subprocess.run(command, check=False).returncode) != 0:
            _say(f"{benchmark} failed with status {status}")
            failed.append(benchmark)
        _say(f"{benchmark}: {time.monotonic() - start:.0f} s")
    _say(f"all: {(time.monotonic() - begin) / 60:.1f} minutes")
    return failed


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run every benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few rounds of a few cases, to see that everything runs")
    quick = parser.parse_args().quick
    remove_results(APART)
    if failed := run(BENCHMARKS, quick=quick):
        sys.exit(
            f"Failed: {', '.join(failed)}. The others have run. Run the failed ones by themselves, as "
            f"python -m benchmarks.{failed[0]}, then python -m benchmarks.summary."
        )


if __name__ == "__main__":
    main()
