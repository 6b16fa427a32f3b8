""" "auto" takes a layer that carries the score and has the image's axes; of a named one that does not, a warning."""

import numpy as np
import pytest
from tests.contracts.reference import images

import seewhy
from seewhy.errors import LayerError, SeewhyWarning


def auto(framework, model):
    return seewhy.Explainer(model, "gradcam").heatmaps(framework.given(images(1)), [1])


def bypass_of(framework, model, layer):
    """Return how much of the scores of two images bypasses a layer, by running the head alone."""
    runner = seewhy.Explainer(model).framework
    inputs = runner.check_inputs(framework.given(images(2)))
    choice, objective = runner.find_layer(layer), seewhy.targets.Objective(seewhy.targets.Class((0, 1, 2, 3)))
    activations = runner.to_numpy(runner.capture(inputs, choice, objective).activations)

    def scores(image, source):
        head = runner.head(inputs[image : image + 1], choice, objective)
        values = runner.to_numpy(head(activations[source : source + 1]))
        return values - values.mean()

    return np.linalg.norm(scores(0, 1) - scores(1, 1)) / np.linalg.norm(scores(0, 0) - scores(1, 1))


@pytest.mark.parametrize("how", ["attention pooling", "auxiliary head"])
def test_auto_takes_no_layer_that_much_of_the_score_bypasses(framework, how):
    model = framework.bypassed(how)
    assert bypass_of(framework, model, "branch") > 0.2
    found = auto(framework, model)
    assert found.layer != "branch"
    assert bypass_of(framework, model, found.layer) < 1e-4


def test_guided_gradcam_multiplies_the_map_of_the_layer_that_auto_takes(framework):
    model, inputs = framework.bypassed("auxiliary head"), framework.given(images(1))
    layer = auto(framework, model).layer
    maps = {name: seewhy.Explainer(model, "guided_gradcam", name).heatmaps(inputs, [1]) for name in ("auto", layer)}
    np.testing.assert_array_equal(maps["auto"].values, maps[layer].values)
    with pytest.warns(SeewhyWarning, match="bypasses the layer 'branch'"):
        other = seewhy.Explainer(model, "guided_gradcam", "branch").heatmaps(inputs, [1])
    assert not np.allclose(other.values, maps["auto"].values)


def test_a_named_layer_that_much_of_the_score_bypasses_is_warned_of(framework):
    model, inputs = framework.bypassed("auxiliary head"), framework.given(images(1))
    explainer = seewhy.Explainer(model, "gradcam", layer="branch")
    with pytest.warns(SeewhyWarning, match=r"\d+% of the difference .* bypasses the layer 'branch'.* Name "):
        explainer.heatmaps(inputs, [1])
    explainer.heatmaps(inputs, [1])  # it is said once


def test_the_clamped_scores_are_those_of_the_head(framework):
    model = framework.bypassed("auxiliary head")
    runner = seewhy.Explainer(model).framework
    inputs = runner.check_inputs(framework.given(images(3)))
    choice, objective = runner.find_layer("branch"), seewhy.targets.Objective(seewhy.targets.Class((0, 2)))
    activations = runner.to_numpy(runner.capture(inputs, choice, objective).activations)[[1, 2, 0]]
    clamped = runner.to_numpy(runner.clamp(inputs, choice, objective, activations))
    for row in range(3):
        head = runner.head(inputs[row : row + 1], choice, objective)
        np.testing.assert_allclose(runner.to_numpy(head(activations[row : row + 1]))[0], clamped[row], atol=1e-5)


@pytest.mark.parametrize(
    ("how", "fault"), [("transposed", "its rows do not follow those"), ("cropped", "of 4 changed patches")]
)
def test_auto_takes_no_layer_with_other_axes_than_the_image(framework, how, fault):
    assert auto(framework, framework.misread(how)).layer == framework.last_right_layer
    with pytest.warns(SeewhyWarning, match=f"The axes of the layer 'late' are not those of the image: .*{fault}"):
        seewhy.Explainer(framework.misread(how), "gradcam", layer="late").heatmaps(framework.given(images(1)), [1])


def test_a_model_that_mirrors_its_input_in_all_layers_is_refused(framework):
    with pytest.raises(
        LayerError, match=r"found no layer .* late \(its (rows|columns) move against those of the image"
    ):
        auto(framework, framework.misread("mirrored"))


def test_auto_takes_no_layer_that_mixes_tokens_along_their_values(framework):
    with pytest.warns(SeewhyWarning, match="'mixed' has 16 positions .* layer='auto' takes '"):
        found = auto(framework, framework.mixed_tokens())
    assert found.layer in ("turned", "tokens", "patches")


def test_other_names_change_no_choice(framework):
    model = framework.misread("transposed")
    explainer = seewhy.Explainer(model)
    calls = [call.path for call in explainer.layers(framework.given(images(1)))]
    chosen = calls.index(auto(framework, model).layer)
    other = framework.renamed(model)
    renamed = [call.path for call in seewhy.Explainer(other).layers(framework.given(images(1)))]
    assert not set(calls) & set(renamed)
    assert renamed.index(auto(framework, other).layer) == chosen
