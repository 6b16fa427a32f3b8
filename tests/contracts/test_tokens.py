"""A transformer's tokens become the rows and columns of the image, without its class token."""

import numpy as np
from tests.contracts.reference import close, images

import seewhy
from seewhy.targets import Class, Objective

GRID, PATCHES = (4, 3), slice(1, None)


def test_grad_cam_is_that_of_the_patches_alone(framework):
    inputs = framework.given(images(2))
    explainer = seewhy.Explainer(framework.class_token(), layer=framework.path_of_block(0), signed=True)
    found = explainer.heatmaps(inputs, [1])
    runs = explainer.framework
    raw = runs.capture(runs.check_inputs(inputs), runs.find_layer(found.layer), Objective(Class((1,))))
    activations = runs.to_numpy(raw.activations)[:, PATCHES]
    gradients = runs.to_numpy(raw.require_gradients())[:, 0, PATCHES]
    close(found.values, np.einsum("nk,npk->np", gradients.mean(axis=1), activations).reshape(2, 1, *GRID))


def test_ablation_cam_keeps_the_class_token(framework):
    inputs = framework.given(images(1))
    model, layer = framework.class_token(), framework.path_of_block(0)
    explainer = seewhy.Explainer(model, "ablationcam", layer=layer, signed=True)
    found = explainer.heatmaps(inputs, [1])
    runs, objective = explainer.framework, Objective(Class((1,)))
    inputs, layer = runs.check_inputs(inputs), runs.find_layer(found.layer)
    tokens = runs.to_numpy(runs.capture(inputs, layer, objective, "none").activations)[0]
    perturbed = np.stack([tokens] * (tokens.shape[1] + 1))
    for k in range(tokens.shape[1]):
        perturbed[k + 1, PATCHES, k] = 0
    scores = runs.to_numpy(runs.head(inputs, layer, objective)(perturbed))[:, 0]
    close(found.values, ((scores[0] - scores[1:]) @ tokens[PATCHES].T).reshape(1, 1, *GRID))


def test_the_mean_of_all_tokens_has_a_closed_form_of_the_patches(framework):
    """36 classes, which the closed form explains at once, have the maps that each has alone."""
    inputs = framework.given(images(2))
    explainer = seewhy.Explainer(framework.class_token(depth=1, tokens="mean"), layer="norm", signed=True)
    many = explainer.heatmaps(inputs, [*range(4)] * 9)
    assert many.values.shape == (2, 36, *GRID)
    close(many.values[:, 5:6], explainer.heatmaps(inputs, [1]).values)
