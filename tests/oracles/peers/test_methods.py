"""Oracles: other methods of Captum and pytorch-grad-cam, where they do as the papers say.

Left out: their Grad-CAM++ (a constant in the denominator) and Eigen-CAM (centred, without a sign); see docs/methods.
"""

import captum.attr
import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from tests.oracles.peers.test_gradcam import CLASSES, images, plain, seeded

import seewhy

SIDE = 32


def evidence(model, method, inputs, layer="auto"):
    explainer = seewhy.Explainer(model, method, layer, signed=True)
    return explainer.heatmaps(inputs, list(CLASSES)).values


def assert_close(ours, expected):
    """Compare every image and class to 1e-5 of its own greatest size."""
    assert ours.shape == expected.shape
    peaks = np.abs(expected).max(axis=(2, 3), keepdims=True)
    assert (peaks > 0).all()
    assert (np.abs(ours - expected) <= 1e-5 * peaks).all()


def reduced(attributions, method):
    """Bring Captum's attributions (N, 3, h, w) to one value for each pixel, as the method does."""
    values = attributions.detach().numpy()
    return np.abs(values).max(axis=1) if method == "saliency" else values.sum(axis=1)


@pytest.mark.parametrize(
    ("method", "peer", "options"),
    [
        ("saliency", captum.attr.Saliency, {"abs": False}),
        ("gradient_x_input", captum.attr.InputXGradient, {}),
        ("guided_backprop", captum.attr.GuidedBackprop, {}),
        ("integrated_gradients", captum.attr.IntegratedGradients, {"n_steps": 128, "method": "riemann_middle"}),
    ],
)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_methods_to_the_pixels(method, peer, options):
    model, inputs = seeded(plain), images(2, SIDE)
    theirs = [reduced(peer(model).attribute(inputs.clone(), target=each, **options), method) for each in CLASSES]
    assert_close(evidence(model, method, inputs), np.stack(theirs, axis=1))


def test_gradient_shap_at_the_same_random_points(monkeypatch):
    """Captum draws the points from NumPy's global generator; there is one baseline and no noise to draw."""
    model, inputs = seeded(plain), images(1, SIDE)
    shares = np.random.default_rng([0, 1]).random(20, dtype=np.float32)
    monkeypatch.setattr(np.random, "uniform", lambda *_: shares)
    attribute = captum.attr.GradientShap(model).attribute
    theirs = [attribute(inputs, torch.full_like(inputs, 0.3), n_samples=20, target=each) for each in CLASSES]
    ours = evidence(model, seewhy.methods.get("gradient_shap", samples=20, baselines=0.3), inputs)
    assert_close(ours, np.stack([reduced(each, "gradient_shap") for each in theirs], axis=1))


@pytest.mark.parametrize(
    ("base", "peer"), [("hirescam", pytorch_grad_cam.HiResCAM), ("layercam", pytorch_grad_cam.LayerCAM)]
)
def test_finer_cam_is_a_base_method_of_the_difference(base, peer):
    """The library weights the classes by their probabilities, which the paper does not; so the target is given."""
    model, inputs = seeded(plain), images(1, SIDE)
    layer = model[4]
    scores = model(inputs)[0].detach().numpy()
    theirs = []
    for index in CLASSES:
        nearest = [int(each) for each in np.argsort(np.abs(scores - scores[index])) if each != index][:2]
        targets = [lambda output, index=index, nearest=nearest: output[index] - 0.8 * output[nearest].mean()]
        with peer(model, [layer]) as cam:
            cam(inputs, targets)
            (activations,), (gradients,) = cam.activations_and_grads.activations, cam.activations_and_grads.gradients
            theirs.append(cam.get_cam_image(inputs, layer, targets, activations.numpy(), gradients.numpy(), False))
    method = seewhy.methods.get("finercam", alpha=0.8, similar=2, base=base)
    assert_close(evidence(model, method, inputs, layer), np.stack(theirs, axis=1))


def test_refine_cam_at_two_layers_of_the_inputs_size():
    """Nothing is resized there, and each factor is 0 somewhere, so that subtracting its minimum changes nothing."""
    model, inputs = seeded(plain), images(1, SIDE)
    method = seewhy.methods.get("refinecam", base="layercam")
    ours = seewhy.Explainer(model, method, ["0", "1"]).heatmaps(inputs, list(CLASSES)).values
    theirs = []
    for index in CLASSES:  # their hooks stay on the model
        refine = pytorch_grad_cam.RefineCAM(model, [model[0], model[1]], base_method=pytorch_grad_cam.LayerCAM)
        theirs.append(refine(inputs, [ClassifierOutputTarget(index)]))
    assert_close(ours / ours.max(axis=(2, 3), keepdims=True), np.stack(theirs, axis=1))


def test_occlusion():
    model, inputs = seeded(plain), images(1, SIDE)
    window = {"sliding_window_shapes": (3, 8, 8), "strides": (3, 4, 4), "baselines": 0}
    attribute = captum.attr.Occlusion(model).attribute
    theirs = [attribute(inputs, target=each, **window)[:, 0].numpy() for each in CLASSES]  # alike in every channel
    ours = evidence(model, seewhy.methods.get("occlusion", window=8, stride=4), inputs)
    assert_close(ours, np.stack(theirs, axis=1))


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("hirescam", pytorch_grad_cam.HiResCAM),
        ("elementwise", pytorch_grad_cam.GradCAMElementWise),
        ("layercam", pytorch_grad_cam.LayerCAM),
    ],
)
def test_methods_of_one_capture(method, peer):
    model, inputs = seeded(plain), images(2, SIDE)
    layer = model[4]  # a ReLU of the second stage
    theirs = []
    for index in CLASSES:
        targets = [ClassifierOutputTarget(index)] * len(inputs)
        with peer(model, [layer]) as cam:
            cam(inputs, targets)
            (activations,), (gradients,) = cam.activations_and_grads.activations, cam.activations_and_grads.gradients
            theirs.append(cam.get_cam_image(inputs, layer, targets, activations.numpy(), gradients.numpy(), False))
    assert_close(evidence(model, method, inputs, layer), np.stack(theirs, axis=1))


def test_ablation_cam_but_for_its_division_by_the_score():
    model, inputs = seeded(plain), images(1, SIDE)
    layer = model[4]
    ours = evidence(model, "ablationcam", inputs, layer)
    for position, index in enumerate(CLASSES):
        weights = ablation_weights(model, layer, inputs, index)
        with torch.no_grad():
            activations = model[:5](inputs)[0].numpy()
        expected = np.einsum("k,kuv->uv", weights, activations)
        np.testing.assert_allclose(ours[0, position], expected, atol=1e-4 * np.abs(expected).max())


def ablation_weights(model, layer, inputs, index):
    """Return y - y_k of pytorch-grad-cam's own weights, (y - y_k) / y."""
    targets = [ClassifierOutputTarget(index)]
    with pytorch_grad_cam.AblationCAM(model, [layer]) as cam:
        with torch.no_grad():
            activations = model[:5](inputs).numpy()
            score = model(inputs)[0, index].item()
        return cam.get_cam_weights(inputs, layer, targets, activations, None)[0] * score
