"""`torchvision:NAME` and `timm:NAME` with the real packages, and without their weights, which would be fetched.

The oracle for preprocessing is the transform that each package makes for its own weights.
"""

import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import timm
import timm.data
import torch
import torchvision.models
import torchvision.transforms
from PIL import Image

import seewhy
from seewhy.errors import ModelError, WeightsError

TORCHVISION = {
    "resnet50": ("layer4.2", 7),
    "vgg16": ("features.29", 14),
    "mobilenet_v3_large": ("features.16.2", 7),
    "efficientnet_b0": ("features.8.2", 7),
    "convnext_tiny": ("features.7.2", 7),
    "swin_t": ("permute", 7),
}
TIMM = {
    "resnet50.a1_in1k": ("layer4.2.act3", 7),
    "vgg16": ("features.29", 14),
    "mobilenetv3_large_100": ("blocks.6.0.bn1.act", 7),
    "efficientnet_lite0": ("bn2.act", 7),
    "convnext_tiny": ("stages.3.blocks.2", 7),
    "inception_v3": ("Mixed_7c", 8),
    "swin_tiny_patch4_window7_224": ("norm", 7),
}


def torchvision_transform(name):
    return torchvision.models.get_model_weights(name).DEFAULT.transforms()


def timm_transform(name):
    config = timm.data.resolve_model_data_config(timm.create_model(name))
    return timm.data.create_transform(**config, is_training=False)


def nearest_shift(ours, expected, furthest=4):
    """Return (down, right, mean difference) of the shift in whole pixels that makes two images most alike."""

    def difference(down, right):
        shifted = np.roll(expected, (down, right), axis=(1, 2))
        return np.abs(ours - shifted)[:, furthest:-furthest, furthest:-furthest].mean()

    steps = range(-furthest, furthest + 1)
    return min(((down, right, difference(down, right)) for down in steps for right in steps), key=lambda each: each[2])


CASES = [
    *((f"torchvision:{name}", torchvision_transform, *expected) for name, expected in TORCHVISION.items()),
    *((f"timm:{name}", timm_transform, *expected) for name, expected in TIMM.items()),
]


@pytest.mark.parametrize(("source", "transform", "layer", "side"), CASES, ids=[case[0] for case in CASES])
def test_preprocessing_is_the_hub_s_and_the_layer_is_the_last_with_space(source, transform, layer, side, examples):
    classifier = seewhy.load(source, weights=None)
    theirs = transform(source.partition(":")[2])

    # Of one colour: mean, standard deviation and order of channels, to the last digits.
    flat = Image.new("RGB", (300, 400), (10, 120, 250))
    inputs = classifier.preprocess([np.asarray(flat)]).values
    np.testing.assert_allclose(inputs[0], theirs(flat).numpy(), atol=1e-5)

    # A photo: the same part of it, at the same size. They resize and then cut, on whole pixels each time; SeeWhy cuts
    # on whole pixels and resizes that. So the two may lie a pixel apart, and no more.
    photo = Image.open(examples / "cat.png").convert("RGB")
    ours, expected = classifier.preprocess([np.asarray(photo)]).values[0], theirs(photo).numpy()
    assert ours.shape == expected.shape
    down, right, difference = nearest_shift(ours, expected)
    assert max(abs(down), abs(right)) <= 1
    assert difference < 0.15 * expected.std()

    heatmaps = seewhy.Explainer(classifier, "gradcam").heatmaps(ours[None], list(range(4)))
    assert heatmaps.layer == layer
    assert heatmaps.values.shape == (1, 4, side, side)
    with torch.no_grad():
        scores = classifier.model(torch.tensor(ours[None])).numpy()
    np.testing.assert_allclose(heatmaps.scores, scores[:, :4], rtol=1e-4, atol=1e-5)
    assert classifier.class_names[282] in ("tiger cat", "tiger cat, Felis catus")
    assert len(classifier.class_names) == 1000


@pytest.mark.parametrize("source", ["torchvision:resnet18", "timm:resnet18"])
def test_weights_are_channels_last_in_memory(source):
    model = seewhy.load(source, weights=None).model
    assert model.conv1.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("source", ["torchvision:resnet50", "timm:vgg16"])
def test_random_weights_are_the_same_in_every_run_and_torch_s_seed_stays(source):
    state = torch.random.get_rng_state()
    first, second = (seewhy.load(source, weights=None).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("torchvision:resnet51", r"Unknown model 'resnet51' of torchvision\. Did you mean 'resnet50'"),
        ("timm:resnet51", r"Unknown model 'resnet51' of timm\. Did you mean 'resnet5"),
        ("torchvision:raft_small", "OpticalFlow, is not one for"),
        ("torchvision:r3d_18", r"it resizes images to \(128, 171\) and crops \(112, 112\)"),
    ],
)
def test_unsupported_models(source, message):
    with pytest.raises(ModelError, match=message):
        seewhy.load(source, weights=None)


