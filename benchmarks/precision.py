"""What bfloat16 changes, in time and in the heatmaps: Grad-CAM in both precisions, in turns, on every framework.

EfficientNet-Lite0 has its trained weights, and explains the top class of the images in examples/; ResNet-50's weights
are random, and so is its input. What bfloat16 gains depends on the processor: some have units for it (Intel's AMX), and
on others it may take longer than float32. The caption says which this is.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.interleaved import Spread, machine

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

EXAMPLES = Path(__file__).parent.parent / "examples"

CASES = (
    ("keras-tensorflow", "EfficientNet-Lite0"),
    ("keras-jax", "EfficientNet-Lite0"),
    ("torch", "EfficientNet-Lite0"),
    ("keras-tensorflow", "ResNet50"),
    ("keras-jax", "ResNet50"),
    ("keras-torch", "ResNet50"),
)

PRECISIONS = ("float32", "bfloat16")


WARM_UP = 3


def subject(framework: str, model: str) -> tuple[Any, list[Any]]:
    """Return what is explained, and batches of one image each."""
    from seewhy.models import efficientnet_lite0_backends

    if framework.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = framework.removeprefix("keras-")
    if model == "ResNet50":
        import keras

        keras.utils.set_random_seed(0)
        batch = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
        return keras.applications.ResNet50(weights=None), [batch]
    backend = efficientnet_lite0_backends.KERAS if framework.startswith("keras-") else "torch"
    classifier = efficientnet_lite0_backends.build(True, backend)
    images = sorted(each for each in EXAMPLES.iterdir() if each.suffix in (".png", ".jpg"))
    return classifier, [classifier.preprocess([each]).values for each in images]


def milliseconds(explainer: Any, batch: Any) -> float:
    """Time one explanation."""
    start = time.perf_counter()
    explainer.heatmaps(batch)
    return 1000 * (time.perf_counter() - start)


def difference(found: Any, wanted: Any) -> dict[str, float]:
    """Compare the heatmaps of one image, of the class that is the top one in float32."""
    difference = np.abs(found.values - wanted.values).max() / np.abs(wanted.values).max()
    return {
        "of the maximum": float(difference),
        "correlation": float(np.corrcoef(found.values.ravel(), wanted.values.ravel())[0, 1]),
        "probability": float(np.abs(found.probabilities - wanted.probabilities).max()),
        "top-1 stays": float(found.probabilities.argmax() == wanted.probabilities.argmax()),
    }


def measure(framework: str, model: str, method: str, rounds: int) -> dict[str, Any]:
    """Measure one case, in this process."""
    import seewhy

    what, batches = subject(framework, model)
    explainers = {each: seewhy.Explainer(what, method, precision=each) for each in PRECISIONS}
    differences = []
    for batch in batches:
        wanted = explainers["float32"].heatmaps(batch)
        found = explainers["bfloat16"].heatmaps(batch, int(wanted.indices[0, 0]))
        differences.append(difference(found, wanted))
    turns = [[milliseconds(explainers[each], batches[0]) for each in PRECISIONS] for _ in range(WARM_UP + rounds)]
    return {"ms": turns[WARM_UP:], "differences": differences}


def measure_alone(framework: str, model: str, method: str, rounds: int) -> dict[str, Any]:
    """Measure one case in a process of its own."""
    options = ["--framework", framework, "--model", model, "--method", method, "--rounds", str(rounds)]
    command = [sys.executable, "-m", "benchmarks.precision", "--one", *options]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, Any] = json.loads(found.stdout)
    return measured


def row(framework: str, model: str, measured: dict[str, Any]) -> dict[str, str]:
    """Return the cells of one case: the ratio of times, and the worst of its images."""
    ratios = [narrow / full for full, narrow in measured["ms"]]
    worst = {name: [each[name] for each in measured["differences"]] for name in measured["differences"][0]}
    return {
        "": f"{framework}, {model}",
        "float32, ms": Spread.of([full for full, _ in measured["ms"]]).shown(0),
        "bfloat16 / float32": Spread.of(ratios).shown(2),
        "images": str(len(measured["differences"])),
        "difference, of the maximum": f"{max(worst['of the maximum']):.3f}",
        "correlation": f"{min(worst['correlation']):.4f}",
        "difference of probability": f"{max(worst['probability']):.3f}",
        "top-1 stays": f"{sum(worst['top-1 stays']):.0f} of {len(worst['top-1 stays'])}",
    }


def amx() -> str:
    """Say whether the processor has units for bfloat16, as Linux lists them."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "AMX unknown"
    return "with AMX" if "amx_bf16" in flags else "no AMX"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds of every case (default 10)")
    parser.add_argument("--method", default="gradcam", help="the method (default gradcam)")
    parser.add_argument("--framework", help="only this framework")
    parser.add_argument("--model", help="only this model")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # print one case as JSON
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.framework, arguments.model, arguments.method, arguments.rounds)))
        return
    from benchmarks.results import publish

    cases = [each for each in CASES if arguments.framework in (None, each[0]) and arguments.model in (None, each[1])]
    if not cases:
        raise SystemExit(f"No such case; there are {CASES}.")
    measured = {case: measure_alone(*case, arguments.method, arguments.rounds) for case in cases}
    publish(
        "precision",
        f"bfloat16 beside float32: {arguments.method}, {arguments.rounds} rounds; the worst of the images",
        [row(*case, each) for case, each in measured.items()],
        [{"framework": case[0], "model": case[1], **each} for case, each in measured.items()],
        f"{amx()}, {machine('keras', 'tensorflow', 'jax', 'torch')}",
    )


if __name__ == "__main__":
    main()
