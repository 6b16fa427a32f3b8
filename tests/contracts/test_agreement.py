"""Same weights, same input, every framework: within 1e-4 of the maximum of what NumPy gives.

The reference model is built plainly, over signals, images and volumes, nested, subclassed, shared, and with several
inputs and outputs. Whichever way, it has the same activations, gradients and heatmaps.
"""

import numpy as np
import pytest
from tests.contracts.capturing import capture
from tests.contracts.reference import SIZES, close, expected, images

import seewhy
from seewhy.errors import LayerError, ModelError, NoGradientError
from seewhy.targets import Class

INDICES = (2, 0, 3)
METHODS = ("gradcam", "hirescam")


def agrees(model, inputs, wanted, path, method="gradcam", layer="auto", **options):
    """Explain the classes of INDICES, and compare with what NumPy gives."""
    heatmaps = seewhy.Explainer(model, method, layer, **options).heatmaps(inputs, list(INDICES))
    assert heatmaps.layer == path
    assert (getattr(wanted, method).reshape(len(wanted.scores), 3, -1).max(axis=2) > 0).mean() > 0.5  # of the maps
    close(heatmaps.values, getattr(wanted, method))
    close(heatmaps.scores, wanted.scores)
    np.testing.assert_array_equal(heatmaps.indices, [INDICES] * len(wanted.scores))


@pytest.mark.parametrize("kind", SIZES)
def test_a_capture_is_what_numpy_gives(framework, kind):
    inputs = images(size=SIZES[kind])
    wanted = expected(inputs, INDICES)
    found = capture(framework.plain(SIZES[kind]), "features", Class(INDICES), framework.given(inputs))
    for name in ("activations", "gradients", "scores", "probabilities"):
        close(getattr(found, name), getattr(wanted, name))
    close(found.outputs, wanted.probabilities)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", SIZES)
def test_heatmaps_of_signals_images_and_volumes(framework, kind, method):
    inputs = images(size=SIZES[kind])
    model = framework.plain(SIZES[kind])
    agrees(model, framework.given(inputs), expected(inputs, INDICES), "features", method)


BUILDS = {
    "subclassed": (lambda framework: framework.subclassed(), ["features"]),
    "nested": (lambda framework: framework.nested(), ["base", "features"]),
    "nested twice": (lambda framework: framework.nested(2), ["outer", "base", "features"]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("build", BUILDS)
def test_models_of_every_build(framework, build, method):
    """By "auto", by the layer's path, and by its name alone."""
    make, names = BUILDS[build]
    model, inputs, path = make(framework), images(), framework.path(*names)
    for layer in ("auto", path, "features"):
        agrees(model, framework.given(inputs), expected(inputs, INDICES), path, method, layer)


def test_a_shared_layer_is_explained_at_the_call_that_is_meant(framework):
    """Siamese: its logits are those of one image and of another, added. So the gradients are the same at both calls."""
    one, two = images(seed=1), images(seed=2)
    wanted = {"features#1": expected(one, INDICES), "features#2": expected(two, INDICES)}
    wanted["features"] = wanted["features#2"]  # of several calls, the last
    inputs = {"one": framework.given(one), "two": framework.given(two)}
    for layer, each in wanted.items():
        each.scores = wanted["features#1"].logits[:, INDICES] + wanted["features#2"].logits[:, INDICES]
        agrees(framework.siamese(), inputs, each, path=layer, layer=layer)
    with pytest.raises(LayerError, match="There is no call features#3: the layer 'features' is called 2 times"):
        seewhy.Explainer(framework.siamese(), layer="features#3").heatmaps(inputs)


@pytest.mark.parametrize("structure", [list, tuple, dict])
def test_several_inputs_and_outputs(framework, structure):
    """The inputs are added: a quarter of the images and three quarters of them."""
    inputs, model = images(), framework.several(structure)
    parts = [framework.given(inputs * 0.25), framework.given(inputs * 0.75)]
    answer, pixels = ("answer", "pixels") if structure is dict else (0, 1)
    batch = {"two": parts[1], "one": parts[0]} if structure is dict else structure(parts)
    agrees(model, batch, expected(inputs, INDICES), "features", layer="features", output=answer)
    with pytest.raises(
        ModelError, match=rf"has 2 outputs, and none was named. .* output=...: {answer!r}, {pixels!r}\."
    ):
        seewhy.Explainer(model, layer="features").heatmaps(batch)
    with pytest.raises(ModelError, match="has 2 outputs, and 'nose' is not among them"):
        seewhy.Explainer(model, layer="features", output="nose").heatmaps(batch)
    with pytest.raises(NoGradientError, match="'features'"):
        seewhy.Explainer(model, layer="features", output=pixels).heatmaps(batch)
