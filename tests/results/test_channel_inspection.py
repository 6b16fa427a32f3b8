"""What stands inside: checked against the model's own arithmetic, and against the heatmap it adds up to."""

import keras
import numpy as np
import pytest
import torch
from PIL import Image

import seewhy
from seewhy.errors import LayerError, MethodError, OptionError


@pytest.fixture(scope="module")
def inspection(lite0, examples):
    return seewhy.Explainer(lite0).inspect(examples / "cat.png", ["tiger cat", "espresso"])


def test_the_weighted_channels_add_up_to_the_heatmap(inspection, lite0, examples):
    assert inspection.activations.shape == (7, 7, 1280)
    assert inspection.gradients.shape == (2, 7, 7, 1280)
    assert inspection.weights.shape == (2, 1280)
    (explanation,) = seewhy.Explainer(lite0).explain([examples / "cat.png"], ["tiger cat", "espresso"])
    for target in (0, 1):
        added = np.maximum(inspection.weighted(target).sum(axis=-1), 0)
        np.testing.assert_allclose(added, explanation.heatmaps[target], atol=1e-5 * added.max())
    np.testing.assert_array_equal(inspection.explanation.heatmaps, explanation.heatmaps)
    assert inspection.explanation.targets == explanation.targets


def test_the_pooled_gradients_are_the_dense_layer_s_weights_over_the_positions(inspection, keras_lite0):
    """After this layer comes the mean over 49 positions, and one dense layer."""
    kernel = np.asarray(keras_lite0.model.layers[-1].kernel)
    np.testing.assert_allclose(inspection.weights, kernel[:, [282, 967]].T / 49, atol=1e-7)


def test_the_strongest_channels_are_those_that_add_most(inspection):
    added = {channel: inspection.weighted(0)[..., channel].sum() for channel in range(1280)}
    assert inspection.strongest(5) == sorted(added, key=lambda channel: -added[channel])[:5]
    assert inspection.strongest(5) != inspection.strongest(5, target=1)
    assert len(inspection.strongest(5000)) == 1280


def test_a_native_torch_module(examples):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 4, 3, stride=2)
    module = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 7 * 7, 2))
    classifier = seewhy.Classifier(module, preprocess=lambda pixels: pixels / 255, input_size=(16, 16))
    found = seewhy.Explainer(classifier).inspect(examples / "cat.png", [0, 1])
    inputs = torch.from_numpy(classifier.preprocess([examples / "cat.png"]).values)
    with torch.no_grad():
        expected = torch.relu(conv(inputs))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found.activations, expected, atol=1e-5)
    gradients = module[3].weight.detach().numpy().reshape(2, 4, 7, 7).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found.gradients, gradients, atol=1e-6)
    np.testing.assert_allclose(found.weights, gradients.mean(axis=(1, 2)), atol=1e-6)


def test_the_figure_shows_channels_before_and_after(inspection):
    axes = inspection.figure([10, 112], target=0).axes
    titles = [each.get_title() for each in axes]
    assert titles[:4] == [
        "Original", "All channels, weighted and summed", "Weights of all 1280 channels", "Weights of those below",
    ]  # fmt: skip
    assert titles[4] == "Channel 10: up to 0"
    assert titles[6].startswith("Channel 112: up to 6")
    assert titles[7] == f"times its weight, {inspection.weights[0, 112]:.3g}"
    assert len(axes[2].patches) == 1280
    assert [bar.get_width() for bar in axes[3].patches] == inspection.weights[0, [10, 112]].tolist()
    np.testing.assert_allclose(axes[6].images[0].get_array(), inspection.activations[..., 112] / 6, atol=1e-6)


def test_files(inspection, tmp_path):
    with Image.open(inspection.save(tmp_path / "inside.png", "top-2", target=1)) as image:
        assert image.width > 1000
    with np.load(inspection.save(tmp_path / "inside.npz")) as arrays:
        np.testing.assert_array_equal(arrays["weights"], inspection.weights)
        assert arrays["indices"].tolist() == [282, 967]
    with pytest.raises(
        OptionError, match=r"Cannot save as '\.gif'; expected \.png, \.jpg, \.jpeg, \.svg, \.pdf, \.npz\."
    ):
        inspection.save(tmp_path / "inside.gif")


@pytest.mark.parametrize(
    "channels", ["top-0", "top", "", "1,x", "-1", "1280", [1280], [], 5, None, [0.5, "x"], [1.0], [True]]
)
def test_channels_that_cannot_be(inspection, channels):
    with pytest.raises(OptionError, match=r"There are no channels .*: top_relu6 has channels 0 to 1279"):
        inspection.figure(channels)


def test_numbers_of_numpy_are_numbers_and_what_is_asked_twice_is_shown_once(inspection):
    assert inspection.channels(np.array([10, 112, 10])) == inspection.channels("10, 112,10") == [10, 112]
    assert inspection.strongest(np.int64(3), np.int64(1)) == inspection.strongest(3, 1)


def test_marked_bars_are_seen_among_a_thousand(inspection):
    dots = inspection.figure([10, 112]).axes[2].lines[0]
    assert dots.get_xdata().tolist() == [10, 112]
    assert dots.get_ydata().tolist() == inspection.weights[0, [10, 112]].tolist()


def test_targets_that_cannot_be(inspection):
    for target in (2, -1, "0", True):
        with pytest.raises(
            OptionError, match=r"There is no target .*the explanation has targets 0 to 1 \(tiger cat, espresso\)"
        ):
            inspection.figure([1], target=target)
    with pytest.raises(OptionError, match="count is 0; expected a whole number"):
        inspection.strongest(0)


def test_only_grad_cam_at_one_layer_has_this_inside(lite0, examples):
    for options in ({"method": "rise"}, {"layer": ["top_relu6", "block5c_add"]}, {"augmentation": "flips"}):
        with pytest.raises(
            MethodError,
            match=r"inspect shows the steps of Grad-CAM at one layer without augmentation; this Explainer has",
        ):
            seewhy.Explainer(lite0, **options).inspect(examples / "cat.png")


def test_a_layer_that_is_no_image(examples):
    convolution = keras.layers.Conv1D(4, 3, name="convolution")
    layers = [keras.Input((8, 8, 3)), keras.layers.Reshape((64, 3)), convolution, keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(2)])
    classifier = seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255)
    with pytest.raises(LayerError, match="has 62 positions along one axis"):
        seewhy.Explainer(classifier, "gradcam", "convolution").inspect(examples / "cat.png")
