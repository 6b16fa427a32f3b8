"""What models with attention cost: native PyTorch, timm's models without pretrained weights, one image, in turns.

Processor time of one thread is measured, which other processes disturb less than the time on the wall.

python -m benchmarks.attention           prints the table
python -m benchmarks.attention --record  keeps it in docs/measured.json, of which the documentation is made
"""

import argparse
import time
from functools import partial

import numpy as np
from benchmarks.interleaved import Times, Variants, interleave, machine, ratios
from benchmarks.record import record_results
from benchmarks.results import Row, publish
from tests.torchvision_operators import declare_missing

CASES: dict[str, dict[str, dict[int, str]]] = {
    "vit_tiny_patch16_224": {
        "gradcam": {1: "1.15", 8: "1.25"},
        "gradient_rollout": {1: "3.5", 8: ""},
        "legrad_rollout": {1: "", 8: ""},
        "legrad": {1: "", 8: ""},
        "attention_rollout": {1: "", 8: ""},
    },
    "swin_tiny_patch4_window7_224": {"gradcam": {1: "1.15", 8: "1.25"}, "integrated_gradients": {1: ""}},
}
"""For each model and method, the numbers of classes, and how many times the bare forward pass they may take."""

STEPS = 16
"""Of integrated gradients, as many as the default method takes."""


def variants(name: str) -> Variants:
    """Return the bare forward pass of a model, and one call of each method and number of classes."""
    declare_missing()
    import timm
    import torch

    import seewhy

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = timm.create_model(name).eval()
    batch = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    tensor = torch.tensor(batch)

    def forward() -> object:
        with torch.inference_mode():
            return model(tensor)

    calls: Variants = {"forward": forward}
    for method, numbers in CASES[name].items():
        options = {"steps": STEPS} if method == "integrated_gradients" else {}
        explainer = seewhy.Explainer(model, seewhy.methods.get(method, **options))
        for classes in numbers:
            calls[f"{method}, {classes}"] = partial(explainer.heatmaps, batch, list(range(classes)))
    return calls


def rows(name: str, times: Times) -> list[Row]:
    """Return the rows of a model."""
    return [
        {
            "model": name,
            "method": method,
            "classes": str(classes),
            "/ forward": ratios(times, f"{method}, {classes}", "forward").shown(2),
            "goal": goal,
        }
        for method, numbers in CASES[name].items()
        for classes, goal in numbers.items()
    ]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="the budget of each model (default 60)")
    parser.add_argument("--record", action="store_true", help="keep the table in docs/measured.json")
    given = parser.parse_args()
    times = {name: interleave(variants(name), given.seconds, clock=time.process_time) for name in CASES}
    table = [row for name in CASES for row in rows(name, times[name])]
    publish("attention", "Models with attention against the forward pass", table, times, machine("torch", "timm"))
    if given.record:
        record_results(["attention"])


if __name__ == "__main__":
    main()
