"""What an explanation costs, against the bare forward pass of the same network. Run it with `make bench`.

All variants of a network are measured in turn, one run each, round after round, so that a machine that grows slower
does so for all of them. What counts are the ratios of medians within one run of this script.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track
from rich.table import Table

import seewhy

EXAMPLES = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Case:
    """A network, and the goals for one and for eight classes, as ratios to its bare forward pass."""

    name: str
    build: Callable[[], keras.Model]
    one: float
    eight: float


CASES = {
    case.name: case
    for case in (
        Case("ResNet50", lambda: keras.applications.ResNet50(weights=None), 1.15, 1.25),
        Case("VGG16", lambda: keras.applications.VGG16(weights=None), 1.3, 2.0),
        Case("EfficientNet-Lite0", lambda: seewhy.load("efficientnet-lite0").network, 1.15, 1.25),
    )
}


def milliseconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def measure(case: Case, rounds: int) -> dict[str, list[float]]:
    """Return the times of the bare forward pass and of explaining one and eight classes, in milliseconds."""
    keras.utils.set_random_seed(0)
    network = case.build()
    explainer = seewhy.Explainer(network)
    inputs = np.random.default_rng(0).normal(size=(1, *network.input_shape[1:])).astype(np.float32)
    forward = tf.function(lambda batch: network(batch, training=False), autograph=False)
    variants = {
        "forward": lambda: forward(tf.constant(inputs)).numpy(),
        "1 class": lambda: explainer.heatmaps(inputs, [3]),
        "8 classes": lambda: explainer.heatmaps(inputs, list(range(8))),
    }
    for _ in range(3):
        for call in variants.values():
            call()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in track(range(rounds), description=case.name, console=Console(stderr=True), transient=True):
        for name, call in variants.items():
            times[name].append(milliseconds(call))
    return times


def print_ratios(rounds: int, names: list[str]) -> None:
    """Measure networks and print the table."""
    table = Table(title="Warm, one picture: medians in ms (25% to 75%), and ratios to the bare forward pass")
    for heading in ("network", "forward", "1 class", "ratio", "goal", "8 classes", "ratio", "goal"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name in names:
        case, times = CASES[name], measure(CASES[name], rounds)
        middle = {variant: statistics.median(each) for variant, each in times.items()}
        shown = {
            variant: "{1:.1f} ({0:.1f} to {2:.1f})".format(*statistics.quantiles(times[variant])) for variant in times
        }
        one, eight = middle["1 class"] / middle["forward"], middle["8 classes"] / middle["forward"]
        one_cells = (shown["1 class"], f"{one:.2f}", f"{case.one:.2f}")
        eight_cells = (shown["8 classes"], f"{eight:.2f}", f"{case.eight:.2f}")
        table.add_row(name, shown["forward"], *one_cells, *eight_cells)
    Console(width=140).print(table)


def seconds(*command: str) -> float:
    """Time a whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


PHASES = """
import time
clock = time.perf_counter
start = clock(); import tensorflow, keras; print(clock() - start)
start = clock(); import seewhy; classifier = seewhy.load("efficientnet-lite0"); print(clock() - start)
start = clock(); explainer = seewhy.Explainer(classifier); explainer.explain([{picture!r}]); print(clock() - start)
start = clock(); explainer.explain([{picture!r}]); print(clock() - start)
"""


def print_starts(repeats: int) -> None:
    """Print what a start costs, as medians of fresh processes."""
    seewhy_command = str(Path(sys.executable).parent / "seewhy")
    picture = str(EXAMPLES / "cat.png")
    whole = {
        "import seewhy": (sys.executable, "-c", "import seewhy"),
        "python that imports nothing": (sys.executable, "-c", ""),
        "seewhy --help": (seewhy_command, "--help"),
        "seewhy explain examples/cat.png": (seewhy_command, "explain", picture, "--out", "demo"),
    }
    table = Table(title=f"Cold: seconds, median of {repeats} fresh processes")
    table.add_column("what")
    table.add_column("s", justify="right")
    for name, command in whole.items():
        table.add_row(name, f"{statistics.median(seconds(*command) for _ in range(repeats)):.2f}")
    command = [sys.executable, "-c", PHASES.format(picture=picture)]
    phases = [
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(repeats)
    ]
    names = (
        "  import TensorFlow",
        "  load the network",
        "  first explanation: trace, compile, run",
        "  second explanation",
    )
    for name, each in zip(names, zip(*phases, strict=True), strict=True):
        table.add_row(name, f"{statistics.median(map(float, each)):.2f}")
    Console(width=140).print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="rounds of every network (default 30)")
    parser.add_argument("--starts", type=int, default=5, help="fresh processes for the cold start (default 5; 0: none)")
    parser.add_argument("--networks", nargs="*", default=list(CASES), choices=list(CASES), metavar="NAME")
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, SeeWhy {seewhy.__version__}"
    )
    if arguments.starts:
        print_starts(arguments.starts)
    print_ratios(arguments.rounds, arguments.networks)


if __name__ == "__main__":
    main()
