"""What the attention methods cost: native PyTorch, timm's ViT-tiny without pretrained weights, one image, in turns."""

import argparse
from functools import partial

import numpy as np
from benchmarks.interleaved import Variants, interleave, machine, ratios
from benchmarks.results import publish
from tests.torchvision_operators import declare_missing

MODEL = "vit_tiny_patch16_224"
METHODS = ("legrad_rollout", "gradient_rollout", "legrad", "attention_rollout")
GOAL = "3.5"
"""How many times as long as the bare forward pass one class may take."""


def variants(classes: int) -> Variants:
    """Return the bare forward pass, and one call of each method."""
    declare_missing()
    import timm
    import torch

    import seewhy

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = timm.create_model(MODEL).eval()
    batch = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    tensor = torch.tensor(batch)

    def forward() -> object:
        with torch.inference_mode():
            return model(tensor)

    explainers = {name: seewhy.Explainer(model, name) for name in METHODS}
    calls = {name: partial(each.heatmaps, batch, list(range(classes))) for name, each in explainers.items()}
    return {"forward": forward, **calls}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="the budget (default 20)")
    parser.add_argument("--classes", type=int, default=1, help="the classes of the image (default 1)")
    given = parser.parse_args()
    times = interleave(variants(given.classes), given.seconds)
    rows = [{"": name, "/ forward": ratios(times, name, "forward").shown(2), "goal": GOAL} for name in METHODS]
    title = f"Attention methods against the forward pass: {MODEL}, classes: {given.classes}"
    publish("attention", title, rows, times, machine("torch", "timm"))


if __name__ == "__main__":
    main()
