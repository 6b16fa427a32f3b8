"""What an explanation costs, against the bare forward pass of the same network, on every framework.

Each row of the table is a process of its own, in which the bare forward pass, one class and eight classes take turns.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.interleaved import Spread, Times, interleave, machine, ratios

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@dataclass(frozen=True)
class Case:
    """A framework, a network, and the goals for one and for eight classes, as ratios to the bare forward pass."""

    framework: str
    network: str
    one: float = 1.10
    eight: float = 1.15


CASES = (
    *(
        Case(framework, "ResNet50")
        for framework in ("keras-tensorflow", "keras-jax", "keras-torch", "torch", "torch-channels-last")
    ),
    *(Case("keras-tensorflow", network) for network in ("Xception", "MobileNetV2", "EfficientNet-Lite0")),
    Case("torch", "MobileNetV2"),
    *(Case(framework, "VGG16", 1.25, 1.6) for framework in ("keras-tensorflow", "torch")),
)


def measure(framework: str, network: str, rounds: int) -> Times:
    """Measure one case, in this process."""
    from benchmarks.forwards import subject

    import seewhy

    what = subject(framework, network)
    explainer = seewhy.Explainer(what.network)
    return interleave(
        {
            "forward": what.forward,
            "1 class": lambda: explainer.heatmaps(what.batch, [3]),
            "8 classes": lambda: explainer.heatmaps(what.batch, list(range(8))),
        },
        rounds,
    )


def measure_alone(case: Case, rounds: int) -> Times:
    """Measure one case in a process of its own."""
    command = ["--framework", case.framework, "--network", case.network, "--rounds", str(rounds)]
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.cost", "--one", *command], check=True, stdout=subprocess.PIPE, text=True
    )
    times: Times = json.loads(found.stdout)
    return times


def row(case: Case, times: Times) -> dict[str, str]:
    """Return the cells of one case."""
    cells = {"": f"{case.framework}, {case.network}", "forward, ms": Spread.of(times["forward"]).shown(1)}
    for variant, goal in (("1 class", case.one), ("8 classes", case.eight)):
        cells[f"{variant}, ratio"] = ratios(times, variant, "forward").shown(2)
        cells[f"{variant}, goal"] = f"{goal:.2f}"
    return cells


def run(rounds: int, framework: str | None = None, network: str | None = None) -> None:
    """Measure the cases, all of them or those that were named, and publish the table."""
    from benchmarks.results import publish

    cases = [each for each in CASES if framework in (None, each.framework) and network in (None, each.network)]
    if not cases:
        raise SystemExit(f"No such case; there are {[(each.framework, each.network) for each in CASES]}.")
    measured = {case: measure_alone(case, rounds) for case in cases}
    publish(
        "cost",
        f"What an explanation costs: one picture, {rounds} rounds; medians, and the middle half of the rounds",
        [row(case, times) for case, times in measured.items()],
        [{"framework": case.framework, "network": case.network, "ms": times} for case, times in measured.items()],
        machine("keras", "tensorflow", "jax", "torch", "torchvision"),
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="rounds of every case (default 30)")
    parser.add_argument("--framework", help="only this framework")
    parser.add_argument("--network", help="only this network")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # print the times of one case as JSON
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.framework, arguments.network, arguments.rounds)))
    else:
        run(arguments.rounds, arguments.framework, arguments.network)


if __name__ == "__main__":
    main()
