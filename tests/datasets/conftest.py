"""A small data set in two folders, and a small model of it."""

import numpy as np
import pytest
import torch
from PIL import Image

import seewhy

PER_CLASS = 10


def random_image(random, side=8):
    return Image.fromarray(random.integers(0, 256, (side, 9, 3)).astype(np.uint8))


@pytest.fixture(scope="session")
def classifier():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )
    preprocessing = seewhy.Preprocessing(size=(8, 8), std=255.0)
    return seewhy.Classifier(model, preprocess=preprocessing, class_names=["cat", "dog"], name="tiny")


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of class folders with 20 images of several sizes and a file that is no image."""
    folder, random = tmp_path_factory.mktemp("data") / "photos", np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            random_image(random, 8 + number).save(folder / name / f"{number:02}.png")
    (folder / "notes.txt").write_text("no image")
    return folder
