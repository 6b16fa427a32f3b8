"""Hugging Face models of tiny, random configs against transformers itself: its processors, its models, plain hooks."""

import contextlib
import io
import json
import re
import resource
import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from PIL import Image

import seewhy
from seewhy.errors import ModelError, SeewhyWarning, WeightsError
from seewhy.models import torch_build_limits

TOWER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
STAGES = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
NAMES = ["cat", "dog", "bird"]


def square(side):
    return {"height": side, "width": side}


CROPPED_32 = {"size": {"shortest_edge": 40}, "crop_size": square(32)}

MODELS = {
    "ViT": ({**TOWER}, "ViT", {"size": square(32)}),
    "DeiT": ({**TOWER}, "DeiT", {"size": square(40), "crop_size": square(32)}),
    "Beit": ({**TOWER}, "Beit", {"size": square(40), "do_center_crop": True, "crop_size": square(32)}),
    "Dinov2WithRegisters": ({**TOWER, "mlp_ratio": 2, "num_register_tokens": 3}, "Bit", CROPPED_32),
    "CLIP": ({"vision_config": TOWER}, "CLIP", CROPPED_32),
    "Siglip": ({"vision_config": TOWER}, "Siglip", {"size": square(32)}),
    "Swin": (SWIN, "ViT", {"size": square(64)}),
    "ConvNext": (STAGES, "ConvNext", {"size": {"shortest_edge": 64}}),
    "ResNet": ({**STAGES, "embedding_size": 8}, "ConvNext", {"size": {"shortest_edge": 64}, "crop_pct": 0.9}),
    "MobileViT": (
        {"image_size": 64, "num_attention_heads": 2, "hidden_sizes": [16] * 3, "neck_hidden_sizes": [8] * 6 + [16]},
        "MobileViT",
        {"size": {"shortest_edge": 72}, "crop_size": square(64)},
    ),
    "Segformer": ({**STAGES, "num_attention_heads": [1, 1, 2, 2]}, "Segformer", {"size": square(64)}),
    "MobileNetV2": (
        {"image_size": 64, "depth_multiplier": 0.35},
        "MobileNetV2",
        {"size": {"shortest_edge": 72}, "crop_size": square(64)},
    ),
    "PoolFormer": (STAGES, "PoolFormer", {"size": {"shortest_edge": 64}, "crop_size": square(64)}),
}
"""The config of each model, its image processor, and that one's settings."""

LAYERS = {
    "ConvNext": "convnext.encoder.stages.3",
    "ResNet": "resnet.encoder.stages.3",
    "Segformer": "segformer.stages.3",
    "PoolFormer": "norm",
    "MobileNetV2": "mobilenet_v2.conv_1x1",
}
"""A layer of each convolutional model whose output is an image, which is named."""


def build(kind):
    config, processor, settings = MODELS[kind]
    torch.manual_seed(0)
    labels = dict(enumerate(NAMES))
    loaded = getattr(transformers, f"{kind}Config")(**config, id2label=labels)
    model = getattr(transformers, f"{kind}ForImageClassification")(loaded).eval()
    return model, getattr(transformers, f"{processor}ImageProcessorPil")(**settings)


@pytest.fixture
def photo(examples):
    return Image.open(examples / "cat.png").convert("RGB").resize((91, 120))


def save(path, model, processor=None):
    model.save_pretrained(path)
    if processor is not None:
        processor.save_pretrained(path)
    return path


@pytest.mark.parametrize("kind", MODELS)
def test_the_same_inputs_logits_and_names(kind, tmp_path, photo):
    model, processor = build(kind)
    classifier = seewhy.load(save(tmp_path / "net", model, processor))
    expected = processor(photo, return_tensors="pt")["pixel_values"]
    inputs = classifier.preprocess([np.asarray(photo)])
    np.testing.assert_allclose(inputs.values, expected, atol=1e-5)
    with torch.no_grad():
        logits = model(pixel_values=expected).logits
        # In another memory format, sums are rounded otherwise.
        torch.testing.assert_close(classifier.model(torch.tensor(inputs.values)).logits, logits, rtol=1e-4, atol=1e-6)
    probabilities = dict(zip(NAMES, logits.softmax(dim=1)[0].tolist(), strict=True))
    for prediction in classifier.predict([np.asarray(photo)])[0]:
        assert prediction.probability == pytest.approx(probabilities[prediction.name], abs=1e-5)


