"""A data set of a detector: the detections of each image have layers of their own, and may be none."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.attribution.small_detector import SIDE, SmallDetector, picture

import seewhy
from seewhy import datasets
from seewhy.interpolation import resample


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    model = SmallDetector().eval()  # untrained; it finds what is bright
    with torch.no_grad():
        model.classes.weight[...] = 1
        black, white = (float(model.maps(torch.full((1, 3, SIDE, SIDE), value))[0].max()) for value in (0.0, 1.0))
        model.classes.bias -= black + 0.2 * (white - black)
        model.threshold = 0.5
    preprocess = seewhy.Preprocessing(size=(SIDE, SIDE), std=255.0)
    return seewhy.Classifier(model, preprocess=preprocess, class_names=["square", "disc"])


def test_a_table_has_one_shape_and_an_error_where_nothing_is_found(classifier, tmp_path):
    random = np.random.default_rng(0)
    images = [(np.clip(picture(random)[0], 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0) for _ in range(3)]
    images.insert(0, np.zeros_like(images[0]))
    (tmp_path / "images").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    output = datasets.run(classifier, tmp_path / "images", tmp_path / "out", "top-1", heatmaps="float32")
    table, errors = output.table(), output.errors()
    assert errors["kind"].to_pylist() == ["NotPredictedError"]
    assert errors["key"].to_pylist() == ["0.png"]
    assert table["layer"].to_pylist() == ["auto"] * 3
    heatmaps = table["heatmaps"].combine_chunks().to_numpy_ndarray()
    explainer = seewhy.Explainer(classifier)
    for row, heatmap, image in zip(table.drop_columns("heatmaps").to_pylist(), heatmaps, images[1:], strict=True):
        (expected,) = explainer.explain([image], "top-1")
        (target,) = row["targets"]
        np.testing.assert_allclose(heatmap, resample(expected.heatmaps, (8, 8)), rtol=1e-4, atol=1e-6)
        assert [target["detection"][side] for side in ("left", "top", "right", "bottom")] == pytest.approx(
            expected.targets[0].box, rel=1e-4
        )
        (read,) = [found for found in output.explanations() if found.source.endswith(row["key"])]
        assert read.targets[0].box == pytest.approx(expected.targets[0].box, rel=1e-4)
