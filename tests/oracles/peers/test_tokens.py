"""Grad-CAM at the tokens of timm's and torchvision's transformers equals pytorch-grad-cam's with a reshape function."""

import numpy as np
import pytest
import timm
import torch
import torchvision.models
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import seewhy


def small(name):
    """Return a small transformer of each kind, its layer, its grid, and its number of other tokens."""
    torch.manual_seed(0)
    if name == "torchvision":
        model = torchvision.models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=5)
        torch.nn.init.normal_(model.heads.head.weight)
        return model.eval(), "encoder.layers.encoder_layer_0", (4, 4), 1
    options = {"embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 5, "img_size": (32, 48), "patch_size": 8}
    if name == "registers":
        options |= {"reg_tokens": 4}
    if name == "mean":
        options |= {"class_token": False, "global_pool": "avg"}
    model = timm.models.VisionTransformer(**options)
    return model.eval(), "blocks.0", (4, 6), model.num_prefix_tokens


@pytest.mark.parametrize("name", ["class token", "registers", "mean", "torchvision"])
def test_the_patches_of_a_transformer(name):
    model, layer, grid, others = small(name)
    inputs = np.random.default_rng(0).normal(size=(2, 3, grid[0] * 8, grid[1] * 8)).astype(np.float32)

    def reshape(tokens):
        return tokens[:, others:].reshape(len(tokens), *grid, -1).permute(0, 3, 1, 2)

    with GradCAM(model, [model.get_submodule(layer)], reshape_transform=reshape) as cam:
        targets = [ClassifierOutputTarget(1)] * 2
        cam(torch.tensor(inputs), targets=targets)
        activations, gradients = cam.activations_and_grads.activations[0], cam.activations_and_grads.gradients[0]
        theirs = cam.get_cam_image(
            torch.tensor(inputs), model.get_submodule(layer), targets, activations.numpy(), gradients.numpy(), False
        )
    ours = seewhy.Explainer(model, layer=layer, signed=True).heatmaps(inputs, [1]).values[:, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
