"""Oracles: Grad-CAM of Captum and of pytorch-grad-cam, on native PyTorch models with and without skip connections.

Both record the whole model and differentiate all of it; what they return must be what SeeWhy's tap returns.
"""

import captum.attr
import numpy as np
import pytest
import torch
import torchvision
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

import seewhy

pytestmark = pytest.mark.filterwarnings("ignore:.*bypasses the layer")  # layers in branches are compared too

CLASSES = (1, 4, 2)


def captum_s(model, layer, inputs, index):
    """Return Captum's heatmaps (N, u, v) of one class."""
    attribute = captum.attr.LayerGradCam(model, layer).attribute
    return attribute(inputs, target=index, relu_attributions=True)[:, 0].detach().numpy()


def pytorch_grad_cam_s(model, layer, inputs, index):
    """Return pytorch-grad-cam's heatmaps (N, u, v) of one class, as they are before it scales each to 0..1."""
    targets = [ClassifierOutputTarget(index)] * len(inputs)
    with GradCAM(model, [layer]) as cam:
        cam(inputs, targets)
        (activations,), (gradients,) = cam.activations_and_grads.activations, cam.activations_and_grads.gradients
        return np.maximum(cam.get_cam_image(inputs, layer, targets, activations.numpy(), gradients.numpy()), 0)


def assert_agrees(peer, model, path, inputs, classes=CLASSES, given_to_peer=None):
    """Compare every image and class to 1e-5 of the peer's own maximum; some must have evidence to compare."""
    theirs = given_to_peer or model
    ours = seewhy.Explainer(model, layer=path).heatmaps(inputs, list(classes)).values
    expected = np.stack([peer(theirs, theirs.get_submodule(path), inputs, index) for index in classes], axis=1)
    assert ours.shape == expected.shape
    peaks = expected.max(axis=(2, 3))
    assert (peaks > 0).mean() >= 0.3
    difference = np.abs(ours - expected).max(axis=(2, 3))
    assert (difference <= 1e-5 * peaks).all(), f"differ by {difference}, of {peaks}"


def seeded(build):
    """Build a model with random weights that are the same in every run; torch's own seed stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().eval()


def images(count, side, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=(count, 3, side, side)), dtype=torch.float32)


def plain():
    """Convolutions one after the other, as VGG has them; max pooling, and a head with hidden layers."""
    layers = []
    for filters_in, filters in ((3, 8), (8, 12), (12, 16)):
        layers += [nn.Conv2d(filters_in, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 16, 20), nn.ReLU(), nn.Linear(20, 6))


class Block(nn.Module):
    """A residual block whose one ReLU is called twice."""

    def __init__(self, filters):
        super().__init__()
        self.first = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(filters)
        self.second = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU()

    def forward(self, x):
        inner = self.relu(self.first_norm(self.first(x)))
        return self.relu(x + self.second_norm(self.second(inner)))


def residual():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        Block(8),
        nn.MaxPool2d(2),
        Block(8),
        Block(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 6),
    )


@pytest.mark.parametrize("peer", [captum_s, pytorch_grad_cam_s])
class TestSmallModels:
    @pytest.mark.parametrize("path", ["0", "1", "3", "6", "7"])
    def test_without_skip_connections(self, peer, path):
        assert_agrees(peer, seeded(plain), path, images(3, 32))

    # The skip connection passes by "3.second" and "1.first_norm"; what goes round them must not be counted.
    @pytest.mark.parametrize("path", ["0", "1", "1.first_norm", "3", "3.second", "4.second_norm", "4"])
    def test_with_skip_connections(self, peer, path):
        assert_agrees(peer, seeded(residual), path, images(3, 32))


def test_a_shared_relu_is_its_last_call():
    """Captum, too, means the last; pytorch-grad-cam mixes them, and is not asked."""
    assert_agrees(captum_s, seeded(residual), "4.relu", images(3, 32))


@pytest.mark.parametrize("peer", [captum_s, pytorch_grad_cam_s])
@pytest.mark.parametrize(
    ("path", "precision"),
    # Fourteen blocks follow "block3a". There float32 itself, each tool's alike, is more than 1e-5 away from what the
    # same model gives in float64; in float64 the tools agree again.
    [
        ("top_relu6", torch.float32),
        ("block7a_project_bn", torch.float32),
        ("block5c_add", torch.float32),
        ("block5c_depthwise_conv", torch.float64),
        ("block3a_expand_relu6", torch.float64),
    ],
)
def test_efficientnet_lite0_on_a_cat(peer, path, precision, examples):
    classifier = seewhy.load("efficientnet-lite0-torch")
    inputs = torch.tensor(classifier.preprocess([examples / "cat.png"]).values)
    model = classifier.model.to(precision)
    assert_agrees(peer, model, path, inputs.to(precision), classes=(282, 285, 967))


@pytest.mark.parametrize("peer", [captum_s, pytorch_grad_cam_s])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("resnet50", "layer4.2"),
        ("resnet50", "layer4.1.conv2"),
        ("vgg16", "features.29"),
        ("mobilenet_v2", "features.18"),
        ("mobilenet_v2", "features.14.conv.2"),
    ],
)
def test_torchvision_s_models(peer, name, path):
    model = seeded(lambda: torchvision.models.get_model(name, weights=None))
    assert_agrees(peer, model, path, images(1, 224), classes=(1, 4, 2, 7))


@pytest.mark.parametrize("peer", [captum_s, pytorch_grad_cam_s])
def test_a_relu_that_works_in_place_on_the_layer_s_output(peer):
    """Both peers read the activations only after the ReLU has written over them; so they are given one that does not.

    SeeWhy is given the model as it is.
    """
    model = seeded(plain)
    model[7].inplace = True
    assert_agrees(peer, model, "6", images(3, 32), given_to_peer=seeded(plain))
