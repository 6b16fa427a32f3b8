"""Oracles: attention methods on timm's transformers, as others write them, with a hook in each attention module.

With timm's unfused attention, its dropout receives the softmax. Its gradient is kept, and the rollout is done with
whole matrices. Ours runs the fused model, and names no module.
"""

import numpy as np
import pytest
import timm
import torch

import seewhy

SIDE = 64
CLASSES = (3, 7)


def model(name, **options):
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=10, img_size=SIDE, **options).eval()


def hooked_maps(network, inputs, target):
    """Return each block's attention (N, H, L, L) and its gradient."""
    maps, hooks = [], []

    def keep(*call):
        call[-1].retain_grad()
        maps.append(call[-1])

    for block in network.blocks:
        block.attn.fused_attn = False
        hooks.append(block.attn.attn_drop.register_forward_hook(keep))
    network(inputs)[:, target].sum().backward()
    for block, hook in zip(network.blocks, hooks, strict=True):
        block.attn.fused_attn = True
        hook.remove()
    return [each.detach() for each in maps], [each.grad for each in maps]


def rollout(shares, kept):
    relevance = torch.eye(shares[0].shape[-1]).expand(*shares[0].shape)
    for share in shares:
        relevance = kept * relevance + share @ relevance
    return relevance


def theirs(network, inputs, target, method):
    """Return the rows of all tokens that the head reads, (N, L, L)."""
    maps, gradients = hooked_maps(network, inputs, target)
    if method == "legrad":
        return torch.stack([each.clamp(min=0).mean(dim=1).mean(dim=1) for each in gradients]).mean(dim=0)[:, None]
    if method == "attention_rollout":
        return rollout([each.mean(dim=1) / 2 for each in maps], 0.5)
    pairs = zip(maps, gradients, strict=True)
    return rollout([(attention * gradient).clamp(min=0).mean(dim=1) for attention, gradient in pairs], 1.0)


@pytest.mark.parametrize("method", ["gradient_rollout", "legrad", "attention_rollout"])
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_timm(method, pool):
    network = model("vit_tiny_patch16_224", depth=3, global_pool=pool, class_token=pool == "token")
    inputs = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    ours = seewhy.Explainer(network, method).heatmaps(inputs, list(CLASSES)).values
    for number, target in enumerate(CLASSES):
        rows = theirs(network, inputs, target, method)
        if pool == "token":
            expected = rows[:, 0, 1:]
        else:
            expected = rows.mean(dim=1) - (1 / rows.shape[-1] if method == "gradient_rollout" else 0)
        expected = expected.reshape(2, 4, 4).detach().numpy()
        np.testing.assert_allclose(ours[:, number], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_registers_and_a_class_token_are_left_out():
    network = model("vit_small_patch14_reg4_dinov2", patch_size=16, depth=2)
    found = seewhy.Explainer(network, "gradient_rollout").heatmaps(torch.randn(1, 3, SIDE, SIDE), [1])
    assert found.values.shape == (1, 1, 4, 4)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("swin_tiny_patch4_window7_224", "attends within windows"),
        ("convit_tiny", "combines the softmax"),
        ("crossvit_tiny_240", "several branches"),
    ],
)
def test_what_cannot_be_explained_is_refused(name, reason):
    sides = {"crossvit_tiny_240": 240}
    network = timm.create_model(name, num_classes=4)
    side = sides.get(name, 224)
    with pytest.raises(seewhy.errors.LayerError, match=reason):
        seewhy.Explainer(network, "gradient_rollout").heatmaps(np.zeros((1, 3, side, side), np.float32), [1])
