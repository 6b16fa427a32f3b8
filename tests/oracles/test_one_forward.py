"""Eight classes of one image, or six by name: one forward pass each, counted where it enters the model."""

import keras
import pytest
import tensorflow as tf

import seewhy
from seewhy.models.class_names import imagenet
from seewhy.models.keras_applications import applications

ASKED = ["dock", "pier", "suspension bridge", "gondola", "breakwater", 525]


class Counter(keras.layers.Layer):
    """Hands its input on, and counts how many images really pass, in a compiled graph too."""

    passed = 0

    def call(self, inputs):
        counted = tf.py_function(self.count, [inputs], tf.float32)
        counted.set_shape(inputs.shape)
        return counted

    def count(self, inputs):
        self.passed += len(inputs)
        return inputs


@pytest.mark.parametrize(
    ("name", "side", "layer", "space", "parameters"),
    [
        pytest.param(
            *("vgg16", 224, "vgg16/block5_conv3", (14, 14), 138_357_544),
            marks=pytest.mark.slow(reason="a model of half a gigabyte; MobileNet shows the same"),
        ),
        pytest.param(
            *("xception", 299, "xception/block14_sepconv2_act", (10, 10), 22_910_480),
            marks=pytest.mark.slow(reason="a large model and image; MobileNet shows the same"),
        ),
        ("mobilenet", 224, "mobilenet_1.00_224/conv_pw_13_relu", (7, 7), 4_253_864),
    ],
)
def test_all_classes_of_an_image_share_one_forward_pass(name, side, layer, space, parameters, examples):
    application = applications()[name]
    model, counter = application.build(pretrained=False), Counter()
    assert model.count_params() == parameters
    classifier = seewhy.Classifier(
        keras.Sequential([keras.Input((side, side, 3)), counter, model]),
        preprocess=application.preprocess,
        class_names=imagenet(),
    )
    explainer = seewhy.Explainer(classifier, score="probability")
    for targets, count in (("top-8", 8), (ASKED, 6), ("top-8", 8)):
        # The first run of a kind of targets may be followed by others, to see whether all positions reach the scores.
        explainer.explain([examples / "rocket.jpg"], targets)
        counter.passed = 0
        (explanation,) = explainer.explain([examples / "rocket.jpg"], targets)
        assert counter.passed == 1
        assert (explanation.layer, explanation.heatmaps.shape) == (layer, (count, *space))
    # The first batch runs three times, to see that its images do not influence each other.
    for passes in (6, 2):
        counter.passed = 0
        explainer.explain([examples / "rocket.jpg", examples / "cat.png"], ASKED)
        assert counter.passed == passes
    assert [target.index for target in explainer.explain([examples / "cat.png"], ASKED)[0].targets] == [
        536, 718, 839, 576, 460, 525,
    ]  # fmt: skip
