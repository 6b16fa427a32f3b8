"""Pixels given to a model that nobody said anything about: said once, and never where it would be wrong."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import torch
from keras import layers

import seewhy
from seewhy.cli.terminal import print_warnings_as_notes
from seewhy.errors import SeewhyWarning

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)


def bare(*before, base=None):
    inside = [base] if base is not None else [layers.Conv2D(4, 3, name="conv")]
    return keras.Sequential(
        [keras.Input((8, 8, 3)), *before, *inside, layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")],
        name="bare",
    )


def functional(scale):
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(scale(image))
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


class Divides(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.gap, self.dense = layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)

    def call(self, inputs):
        return self.dense(self.gap(self.conv(inputs / 255)))


def divides():
    model = Divides()
    model(PIXELS.astype(np.float32))
    return model


class Native(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.conv, self.dense, self.scale = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 3), scale

    def forward(self, x):
        return self.dense(self.conv(x * self.scale).mean(dim=(2, 3)))


HINTED = {
    "a convolution first": bare,
    "padded first": lambda: bare(layers.ZeroPadding2D(1)),
    "functional": lambda: functional(lambda image: image),
    "nested": lambda: bare(base=keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)])),
}
SILENT = {
    "rescaled": lambda: bare(layers.Rescaling(1 / 255)),
    "normalised": lambda: bare(layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1])),
    "a batch normalisation first": lambda: bare(layers.BatchNormalization()),
    "a function": lambda: bare(layers.Lambda(lambda x: x / 255)),
    "an operation": lambda: functional(lambda image: image / 255),
    "rescaled in the base": lambda: bare(
        base=keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Conv2D(2, 3)])
    ),
    "subclassed, which cannot be told": divides,
}


@pytest.mark.parametrize("case", HINTED)
def test_pixels_for_a_model_that_does_not_scale(case):
    explainer = seewhy.Explainer(HINTED[case]())
    with pytest.warns(
        SeewhyWarning, match=r"given pixels in 0..255.*seewhy.Classifier\(model, preprocess=...\)"
    ) as hints:
        explainer.heatmaps(PIXELS)
    assert [hint.filename for hint in hints] == [__file__]  # it points at the caller's line
    explainer.heatmaps(PIXELS)  # said once: warnings are errors here


@pytest.mark.parametrize("case", SILENT)
def test_models_that_scale_or_may(case):
    seewhy.Explainer(SILENT[case]()).heatmaps(PIXELS)


def test_efficientnet_has_a_scale_built_in():
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=3)
    classifier = seewhy.Classifier(model)
    inputs = classifier.framework.check_inputs(np.full((1, 32, 32, 3), 200, np.uint8))
    assert classifier.may_need_preprocessing(inputs)
    assert classifier.preprocessing_hint(inputs) is None


@pytest.mark.parametrize(
    "inputs",
    [PIXELS / 255, PIXELS / 127.5 - 1, PIXELS - np.array([103.9, 116.8, 123.7]), PIXELS * 16.0],
    ids=["0..1", "-1..1", "caffe", "12 bit"],
)
def test_inputs_that_are_no_pixels(inputs):
    seewhy.Explainer(bare()).heatmaps(inputs)


def test_a_classifier_is_asked_for_its_preprocessing_and_believed():
    images = list(PIXELS)
    with pytest.warns(SeewhyWarning, match="The model 'bare' was given pixels"):
        seewhy.Explainer(seewhy.Classifier(bare())).explain(images)
    said = (seewhy.Preprocessing(size=(8, 8)), lambda x: x, seewhy.Preprocessing(size=(8, 8), std=255.0))
    for preprocess in said:
        seewhy.Explainer(seewhy.Classifier(bare(), preprocess=preprocess)).explain(images)


def test_a_native_model_is_looked_into_only_once():
    model = Native(1 / 255)
    runs = []
    model.register_forward_hook(lambda *_: runs.append(1))
    explainer = seewhy.Explainer(model)
    counts = []
    for _ in range(3):
        explainer.heatmaps(PIXELS.transpose(0, 3, 1, 2))
        counts.append(len(runs))
    assert np.diff(counts).tolist() == [1, 1]


def test_of_a_native_model_what_its_first_convolution_is_given_tells():
    inputs = PIXELS.transpose(0, 3, 1, 2)
    with pytest.warns(SeewhyWarning, match="The model 'Native' was given pixels"):
        seewhy.Explainer(Native(1)).heatmaps(inputs)
    model = Native(1 / 255)
    seewhy.Explainer(model).heatmaps(inputs)
    assert not model.conv._forward_pre_hooks


def test_the_command_line_says_it_in_one_line(tmp_path, examples):
    (tmp_path / "mine.py").write_text(
        "import torch, seewhy\n"
        "def build():\n"
        "    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1),"
        " torch.nn.Flatten(), torch.nn.Linear(4, 3))\n"
        "    return seewhy.Classifier(model, input_size=(16, 16))\n"
    )
    images = [examples / "cat.png", examples / "coffee.png"]
    command = [sys.executable, "-m", "seewhy", "explain", *images, "--model", "mine:build"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert finished.returncode == 0
    (line,) = finished.stderr.splitlines()
    assert line.startswith("Note: The model 'Sequential' was given pixels in 0..255")


def test_other_warnings_stay_as_they_are():
    with pytest.warns(UserWarning, match="^of another kind$"), print_warnings_as_notes():
        warnings.warn("of another kind", UserWarning, stacklevel=1)
