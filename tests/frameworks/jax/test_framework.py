"""The tap on Keras models on JAX: reading jaxprs, and tracing the model once for each shape.

Run it with KERAS_BACKEND=jax. The promises of every framework are tested in tests/contracts.
"""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from jax import lax
from keras import layers, ops
from tests.sample_models import (
    PAPER_ACTIVATIONS,
    PAPER_GRADCAM,
    PAPER_GRADIENTS,
    PAPER_INPUT,
    PAPER_LOGITS,
    paper_layers,
    set_paper_weights,
)

import seewhy
from seewhy.errors import LayerError, ModelError, ModelRunError, NoGradientError
from seewhy.frameworks import framework_for
from seewhy.frameworks.jax.logits import bypass_final_activation
from seewhy.frameworks.jax.precision import in_bfloat16
from seewhy.frameworks.jax.trunk_and_head import as_function, has_derivative, mark, mark_position, split, trace
from seewhy.targets import Class, Objective

BOTH = Class((0, 1))
INPUTS = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


class Paper(keras.Model):
    """The paper model; `ending` makes the outputs of the logits."""

    def __init__(self, ending):
        super().__init__()
        self.convolution, self.flatten, self.dense = paper_layers()
        self.ending = ending
        self.runs = 0
        self(PAPER_INPUT)
        set_paper_weights(self.convolution, self.dense)
        self.runs = 0

    def call(self, inputs):
        self.runs += 1
        return self.ending(self.dense(self.flatten(self.convolution(inputs))))


def capture(model, layer="conv", target=BOTH, inputs=PAPER_INPUT):
    framework = framework_for(model)
    return framework.capture(framework.check_inputs(inputs), framework.find_layer(layer), Objective(target))


def by_hand(logits):
    exponentials = jnp.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def exponentiated_twice(logits):
    return jnp.exp(logits) / jnp.sum(jnp.exp(logits), axis=-1, keepdims=True)


# The logits before the final activation

SOFTMAX = {
    "jax.nn": jax.nn.softmax,
    "jax.nn, over a named axis": lambda logits: jax.nn.softmax(logits, axis=1),
    "jitted": jax.jit(jax.nn.softmax),
    "jitted twice": jax.jit(lambda logits: jax.jit(jax.nn.softmax)(logits)),
    "under jax.checkpoint": jax.checkpoint(jax.nn.softmax),
    "with a derivative of its own": jax.custom_jvp(lambda logits: jax.nn.softmax(logits)),
    "by hand": by_hand,
    "by hand, exponentiated twice": exponentiated_twice,
    "squeezed and reshaped": lambda logits: jax.nn.softmax(logits[:, None, :]).squeeze(1).reshape(-1, 1, 2)[:, 0],
    "wide and narrow": lambda logits: jax.nn.softmax(logits.astype("bfloat16")).astype("float32"),
    "logarithm": jax.nn.log_softmax,
    "logarithm, jitted": jax.jit(jax.nn.log_softmax),
}
SOFTMAX["with a derivative of its own"].defjvp(lambda values, tangents: jax.jvp(jax.nn.softmax, values, tangents))


@pytest.mark.parametrize("form", SOFTMAX)
def test_a_softmax_is_bypassed_however_it_is_written(form):
    captured = capture(Paper(SOFTMAX[form]))
    np.testing.assert_array_equal(captured.activations, PAPER_ACTIVATIONS[None])
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    expected = np.exp(PAPER_LOGITS) / np.exp(PAPER_LOGITS).sum()
    np.testing.assert_allclose(captured.probabilities, expected[None], rtol=1e-5)


def test_axes_that_are_added_and_taken_away_change_nothing():
    captured = capture(Paper(lambda logits: jax.nn.softmax(logits)[..., None][..., 0][:, None, :].squeeze(1)))
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])


@pytest.mark.parametrize("form", [jax.nn.sigmoid, jax.jit(jax.nn.sigmoid), lax.logistic, ops.sigmoid])
def test_a_sigmoid_is_bypassed_however_it_is_written(form):
    captured = capture(Paper(form))
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_allclose(captured.probabilities, 1 / (1 + np.exp(-PAPER_LOGITS))[None], rtol=1e-5)


