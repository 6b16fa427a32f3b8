"""Segmenters of torchvision, Hugging Face and segmentation-models-pytorch with random weights, against autograd.

`make detectors` runs this with torchvision's own build of torch.
"""

import importlib.util

import numpy as np
import pytest
import torch
from tests.oracles.peers import from_command_line as command_line
from tests.oracles.peers.tiny_hugging_face import SEGMENTERS, write_folder

import seewhy
from seewhy.errors import ModelError, NotPredictedError

torchvision = pytest.importorskip("torchvision", exc_type=(ImportError, RuntimeError))  # type: ignore[arg-type]
NAMES = torchvision.models.list_models(module=torchvision.models.segmentation)
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)
needs_smp = pytest.mark.skipif(
    importlib.util.find_spec("segmentation_models_pytorch") is None, reason="it is not installed"
)


def check_class(written, model, inputs, read):
    """Compare with the sum of the logits of the class at the pixels that are predicted as it, by a hook and autograd.

    Args:
        written: What the command line wrote.
        model: A module.
        inputs: Its input, one image.
        read: Returns the class logits (1, C, h, w) of what the model returned.
    """
    kept = []
    hook = model.get_submodule(written.path).register_forward_hook(lambda _, __, output: kept.append(output))
    logits = read(model(torch.tensor(np.asarray(inputs), requires_grad=True)))[0]
    hook.remove()
    predicted = logits.argmax(dim=0)
    counts = torch.bincount(predicted.flatten(), minlength=len(logits))
    if len(counts) == 21:
        counts[0] = 0 if counts[1:].any() else counts[0]  # the background of torchvision's 21 classes
    class_ = written.target["index"] if written.target["index"] >= 0 else int(counts.argmax())
    assert counts[class_] == counts.max()
    score = logits[class_][predicted == class_].sum()
    command_line.check(written, written.kept(kept), score, is_averaged=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_segmenter_of_torchvision_from_the_command_line(name, monkeypatch, tmp_path):
    options = ["--input-size", "96"]
    written = command_line.explain(monkeypatch, tmp_path, f"torchvision:{name}", *options)
    classifier = seewhy.load(f"torchvision:{name}", weights=None, input_size=96)
    inputs = classifier.preprocess([command_line.IMAGE])
    check_class(written, classifier.model, inputs, lambda outputs: outputs["out"])


@needs_transformers
@pytest.mark.parametrize("kind", SEGMENTERS)
def test_a_segmenter_of_hugging_face_from_the_command_line(kind, monkeypatch, tmp_path):
    folder = write_folder(kind, tmp_path / kind)
    written = command_line.explain(monkeypatch, tmp_path, str(folder))
    classifier = seewhy.load(str(folder), weights=None)
    inputs = classifier.preprocess([command_line.IMAGE])
    check_class(written, classifier.model, inputs, lambda outputs: outputs.logits)


@needs_transformers
@pytest.mark.parametrize(
    ("kind", "task"), [("MaskFormer", "InstanceSegmentation"), ("Mask2Former", "UniversalSegmentation")]
)
def test_masks_with_class_logits_are_refused(kind, task, tmp_path):
    import transformers

    config = getattr(transformers, f"{kind}Config")()
    config.architectures = [f"{kind}For{task}"]
    config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="predicts masks, each with class logits"):
        seewhy.load(str(tmp_path), weights=None)


@needs_smp
@pytest.mark.parametrize(("kind", "classes"), [("Unet", 3), ("FPN", 3), ("DeepLabV3Plus", 1), ("Linknet", 1)])
def test_a_model_of_segmentation_models_pytorch(kind, classes):
    import segmentation_models_pytorch

    torch.manual_seed(0)
    model = getattr(segmentation_models_pytorch, kind)("resnet18", encoder_weights=None, classes=classes).eval()
    names = ["background", "person", "dog"][: max(classes, 2)]
    preprocess = seewhy.Preprocessing(size=(64, 64), std=255.0)
    classifier = seewhy.Classifier(model, preprocess=preprocess, class_names=names)
    inputs = classifier.preprocess([command_line.IMAGE])
    with torch.no_grad():  # so that half of the pixels are foreground
        model.segmentation_head[0].bias -= model(torch.tensor(np.asarray(inputs))).mean(dim=(0, 2, 3))
    explanation = seewhy.explain(classifier, command_line.IMAGE, "person")
    kept = []
    hook = model.get_submodule(explanation.layer).register_forward_hook(lambda _, __, output: kept.append(output))
    logits = model(torch.tensor(np.asarray(inputs)))[0]
    hook.remove()
    predicted = logits[0] > 0 if classes == 1 else logits.argmax(dim=0) == 1  # one channel is that of class 1
    score = logits[0 if classes == 1 else 1][predicted].sum()
    target = explanation.targets[0]
    assert target.name == "person"
    np.testing.assert_allclose(target.score, score.item(), rtol=1e-4)
    (gradients,) = torch.autograd.grad(score, kept[0])
    expected = (gradients * kept[0]).sum(dim=1)[0].clamp(min=0).detach().numpy()
    np.testing.assert_allclose(explanation.heatmaps[0], expected, rtol=1e-4, atol=1e-4 * expected.max())


@needs_smp
def test_a_class_that_is_predicted_nowhere():
    import segmentation_models_pytorch

    torch.manual_seed(0)
    model = segmentation_models_pytorch.Unet("resnet18", encoder_weights=None, classes=3).eval()
    model.segmentation_head[0].bias.data[2] = -100
    preprocess = seewhy.Preprocessing(size=(64, 64), std=255.0)
    classifier = seewhy.Classifier(model, preprocess=preprocess, class_names=["background", "person", "dog"])
    with pytest.raises(NotPredictedError, match="predicts 'dog' at no pixel of the image"):
        seewhy.explain(classifier, command_line.IMAGE, "dog")
