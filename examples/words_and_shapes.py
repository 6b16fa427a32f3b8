"""Train a small model that compares images with texts, as CLIP does: coloured shapes, and what they are called.

Its image tower is convolutional or a vision transformer. Each image has two shapes, and the model learns which of the
twelve prompts, such as "a red square", is true of it.

    python examples/words_and_shapes.py towers.safetensors      trains for about half a minute, and writes the weights
"""

import sys
from collections.abc import Sequence

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import seewhy

COLORS = {"red": (0.9, 0.15, 0.15), "green": (0.15, 0.75, 0.2), "blue": (0.2, 0.3, 0.95), "yellow": (0.95, 0.85, 0.15)}
SHAPES = ("square", "circle", "triangle")
PROMPTS = [f"a {color} {shape}" for color in COLORS for shape in SHAPES]
WORDS = {word: number for number, word in enumerate(["a", *COLORS, *SHAPES], start=1)}
SIDE, CONTEXT_LENGTH = 48, 4
SMALLEST, LARGEST = 14, 20


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw images with two different shapes on noise, which do not overlap.

    Returns:
        Images (N, 48, 48, 3) in 0..1; the numbers of the prompts that are true, (N, 2); and the boxes of the two
        shapes, (N, 2, 4), as top, left, bottom, right.
    """
    rng = np.random.default_rng(seed)
    images = rng.uniform(0.3, 0.6, (count, 1, 1, 3)) + rng.normal(0, 0.05, (count, SIDE, SIDE, 3))
    prompts, boxes = np.zeros((count, 2), int), np.zeros((count, 2, 4), int)
    for row in range(count):
        prompts[row] = rng.choice(len(PROMPTS), 2, replace=False)
        boxes[row] = _places(rng)
        for prompt, (top, left, bottom, right) in zip(prompts[row], boxes[row], strict=True):
            color, shape = list(COLORS.values())[prompt // len(SHAPES)], SHAPES[prompt % len(SHAPES)]
            inside = _mask(shape, bottom - top)
            images[row, top:bottom, left:right][inside] = color + rng.normal(0, 0.05, (int(inside.sum()), 3))
    return np.clip(images, 0, 1).astype(np.float32), prompts, boxes


def _places(rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Return two boxes that do not overlap."""
    while True:
        sides = rng.integers(SMALLEST, LARGEST + 1, 2)
        corners = [rng.integers(0, SIDE - side + 1, 2) for side in sides]
        boxes = [(*corner, *(corner + side)) for corner, side in zip(corners, sides, strict=True)]
        first, second = boxes
        if any(first[axis + 2] <= second[axis] or second[axis + 2] <= first[axis] for axis in (0, 1)):
            return boxes


def _mask(shape: str, side: int) -> np.ndarray:
    """Return which pixels (side, side) of its box a shape fills."""
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    if shape == "square":
        return np.ones((side, side), bool)
    if shape == "circle":
        return (rows - side / 2) ** 2 + (columns - side / 2) ** 2 <= (side / 2) ** 2
    return np.abs(columns - side / 2) <= rows / 2


def tokenize(texts: Sequence[str]) -> np.ndarray:
    """Return the number of each word, (N, 4); 0 where there is none, and for words that the model does not know."""
    rows = [[WORDS.get(word, 0) for word in text.lower().split()][:CONTEXT_LENGTH] for text in texts]
    return np.array([row + [0] * (CONTEXT_LENGTH - len(row)) for row in rows])


class Block(torch.nn.Module):
    """A block of a vision transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.attention = torch.nn.MultiheadAttention(width, 4, batch_first=True)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, width)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(torch.nn.Module):
    """An image tower of a few convolutions, which make a token of 6 x 6 pixels each, and a class token."""

    def __init__(self, width: int = 64, blocks: int = 2) -> None:
        super().__init__()
        self.patches = torch.nn.Sequential(
            torch.nn.Conv2d(3, 32, 3, 2, 1),
            torch.nn.BatchNorm2d(32),
            torch.nn.ReLU(),
            torch.nn.Conv2d(32, width, 3, 3),
        )
        self.class_token = torch.nn.Parameter(torch.zeros(1, 1, width))
        self.positions = torch.nn.Parameter(0.02 * torch.randn(1, 1 + (SIDE // 6) ** 2, width))
        self.blocks = torch.nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.norm = torch.nn.LayerNorm(width)
        self.project = torch.nn.Linear(width, 32, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], 1) + self.positions
        return self.project(self.norm(self.blocks(tokens)[:, 0]))


def convolutions() -> torch.nn.Module:
    """Return a convolutional image tower."""
    layers = []
    for before, after, stride in ((3, 24, 2), (24, 32, 2), (32, 48, 1), (48, 48, 1)):
        layers += [
            torch.nn.Conv2d(before, after, 3, stride, 1),
            torch.nn.BatchNorm2d(after),
            torch.nn.ReLU(),
        ]
    pool = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return torch.nn.Sequential(*layers, pool, torch.nn.Linear(48, 32, bias=False))


TOWERS = {"CNN": convolutions, "ViT": VisionTransformer}


class Towers(torch.nn.Module):
    """A model with an image and a text tower, with the names that open_clip gives to its parts."""

    def __init__(self, image_tower: str = "CNN") -> None:
        super().__init__()
        self.visual = TOWERS[image_tower]()
        self.words = torch.nn.Embedding(len(WORDS) + 1, 64)
        self.text = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.GELU(), torch.nn.Linear(64, 32))
        self.logit_scale = torch.nn.Parameter(torch.tensor(np.log(10.0)).float())
        self.logit_bias = torch.nn.Parameter(torch.tensor(-5.0))

    def encode_image(self, images: torch.Tensor) -> torch.Tensor:
        return self.visual(images)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.text(self.words(tokens).sum(1))


def train(image_tower: str = "CNN", steps: int = 400, seed: int = 0) -> Towers:
    """Train with the loss of SigLIP: each prompt is true of an image, or not."""
    torch.manual_seed(seed)
    model = Towers(image_tower).train()
    images, prompts, _ = draw(4_000, seed)
    pixels = torch.tensor(images).permute(0, 3, 1, 2) * 2 - 1
    truth = torch.zeros(len(images), len(PROMPTS)).scatter_(1, torch.tensor(prompts), 1.0)
    tokens, generator = torch.tensor(tokenize(PROMPTS)), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(pixels), (64,), generator=generator)
        batch, wanted = pixels[chosen], truth[chosen]
        if torch.rand((), generator=generator) < 0.5:
            batch = batch.flip(3)
        unit = torch.nn.functional.normalize(model.encode_image(batch), dim=1)
        texts = torch.nn.functional.normalize(model.encode_text(tokens), dim=1)
        logits = model.logit_scale.exp() * unit @ texts.T + model.logit_bias
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def classifier(model: Towers) -> seewhy.Classifier:
    """Return the model with its preprocessing and its tokenizer."""
    preprocessing = seewhy.Preprocessing(size=(SIDE, SIDE), mean=127.5, std=127.5)
    return seewhy.Classifier(model, preprocess=preprocessing, tokenizer=tokenize, name="shapes")


def build() -> seewhy.Classifier:
    """Return the trained model in this folder: `seewhy explain --model words_and_shapes:build`."""
    model = Towers()
    model.load_state_dict(load_file("towers.safetensors"))
    return classifier(model.eval())


if __name__ == "__main__":
    save_file(train().state_dict(), sys.argv[1])