def test_a_softmax_at_a_temperature_is_bypassed_to_its_own_input():
    captured = capture(Paper(lambda logits: jax.nn.softmax(logits / 2)))
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None] / 2)
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None] / 2, atol=1e-6)


NO_HEADS = {
    "a share that is no exponential's": lambda x: jnp.abs(x) / jnp.sum(jnp.abs(x), axis=-1, keepdims=True),
    "over the sum of others' exponentials": lambda x: jnp.exp(x) / jnp.sum(jnp.exp(2 * x), axis=-1, keepdims=True),
    "a softmax over other axes than the classes'": lambda x: jax.nn.softmax(x.reshape(3, 2, 1)).reshape(3, 2),
    "two softmaxes, side by side": lambda x: jax.nn.softmax(x.repeat(2, axis=1).reshape(3, 2, 2)).reshape(3, 4),
    "their logarithms": lambda x: jax.nn.log_softmax(x.repeat(2, axis=1).reshape(3, 2, 2)).reshape(3, 4),
    "a softmax over the images": lambda x: jax.nn.softmax(x, axis=0),
    "less another logarithm": lambda x: x - jnp.log(jnp.sum(jnp.exp(2 * x), axis=-1, keepdims=True)),
    "a sigmoid, doubled": lambda x: 2 * jax.nn.sigmoid(x),
    "a softmax, turned round": lambda x: jax.nn.softmax(x)[:, ::-1],
    "half of a softmax": lambda x: jnp.repeat(jax.nn.softmax(x)[:, :1], 2, axis=1),
    "nothing": lambda x: x,
}


@pytest.mark.parametrize("form", NO_HEADS)
def test_an_operation_like_a_final_activation_is_not_bypassed(form):
    jaxpr = trace(NO_HEADS[form], jnp.ones((3, 2))).jaxpr
    assert bypass_final_activation(jaxpr, jaxpr.outvars[0]) == ("linear", jaxpr.outvars[0])


def test_only_the_maximum_of_the_same_values_is_a_shift():
    """exp(x - c) / sum(exp(x - c)) is the softmax of x - c: with a c of its own, that is what the logits are."""
    shifted = capture(Paper(lambda logits: exponentiated_twice(logits - jnp.array([[1.0, 2.0]]))))
    np.testing.assert_allclose(shifted.scores, PAPER_LOGITS[None] - [[1, 2]])


# A trace, split in two


def test_a_split_returns_the_layer_s_output_and_the_arrays_that_bypass_it():
    """y = tanh(2 x) + x with the mark at 2 x: the head is given both, and the trunk stops there."""
    traced = trace(lambda x: jnp.tanh(mark(2 * x, "a")) + x, jnp.ones(3))
    position = mark_position(traced.jaxpr, "a", (3,))
    trunk, head = split(traced, position, traced.jaxpr.outvars)
    x = jnp.array([0.0, 1.0, 2.0])
    tapped, *bypass = trunk(x)
    np.testing.assert_array_equal(tapped, [0, 2, 4])
    assert [each.tolist() for each in bypass] == [[0, 1, 2]]
    np.testing.assert_allclose(head(jnp.zeros(3), *bypass)[0], x)
    np.testing.assert_allclose(head(tapped, *bypass)[0], np.tanh([0, 2, 4]) + x, rtol=1e-6)
    np.testing.assert_allclose(as_function(traced, traced.jaxpr.outvars)(x)[0], np.tanh([0, 2, 4]) + x, rtol=1e-6)
    assert mark_position(traced.jaxpr, "b", (3,)) is None
    assert mark_position(traced.jaxpr, "a", (4, 3)) is None


def test_an_equation_after_the_mark_that_does_not_depend_on_it_belongs_to_the_trunk():
    """y = tanh(2 x) + exp(x): the exponential comes after the mark, and bypasses it."""
    traced = trace(lambda x: jnp.tanh(mark(2 * x, "a")) + jnp.exp(x), jnp.ones(3))
    trunk, head = split(traced, mark_position(traced.jaxpr, "a", (3,)), traced.jaxpr.outvars)
    x = jnp.array([0.0, 1.0, 2.0])
    _, *bypass = trunk(x)
    assert [equation.primitive.name for equation in head.equations] == ["tanh", "add"]
    np.testing.assert_allclose(bypass[0], np.exp(x), rtol=1e-6)
    np.testing.assert_allclose(head(jnp.zeros(3), *bypass)[0], np.exp(x), rtol=1e-6)


