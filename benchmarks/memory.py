"""The most memory that an explanation takes, against the bare forward pass: fresh processes, a batch of 16 images."""

import argparse
import os
import resource
import subprocess
import sys

from benchmarks.goals import goal_of
from benchmarks.interleaved import machine
from benchmarks.results import Figure, Row, publish

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CALLS = 2
FRAMEWORKS = ("torch", "keras-tensorflow", "keras-jax", "keras-torch")
WHAT = ("nothing", "forward", "1 class", "1000 classes")


def peak(framework: str, what: str, images: int) -> int:
    """Return the most memory this process has held, in bytes, after a few calls of one kind."""
    from benchmarks.forwards import subject

    import seewhy

    subjected = subject(framework, "ResNet50", images)
    explainer = seewhy.Explainer(subjected.model)
    for _ in range(0 if what == "nothing" else CALLS):
        if what == "forward":
            subjected.forward()
        else:
            explainer.heatmaps(subjected.batch, list(range(int(what.split()[0]))))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_alone(framework: str, what: str, images: int) -> int:
    """Return the same of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", framework, what, "--images", str(images)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(found.stdout)


def figures(framework: str, peaks: dict[str, int], images: int) -> list[Figure]:
    """Return the megabytes, and the ratios to the forward pass, of one framework."""
    from benchmarks.forwards import FRAMEWORKS as TITLES

    found = []
    for what in WHAT:
        classes = int(what.split()[0]) if "class" in what else 0
        figure = {"title": TITLES[framework], "framework": framework, "images": images, "what": what}
        figure |= {"classes": classes, "mb": round(peaks[what] / 2**20)}
        figure["forward"] = [round(peaks[what] / peaks["forward"], 4)] * 3
        found.append(figure | {"goal": goal_of("memory", figure)})
    return found


def row(of_framework: list[Figure]) -> Row:
    """Return the cells of one framework."""
    cells = {"": of_framework[0]["title"]}
    for each in of_framework:
        if each["classes"]:
            cells[f"{each['what']} / forward"] = f"{each['forward'][1]:.2f}"
        else:
            cells[f"{each['what']}, MB"] = str(each["mb"])
        if each["goal"] is not None:
            cells[f"goal, {each['what']}"] = f"{each['goal']:.2f}"
    return cells


def run(images: int, frameworks: list[str]) -> None:
    """Measure, and publish the table."""
    measured = {each: {what: peak_alone(each, what, images) for what in WHAT} for each in frameworks}
    found = [figures(framework, peaks, images) for framework, peaks in measured.items()]
    publish(
        "memory",
        f"The most memory a process held: ResNet-50, a batch of {images}; nothing: the model, and nothing run",
        [row(of_framework) for of_framework in found],
        measured,
        machine("keras", "tensorflow", "jax", "torch", "torchvision"),
        [each for of_framework in found for each in of_framework],
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16, help="how many images are in the batch (default 16)")
    parser.add_argument("--frameworks", nargs="*", default=list(FRAMEWORKS), choices=FRAMEWORKS, metavar="NAME")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # print the peak of one framework and call
    arguments = parser.parse_args()
    if arguments.one:
        print(peak(*arguments.one, arguments.images))
    else:
        run(arguments.images, arguments.frameworks)


if __name__ == "__main__":
    main()
