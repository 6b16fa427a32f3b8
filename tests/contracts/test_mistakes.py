"""What cannot be meant is said, in the same words on every framework, and nothing else is taken in its place."""

import numpy as np
import pytest
from tests.contracts.reference import CLASSES, images

import seewhy
from seewhy.errors import InputError, LayerError, ModelError, ModelRunError, TargetError

# The model


@pytest.mark.parametrize("thing", [{}, None, 3, np.zeros(3), seewhy.Explainer])
def test_objects_that_are_no_model(framework, thing):
    framework.plain()
    with pytest.raises(ModelError, match=r"Cannot explain an object of type .*: expected a keras.Model \(Keras 3\) or"):
        seewhy.Explainer(thing)
    with pytest.raises(ModelError, match=r"given by name, 'vgg16': load it first, with seewhy.load\('vgg16'\)"):
        seewhy.Classifier("vgg16")


def test_a_part_of_a_model_is_none(framework):
    """A Keras layer is no model. Any module of PyTorch is a model, if it can be run."""
    layer = framework.subclassed().features
    if framework.NAME == "torch":
        assert seewhy.Explainer(layer).framework.name == "torch"
        return
    with pytest.raises(ModelError, match=r"Cannot explain an object of type keras\..*Conv2D: expected a keras.Model"):
        seewhy.Explainer(layer)


def test_a_model_that_was_never_built(framework):
    model, name = framework.unbuilt()
    with pytest.raises(ModelError, match=rf"The model '?{name}'? has no weights yet: .*call it on an input"):
        seewhy.Explainer(model)


def test_outputs_that_are_not_arrays(framework):
    model, inputs = framework.says_what(), framework.given(images())
    with pytest.raises(ModelError, match=r"has 2 outputs, and none was named.* 'logits', 'unit'"):
        seewhy.Explainer(model).heatmaps(inputs)
    with pytest.raises(ModelError, match="The model returned a str; expected a tensor, or a list or dict of them"):
        seewhy.Explainer(model, output="unit").heatmaps(inputs)
    message_of = seewhy.Explainer(model, output="logits").heatmaps(inputs, [0, 1])
    np.testing.assert_array_equal(
        message_of.values, seewhy.Explainer(framework.subclassed()).heatmaps(inputs, [0, 1]).values
    )


# The input


@pytest.mark.parametrize("build", ["plain", "subclassed"])
def test_inputs_of_the_wrong_shape(framework, build):
    """Keras knows the shape of what it built itself; the others have to be run to tell."""
    if framework.NAME == "onnx":
        pytest.skip("an ONNX model declares its input's shape, with channels first")
    explainer = seewhy.Explainer(getattr(framework, build)())
    if framework.NAME != "torch" and build == "plain":
        with pytest.raises(InputError, match=r"has shape \(3, 12, 10, 2\); the model expects \(any, 12, 10, 3\)\.$"):
            explainer.heatmaps(images()[..., :2])
        with pytest.raises(InputError, match=r"expects \(any, 12, 10, 3\). Add the batch axis: inputs\[None\]\.$"):
            explainer.heatmaps(images()[0])
        return
    shape = r"\((any|3), 2, 12, 10\)" if framework.NAME == "torch" else r"\((any|3), 12, 10, 2\)"
    with pytest.raises(ModelRunError, match=rf"The model cannot run on an input of shape {shape}: "):
        explainer.heatmaps(framework.given(images()[..., :2]))


def test_a_batch_with_its_labels(framework):
    explainer, inputs = seewhy.Explainer(framework.plain()), framework.given(images())
    labels = np.arange(len(inputs))
    for pair in ((inputs, labels), [inputs, np.eye(len(inputs))], (inputs, labels.tolist())):
        with pytest.raises(InputError, match=r"has 1 input; given 2 arrays.*labels of a batch.*the images alone"):
            explainer.heatmaps(pair)


