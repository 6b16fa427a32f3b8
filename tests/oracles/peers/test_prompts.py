"""Prompts against the libraries themselves: their logits, and Grad-CAM by hand on the image towers."""

import json

import numpy as np
import open_clip
import pytest
import torch
import transformers
from PIL import Image

import seewhy
from seewhy.errors import ModelError, OptionError, TargetError
from seewhy.targets import Prompt

TEXTS = ["a dog", "a red cat", "house"]
VISION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 60,
    "max_position_embeddings": 16,
    "bos_token_id": 52,
    "eos_token_id": 53,
    "pad_token_id": 53,
    "project_dim": 16,
}
GROUPS = {**VISION, "depths": [1, 1, 1], "num_group_tokens": [4, 2, 0], "num_output_groups": [4, 2, 2]}
ALIGN = {
    "image_size": 64,
    "width_coefficient": 0.25,
    "depth_coefficient": 0.1,
    "num_block_repeats": [1] * 7,
    "hidden_dim": 80,
}

CONFIGS = {
    "CLIP": ({}, VISION),
    "MetaClip2": ({}, VISION),
    "Siglip": ({}, VISION),
    "ChineseCLIP": ({}, VISION),
    "AltCLIP": ({"max_position_embeddings": 80}, VISION),
    "CLIPSeg": ({}, VISION),
    "GroupViT": ({}, GROUPS),
    "Align": ({}, ALIGN),
}


def hugging_face_model(name):
    text, vision = CONFIGS[name]
    config = getattr(transformers, f"{name}Config")(
        text_config={**TEXT, **text}, vision_config=vision, projection_dim=vision.get("hidden_dim", 16)
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}Model")(config).eval()
    with torch.no_grad():  # the embeddings of random weights are nearly the same for all images
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
    return model


def tokenizer_of(folder=None, length=16):
    letters = [chr(number) for number in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=length)
    if folder is not None:
        tokenizer.save_pretrained(folder)
    return tokenizer


def logits_of(model, images, tokenizer, *, pads=False):
    """The model's own logits, from one call for each text."""
    columns = []
    for text in TEXTS:
        tokens = tokenizer([text], return_tensors="pt", **({"padding": "max_length"} if pads else {}))
        with torch.no_grad():
            columns.append(model(pixel_values=images, **tokens).logits_per_image[:, 0])
    return torch.stack(columns, 1).numpy()


def gradcam_by_hand(module, score, channels_axis, prefix=0):
    """Grad-CAM (N, *space) before the ReLU: of a map, or of tokens in a square after a prefix."""
    taken = []
    hook = module.register_forward_hook(lambda *call: taken.append(call[-1]))
    scores = score()
    hook.remove()
    output = taken[-1][0] if isinstance(taken[-1], tuple) else taken[-1]
    gradients = torch.autograd.grad(scores.sum(), output)[0]
    if channels_axis == 1:
        return ((gradients.mean((2, 3), keepdim=True) * output).sum(1)).detach().numpy()
    gradients, output = gradients[:, prefix:], output[:, prefix:]
    side = int(output.shape[1] ** 0.5)
    cam = (gradients.mean(1, keepdim=True) * output).sum(-1)
    return cam.reshape(-1, side, side).detach().numpy()


def images_for(model, count=2):
    side = model.config.vision_config.image_size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore:Grad-CAM is unreliable")
