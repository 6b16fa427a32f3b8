"""Perturbations of a transformer's tokens: of the patches, in their grid, while the class token keeps its values."""

import numpy as np
import torch
from torch import nn

import seewhy

GRID = (2, 3)


class Block(nn.Module):
    """Attention without layer names that would tell it, and a residual connection around it."""

    def __init__(self, strength, size=6):
        super().__init__()
        self.strength = strength
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))

    def forward(self, x):
        return x + torch.softmax(self.query(x) @ self.key(x).transpose(1, 2), dim=-1) @ (self.strength * self.value(x))


class Transformer(nn.Module):
    """Patches of 4 pixels behind a class token, which is read after the second block."""

    def __init__(self):
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 6, 4, 4), nn.Parameter(torch.randn(1, 1, 6))
        self.first, self.second, self.dense = Block(0.1), Block(10), nn.Linear(6, 3)

    def trunk(self, x):
        patches = self.patches(x).flatten(2).transpose(1, 2)
        return self.first(torch.cat([self.token.expand(len(patches), -1, -1), patches], dim=1))

    def head(self, tokens):
        return self.dense(self.second(tokens)[:, 0])

    def forward(self, x):
        return self.head(self.trunk(x))


def test_recipro_cam_masks_the_grid_of_patches():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Transformer().eval()
    inputs = np.random.default_rng(0).normal(size=(1, 3, 8, 12)).astype(np.float32)
    found = seewhy.Explainer(model, "recipro_cam", "first", signed=True).heatmaps(inputs, [2]).values[0, 0]
    with torch.no_grad():
        tokens = model.trunk(torch.tensor(inputs))

        def score(mask):
            masked = tokens.clone()
            masked[:, 1:] *= torch.tensor(mask.reshape(-1, 1), dtype=torch.float32)
            return model.head(masked)[0, 2].item()

        expected = np.zeros(GRID)
        for position in np.ndindex(GRID):
            distances = np.abs(np.indices(GRID) - np.reshape(position, (2, 1, 1)))
            expected[position] = score(np.array([0.5, 0.25, 0])[distances].prod(axis=0)) - score(np.zeros(GRID))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-6)
