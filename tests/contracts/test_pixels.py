"""Methods to the pixels, and guided backpropagation below them, on every Keras backend."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops
from tests.contracts import reference, reference_pixels
from tests.contracts.capturing import capture
from tests.contracts.in_keras import plain
from tests.contracts.reference import close
from tests.sample_models import predict, squeeze_and_excite, state

import seewhy
from seewhy import methods
from seewhy.errors import LayerError, MethodError, OptionError
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.targets import Class

INDICES = (2, 0, 3)
PIXELS = list(reference_pixels.OPTIONS)
OF_ANY_SHAPE = [name for name in PIXELS if name != "gradient_shap"]  # its baselines have one; the path is of the others


class Call(layers.Layer):
    """A function as a layer."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def model(activation, ending="softmax"):
    """Build the reference model; `activation` makes the layer that follows each convolution."""
    image = keras.Input((*reference.SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same", name="first")(image)
    x = layers.Conv2D(6, 3, name="features")(activation()(x))
    x = layers.Flatten()(activation()(x))
    built = keras.Model(image, layers.Dense(reference.CLASSES, ending, name="dense")(x))
    kernels, biases = reference.weights()
    for name in kernels:
        built.get_layer(name).set_weights([kernels[name], biases[name]])
    return built


def call(function):
    return model(lambda: Call(function))


def guided(of, inputs, gradient_rule="guided"):
    return capture(of, LayerChoice(INPUT), Class(INDICES), inputs, gradient_rule=gradient_rule).gradients


def explainer(of, name, **options):
    return seewhy.Explainer(of, methods.get(name, **{**reference_pixels.OPTIONS[name], **options}), signed=True)


@pytest.fixture(scope="module")
def unharmed():
    """The reference model, for tests that do not run it."""
    return plain()


def backend_relu(x):
    """Call the backend's own ReLU, as models that are ported do."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.relu(x)
    if keras.backend.backend() == "jax":
        import jax

        return jax.nn.relu(x)
    import torch

    return torch.relu(x)


RELUS = {
    "argument": plain,
    "layer": lambda: model(layers.ReLU),
    "activation": lambda: model(lambda: layers.Activation("relu")),
    "function": lambda: call(ops.relu),
    "backend": lambda: call(backend_relu),
    "maximum": lambda: call(lambda x: ops.maximum(x, 0.0)),
    "maximum turned": lambda: call(lambda x: ops.maximum(0.0, x)),
    "maximum of zeros": lambda: call(lambda x: ops.maximum(x, ops.zeros((1,)))),
    "twice": lambda: call(lambda x: ops.relu(ops.relu(x))),
}


@pytest.mark.parametrize(
    "relu",
    [
        *("layer", "backend", "maximum turned"),
        *(
            pytest.param(relu, marks=pytest.mark.slow(reason="a compilation for each; three kinds show the same"))
            for relu in sorted(set(RELUS) - {"layer", "backend", "maximum turned"})
        ),
    ],
)
def test_every_kind_of_relu_is_guided(relu):
    inputs = reference.images()
    unguided = reference_pixels.gradients(inputs, INDICES)
    wanted = reference_pixels.gradients(inputs, INDICES, guided=True)
    assert np.abs(unguided - wanted).max() > np.abs(wanted).max() / 4
    close(guided(RELUS[relu](), inputs), wanted)
    close(guided(RELUS[relu](), inputs, "plain"), unguided)


CAPPED = {
    "layer": lambda: model(lambda: layers.ReLU(6.0)),
    "function": lambda: call(ops.relu6),
    "clip": lambda: call(lambda x: ops.clip(x, 0, 6)),
}


@pytest.mark.parametrize("relu", CAPPED)
def test_relu6_lets_back_only_between_0_and_6(relu):
    inputs = 8 * reference.images()
    wanted = reference_pixels.gradients(inputs, INDICES, most=6, guided=True)
    uncapped = reference_pixels.gradients(inputs, INDICES, guided=True)
    assert np.abs(wanted - uncapped).max() > np.abs(wanted).max() / 4
    close(guided(CAPPED[relu](), inputs), wanted)


def test_a_zero_is_not_positive_however_the_relu_is_written():
    """Every input of the second ReLU is cut to 0 here, where `maximum` has a derivative of 1 or of a half."""
    found = guided(call(lambda x: ops.maximum(ops.minimum(x, 0.0), 0.0)), reference.images())
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("name", PIXELS)
def test_maps_are_what_numpy_gives(name):
    inputs = reference.images()
    heatmaps = explainer(plain(), name).heatmaps(inputs, list(INDICES), batch_size=4)
    wanted = getattr(reference_pixels.maps(inputs, INDICES), name)
    assert (heatmaps.layer, heatmaps.method) == ("input", name)
    np.testing.assert_allclose(heatmaps.values, wanted, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("name", PIXELS)
def test_a_batch_is_its_images_and_the_model_is_unharmed(name):
    model, inputs = plain(), reference.images()
    before, explain = state(model), explainer(model, name)
    found = explain.heatmaps(inputs, [[2, 0], [1, 1], [3, 2]]).values
    for row, classes in enumerate([[2, 0], [1, 1], [3, 2]]):
        alone = explain.heatmaps(inputs[row : row + 1], classes).values
        close(found[row : row + 1], alone)
    assert state(model) == before


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_integrated_gradients_add_up_to_the_score_s_difference(score):
    model, inputs = seewhy.Classifier(plain()), reference.images()
    for baseline, start in ((0.0, 0 * inputs), ("mean", inputs.mean(axis=(1, 2), keepdims=True) + 0 * inputs)):
        explain = seewhy.Explainer(
            model, methods.get("integrated_gradients", baseline=baseline, steps=256), score=score, signed=True
        )
        found = explain.heatmaps(inputs, [0, 1, 2, 3])
        difference = found.scores - explain.heatmaps(start, [0, 1, 2, 3]).scores
        error = np.abs(found.values.sum(axis=(2, 3)) - difference)
        assert (error < 0.01 * np.abs(difference).max(axis=1, keepdims=True)).all()


def test_smoothgrad_without_noise_is_saliency():
    model, inputs = plain(), reference.images()
    found = explainer(model, "smoothgrad", sigma=0.0).heatmaps(inputs).values
    close(found, explainer(model, "saliency").heatmaps(inputs).values)


def test_a_baseline_may_be_an_image():
    model, inputs = plain(), reference.images(2)
    image = explainer(model, "integrated_gradients", baseline=inputs[1]).heatmaps(inputs, [1]).values
    np.testing.assert_array_equal(image[1], 0)
    wanted = reference_pixels.integrated(inputs[:1], [1], 5, inputs[1])
    close(image[:1], wanted)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("integrated_gradients", {"steps": 0}, "steps is 0"),
        ("integrated_gradients", {"steps": 2.5}, "steps is 2.5; expected an integer"),
        ("integrated_gradients", {"baseline": ["a"]}, r"baseline is \['a'\]; expected a number, an array, or 'mean'"),
        ("integrated_gradients", {"baseline": "black"}, "baseline is 'black'; expected a number, an array, or 'mean'"),
        ("integrated_gradients", {"baseline": np.zeros((4, 4, 3))}, r"shape \(4, 4, 3\); expected \(12, 10, 3\)"),
        ("integrated_gradients", {"baseline": np.nan}, "NaN"),
        ("gradient_shap", {"samples": 0}, "samples is 0; expected an integer"),
        ("gradient_shap", {"seed": "one"}, "seed is 'one'; expected an integer"),
        ("gradient_shap", {"sigma": -1}, "sigma is -1; expected a fraction"),
        ("gradient_shap", {"baselines": "black"}, "baselines is 'black'; expected a number, an array, or 'mean'"),
        ("gradient_shap", {"baselines": np.zeros((4, 3))}, r"baselines has shape \(4, 3\); expected \(12, 10, 3\)"),
        ("gradient_shap", {"baselines": np.zeros((2, 3, 12, 10))}, r"expected several inputs, \(M, 12, 10, 3\)"),
        ("gradient_shap", {"baselines": np.zeros((0, 12, 10, 3))}, r"expected several inputs, \(M, 12, 10, 3\)"),
        ("smoothgrad", {"samples": 0}, "samples is 0"),
        ("smoothgrad", {"samples": "many"}, "samples is 'many'; expected an integer"),
        ("smoothgrad", {"sigma": "much"}, "sigma is 'much'"),
        ("smoothgrad", {"seed": -1}, "seed is -1"),
        ("smoothgrad", {"sigma": -0.1}, "sigma is -0.1"),
    ],
)
def test_options_out_of_range_are_refused(unharmed, name, options, message):
    with pytest.raises(OptionError, match=message):
        explainer(unharmed, name, **options).heatmaps(reference.images(1))


OTHERS = {
    "GELU": [ops.gelu, lambda x: ops.gelu(x, approximate=False)],
    "SiLU": [ops.silu],
    "leaky ReLU": [ops.leaky_relu],
    "S?ELU": [ops.elu, ops.selu],
    "hard SiLU|hard sigmoid": [ops.hard_silu, lambda x: x * ops.relu6(x + 3.0) / 6.0],
    "hard sigmoid": [lambda x: x * ops.hard_sigmoid(x)],
    "tanh": [ops.tanh],
    "hard tanh|clamp with the lower bound -1": [ops.hard_tanh],
    "softplus": [ops.softplus],
    "sigmoid": [lambda x: x * ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True))],
    "PReLU": [lambda x: ops.relu(x) - 0.1 * ops.relu(-x)],
    "clamp with the lower bound -1": [lambda x: ops.maximum(x, -1.0)],
    "choice by where": [lambda x: ops.where(x > 0, x, 0.1 * x)],
}


@pytest.mark.parametrize(("kind", "function"), [(kind, each) for kind, some in OTHERS.items() for each in some])
def test_other_activations_are_refused_by_name(kind, function):
    with pytest.raises(MethodError, match=f"another activation: ({kind}).*'call[_0-9]*'.*saliency.*others='pass'"):
        guided(call(function), reference.images(1))


def test_other_activations_are_passed_as_they_are_on_request():
    inputs = reference.images(1)
    unguided = guided(call(ops.tanh), inputs, "plain")
    close(guided(call(ops.tanh), inputs, "guided-where-relu"), unguided)
    names = [methods.get(name, others="pass") for name in ("guided_backprop", "guided_gradcam")]
    model = squeeze_and_excite()
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype(np.float32)
    for method in names:
        assert np.isfinite(seewhy.Explainer(model, method, "conv").heatmaps(image).values).all()
    with pytest.raises(MethodError, match=r"sigmoid.*(excite|scale)"):
        seewhy.Explainer(model, "guided_backprop").heatmaps(image)


def test_hard_gates_are_passed_with_their_own_derivative():
    inputs = reference.images(1)
    for function in (ops.hard_silu, lambda x: x * ops.relu6(x + 3.0) / 6.0, lambda x: ops.relu(x) - ops.relu(-x)):
        close(guided(call(function), inputs, "guided-where-relu"), guided(call(function), inputs, "plain"))


def test_the_larger_of_two_convolutions_is_no_relu():
    def halves(x):
        return ops.concatenate([ops.maximum(x[..., :3], x[..., 3:6]), x[..., 3:]], axis=-1)

    inputs = reference.images(1)
    close(guided(call(halves), inputs), guided(call(halves), inputs, "plain"))


def test_a_final_sigmoid_does_not_count():
    inputs = reference.images()
    found = guided(model(layers.ReLU, "sigmoid"), inputs)
    close(found, reference_pixels.gradients(inputs, INDICES, guided=True))


def test_guided_from_a_layer_leaves_out_what_comes_before():
    """Before the layer there is a tanh, which nothing is asked about."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="tanh", name="before")(image)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    built = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    inputs = np.ones((1, 8, 8, 3), np.float32)
    assert (capture(built, "before", Class((0, 1)), inputs, gradient_rule="guided").gradients != 0).any()
    with pytest.raises(MethodError, match=r"tanh.*before"):
        guided(built, inputs)


def test_an_unknown_choice_about_others_is_refused():
    with pytest.raises(OptionError, match="others is 'ignore'; expected 'refuse' or 'pass'"):
        methods.get("guided_backprop", others="ignore")
    with pytest.raises(OptionError, match=r"no option 'steps'\. Its options: others='refuse'"):
        methods.get("guided_gradcam", steps=4)


@functools.cache
def classifier_of(shape):
    """Build a classifier of inputs of a shape, which methods share, and with it what is compiled for them."""
    convolution = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[len(shape) - 1]
    first, last = convolution(4, 3, activation="relu", name="conv"), layers.Dense(3)
    return seewhy.Classifier(keras.Sequential([keras.Input(shape), first, layers.Flatten(), last]))


@pytest.mark.parametrize("shape", [(9, 8, 1), (9, 8, 5), (20, 2), (9, 8, 7, 2)])
@pytest.mark.parametrize("name", OF_ANY_SHAPE)
def test_any_number_of_channels_and_of_axes(name, shape):
    classifier = classifier_of(shape)
    inputs = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    heatmaps = explainer(classifier, name).heatmaps(inputs, [0, 1])
    assert heatmaps.values.shape == (2, 2, *shape[:-1])
    if name == "gradient_x_input":  # the model is linear but for its ReLU: the map and the biases' part add up
        biased = heatmaps.values.sum(axis=tuple(range(2, 1 + len(shape))))
        np.testing.assert_allclose(biased, predict(classifier.model, inputs)[:, :2], atol=1e-5)  # all biases are 0
    assert (heatmaps.values != 0).any(axis=tuple(range(2, 1 + len(shape)))).all() or name == "guided_gradcam"


def test_guided_gradcam_needs_a_layer_with_the_input_s_axes():
    built = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Reshape((36, 4)),
            layers.Conv1D(4, 3, activation="relu", name="sequence"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    explain = seewhy.Explainer(built, "guided_gradcam", "sequence")
    with pytest.raises(LayerError, match="'sequence' has 34 positions along one axis"):
        explain.heatmaps(np.ones((1, 8, 8, 3), np.float32))