@pytest.mark.parametrize(
    ("source", "layer", "axes", "head"),
    [
        ("timm:swin_tiny_patch4_window7_224", "norm", "nuvk", "head.fc"),
        ("torchvision:swin_t", "norm", "nuvk", "head"),
        ("torchvision:swin_t", "permute", "nkuv", "head"),
        ("timm:convnext_tiny", "stages.3.blocks.2.mlp", "nuvk", None),
        ("timm:convnext_tiny", "stages.3.blocks.2", "nkuv", None),
    ],
)
def test_maps_are_read_in_the_layout_that_the_module_gives_them(source, layer, axes, head):
    """Where the mean over space and a linear layer follow, a map is by hand the activations times the layer's row."""
    model = seewhy.load(source, weights=None).model
    inputs = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    given = []
    with model.get_submodule(layer).register_forward_hook(lambda *call: given.append(call[-1])), torch.no_grad():
        model(torch.tensor(inputs))
    explainer = seewhy.Explainer(model, "hirescam", layer)
    (call,) = [each for each in explainer.framework.calls(inputs) if each.path == layer]
    assert call.shape == (7, 7, 768)
    assert call.channels_first == (axes == "nkuv")
    if head is not None:
        row = model.get_submodule(head).weight.detach()[5] / 49
        expected = torch.einsum(f"{axes},k->nuv", given[0], row).clamp(min=0)
        values = explainer.heatmaps(inputs, 5).values[:, 0]
        np.testing.assert_allclose(values, expected, atol=1e-4 * float(expected.max()))


def test_the_tokens_of_a_transformer_are_drawn_on_the_image(examples):
    classifier = seewhy.load("timm:vit_tiny_patch16_224", weights=None)
    (explanation,) = seewhy.Explainer(classifier).explain([examples / "cat.png"])
    assert (explanation.method, explanation.layer) == ("legrad_rollout", "12 attention layers")
    assert explanation.heatmaps.shape == (1, 14, 14)


def test_weights_that_cannot_be_had():
    """The hub is told to be offline, and its folder of what it fetched before has nothing of this model."""
    with pytest.raises(WeightsError, match=r"Cannot load the weights of 'resnet10t\.c3_in1k'"):
        seewhy.load("timm:resnet10t.c3_in1k")


@pytest.mark.parametrize("source", ["torchvision:resnet50", "timm:resnet50"])
def test_a_torchvision_that_was_built_for_another_torch(source, tmp_path):
    """As where torch is for the CPU and torchvision for CUDA: importing it fails on operators that it should bring."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import torch\ntorch.library.register_fake('torchvision::nms', lambda *boxes: None)\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import seewhy; seewhy.load({source!r}, weights=None)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModelError: torchvision cannot be imported: operator torchvision::nms does not exist. " in found.stderr
    assert "It was built for another version of torch than the installed one." in found.stderr


@pytest.mark.parametrize("hub", ["timm", "torchvision"])
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_weights_in_a_file(tmp_path, hub, suffix):
    """A model of five classes: its number of classes is that of the weights, its predictions are those of the hub."""
    torch.manual_seed(3)
    create = timm.create_model if hub == "timm" else torchvision.models.get_model
    model = create("resnet18", num_classes=5).eval()
    path = tmp_path / f"five.{suffix}"
    (torch.save if suffix == "pt" else safetensors.torch.save_file)(model.state_dict(), path)
    names = ["a", "b", "c", "d", "e"]
    classifier = seewhy.load(
        path, architecture=f"{hub}:resnet18", class_names=names, preprocessing="imagenet", input_size=64
    )
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 90, 3)).astype(np.uint8))
    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.CenterCrop(70),  # 0.875 of the shorter side
            torchvision.transforms.Resize(64),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    with torch.no_grad():
        expected = torch.softmax(model(transform(image)[None]), dim=1)[0].numpy()
    found = {prediction.name: prediction.probability for prediction in classifier.predict([image])[0]}
    np.testing.assert_allclose(
        [found[name] for name in names], expected, rtol=1e-2
    )  # at the crop's edges, theirs repeats pixels
    explanation = seewhy.explain(classifier, image, names)
    assert explanation.heatmaps.shape == (5, 2, 2)
    with pytest.raises(WeightsError, match=r"are not those of .*:resnet50"):
        seewhy.load(path, architecture=f"{hub}:resnet50")