def test_constants_and_derivatives_of_its_own_survive_the_trace():
    """relu's derivative at 0 is 0 as jax.nn says it, and 1/2 if it were taken for a maximum."""
    table = jnp.array([1.0, 10.0, 100.0])
    traced = trace(jax.jit(lambda x: table * jax.nn.relu(x)), jnp.ones(3))
    again = as_function(traced, traced.jaxpr.outvars)
    np.testing.assert_array_equal(again(jnp.array([-1.0, 0.0, 2.0]))[0], [0, 0, 200])
    np.testing.assert_array_equal(jax.grad(lambda x: again(x)[0].sum())(jnp.array([-1.0, 0.0, 2.0])), [0, 0, 100])


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (jnp.sum, True),
        (lambda x: jnp.sum(x * 0), True),  # a derivative that is 0, and not none
        (lambda x: jnp.sum(jax.jit(jax.nn.relu)(x)), True),
        (lambda x: lax.cond(x[0] > 0, jnp.sum, lambda _: 0.0, x), True),
        (lambda x: lax.scan(lambda sum_, each: (sum_ + each, None), 0.0, x)[0], True),
        (lambda x: jnp.sum(lax.stop_gradient(x)), False),
        (lambda x: jnp.sum(jax.jit(jnp.round)(x)), False),
        (lambda x: jnp.argmax(x).astype("float32"), False),
        (lambda x: jnp.sum(jnp.zeros_like(x)), False),
        (lambda x: lax.scan(lambda sum_, each: (sum_ + 1, each), 0.0, x)[0], False),
    ],
)
def test_whether_there_is_a_derivative(function, expected):
    assert has_derivative(function, jnp.ones(3)) is expected


def test_a_derivative_of_0_is_an_empty_map_and_none_is_an_error():
    model = Paper(lambda logits: 0 * logits)
    heatmaps = seewhy.Explainer(model, layer="conv").heatmaps(PAPER_INPUT, [0, 1])
    assert heatmaps.values.max() == 0
    assert not heatmaps.has_evidence.any()
    with pytest.raises(NoGradientError, match="No gradient reaches the layer 'conv': the scores do not depend on it"):
        seewhy.Explainer(Paper(jnp.round), layer="conv").heatmaps(PAPER_INPUT)


# Python runs once


def test_python_runs_once_for_each_shape_of_input_whatever_the_targets():
    model = Paper(jax.nn.softmax)
    explainer = seewhy.Explainer(model, layer="conv")
    selected = (0, 1, [1, 0], "top-1", "top-2", lambda logits: logits[:, 0])
    for targets in selected:
        explainer.heatmaps(PAPER_INPUT, targets)
    explainer.layers(PAPER_INPUT)
    explainer.framework.predict(PAPER_INPUT)
    assert model.runs == 1
    explainer.heatmaps(np.repeat(PAPER_INPUT, 3, axis=0), 0)
    assert model.runs == 2  # JAX compiles for a shape, and the batch is part of it
    assert [seewhy.Explainer(model, layer="conv").heatmaps(PAPER_INPUT).layer, model.runs] == ["conv", 3]


def test_a_new_class_does_not_compile_anew(caplog):
    explainer = seewhy.Explainer(Paper(jax.nn.softmax), layer="conv")
    explainer.heatmaps(PAPER_INPUT, [0, 1])
    with jax.log_compiles(), caplog.at_level("WARNING", logger="jax"):
        swapped = explainer.heatmaps(PAPER_INPUT, [1, 0])
        assert "Compiling" not in caplog.text
        explainer.heatmaps(PAPER_INPUT, [0])
        assert "Compiling jit(capture)" in caplog.text  # the log would have shown it
    np.testing.assert_allclose(swapped.values, PAPER_GRADCAM[None, ::-1], atol=1e-6)


