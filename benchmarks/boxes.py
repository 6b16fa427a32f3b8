"""How well `Explanation.boxes` localizes: the box of each method against exact masks.

A network learns to tell four textures apart. Each image has one texture, in a rectangle or an ellipse of known place,
on coloured noise; the box of the class is compared with that of the shape by their intersection over union (IoU).

    python -m benchmarks.boxes     prints a table; a few minutes on one core

"previously" is the largest connected component at 15% of the maximum, whatever the method.
"""

import argparse

import numpy as np
import torch
from torch import nn

import seewhy
from seewhy.images.bounding_boxes import BoundingBox, bounding_boxes
from seewhy.types import BoolArray, FloatArray

SIDE = 64
METHODS: dict[str, dict[str, int]] = {
    "gradcam": {},
    "layercam": {},
    "saliency": {},
    "smoothgrad": {"samples": 16},
    "integrated_gradients": {"steps": 32},
    "gradient_x_input": {},
    "guided_backprop": {},
    "guided_gradcam": {},
}


def texture(kind: int, period: float) -> FloatArray:
    """Return one of four textures, in -1..1."""
    rows, columns = 2 * np.pi / period * np.mgrid[:SIDE, :SIDE]
    waves = (
        np.sin(rows),
        np.sin(columns),
        np.sin(0.7 * (rows + columns)),
        np.sign(np.sin(rows) * np.sin(columns)),
    )
    return np.asarray(waves[kind], np.float32)


def shape(random: np.random.Generator) -> BoolArray:
    """Return the mask of a rectangle or an ellipse."""
    height, width = random.integers(14, 34, 2)
    top, left = random.integers(0, SIDE - height), random.integers(0, SIDE - width)
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    y, x = 2 * (rows - top) / height - 1, 2 * (columns - left) / width - 1
    return np.asarray(np.maximum(abs(y), abs(x)) <= 1 if random.random() < 0.5 else y**2 + x**2 <= 1)


def draw(count: int, seed: int) -> tuple[FloatArray, list[int], list[BoundingBox]]:
    """Return images (N, 3, h, w), their classes, and the box of each texture."""
    random = np.random.default_rng(seed)
    images: list[FloatArray] = []
    classes: list[int] = []
    boxes: list[BoundingBox] = []
    for _ in range(count):
        blocks = np.kron(random.normal(size=(3, 8, 8)), np.ones((8, 8)))
        background = 0.4 * blocks + 0.25 * random.normal(size=(3, SIDE, SIDE))
        mask, kind = shape(random), int(random.integers(4))
        pattern = random.uniform(0.6, 1.2) * texture(kind, random.uniform(4, 7)) + 0.3 * background
        images.append(np.where(mask, pattern, background))
        classes.append(kind)
        boxes.append(bounding_boxes(mask)[0])
    return np.array(images, np.float32), classes, boxes


def block(given: int, planes: int, stride: int) -> nn.Module:
    """Return a convolution with its normalisation and ReLU."""
    return nn.Sequential(nn.Conv2d(given, planes, 3, stride, 1), nn.BatchNorm2d(planes), nn.ReLU())


def trained(steps: int) -> nn.Module:
    """Return a network that tells the textures apart."""
    torch.manual_seed(0)
    blocks = (block(3, 16, 1), block(16, 24, 2), block(24, 32, 2), block(32, 48, 2))
    network = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 4))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(steps):
        images, classes, _ = draw(32, 1000 + step)
        loss = nn.functional.cross_entropy(network(torch.tensor(images)), torch.tensor(classes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def overlap(one: BoundingBox | None, other: BoundingBox) -> float:
    """Return the intersection over union of two boxes; 0 without a box."""
    if one is None:
        return 0.0
    height = min(one[2], other[2]) - max(one[0], other[0])
    width = min(one[3], other[3]) - max(one[1], other[1])
    common = max(height, 0) * max(width, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


def explanation(heatmap: FloatArray, quantile: float) -> seewhy.Explanation:
    """Return an explanation of one heatmap, of an image that does not matter."""
    target = seewhy.TargetResult(0, "texture", 1.0, 1.0, has_evidence=True)
    return seewhy.Explanation(
        image=np.zeros((SIDE, SIDE, 3), np.uint8),
        heatmaps=heatmap[None],
        targets=(target,),
        predictions=(),
        layer="",
        method="",
        title="",
        placement=seewhy.Placement((SIDE, SIDE), (0, 0, SIDE, SIDE)),
        peak_quantile=quantile,
    )


def mean_overlaps(heatmaps: FloatArray, quantile: float, boxes: list[BoundingBox]) -> tuple[float, float]:
    """Return the mean IoU of the first box, as it was previously and as it is now."""
    before: list[float] = []
    now: list[float] = []
    for heatmap, box in zip(heatmaps, boxes, strict=True):
        shown = explanation(heatmap, quantile)
        before.append(overlap(next(iter(bounding_boxes(shown.mask())), None), box))
        now.append(overlap(next(iter(shown.boxes()), None), box))
    return float(np.mean(before)), float(np.mean(now))


def main() -> None:
    """Print the mean IoU of each method."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boxes", description=str(__doc__).splitlines()[0])
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--steps", type=int, default=150, help="of training")
    options = parser.parse_args()
    network, (images, classes, boxes) = trained(options.steps), draw(options.images, 1)
    with torch.no_grad():
        correct = network(torch.tensor(images)).argmax(1).numpy() == classes
    print(f"accuracy {correct.mean():.2f}\n\n{'method':22} previously   now")
    for name, settings in METHODS.items():
        explainer = seewhy.Explainer(network, seewhy.methods.get(name, **settings))
        heatmaps = explainer.heatmaps(images, [[kind] for kind in classes]).values[:, 0]
        before, now = mean_overlaps(heatmaps, explainer.method.peak_quantile, boxes)
        print(f"{name:22} {before:10.2f} {now:5.2f}", flush=True)
    random = np.random.default_rng(0).random((len(images), SIDE, SIDE), np.float32)
    before, now = mean_overlaps(random, 0.995, boxes)
    print(f"{'a random heatmap':22} {before:10.2f} {now:5.2f}")


if __name__ == "__main__":
    main()
