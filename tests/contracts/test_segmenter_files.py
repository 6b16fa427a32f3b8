"""U-Nets of Keras in files, explained from the command line."""

import json
import sys

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import seewhy
from seewhy.cli import main

SIDE = 16
PHOTO = np.random.default_rng(0).integers(0, 255, (20, 26, 3), dtype=np.uint8)


@pytest.fixture
def run(monkeypatch, capfd):
    """Run the command line in this process; return the exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["seewhy", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capfd.readouterr()

    return run


def u_net(classes, activation):
    """Return a small U-Net that predicts each class at some of the pixels of most images."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    fine = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    coarse = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(fine))
    coarse = layers.BatchNormalization()(coarse)
    up = layers.Conv2DTranspose(4, 2, strides=2)(coarse)
    joined = layers.Concatenate()([up, fine])
    features = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(joined)
    scores = layers.Conv2D(classes, 1, activation=activation, name="scores")
    model = keras.Model(image, scores(features))
    weights, bias = scores.get_weights()
    mean = activations(model, PHOTO[None, :SIDE, :SIDE].astype(np.float32)).mean(axis=(0, 1))
    scores.set_weights([weights, bias - mean @ weights[0, 0]])
    return model


def activations(model, batch):
    """Return the features (h, w, 6) of one image."""
    features = keras.Model(model.input, model.get_layer("features").output)
    return keras.ops.convert_to_numpy(features(batch))[0]


def expected_map(model, batch, class_):
    """Return the sum of a class's logits at the pixels predicted as it, and its HiResCAM at the features.

    The gradient of that sum is, at each of the pixels, the weights of the class in the 1 x 1 convolution.
    """
    features = activations(model, batch)
    weights, bias = model.get_layer("scores").get_weights()
    logits = features @ weights[0, 0] + bias
    predicted, channel = (logits[..., 0] > 0, 0) if logits.shape[2] == 1 else (logits.argmax(axis=2) == class_, class_)
    assert 0 < predicted.sum() < predicted.size
    heatmap = np.where(predicted, features @ weights[0, 0, :, channel], 0)
    return logits[..., channel][predicted].sum(), np.maximum(heatmap, 0)


@pytest.mark.parametrize(("classes", "activation"), [(2, "softmax"), (1, "sigmoid")])
def test_a_u_net_in_a_file(run, tmp_path, classes, activation):
    model = u_net(classes, activation)
    model.save(tmp_path / "unet.keras")
    Image.fromarray(PHOTO).save(tmp_path / "picture.png")
    picture, out = tmp_path / "picture.png", tmp_path / "out"
    arguments = ["--model", tmp_path / "unet.keras", "--targets", "1", "--format", "npz,json,png,html", "--out", out]
    code, printed, problems = run("explain", picture, *arguments)
    assert (code, problems) == (0, "")
    assert "explained class 1: score " in printed
    content = json.loads((out / "picture_hirescam.json").read_text("utf-8"))
    assert content["layer"] == "features"
    batch = np.asarray(seewhy.load(tmp_path / "unet.keras").preprocess([PHOTO]))
    score, heatmap = expected_map(model, batch, 1)
    (target,) = content["targets"]
    assert target["name"] == "class 1"
    np.testing.assert_allclose(target["score"], score, rtol=1e-4)
    found = np.load(out / "picture_hirescam.npz")["heatmaps"]
    np.testing.assert_allclose(found, heatmap[None], rtol=1e-4, atol=1e-4 * heatmap.max())
    assert np.asarray(Image.open(out / "picture_hirescam.png")).shape[:2] == PHOTO.shape[:2]
    assert "class 1" in (out / "report.html").read_text("utf-8")


def test_the_layers_of_a_segmentation_model(run, tmp_path):
    """Of a model without skip connections, the end of the encoder; a later layer has positions too."""
    image = keras.Input((SIDE, SIDE, 3))
    coarse = layers.Conv2D(8, 3, strides=4, padding="same", activation="relu", name="encoder")(image)
    fine = layers.Conv2D(6, 3, padding="same", activation="relu", name="decoder")(layers.UpSampling2D(4)(coarse))
    keras.Model(image, layers.Conv2D(3, 1, activation="softmax")(fine)).save(tmp_path / "plain.keras")
    code, out, _ = run("layers", tmp_path / "plain.keras")
    assert code == 0
    assert "auto selects encoder: the coarsest layer that all of the score passes" in " ".join(out.split())
