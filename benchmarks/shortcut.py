"""A planted shortcut, and whether the report of a data set finds it.

    python -m benchmarks.shortcut            one data set with a coloured tag in a corner of one class
    python -m benchmarks.shortcut --seeds 10 ten data sets with a tag and ten without, and what is named in each

Images of three shapes are drawn, each at a random place, in a random colour and size. With a tag, most images of discs
have a small coloured square near their lower left corner. A small model is trained on them in seconds, explains other
images of the same kind, and `seewhy report` says where it looks.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

import seewhy
from seewhy import datasets

CLASSES = ("disc", "square", "triangle")
SIDE = 96
TAG = (78, 8, 90, 20)
"""(top, left, bottom, right) of the tag, in pixels of the image."""

TRAINED, EXPLAINED = 200, 100
"""The number of images of each class."""

TAGGED = 0.6
"""The share of the discs that have the tag."""


class Drawn(NamedTuple):
    """Images, uint8 (N, SIDE, SIDE, 3), their classes, and which have the tag."""

    images: np.ndarray
    classes: np.ndarray
    tagged: np.ndarray


def draw(count: int, random: np.random.Generator, *, share: float) -> Drawn:
    """Draw this many images of each class; of the discs, this share has the tag."""
    images, classes, tagged = [], [], []
    for index in range(len(CLASSES)):
        for number in range(count):
            has_tag = index == 0 and number < share * count
            images.append(_draw_image(index, random, has_tag=has_tag))
            classes.append(index)
            tagged.append(has_tag)
    return Drawn(np.stack(images), np.array(classes), np.array(tagged))


def _draw_image(index: int, random: np.random.Generator, *, has_tag: bool) -> np.ndarray:
    coarse = random.integers(90, 166, (6, 6, 3)).astype(np.uint8)
    image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    radius = random.uniform(14, 24)
    x, y = random.uniform(radius + 2, SIDE - radius - 2, 2)
    color = tuple(int(value) for value in random.choice([random.integers(0, 60, 3), random.integers(195, 256, 3)]))
    box = (x - radius, y - radius, x + radius, y + radius)
    if index == 0:
        pen.ellipse(box, fill=color)
    elif index == 1:
        pen.rectangle((x - radius * 0.85, y - radius * 0.85, x + radius * 0.85, y + radius * 0.85), fill=color)
    else:
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=color)
    if has_tag:
        pen.rectangle((TAG[1], TAG[0], TAG[3] - 1, TAG[2] - 1), fill=(225, 40, 90))
    noise = random.normal(0, 6, (SIDE, SIDE, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def train(drawn: Drawn, seed: int, epochs: int = 12) -> seewhy.Classifier:
    """Train a small model."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(3, 16, 5, 2, 2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, 2, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, 32, 3, 1, 1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(32, len(CLASSES)),
    )
    inputs = torch.from_numpy(drawn.images.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5)
    labels = torch.from_numpy(drawn.classes)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    preprocessing = seewhy.Preprocessing((SIDE, SIDE), mean=127.5, std=255.0, channels_first=True)
    return seewhy.Classifier(model.eval(), preprocess=preprocessing, class_names=list(CLASSES), name="shapes")


def save(drawn: Drawn, folder: Path) -> None:
    """Write the images into a folder for each class."""
    for number, (image, index, has_tag) in enumerate(zip(*drawn, strict=True)):
        path = folder / CLASSES[index] / f"{number:04}{'-tag' if has_tag else ''}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def explain(folder: Path, seed: int, *, share: float, method: str = "gradcam") -> datasets.Output:
    """Draw a data set, train a model on it, and explain other images with it."""
    random = np.random.default_rng(seed)
    classifier = train(draw(TRAINED, random, share=share), seed)
    save(draw(EXPLAINED, random, share=share), folder / "images")
    explainer = seewhy.Explainer(classifier, method)
    return datasets.run(explainer, folder / "images", folder / "explained", label_by_folder=True)
