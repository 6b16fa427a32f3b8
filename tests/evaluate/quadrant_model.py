"""A model of which the true explanation is known: the score of a class is the brightness of one quadrant."""

import numpy as np
import torch

import seewhy

SIDE = 16
CLASSES = ["red", "green"]


class Quadrant(torch.nn.Module):
    """The score of "red" is the mean red in the top left quadrant, that of "green" the mean green in the top right."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Conv2d(3, 2, 1, bias=False)
        self.features.weight.data = torch.eye(3)[:2, :, None, None].clone()
        self.pool = torch.nn.AvgPool2d(SIDE // 2)

    def forward(self, images):
        cells = self.pool(self.features(images))
        return 8 * torch.stack([cells[:, 0, 0, 0], cells[:, 1, 0, 1]], dim=1)


def quadrant_classifier():
    preprocessing = seewhy.Preprocessing(size=(SIDE, SIDE), std=255.0)
    return seewhy.Classifier(Quadrant().eval(), preprocess=preprocessing, class_names=CLASSES, name="quadrant")


def quadrant_images(count, seed=0):
    """Noisy images, red in the top left quadrant."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 90, (count, SIDE, SIDE, 3))
    images[:, : SIDE // 2, : SIDE // 2, 0] += 150
    return list(images.astype(np.uint8))


def quadrant_mask():
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[: SIDE // 2, : SIDE // 2] = True
    return mask