def grad_cam(model, layer, inputs, target):
    """Grad-CAM by a plain hook, before the ReLU: the sum of the channels' mean gradients times the activations."""
    kept = []
    hook = model.get_submodule(layer).register_forward_hook(lambda *call: kept.append(call[-1]))
    logits = model(pixel_values=inputs).logits
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, target], kept[0])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * kept[0]).sum(dim=1).detach().numpy()[0]


@pytest.mark.parametrize("kind", LAYERS)
def test_the_heatmap_at_a_named_layer_is_that_of_a_plain_hook(kind, tmp_path, photo):
    model, processor = build(kind)
    inputs = processor(photo, return_tensors="pt")["pixel_values"]
    classifier = seewhy.load(save(tmp_path / "net", model, processor))
    explanation = seewhy.explain(classifier, np.asarray(photo), NAMES, "gradcam", LAYERS[kind], signed=True)
    for index, heatmap in enumerate(explanation.heatmaps):
        expected = grad_cam(model, LAYERS[kind], inputs, index)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(heatmap, expected, atol=1e-4 * np.abs(expected).max())


def test_a_bare_model_needs_no_telling(photo):
    """Hidden states, and of a model with a teacher other logits, are beside the logits; size and names are known."""
    config = transformers.ConvNextConfig(**STAGES, id2label=dict(enumerate(NAMES)), output_hidden_states=True)
    model = transformers.ConvNextForImageClassification(config).eval()
    inputs = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    heatmaps = seewhy.Explainer(model, layer="convnext.encoder.stages.3").heatmaps(inputs, "dog")
    with torch.no_grad():
        np.testing.assert_allclose(heatmaps.scores[0, 0], model(torch.tensor(inputs)).logits[0, 1], rtol=1e-5)
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(**TOWER))
    assert seewhy.Classifier(vit).input_size == (32, 32)
    assert seewhy.Classifier(vit).class_names is None  # LABEL_0 and LABEL_1
    deit = transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**TOWER)).eval()
    predictions = seewhy.Classifier(deit, input_size=(32, 32), preprocess=seewhy.Preprocessing((32, 32), std=255.0))
    assert len(predictions.predict([np.asarray(photo)])[0]) == 2


def test_models_that_are_no_classifiers(tmp_path):
    inputs = np.zeros((1, 3, 32, 32), np.float32)
    vit = transformers.ViTModel(transformers.ViTConfig(**TOWER)).eval()
    with pytest.raises(ModelError, match="has no classification head: its outputs are 'last_hidden_state'"):
        seewhy.Explainer(vit, layer="layernorm").heatmaps(inputs, 0)
    vilt = transformers.ViltModel(transformers.ViltConfig(**TOWER, vocab_size=64, max_position_embeddings=16)).eval()
    with pytest.raises(ModelError, match="ViltModel takes input_ids and pixel_values, and was given an image alone"):
        seewhy.Explainer(vilt).heatmaps(inputs, 0)
    path = save(tmp_path / "vit", vit, transformers.ViTImageProcessorPil(**CROPPED_32))
    with pytest.raises(WeightsError, match=r"has no weights for classifier\.bias") as raised:
        seewhy.load(path)
    assert "It was saved as ViTModel, which may have no classification head" in str(raised.value)
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"")
    for kind in ("bert", ["vit"]):
        bert = {"model_type": kind, "architectures": ["BertModel"]}
        (tmp_path / "bert" / "config.json").write_text(json.dumps(bert))
        message = f"is a model of type {kind!r}, for which transformers has no image classifier"
        with pytest.raises(ModelError, match=re.escape(message)):
            seewhy.load(tmp_path / "bert")


def test_class_names_for_another_head(tmp_path):
    """The head has 3 classes, and the config names 2: transformers would take a random head."""
    model, processor = build("ViT")
    path = save(tmp_path / "net", model, processor)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "id2label": {"0": "cat", "1": "dog"}, "label2id": {}}))
    message = (
        r"has weights of another shape for classifier.bias, classifier.weight\..*\(id2label\) has to be that of the"
    )
    with pytest.raises(WeightsError, match=message):
        seewhy.load(path)


def test_a_model_without_its_image_processor(tmp_path):
    """A warning, unless preprocessing is given; and channels that no image has are refused."""
    model, processor = build("ViT")
    path = save(tmp_path / "net", model)
    with pytest.warns(SeewhyWarning, match=r"'net' has no image processor.*processor.save_pretrained.*--preprocessing"):
        seewhy.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert seewhy.load(path, preprocessing="imagenet").preprocessing.size == (32, 32)
    four = transformers.ViTForImageClassification(transformers.ViTConfig(**TOWER, num_channels=4))
    with pytest.raises(ModelError, match="its model takes 4 channels, and images have 3"):
        seewhy.load(save(tmp_path / "four", four, processor))


