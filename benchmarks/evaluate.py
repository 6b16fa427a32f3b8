"""How long a study takes, and how much memory: 5 methods and 2 baselines by deletion and insertion with 50 steps.

python -m benchmarks.evaluate                100 images, EfficientNet-Lite0 in ONNX Runtime; the goal is 15 minutes
python -m benchmarks.evaluate --images 20    fewer
python -m benchmarks.evaluate --memory       the peak of memory for 10 and for 40 images, which should be the same
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.evaluate_images import write_crops

METHODS = ("gradcam", "gradcam++", "hirescam", "layercam", "eigencam")
METRICS = ("deletion", "insertion")
STEPS = 50
FEW, MANY = 10, 40


def measure(images: int, steps: int, out: Path) -> None:
    """Run a study, write its report, and print the time and the most memory that this process has held."""
    import seewhy
    from seewhy.evaluate import study

    start = time.perf_counter()
    classifier = seewhy.load("efficientnet-lite0", backend="onnx")
    with tempfile.TemporaryDirectory() as folder:
        write_crops(Path(folder) / "images", images)
        begin = time.perf_counter()
        result = study(classifier, Path(folder) / "images", METHODS, METRICS, steps=steps, out=Path(folder) / "study")
        measured = time.perf_counter()
        result.report(out / "report.html")
        result.save(out / "values.csv")
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    forwards = images * len(result.methods) * len(METRICS) * (steps + 1)
    print(f"{images} images: {end - start:.0f} s in all, {measured - begin:.0f} s for {forwards:,} forward passes and ")
    print(f"{images * len(METHODS)} heatmaps ({(measured - begin) / forwards * 1000:.2f} ms each); ", end="")
    print(f"{end - measured:.1f} s for statistics and report; peak memory {peak:.0f} MB")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--memory", action="store_true", help="two studies of different lengths, in fresh processes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    if not arguments.memory:
        measure(arguments.images, arguments.steps, arguments.out)
        return
    for images in (FEW, MANY):
        command = [
            sys.executable,
            "-m",
            "benchmarks.evaluate",
            "--images",
            str(images),
            "--steps",
            str(arguments.steps),
        ]
        subprocess.run([*command, "--out", str(arguments.out)], check=True)


if __name__ == "__main__":
    main()
