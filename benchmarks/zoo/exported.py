"""Explain one small model of each of 20 families of timm in ONNX Runtime, and compare it with PyTorch.

    python -m benchmarks.zoo.exported

Heatmaps agree to 1e-3 of the largest value, or the model is refused in words; anything else makes this fail. The
weights are random. It takes a minute or two, and is part of `make zoo-sample`.
"""

import sys
import time
import warnings

import numpy as np
import torch
from tests.torchvision_operators import declare_missing

import seewhy
from seewhy.errors import SeewhyError

MODELS = {
    "resnet10t": 64,
    "mobilenetv3_small_050": 64,
    "efficientnet_lite0": 64,
    "regnetx_002": 64,
    "densenet121": 64,
    "vgg11": 64,
    "convnext_atto": 64,
    "convnextv2_atto": 64,
    "repvgg_a0": 64,
    "ghostnet_050": 64,
    "hardcorenas_a": 64,
    "dla34": 64,
    "mobileone_s0": 64,
    "fastvit_t8": 64,
    "edgenext_xx_small": 64,
    "poolformer_s12": 64,
    "mixer_s32_224": 224,
    "vit_tiny_patch16_224": 224,
    "deit_tiny_patch16_224": 224,
    "swin_tiny_patch4_window7_224": 224,
}
"""The families, by a model of each, and the side of the image that it is given."""

TOLERANCE = 1e-3


def main() -> int:
    """Compare all models, and return the number of those that differ."""
    declare_missing()  # before timm imports torchvision
    torch.set_num_threads(1)
    differing = [name for name, side in MODELS.items() if not _agrees(name, side)]
    print(f"{len(MODELS)} models, {len(differing)} of them differ from PyTorch: {', '.join(differing) or 'none'}")
    return len(differing)


def _agrees(name: str, side: int) -> bool:
    import timm

    torch.manual_seed(0)
    start, model = time.monotonic(), timm.create_model(name, pretrained=False).eval()
    torch.nn.init.normal_(model.get_classifier().weight)  # some models begin with zeros
    image = np.random.default_rng(0).normal(size=(1, 3, side, side)).astype(np.float32)
    wanted = seewhy.Explainer(model, "gradcam", signed=True).heatmaps(image, [1, 2])
    try:
        found = seewhy.Explainer(model, "gradcam", signed=True, backend="onnx").heatmaps(image, [1, 2])
    except SeewhyError as error:
        print(f"{time.monotonic() - start:6.1f} s  {name}: refused, {error}", flush=True)
        return True
    difference = float(np.abs(found.values - wanted.values).max() / np.abs(wanted.values).max())
    print(f"{time.monotonic() - start:6.1f} s  {name}: {found.layer}, differs by {difference:.1e}", flush=True)
    return found.layer == wanted.layer and difference <= TOLERANCE


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