@pytest.mark.filterwarnings("ignore:The output of the layer 'vision_model.layernorm' has 2 positions")  # GroupViT
@pytest.mark.parametrize("name", CONFIGS)
def test_the_score_of_a_prompt_is_the_models_own_logit(name):
    model, tokenizer = hugging_face_model(name), tokenizer_of()
    images = images_for(model)
    classifier = seewhy.Classifier(model, tokenizer=tokenizer)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    heatmaps = seewhy.Explainer(classifier).heatmaps(images, [Prompt(text) for text in TEXTS])
    expected = logits_of(model, images, tokenizer, pads=name == "Siglip")
    np.testing.assert_allclose(heatmaps.scores, expected, rtol=1e-5, atol=1e-5)
    assert heatmaps.names == (tuple(TEXTS), tuple(TEXTS))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    zero_shot = seewhy.Explainer(classifier.with_prompts(TEXTS)).heatmaps(images, [0, 1, 2])
    logits = torch.tensor(expected)
    probabilities = logits.sigmoid() if name == "Siglip" else logits.softmax(-1)
    np.testing.assert_allclose(zero_shot.probabilities, probabilities, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(zero_shot.values, heatmaps.values, rtol=1e-4, atol=1e-4 * heatmaps.values.max())


HAND = {
    "CLIP": ("vision_model.encoder.layers.0", 2, 1),
    "Siglip": ("vision_model.encoder.layers.1", 2, 0),
    "ChineseCLIP": ("vision_model.encoder.layers.0", 2, 1),
    "Align": ("vision_model.encoder.blocks.2", 1, 0),
}


@pytest.mark.parametrize("name", HAND)
def test_heatmaps_of_a_hugging_face_tower_are_those_by_hand(name):
    model, tokenizer = hugging_face_model(name), tokenizer_of()
    images, (path, axis, prefix) = images_for(model), HAND[name]
    explainer = seewhy.Explainer(seewhy.Classifier(model, tokenizer=tokenizer), "gradcam", path, signed=True)
    heatmaps = explainer.heatmaps(images, [Prompt(text) for text in TEXTS])
    for position, text in enumerate(TEXTS):
        options = {"padding": "max_length"} if name == "Siglip" else {}
        tokens = tokenizer([text], return_tensors="pt", **options)
        expected = gradcam_by_hand(
            model.get_submodule(path),
            lambda tokens=tokens: model(pixel_values=images, **tokens).logits_per_image[:, 0],
            axis,
            prefix,
        )
        found = heatmaps.values[:, position]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


OPEN_CLIP_VISION = {
    "ResNet": {"layers": (1, 1, 1, 1), "width": 8, "image_size": 64, "head_width": 32},
    "ViT": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64},
}
OPEN_CLIP_LAYERS = {"ResNet": ("visual.layer4", 1, 0), "ViT": ("visual.transformer.resblocks.0", 2, 1)}


def open_clip_model(tower, bias=None):
    torch.manual_seed(0)
    text = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    return open_clip.CLIP(32, OPEN_CLIP_VISION[tower], text, init_logit_bias=bias).eval()


@pytest.mark.parametrize("bias", [None, -3.0])
@pytest.mark.parametrize("tower", OPEN_CLIP_VISION)
def test_open_clip_by_hand(tower, bias):
    model, tokenizer = open_clip_model(tower, bias), open_clip.SimpleTokenizer(context_length=16)
    images, (path, axis, prefix) = torch.randn(2, 3, 64, 64), OPEN_CLIP_LAYERS[tower]
    classifier = seewhy.Classifier(model, tokenizer=tokenizer)
    explainer = seewhy.Explainer(classifier, "gradcam", path, signed=True)
    heatmaps = explainer.heatmaps(images, [Prompt(text) for text in TEXTS])
    logits, _ = model.get_logits(images, tokenizer(TEXTS))
    np.testing.assert_allclose(heatmaps.scores, logits.detach().numpy(), rtol=1e-5, atol=1e-5)
    for position in range(len(TEXTS)):
        expected = gradcam_by_hand(
            model.get_submodule(path),
            lambda position=position: model.get_logits(images, tokenizer(TEXTS))[0][:, position],
            axis,
            prefix,
        )
        np.testing.assert_allclose(heatmaps.values[:, position], expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    probabilities = seewhy.Explainer(classifier.with_prompts(TEXTS)).heatmaps(images, [0]).probabilities
    expected = logits.softmax(-1) if bias is None else logits.sigmoid()
    np.testing.assert_allclose(probabilities, expected.detach(), rtol=1e-4)
    given = seewhy.Explainer(classifier).heatmaps({"image": images, "text": tokenizer(TEXTS)}, [0, 1, 2])
    np.testing.assert_allclose(given.scores, heatmaps.scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["CLIP", "Siglip"])
def test_a_folder_with_tokenizer_and_processor(name, tmp_path):
    model = hugging_face_model(name)
    model.save_pretrained(tmp_path)
    tokenizer_of(tmp_path)
    size = {"height": 32, "width": 32}
    options = {"size": {"shortest_edge": 32}, "crop_size": size} if name == "CLIP" else {"size": size}
    processor = getattr(transformers, f"{name}ImageProcessor")(**options)
    processor.save_pretrained(tmp_path)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8))
    classifier = seewhy.load(f"hf:{tmp_path}", prompts=TEXTS)
    (explanation,) = seewhy.Explainer(classifier).explain([image], "top-2")
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    logits = logits_of(model, pixels, tokenizer_of(), pads=name == "Siglip")[0]
    found = {target.name: target.score for target in explanation.targets}
    best = sorted(zip(logits, TEXTS, strict=True), reverse=True)[:2]
    assert list(found) == [text for _, text in best]
    np.testing.assert_allclose(list(found.values()), [value for value, _ in best], rtol=1e-2, atol=1e-3)
    # The processors themselves, as preprocessing and with their tokenizer, give the same.
    given = seewhy.Classifier(model, preprocess=processor, tokenizer=tokenizer_of())
    (again,) = seewhy.Explainer(given).explain([image], Prompt(explanation.targets[0].name))
    np.testing.assert_allclose(again.targets[0].score, explanation.targets[0].score, rtol=1e-5)
    # A model that was loaded from a folder finds the tokenizer there.
    loaded = getattr(transformers, f"{name}Model").from_pretrained(tmp_path)
    heatmaps = seewhy.Explainer(loaded).heatmaps(pixels, Prompt(TEXTS[0]))
    np.testing.assert_allclose(heatmaps.scores[0, 0], logits[0], rtol=1e-5, atol=1e-5)


