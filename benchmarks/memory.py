"""The most memory that an explanation takes, against the bare forward pass: fresh processes, a batch of 16 pictures."""

import argparse
import os
import resource
import subprocess
import sys

from benchmarks.interleaved import machine

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CALLS = 3
GOAL = "1.20"
FRAMEWORKS = ("keras-tensorflow", "keras-jax", "keras-torch", "torch")
WHAT = ("nothing", "forward", "1 class", "8 classes", "1000 classes")


def peak(framework: str, what: str, pictures: int) -> int:
    """Return the most memory this process has held, in bytes, after a few calls of one kind."""
    from benchmarks.forwards import subject

    import seewhy

    subjected = subject(framework, "ResNet50", pictures)
    explainer = seewhy.Explainer(subjected.network)
    for _ in range(0 if what == "nothing" else CALLS):
        if what == "forward":
            subjected.forward()
        else:
            explainer.heatmaps(subjected.batch, list(range(int(what.split()[0]))))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_alone(framework: str, what: str, pictures: int) -> int:
    """Return the same of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", framework, what, "--pictures", str(pictures)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(found.stdout)


def row(framework: str, peaks: dict[str, int]) -> dict[str, str]:
    """Return the cells of one framework: megabytes, and ratios to the forward pass."""
    cells = {"": framework} | {f"{what}, MB": f"{peaks[what] / 2**20:.0f}" for what in ("nothing", "forward")}
    return cells | {f"{what} / forward": f"{peaks[what] / peaks['forward']:.2f}" for what in WHAT[2:]}


def run(pictures: int, frameworks: list[str]) -> None:
    """Measure, and publish the table."""
    from benchmarks.results import publish

    measured = {each: {what: peak_alone(each, what, pictures) for what in WHAT} for each in frameworks}
    publish(
        "memory",
        f"The most memory a process held: ResNet-50, a batch of {pictures}; nothing: the network, and nothing run; "
        f"goal for one class: {GOAL}",
        [row(framework, peaks) for framework, peaks in measured.items()],
        measured,
        machine("keras", "tensorflow", "jax", "torch", "torchvision"),
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=16, help="how many pictures are in the batch (default 16)")
    parser.add_argument("--frameworks", nargs="*", default=list(FRAMEWORKS), choices=FRAMEWORKS, metavar="NAME")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # print the peak of one framework and call
    arguments = parser.parse_args()
    if arguments.one:
        print(peak(*arguments.one, arguments.pictures))
    else:
        run(arguments.pictures, arguments.frameworks)


if __name__ == "__main__":
    main()