def test_names_in_the_config_for_another_number_of_classes(photo):
    model, _ = build("ViT")
    model.classifier = torch.nn.Linear(16, 5)
    classifier = seewhy.Classifier(model, preprocess=seewhy.Preprocessing((32, 32)))
    for each in (classifier, classifier.replace(input_size=(32, 32))):
        with pytest.raises(
            ModelError, match=r"The config of the model has 3 class names \(id2label\), and .* 5 classes"
        ):
            each.predict([np.asarray(photo)])
    with pytest.raises(ModelError, match="2 class names were given"):
        classifier.replace(class_names=["a", "b"]).predict([np.asarray(photo)])


def test_random_weights_and_weights_of_a_file(tmp_path, monkeypatch):
    model, processor = build("ResNet")
    path = save(tmp_path / "net", model, processor)
    (path / "model.safetensors").unlink()
    monkeypatch.setattr(torch_build_limits, "MAX_MODULES", 100)  # the model has 56, and is built twice
    first, second = (seewhy.load(path, weights=None).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.manual_seed(1)
    five = transformers.ResNetForImageClassification(
        transformers.ResNetConfig(**STAGES, embedding_size=8, num_labels=5)
    )
    safetensors.torch.save_file(five.state_dict(), tmp_path / "five.safetensors")
    loaded = seewhy.load(tmp_path / "five.safetensors", architecture=f"hf:{path}")
    torch.testing.assert_close(
        loaded.model.state_dict()["classifier.1.weight"], five.state_dict()["classifier.1.weight"]
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hidden_size": 100_000}, "its layers would need .* for their weights"),
        (
            {"num_hidden_layers": 1_000_000, "hidden_size": 2, "intermediate_size": 1},
            "it describes more than 500 modules",
        ),
        ({"image_size": 1_000_000, "patch_size": 1}, "its layers would need"),
    ],
)
def test_a_small_folder_does_not_fill_the_memory(changes, problem, tmp_path, monkeypatch):
    """A hidden size of 100,000 is 120 GB of weights in each layer."""
    model, processor = build("ViT")
    path = save(tmp_path / "net", model, processor)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **changes}))
    monkeypatch.setattr(torch_build_limits, "MAX_MODULES", 500)  # for 20,000 take seconds
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for weights, known in (
        ("imagenet", r"it contains [\d,]+ bytes of weights"),
        (None, "random weights may have 4.4 GB"),
    ):
        reason = f".*, and .*{known}" if "would need" in problem else ""
        with pytest.raises(ModelError, match=f"net is refused: {problem}{reason}.*trust=True"):
            seewhy.load(path, weights=weights)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes


def test_code_of_a_repository_runs_only_if_it_is_trusted(tmp_path):
    model, processor = build("ResNet")
    path = save(tmp_path / "net", model, processor)
    config = json.loads((path / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageClassification": "own.Own"}
    (path / "config.json").write_text(json.dumps(config))
    (path / "own.py").write_text(
        "from pathlib import Path\nimport transformers\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class Own(transformers.ResNetForImageClassification):\n    pass\n"
    )
    with pytest.raises(ModelError, match=r"auto_map asks for Python code of its own.*trust=True"):
        seewhy.load(path)
    assert not (tmp_path / "ran").exists()
    classifier = seewhy.load(path, trust=True)
    assert (tmp_path / "ran").exists()
    assert type(classifier.model).__name__ == "Own"


def test_a_cached_model_of_the_hub_is_loaded_offline(tmp_path, monkeypatch):
    """As huggingface_hub keeps it: blobs are left out here, for a snapshot may hold files as well as links."""
    import huggingface_hub

    model, processor = build("ResNet")
    cache = tmp_path / "models--acme--net"
    save(cache / "snapshots" / ("0" * 40), model, processor)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    classifier = seewhy.load("hf:acme/net")
    assert (classifier.name, list(classifier.class_names)) == ("hf:acme/net", NAMES)
    with pytest.raises(ModelError, match=r"hf:acme/nett is not in the cache.*Did you mean 'acme/net'\?.*hf download"):
        seewhy.load("hf:acme/nett")


def test_the_example_of_the_how_to(tmp_path, monkeypatch):
    page = (Path(__file__).parents[3] / "docs/howto/hugging-face.md").read_text()
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for code, expected in re.findall(r"^```python[^\n]*\n(.*?)^```\n\n```text\n(.*?)^```$", page, re.M | re.S):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(code, namespace)  # noqa: S102 - our own page
        assert output.getvalue() == expected
    assert "bare" in namespace