def test_weights_changed_between_calls_are_seen():
    model = Paper(jax.nn.softmax)
    explainer = seewhy.Explainer(model, layer="conv")
    first = explainer.heatmaps(PAPER_INPUT, 0)
    model.dense.set_weights([2 * PAPER_GRADIENTS.reshape(2, 8).T, np.zeros(2, np.float32)])
    np.testing.assert_allclose(explainer.heatmaps(PAPER_INPUT, 0).values, 2 * first.values, rtol=1e-6)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(PAPER_INPUT, np.array([1]), verbose=0)  # JAX gives the old weights' memory away
    trained = explainer.heatmaps(PAPER_INPUT, 0)
    assert abs(trained.values - 2 * first.values).max() > 0.1
    fresh = seewhy.Explainer(model, layer="conv").heatmaps(PAPER_INPUT, 0)
    np.testing.assert_array_equal(trained.values, fresh.values)


def test_channels_first_gives_the_same_maps():
    """TensorFlow cannot run it on a CPU, and JAX can: the same kernels, with the axes the other way round."""

    def build(data_format):
        keras.utils.set_random_seed(0)
        options = {"data_format": data_format}
        image = keras.Input((8, 8, 3))
        x = image if data_format == "channels_last" else layers.Permute((3, 1, 2))(image)
        x = layers.Conv2D(4, 3, activation="relu", name="conv", **options)(x)
        x = layers.Conv2D(5, 3, strides=2, name="last", **options)(x)
        return keras.Model(image, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D(**options)(x)))

    last, first = build("channels_last"), build("channels_first")
    for layer in ("conv", "auto"):
        expected, found = (seewhy.Explainer(each, layer=layer).heatmaps(INPUTS, [0, 1, 2]) for each in (last, first))
        assert found.layer == expected.layer
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-6)


# What models do with JAX of their own


class Own(keras.Model):
    """Runs its second convolution in a way of its own."""

    def __init__(self, way):
        super().__init__()
        self.first, self.second = (layers.Conv2D(3, 3, padding="same", name=name) for name in ("first", "second"))
        self.head = layers.Dense(2, name="head")
        self.first.build((None, 8, 8, 3))
        self.second.build((None, 8, 8, 3))
        self.head.build((None, 192))
        self.built = True
        self.run = way(self.second)

    def call(self, inputs):
        return self.head(self.run(self.first(inputs)).reshape(len(inputs), -1))


IN_THE_OPEN = {
    "jax.jit": jax.jit,
    "jax.jit, twice": lambda layer: jax.jit(jax.jit(layer.__call__)),
    "jax.checkpoint": lambda layer: jax.checkpoint(lambda x: layer(x)),
}


@pytest.mark.parametrize("way", IN_THE_OPEN)
def test_a_layer_in_a_jitted_function_of_the_model_s_own_is_reached(way):
    """Also where JAX has run the function before, and would not run its Python again."""
    model = Own(lambda layer: layer)
    expected = {name: seewhy.Explainer(model, layer=name).heatmaps(INPUTS, [0, 1]) for name in ("first", "second")}
    model.run = IN_THE_OPEN[way](model.second)
    message_of = np.asarray(model(INPUTS))
    for name in ("first", "second", "auto", "first"):
        heatmaps = seewhy.Explainer(model, layer=name).heatmaps(INPUTS, [0, 1])
        assert heatmaps.layer == ("second" if name == "auto" else name)
        np.testing.assert_allclose(heatmaps.values, expected[heatmaps.layer].values, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model(INPUTS), message_of)


OUT_OF_REACH = {
    "a loop": lambda layer: lambda x: lax.fori_loop(0, 2, lambda _, x: layer(x), x),
    "a branch": lambda layer: lambda x: lax.cond(x.sum() > 0, layer.__call__, lambda x: x, x),
    "a vmap": lambda layer: jax.vmap(lambda x: layer(x[None])[0]),
}


@pytest.mark.parametrize("way", OUT_OF_REACH)
def test_a_layer_that_cannot_be_reached_is_an_error_and_auto_takes_no_other(way):
    model = Own(OUT_OF_REACH[way])
    for layer in ("second", "auto"):
        with pytest.raises(LayerError, match="'second' runs inside a loop, a branch, a vmap or a custom derivative"):
            seewhy.Explainer(model, layer=layer).heatmaps(INPUTS)
    assert seewhy.Explainer(model, layer="first").heatmaps(INPUTS, [0, 1]).values.max() > 0


def test_a_model_that_reads_values_is_an_error():
    model = Own(lambda layer: lambda x: layer(x) if x.sum() > 0 else x)
    model(INPUTS)
    with pytest.raises(ModelRunError, match=r"reads the values of a tensor, which JAX cannot trace: Attempted bool"):
        seewhy.Explainer(model).heatmaps(INPUTS)


