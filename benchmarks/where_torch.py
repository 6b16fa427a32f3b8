"""The models of the where-test in native PyTorch, and their training."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from benchmarks.where_images import CELL, COLOURS, Grid, draw_squares
from torch import nn
from torch.nn import functional

WIDTH = 32
HEADS = 2
CLASSES = len(COLOURS)
LEARNING_RATE = 2e-3
BATCH = 48
CHECK_EVERY = 25
"""After how many steps the model is tried on images that it has not seen."""


class Attention(nn.Module):
    """Self-attention with an explicit softmax, or with PyTorch's fused operation."""

    def __init__(self, *, is_fused: bool) -> None:
        super().__init__()
        self.query, self.key, self.value, self.proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.is_fused = is_fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, length, _ = x.shape
        split = (count, length, HEADS, WIDTH // HEADS)
        q, k, v = (layer(x).reshape(split).transpose(1, 2) for layer in (self.query, self.key, self.value))
        if self.is_fused:
            x = functional.scaled_dot_product_attention(q, k, v)
        else:
            x = ((q @ k.transpose(-2, -1)) * (WIDTH // HEADS) ** -0.5).softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(count, length, WIDTH))


class SequenceFirst(nn.Module):
    """`nn.MultiheadAttention` of tokens (L, N, K)."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Windows(nn.Module):
    """Self-attention within windows of 4 x 4 positions of (N, h, w, K), which may be shifted by half a window."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.attention, self.shift, self.side = Attention(is_fused=False), shift, 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, rows, columns, width = x.shape
        side = self.side
        x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        x = x.reshape(count, rows // side, side, columns // side, side, width).transpose(2, 3)
        shape = x.shape
        x = self.attention(x.reshape(-1, side * side, width)).reshape(shape).transpose(2, 3)
        return torch.roll(x.reshape(count, rows, columns, width), (self.shift, self.shift), (1, 2))


class Block(nn.Module):
    """A block of a transformer."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(WIDTH), attention, nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Prefix(nn.Module):
    """Adds positions to tokens (N, L, K), and puts learned tokens before them."""

    def __init__(self, length: int, count: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(0.02 * torch.randn(1, length, WIDTH))
        self.tokens = nn.Parameter(0.02 * torch.randn(1, count, WIDTH)) if count else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.positions
        return x if self.tokens is None else torch.cat([self.tokens.expand(len(x), -1, -1), x], dim=1)


class VisionTransformer(nn.Module):
    """A ViT whose class is read from the first of its prefix tokens, or from the mean of all where it has none."""

    def __init__(self, grid: Grid, blocks: int, prefix: int, *, is_sequence_first: bool = False) -> None:
        super().__init__()
        self.is_sequence_first, self.has_class_token = is_sequence_first, prefix > 0
        self.patch_embed = nn.Conv2d(3, WIDTH, CELL, CELL)
        self.prefix = Prefix(grid[0] * grid[1], prefix)
        attention = SequenceFirst if is_sequence_first else lambda: Attention(is_fused=True)
        self.blocks = nn.Sequential(*(Block(attention()) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.prefix(self.patch_embed(image).flatten(2).transpose(1, 2))
        if self.is_sequence_first:
            x = self.norm(self.blocks(x.transpose(0, 1))).transpose(0, 1)
        else:
            x = self.norm(self.blocks(x))
        return self.head(x[:, 0] if self.has_class_token else x.mean(dim=1))


class Swin(nn.Module):
    """Attention in windows and then in shifted windows, of patches of 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, WIDTH, CELL // 2, CELL // 2)
        self.blocks = nn.Sequential(Block(Windows(0)), Block(Windows(2)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.patch_embed(image).permute(0, 2, 3, 1))
        return self.head(self.norm(x).mean(dim=(1, 2)))


class Scale(nn.Module):
    """Scales each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((WIDTH,), 0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class ConvNextBlock(nn.Module):
    """A residual branch, which the block's sum bypasses."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH), Scale())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.mlp(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        return x + branch.permute(0, 3, 1, 2)


def cnn() -> nn.Module:
    """Return convolutions, pooling and a linear layer."""
    sizes = ((3, 8), (8, 16), (16, WIDTH))
    convolutions = [
        nn.Sequential(nn.Conv2d(*size, 3, 2, 1), nn.BatchNorm2d(size[1], momentum=0.3), nn.ReLU()) for size in sizes
    ]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, CLASSES))


def convnext() -> nn.Module:
    """Return a stem of patches, two residual blocks, pooling and a linear layer."""
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, CLASSES))
    return nn.Sequential(nn.Conv2d(3, WIDTH, 8, 8), ConvNextBlock(), ConvNextBlock(), *pooled)


MODELS: dict[str, Callable[[Grid], nn.Module]] = {
    "cnn": lambda _: cnn(),
    "convnext": lambda _: convnext(),
    "vit-class-2": lambda grid: VisionTransformer(grid, blocks=2, prefix=1),
    "vit-class-4": lambda grid: VisionTransformer(grid, blocks=4, prefix=1),
    "vit-mean-2": lambda grid: VisionTransformer(grid, blocks=2, prefix=0),
    "vit-mean-4": lambda grid: VisionTransformer(grid, blocks=4, prefix=0),
    "vit-registers": lambda grid: VisionTransformer(grid, blocks=2, prefix=5),
    "vit-sequence-first": lambda grid: VisionTransformer(grid, blocks=2, prefix=1, is_sequence_first=True),
    "swin": lambda _: Swin(),
}


def to_inputs(images: Any) -> Any:
    """Return images (N, h, w, 3) as the models take them."""
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def weight_arrays(model: nn.Module) -> Iterator[Any]:
    """Yield the weights in Keras's order and layout, but for the division of kernels among attention heads."""
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            kernels, biases = module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3)
            yield from (array for kernel, bias in zip(kernels, biases, strict=True) for array in (kernel.T, bias))
        elif isinstance(module, nn.Conv2d):
            yield module.weight.permute(2, 3, *((1, 0) if module.groups == 1 else (0, 1)))
            yield module.bias
        elif isinstance(module, nn.Linear):
            yield from (module.weight.T, module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            yield from (module.weight, module.bias, module.running_mean, module.running_var)
        else:
            yield from module.parameters(recurse=False)


def train(name: str, grid: Grid, steps: int) -> nn.Module:
    """Return a model that was trained until it names the colour of every square in images that it has not seen."""
    torch.manual_seed(0)
    model = MODELS[name](grid)
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    seen, unseen = draw_squares(40 * BATCH, grid, seed=1), draw_squares(256, grid, seed=2)
    images, classes = torch.tensor(to_inputs(seen.images)), torch.tensor(seen.classes)
    tried = torch.tensor(to_inputs(unseen.images))
    for step in range(1, steps + 1):
        chosen = torch.randint(len(images), (BATCH,))
        loss = functional.cross_entropy(model.train()(images[chosen]), classes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % CHECK_EVERY == 0:
            with torch.no_grad():
                scores = model.eval()(tried)
            loss = functional.cross_entropy(scores, torch.tensor(unseen.classes))
            if (scores.argmax(1).numpy() == unseen.classes).all() and loss < 0.02:
                break
    return model.eval()
