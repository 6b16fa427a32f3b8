"""Methods that run the model again, from the input to the heatmap, on models whose answer is known."""

import keras
import numpy as np
import pytest
from keras import layers

from seewhy import Explainer, methods

RERUNS = {
    "scorecam": {},
    "sscam": {"samples": 4, "sigma": 0.5},
    "iscam": {"steps": 3},
    "occlusion": {"window": 4, "stride": 2},
    "rise": {"masks": 500, "grid": 4},
    "ablationcam": {},
}
FORWARDS = {
    "scorecam": 3,
    "sscam": 12,
    "iscam": 9,
    "occlusion": 50,
    "rise": 500,
    "ablationcam": 0,
}  # two of three channels are live
QUADRANTS = {"red": np.s_[:8, :8], "green": np.s_[8:, 8:]}


def colours(units=2, activation="softmax", gain=40.0):
    """Tell red from green by the mean of two detectors; a third sees nothing, ever."""
    model = keras.Sequential(
        [
            keras.Input((16, 16, 2)),
            layers.Conv2D(3, 3, strides=2, padding="same", activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(units, activation, name="dense"),
        ]
    )
    kernel = np.zeros((3, 3, 2, 3), np.float32)
    kernel[:, :, 0, 0] = kernel[:, :, 1, 1] = 1 / 9
    model.get_layer("conv").set_weights([kernel, np.array([0, 0, -1], np.float32)])
    dense = np.array([[1, 0], [0, 1], [0, 0]]) if units == 2 else np.array([[1], [-1], [0]])
    model.get_layer("dense").set_weights([gain * dense, np.zeros(units)])
    return model


def images():
    """Draw two: red in one quadrant and green in the other, and then the other way round."""
    inputs = np.random.default_rng(0).uniform(0, 0.02, (2, 16, 16, 2)).astype(np.float32)
    for n in (0, 1):
        inputs[n, 2:6, 2:6, n] = inputs[n, 10:14, 10:14, 1 - n] = 1
    return inputs


def explain(name, model, inputs, targets=(0, 1), batch_size=16, **options):
    explainer = Explainer(model, methods.get(name, **RERUNS[name]), layer="conv", **options)
    return explainer.heatmaps(inputs, targets, batch_size=batch_size)


def share(heatmap, quadrant):
    """How much of a heatmap's energy lies in a quadrant."""
    enlarged = heatmap.repeat(16 // len(heatmap), 0).repeat(16 // len(heatmap), 1)
    return enlarged[QUADRANTS[quadrant]].sum() / enlarged.sum()


@pytest.mark.parametrize("name", RERUNS)
def test_the_energy_lies_where_the_model_looks(name):
    found = explain(name, colours(), images())
    first, second = found.values
    shares = [share(first[0], "red"), share(first[1], "green"), share(second[0], "green"), share(second[1], "red")]
    assert min(shares) > 0.6
    assert found.values.shape[2:] == ((16, 16) if methods.get(name).level == "input" else (8, 8))
    assert found.layer == ("input" if methods.get(name).level == "input" else "conv")


@pytest.mark.parametrize("name", RERUNS)
def test_one_sigmoid_unit_is_two_classes(name):
    """Where a softmax over a single unit made every weight 1, every map would be the same."""
    found = explain(name, colours(1, "sigmoid"), images()[:1]).values[0]
    assert min(share(found[1], "red"), share(found[0], "green")) > 0.6


@pytest.mark.parametrize("name", RERUNS)
def test_a_batch_is_each_alone_whatever_goes_through_at_once(name):
    model, inputs = colours(), images()
    together = explain(name, model, inputs, batch_size=7).values
    for n in (0, 1):
        alone = explain(name, model, inputs[n : n + 1], batch_size=16).values[0]
        np.testing.assert_allclose(together[n], alone, atol=1e-5 * alone.max())


@pytest.mark.parametrize("name", RERUNS)
def test_a_constant_model_is_no_evidence(name):
    found = explain(name, colours(gain=0.0), images())
    np.testing.assert_array_equal(found.values, 0)
    assert not found.has_evidence.any()


@pytest.mark.parametrize("name", RERUNS)
def test_the_model_is_run_as_often_as_the_table_says(name):
    """Whatever the number of targets; padding of the last batch not counted."""

    explainer = Explainer(colours(), methods.get(name, **RERUNS[name]), layer="conv")
    explainer.heatmaps(images()[:1], [0, 1], batch_size=1)  # the first time, the layer is judged in further runs
    capture, runs = explainer.framework.capture, []
    explainer.framework.capture = lambda *arguments: runs.append(arguments) or capture(*arguments)
    explainer.heatmaps(images()[:1], [0, 1], batch_size=1)
    assert len(runs) == 1 + FORWARDS[name]  # the first is the one that every method begins with


def test_a_score_of_each_image_s_own_target():
    """Top-1 of two images: each is asked about its own class, in every run."""
    model = colours()
    model.get_layer("dense").bias.assign([0.1, 0])
    inputs = images()
    inputs[1, 2:6, 2:6] *= 1.5
    found = explain("occlusion", model, inputs, "top-1")
    np.testing.assert_array_equal(found.indices, [[0], [1]])
    assert min(share(found.values[0, 0], "red"), share(found.values[1, 0], "red")) > 0.6


def test_speaking_against_is_kept_where_it_is_asked_for():
    """A sigmoid's two classes are one logit with two signs, and so is what speaks for them."""
    found = explain("occlusion", colours(1, "sigmoid"), images()[:1], signed=True).values[0]
    np.testing.assert_allclose(found[0], -found[1], atol=1e-6)
    assert found.min() < 0 < found.max()


@pytest.mark.slow(reason="compiles every perturbation method for two ranks; the tests of images show the rest")
def test_volumes_and_signals():
    for axes in (1, 3):
        convolution = layers.Conv1D if axes == 1 else layers.Conv3D
        image = keras.Input((8,) * axes + (1,))
        maps = convolution(2, 3, padding="same", activation="relu", name="conv")(image)
        model = keras.Model(image, layers.Dense(2)(layers.Flatten()(maps)))
        inputs = np.random.default_rng(0).normal(size=(1, *(8,) * axes, 1)).astype(np.float32)
        for name in RERUNS:
            values = explain(name, model, inputs).values
            assert values.shape == (1, 2, *(8,) * axes)
            assert values.max() > 0


@pytest.mark.parametrize("name", RERUNS)
def test_channels_first_or_last_is_all_one(name):
    """The same weights in PyTorch, whose images are (N, C, h, w)."""
    import torch

    convolution, dense = torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.Linear(3 * 36, 2)
    first = torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.Flatten(), dense)
    image = keras.Input((6, 6, 2))
    maps = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(image)
    last = keras.Model(image, layers.Dense(2, name="dense")(layers.Flatten()(maps)))
    kernel, weights = convolution.weight.detach().numpy(), dense.weight.detach().numpy().reshape(2, 3, 6, 6)
    last.get_layer("conv").set_weights([kernel.transpose(2, 3, 1, 0), convolution.bias.detach().numpy()])
    last.get_layer("dense").set_weights([weights.transpose(2, 3, 1, 0).reshape(-1, 2), dense.bias.detach().numpy()])
    inputs = np.random.default_rng(4).normal(size=(2, 6, 6, 2)).astype(np.float32)
    expected = explain(name, last, inputs)
    found = Explainer(first, methods.get(name, **RERUNS[name]), layer="1").heatmaps(
        inputs.transpose(0, 3, 1, 2), [0, 1]
    )
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4 * expected.values.max())


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_goes_to_stderr_and_leaves_nothing_behind(capsys, monkeypatch, terminal):
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    explainer = Explainer(colours(), methods.get("rise", masks=40), layer="conv", progress=True)
    explainer.heatmaps(images(), [0])
    out, err = capsys.readouterr()
    assert out == ""
    if terminal:
        assert err.count("RISE") >= 2
        assert err.endswith("\x1b[1A\x1b[2K")  # a line up, and that line erased
        assert err.count("\x1b[?25l") == err.count("\x1b[?25h")  # the cursor is hidden and shown again
    else:
        assert err == ""


def test_a_function_is_told_of_progress_before_every_batch(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    told = []
    method = methods.get("rise", masks=40)
    explainer = Explainer(colours(), method, layer="conv", progress=lambda *each: told.append(each))
    explainer.heatmaps(images()[:1], [0], batch_size=16)
    assert told == [("RISE", 0, 40), ("RISE", 16, 40), ("RISE", 32, 40)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", RERUNS)
def test_what_is_told_of_progress_may_end_it(name):
    class EnoughError(Exception):
        pass

    def stop(*told):
        if told[1]:
            raise EnoughError

    model = colours()
    explainer = Explainer(model, methods.get(name, **RERUNS[name]), layer="conv", progress=stop)
    with pytest.raises(EnoughError):
        explainer.heatmaps(images()[:1], [0], batch_size=1)
    expected = explain(name, colours(), images()[:1], [0])
    again = Explainer(model, methods.get(name, **RERUNS[name]), layer="conv")
    np.testing.assert_array_equal(again.heatmaps(images()[:1], [0]).values, expected.values)