def test_a_model_that_calls_python_is_not_exported(tmp_path):
    class InNumpy(layers.Layer):
        def call(self, x):
            y = lax.stop_gradient(x)
            like = jax.ShapeDtypeStruct(y.shape, y.dtype)
            return x + jax.pure_callback(lambda array: np.sign(array), like, y, vmap_method="expand_dims")

        def compute_output_shape(self, shape):
            return shape

    image = keras.Input((8, 8, 3))
    maps = layers.Conv2D(2, 3, name="features")(image)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(InNumpy()(maps))))
    source = seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255)
    with pytest.raises(ModelError, match=r"JAX cannot export the model: .*Functions of Python"):
        seewhy.export(seewhy.Explainer(source, "hirescam", "features"), tmp_path / "m.stablehlo", targets=0)
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_model_s_python_is_a_model_run_error():
    model = Own(lambda layer: lambda _: layer.no_such_thing)
    with pytest.raises(ModelRunError, match="no_such_thing") as raised:
        seewhy.Explainer(model).heatmaps(INPUTS)
    assert isinstance(raised.value.__cause__, AttributeError)


def test_outputs_that_are_no_tensors():
    model = Paper(lambda logits: {"logits": logits, "unit": "metre", "nothing": None})
    with pytest.raises(ModelError, match=r"has 3 outputs, and none was named.* 'logits', 'unit', 'nothing'"):
        seewhy.Explainer(model).heatmaps(PAPER_INPUT)
    with pytest.raises(ModelError, match="The model returned a str; expected a tensor"):
        seewhy.Explainer(model, output="unit").heatmaps(PAPER_INPUT)
    heatmaps = seewhy.Explainer(model, output="logits", layer="conv").heatmaps(PAPER_INPUT, [0, 1])
    np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)


def test_products_in_the_open_are_in_bfloat16_and_those_in_a_loop_are_left():
    a_little_more = jnp.full((1, 1), 1 + 2**-9)

    def products(matrix):
        in_a_loop, _ = lax.scan(lambda carry, _: (carry @ matrix, None), jnp.eye(1), None, length=1)
        return matrix @ jnp.eye(1), in_a_loop, matrix + 0

    narrowed = in_bfloat16(trace(products, a_little_more))
    in_the_open, in_a_loop, untouched = as_function(narrowed, narrowed.jaxpr.outvars)(a_little_more)
    assert in_the_open == 1
    assert in_a_loop == untouched == 1 + 2**-9
    assert in_the_open.dtype == jnp.float32


MODEL_OF_ONE_S_OWN = """
import keras, seewhy

def make():
    keras.utils.set_random_seed(0)
    maps = keras.layers.Conv2D(4, 3, activation="relu", name="maps")
    model = keras.Sequential([keras.Input((8, 8, 3)), maps, keras.layers.Flatten(), keras.layers.Dense(3)])
    return seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255)
"""


def test_a_second_process_takes_what_the_first_compiled(tmp_path, examples):
    """A key of JAX's cache is of all that is compiled: a name or a weight in it that differs would make a new file."""
    (tmp_path / "own.py").write_text(MODEL_OF_ONE_S_OWN)
    command = [
        sys.executable,
        "-m",
        "seewhy",
        "explain",
        examples / "cat.png",
        "--model",
        "own:make",
        "--format",
        "npz",
    ]
    environment = {**os.environ, "JAX_LOG_COMPILES": "1", "JAX_EXPLAIN_CACHE_MISSES": "1"}  # says hits, says misses
    noted, heatmaps = [], []
    for out in ("first", "second"):
        finished = subprocess.run(
            [*command, "--compile-cache", "kept", "--out", out],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        noted.append(set(re.findall(r"compilation cache (hit|miss) for '(\w+)'", finished.stderr, re.IGNORECASE)))
        heatmaps.append(np.load(tmp_path / out / "cat_gradcam.npz")["heatmaps"])
    first, second = noted
    assert ("MISS", "jit_capture") in first
    assert ("hit", "jit_capture") in second
    assert {how for how, _ in second} == {"hit"}
    assert len(second) > 3  # what takes no second to compile is kept, too
    assert heatmaps[0].max() > 0
    np.testing.assert_array_equal(*heatmaps)
