"""Many images on the command line: batches in which some images fail."""

import threading
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers, ops
from PIL import Image

import seewhy
from seewhy import batches
from seewhy.cli.batches import explain_images, write_outcomes
from seewhy.errors import ModelRunError, OutputError, TargetError

CLASSES = 3


def fragile_model():
    """Build a model whose outputs are not finite for an image with a white pixel."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    maps = layers.Conv2D(4, 3, name="maps")(image)
    weak = maps / (255 - ops.max(image, axis=(1, 2, 3), keepdims=True))
    return keras.Model(image, layers.Dense(CLASSES)(layers.Flatten()(weak)))


@pytest.fixture(scope="module")
def explainer():
    return seewhy.Explainer(
        seewhy.Classifier(fragile_model(), preprocess=lambda values: values), layer="maps", signed=True
    )


@pytest.fixture
def images(tmp_path):
    """Twenty images of several sizes: the 3rd is not an image, the 6th has a white pixel, the 18th does not exist."""
    random, paths = np.random.default_rng(0), []
    for number in range(20):
        pixels = random.integers(0, 250, (8 + number, 9, 3)).astype(np.uint8)
        pixels[:] = 255 if number == 5 else pixels
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    paths[2].write_bytes(b"not an image")
    paths[17].unlink()
    return paths


def explain_targets(explainer, targets):
    return partial(explainer.explain, targets=targets)


def batch_sizes(explainer, monkeypatch):
    """Return a list that grows by the number of images of every run."""
    sizes, explain = [], explainer.explain

    def count(pixels, targets):
        sizes.append(len(pixels))
        return explain(pixels, targets)

    monkeypatch.setitem(vars(explainer), "explain", count)
    return sizes


def test_an_error_concerns_a_single_image(explainer, images, monkeypatch):
    alone = {path: explainer.explain([path], [1, 2])[0] for path in images if path.stem not in ("2", "5", "17")}
    sizes = batch_sizes(explainer, monkeypatch)
    outcomes = list(explain_images(images, [explain_targets(explainer, [1, 2])], 8))
    assert [outcome.path for outcome in outcomes] == images
    assert {outcome.path.stem: type(outcome.error) for outcome in outcomes if outcome.error} == {
        "2": seewhy.errors.ImageFormatError,
        "5": ModelRunError,
        "17": seewhy.errors.ImageNotFoundError,
    }
    explained = [(outcome.path, outcome.explanations) for outcome in outcomes if not outcome.error]
    assert len(explained) == 17
    for path, (explanation,) in explained:
        assert explanation.source == str(path)
        np.testing.assert_array_equal(explanation.image, alone[path].image)
        np.testing.assert_allclose(explanation.heatmaps, alone[path].heatmaps, rtol=1e-4, atol=1e-4)
    assert sizes == [7, *[1] * 7, 8, 3]  # the batch with the white image again, one by one


def test_the_pixels_of_a_batch_are_limited(explainer, images, monkeypatch):
    sizes = batch_sizes(explainer, monkeypatch)
    monkeypatch.setattr(batches, "MAX_BATCH_BYTES", 2 * 9 * 9 * 3)
    outcomes = list(explain_images(images[6:12], [explain_targets(explainer, [0])], 8))
    assert not any(outcome.error for outcome in outcomes)
    assert sizes == [2, 2, 2]


def test_a_wrong_call_raises(explainer, images):
    with pytest.raises(TargetError, match="There is no class 3"):
        list(explain_images(images, [explain_targets(explainer, [3])], 8))


def test_files_are_written_in_a_single_other_thread_and_in_order(explainer, images, tmp_path):
    threads = set()

    def write(explanations, path):
        threads.add(threading.get_ident())
        if path.stem == "4":
            raise OutputError("no room")
        return [[str(explanation.save(tmp_path / "out" / path.name))] for explanation in explanations]

    outcomes = list(write_outcomes(explain_images(images[:5], [explain_targets(explainer, [0])], 4), write, 4))
    assert [outcome.path for outcome in outcomes] == images[:5]
    assert [type(outcome.error).__name__ for outcome in outcomes] == [
        *["NoneType"] * 2,
        "ImageFormatError",
        "NoneType",
        "OutputError",
    ]
    assert outcomes[3].files == [[str(tmp_path / "out" / "3.png")]]
    assert np.asarray(Image.open(tmp_path / "out" / "3.png")).shape == (11, 9, 3)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_outcomes_before_an_error_are_yielded(explainer, images):
    def outcomes():
        yield from explain_images(images[:1], [explain_targets(explainer, [0])], 4)
        raise TargetError("wrong from here on")

    reported = write_outcomes(outcomes(), lambda *_: [["written"]], 4)
    assert next(reported).files == [["written"]]
    with pytest.raises(TargetError, match="wrong from here on"):
        next(reported)