def test_text_inputs_keep_their_types_and_may_be_of_another_number_than_the_images():
    model, tokenizer = hugging_face_model("CLIP"), tokenizer_of()
    images, tokens = images_for(model), tokenizer(TEXTS, return_tensors="pt", padding=True)
    heatmaps = seewhy.Explainer(model).heatmaps({"pixel_values": images, **tokens}, [0, 1, 2])
    with torch.no_grad():
        expected = model(pixel_values=images, **tokens).logits_per_image
    np.testing.assert_allclose(heatmaps.scores, expected, rtol=1e-5, atol=1e-5)
    assert heatmaps.values.shape == (2, 3, 4, 4)
    assert heatmaps.names[0] == ("text 0", "text 1", "text 2")


def test_a_long_prompt_is_refused():
    model = hugging_face_model("CLIP")
    explainer = seewhy.Explainer(seewhy.Classifier(model, tokenizer=tokenizer_of()))
    with pytest.raises(TargetError, match="has 22 tokens, and the model reads 16"):
        explainer.heatmaps(images_for(model), Prompt("abcdefghijklmnopqrst"))
    explainer.heatmaps(images_for(model), Prompt("abcdefghijklmn"))  # 14 and two
    ours = seewhy.Classifier(open_clip_model("ViT"), tokenizer=open_clip.SimpleTokenizer(context_length=16))
    with pytest.raises(TargetError, match="has 17 tokens, and the model reads 16"):
        ours.with_prompts(["dog " * 15])
    ours.with_prompts(["dog " * 14])


def test_a_processor_that_replaces_the_preprocessing_brings_its_tokenizer():
    model, images = hugging_face_model("CLIP"), images_for(hugging_face_model("CLIP"))
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    processor = transformers.CLIPProcessor(transformers.CLIPImageProcessor(**sizes), tokenizer_of())
    replaced = seewhy.Classifier(model).replace(preprocess=processor)
    scores = seewhy.Explainer(replaced).heatmaps(images, [Prompt(text) for text in TEXTS]).scores
    np.testing.assert_allclose(scores, logits_of(model, images, tokenizer_of()), rtol=1e-5, atol=1e-5)


def test_a_missing_tokenizer_is_named():
    model = hugging_face_model("CLIP")
    with pytest.raises(OptionError, match=r"was given without its tokenizer\. Give it"):
        seewhy.Explainer(model).heatmaps(images_for(model), Prompt("a dog"))


def test_open_clip_by_name():
    classifier = seewhy.load("open_clip:RN50", None, prompts=["a dog", "a cat"])
    assert classifier.input_size == (224, 224)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (250, 300, 3), dtype=np.uint8))
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**classifier.model.visual.preprocess_cfg), is_train=False
    )
    given = seewhy.Classifier(classifier.model, preprocess=transform)
    np.testing.assert_array_equal(given.preprocess([image]).values, classifier.preprocess([image]).values)
    difference = np.abs(transform(image).numpy() - given.preprocess([image]).values[0])
    assert difference.max() < 0.02  # a grey level is 0.015
    explanation = seewhy.explain(classifier, image)
    assert (explanation.layer, explanation.method) == ("visual.layer4.2.act3", "gradcam")
    with pytest.raises(OptionError, match=r"none was named.*open_clip:RN50@openai"):
        seewhy.load("open_clip:RN50")
    with pytest.raises(ModelError, match="Did you mean 'RN50'"):
        seewhy.load("open_clip:RN5", None)
    with pytest.raises(ModelError, match="no weights 'openia'"):
        seewhy.load("open_clip:RN50@openia")


def test_a_config_that_names_another_type_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["CLIPModel"], "model_type": "timm_wrapper"}))
    with pytest.raises(ModelError, match="timm_wrapper"):
        seewhy.load(f"hf:{tmp_path}", None)