def test_an_image_without_its_axes(framework):
    if not framework.NAME.startswith("keras"):
        pytest.skip("of the axes that Keras declares")
    model = framework.brightness("nothing", (28, 28), channels=1)
    for given, advice in (
        (np.zeros((28, 28)), "Add both axes: inputs[None, ..., None]."),
        (np.zeros((5, 28, 28)), "Add the channels' axis: inputs[..., None]."),
        (np.zeros((28, 28, 1)), "Add the batch axis: inputs[None]."),
    ):
        with pytest.raises(InputError) as error:
            seewhy.Explainer(model).heatmaps(given)
        assert str(error.value).endswith(advice)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(str), r"The input is of type <U32; expected an array of numbers, \(N, ...\)"),
        (lambda x: x.astype(complex), "The input is of type complex128; expected an array of numbers"),
        (lambda x: x.astype(object), "The input is ndarray; expected an array of numbers"),
        (lambda _: None, "The input is NoneType; expected an array of numbers"),
        (lambda _: "cat.jpg", "The input is of type <U7; expected an array|The input is str; expected an array"),
        (lambda x: x[:0], "The input is an empty batch; expected at least one image"),
        (lambda x: np.concatenate([x, x * np.nan]), "NaN or infinite values, in image 3 of the batch"),
        (lambda x: x * np.inf, "NaN or infinite values, in image 0 of the batch"),
    ],
)
@pytest.mark.parametrize("build", ["plain", "subclassed"])
def test_inputs_that_are_no_numbers(framework, build, change, message):
    with pytest.raises(InputError, match=message):
        seewhy.Explainer(getattr(framework, build)()).heatmaps(change(framework.given(images())))


# The layer, the target, the output


def test_a_name_that_two_layers_have(framework):
    paths = ", ".join(framework.path(side, "features") for side in ("left", "right"))
    with pytest.raises(LayerError, match=rf"2 layers are called 'features'; give one of their paths: {paths}\.$"):
        seewhy.Explainer(framework.of_the_same_name(), layer="features")
    path = framework.path("left", "features")
    found = seewhy.Explainer(framework.of_the_same_name(), layer=path).heatmaps(framework.given(images()), 0)
    assert (found.layer, found.values.shape) == (path, (3, 1, 12, 10))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("featurs", r"There is no layer 'featurs' in the model. Did you mean 'features'"),
        ("spare", "'spare' is part of the model, but is not called when it runs"),
        ("dense", r"The layer 'dense' cannot be explained: its output \(4,\) is not one tensor with more than one"),
        ("features#2", "There is no call features#2: the layer 'features' is called 1 times"),
    ],
)
def test_layers_that_cannot_be_meant(framework, layer, message):
    with pytest.raises(LayerError, match=message):
        seewhy.Explainer(framework.subclassed(), layer=layer).heatmaps(framework.given(images()), 0)


def test_a_layer_of_another_model(framework):
    stranger = framework.subclassed().features
    with pytest.raises(LayerError, match=r"is not part of the model. Give one of its layers, or a name"):
        seewhy.Explainer(framework.subclassed(), layer=stranger)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (CLASSES, "There is no class 4: the model has classes 0 to 3"),
        (-1, "There is no class -1: the model has classes 0 to 3"),
        ("top-5", "'top-5' selects more than the model's 4 classes"),
        ("cat", "was given by name, and the model's class names are not known"),
        ([[0], [1]], "Targets were given for 2 images, but there are 3"),
        (lambda logits: logits[:2, 0], r"scores of shape \(2, 1\) for 3 images; expected \(N,\) or \(N, T\)"),
        (lambda logits: logits[:, :, None], r"expected scores of shape \(N,\) or \(N, T\)"),
    ],
)
def test_targets_that_cannot_be_meant(framework, targets, message):
    with pytest.raises(TargetError, match=message):
        seewhy.Explainer(framework.plain()).heatmaps(framework.given(images()), targets)


def test_an_output_that_is_not_there(framework):
    with pytest.raises(ModelError, match=r"The model has one output, and output=1 was given. Leave it out"):
        seewhy.Explainer(framework.plain(), output=1).heatmaps(framework.given(images()))
