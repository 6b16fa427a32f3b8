"""Detectors of torchvision and Hugging Face with random weights, against plain hooks and autograd."""

import functools
import importlib.util
import warnings

import numpy as np
import pytest
import torch
from tests.oracles.peers import from_command_line as command_line
from tests.oracles.peers.tiny_hugging_face import DETECTORS, write_folder

import seewhy
from seewhy.errors import SeewhyWarning
from seewhy.methods.rise import _RandomMasks

torchvision = pytest.importorskip("torchvision", exc_type=(ImportError, RuntimeError))  # type: ignore[arg-type]


def has_operators() -> bool:
    """Whether torchvision's compiled operators run."""
    try:
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (RuntimeError, NotImplementedError):
        return False
    return True


needs_operators = pytest.mark.skipif(not has_operators(), reason="torchvision was compiled for another torch")
needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)

SMALL = {"weights": None, "weights_backbone": None}
TORCHVISION = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": {"box_score_thresh": 0.0, "min_size": 96, "max_size": 96},
    "maskrcnn_resnet50_fpn": {"box_detections_per_img": 2, "box_score_thresh": 0.0, "min_size": 96, "max_size": 96},
    "keypointrcnn_resnet50_fpn": {"box_score_thresh": 0.0, "min_size": 96, "max_size": 96},
    "retinanet_resnet50_fpn": {"score_thresh": 0.0, "min_size": 96, "max_size": 96},
    "fcos_resnet50_fpn": {"score_thresh": 0.0, "min_size": 96, "max_size": 96},
    "ssdlite320_mobilenet_v3_large": {"score_thresh": 0.0},
}


def derived(model, path, call, image, box, class_, logits_path):
    """Return the map and the class logit of the detection at a box, by hooks and autograd.

    The candidate is the one that the detection's score changes with.
    """
    kept, logits, calls = [], [], []

    def keep(_, __, output):
        calls.append(None)
        if call in (None, len(calls)):
            kept[:] = [output]

    def keep_logits(_, __, output):
        logits[:] = [output[0] if isinstance(output, tuple) else output]

    hooks = [
        model.get_submodule(path).register_forward_hook(keep),
        model.get_submodule(logits_path).register_forward_hook(keep_logits),
    ]
    (found,) = model([torch.tensor(image)])
    for hook in hooks:
        hook.remove()
    position = int((found["boxes"] - torch.tensor(box)).abs().sum(dim=1).argmin())
    assert int(found["labels"][position]) == class_
    (changes,) = torch.autograd.grad(found["scores"][position], logits[0], retain_graph=True)
    (row,) = torch.nonzero(changes.flatten(0, -2).abs().sum(dim=1)).flatten()
    logit = logits[0].flatten(0, -2)[row, class_]
    (gradients,) = torch.autograd.grad(logit, kept[0])
    return (gradients * kept[0]).sum(dim=1)[0].clamp(min=0).detach().numpy(), logit.item()


@needs_operators
@pytest.mark.parametrize("name", TORCHVISION)
def test_a_detector_of_torchvision(name):
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, **SMALL, **TORCHVISION[name]).eval()
    with torch.no_grad():  # random weights give logits so alike that detections tie
        head = model.roi_heads.box_predictor.cls_score if "rcnn" in name else None
        if head is not None:
            head.weight *= 30
    side = 320 if "320" in name and "ssd" in name else 96
    image = np.random.default_rng(0).uniform(0, 1, (3, side, side)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeewhyWarning)
        heatmaps = seewhy.Explainer(model).heatmaps(image[None], "top-1")
    path, _, call = heatmaps.layer.partition("#")
    logits_path = "roi_heads.box_predictor" if "rcnn" in name else "head.classification_head"
    expected, logit = derived(
        model,
        path,
        int(call) if call else None,
        image,
        heatmaps.boxes[0, 0] * side,
        heatmaps.indices[0, 0],
        logits_path,
    )
    np.testing.assert_allclose(heatmaps.scores[0, 0], logit, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(heatmaps.values[0, 0], expected, rtol=1e-3, atol=1e-4 * expected.max())


@needs_operators
@pytest.mark.parametrize("name", TORCHVISION)
def test_the_class_probabilities_of_a_detection_are_those_of_its_candidate(name):
    """The candidate is found by the gradient of the score here, and by the value of the score in the library."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, **SMALL, **TORCHVISION[name]).eval()
    if "rcnn" in name:
        with torch.no_grad():
            model.roi_heads.box_predictor.cls_score.weight *= 30
    side = 320 if "ssd" in name else 96
    images = np.random.default_rng(0).uniform(0, 1, (2, 3, side, side)).astype(np.float32)
    framework, logits = seewhy.Classifier(model).framework, []
    path = "roi_heads.box_predictor" if "rcnn" in name else "head.classification_head"
    hook = model.get_submodule(path).register_forward_hook(
        lambda _, __, output: logits.append(output[0] if isinstance(output, tuple) else output)
    )
    for image in images:
        inputs = framework.check_inputs(image[None])
        surest = framework.detector(inputs).detections(inputs)[:3]
        if "fcos" in name:
            assert all(found.probabilities is None for found in surest)
            continue
        rows = framework.class_logit_entries(inputs, [found.number for found in surest])
        candidates = logits[-1].detach().flatten(0, -2)
        by_candidate = candidates.sigmoid() if "retinanet" in name else candidates.softmax(dim=-1)
        for found, (row, class_) in zip(surest, rows, strict=True):
            expected = by_candidate[row].numpy().copy()
            np.testing.assert_allclose(found.score, expected[class_], rtol=1e-5)
            expected[: "retinanet" not in name] = 0  # the background
            np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5, atol=1e-8)
    hook.remove()


@needs_operators
def test_d_rise_of_a_detector_of_torchvision():
    """Two images of a batch are masked together; the family of R-CNN has their candidates in one table."""
    torch.manual_seed(0)
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    model = torchvision.models.get_model(name, **SMALL, **TORCHVISION[name]).eval()
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight *= 300  # so that detections do not tie
    image = np.random.default_rng(0).uniform(0, 1, (1, 3, 96, 96)).astype(np.float32)
    method = seewhy.methods.get("rise", masks=5, grid=4, centred=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeewhyWarning)
        heatmaps = seewhy.Explainer(model, method).heatmaps(image, "top-1", batch_size=2)
    logits = []
    hook = model.roi_heads.box_predictor.register_forward_hook(lambda _, __, output: logits.append(output[0]))
    with torch.no_grad():
        (whole,) = model(torch.tensor(image))
        p = logits[-1].softmax(dim=-1)
        label, best = int(whole["labels"][0]), torch.tensor(heatmaps.boxes[0] * 96)
        assert heatmaps.indices[0, 0] == label
        wanted = p[(p[:, label] - whole["scores"][0]).abs().argmin(), 1:]
        expected = np.zeros((96, 96))
        for mask in _RandomMasks((96, 96), 5, (4, 4), 0.5, 0):
            (found,) = model(torch.tensor(image * mask))
            p = logits[-1].softmax(dim=-1)
            rows = [int((p[:, k] - s).abs().argmin()) for k, s in zip(found["labels"], found["scores"], strict=True)]
            cosines = torch.nn.functional.cosine_similarity(p[rows, 1:], wanted[None])
            overlaps = torchvision.ops.box_iou(best, found["boxes"])[0]
            expected += (overlaps * cosines * p[rows, label]).max().item() * mask / (5 * 0.5)
    hook.remove()
    np.testing.assert_allclose(heatmaps.values[0, 0], expected, rtol=1e-3, atol=1e-4 * expected.max())


@needs_operators
@pytest.mark.parametrize("name", [name for name in TORCHVISION if name[:4] not in ("mask", "keyp")])
def test_a_score_of_1_has_a_class_logit(name):
    """A saturated sigmoid or softmax has no gradient by which the candidate of a detection could be found."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, **SMALL, **TORCHVISION[name]).eval()
    path = "roi_heads.box_predictor.cls_score" if "rcnn" in name else "head.classification_head"
    head, kept = model.get_submodule(path), []
    with torch.no_grad():
        if "ssd" in name:
            for level in head.module_list:
                level[1].weight *= 1e17
        else:
            (head if "rcnn" in name else head.cls_logits).weight *= 1e6
    side = 320 if "ssd" in name else 96
    image = np.random.default_rng(0).uniform(0, 1, (1, 3, side, side)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeewhyWarning)
        heatmaps = seewhy.Explainer(model).heatmaps(image, "top-1")
    hook = model.get_submodule(path).register_forward_hook(lambda _, __, output: kept.append(output))
    model([torch.tensor(image[0])])
    hook.remove()
    if "fcos" not in name:
        assert heatmaps.detection_scores == [[1.0]]
    logits = kept[-1].detach().flatten(0, -2)
    gaps = (logits[:, heatmaps.indices[0, 0]] - heatmaps.scores[0, 0]).abs()
    row = logits[gaps.argmin()]
    np.testing.assert_allclose(row[heatmaps.indices[0, 0]], heatmaps.scores[0, 0], rtol=1e-4)
    activated = row.softmax(dim=0) if "rcnn" in name or "ssd" in name else row.sigmoid()
    assert activated[heatmaps.indices[0, 0]] == 1


NAMES = torchvision.models.list_models(module=torchvision.models.detection)


@needs_operators
@pytest.mark.parametrize("name", NAMES)
def test_a_detector_of_torchvision_from_the_command_line(name, monkeypatch, tmp_path):
    if "ssd" not in name:  # in inputs of 800 x 800 pixels, and with 1,000 proposals, a test would take a minute
        proposals = {"rpn_pre_nms_top_n_test": 100, "rpn_post_nms_top_n_test": 50} if "rcnn" in name else {}
        get_model = functools.partial(torchvision.models.get_model, min_size=128, max_size=128, **proposals)
        monkeypatch.setattr(torchvision.models, "get_model", get_model)
    written = command_line.explain(monkeypatch, tmp_path, f"torchvision:{name}")
    classifier = seewhy.load(f"torchvision:{name}", weights=None)
    image = np.asarray(classifier.preprocess([command_line.IMAGE]))[0]
    scale = np.array([image.shape[2] / 90, image.shape[1] / 60] * 2)
    expected, logit = derived(
        classifier.model,
        written.path,
        written.call,
        image,
        (written.target["box"] * scale).astype(np.float32),
        written.target["index"],
        "roi_heads.box_predictor" if "rcnn" in name else "head.classification_head",
    )
    np.testing.assert_allclose(written.target["score"], logit, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(written.heatmap, expected, rtol=1e-4, atol=1e-4 * expected.max())


@needs_operators
def test_a_detector_of_torchvision_by_name():
    name = "torchvision:ssdlite320_mobilenet_v3_large"
    classifier = seewhy.load(name, weights=None)
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    with pytest.warns(SeewhyWarning, match="sure of nothing"):
        (explanation,) = seewhy.Explainer(classifier).explain([image], "top-2")
    assert len(explanation.targets) == 2
    left, top, right, bottom = explanation.targets[0].box
    assert -1 <= left < right <= 91
    assert -1 <= top < bottom <= 61


@needs_transformers
@pytest.mark.parametrize("kind", DETECTORS)
def test_a_detector_of_hugging_face_from_the_command_line(kind, monkeypatch, tmp_path):
    folder = write_folder(kind, tmp_path / kind)
    written = command_line.explain(monkeypatch, tmp_path, str(folder))
    classifier = seewhy.load(str(folder), weights=None)
    inputs = classifier.preprocess([command_line.IMAGE])
    assert inputs.shape == (1, 3, 64, 64)
    model, kept = classifier.model, []
    hook = model.get_submodule(written.path).register_forward_hook(lambda _, __, output: kept.append(output))
    outputs = model(torch.tensor(np.asarray(inputs), requires_grad=True))
    hook.remove()
    logits = outputs.logits[0]
    has_background = logits.shape[1] == model.config.num_labels + 1
    probabilities = logits.softmax(dim=-1)[:, :-1] if has_background else logits.sigmoid()
    query, column = divmod(int(probabilities.argmax()), probabilities.shape[1])
    assert written.target["index"] == column
    np.testing.assert_allclose(written.target["probability"], probabilities[query, column].item(), rtol=1e-4)
    command_line.check(written, written.kept(kept), logits[query, column], is_averaged=False)
    left, top, right, bottom = written.target["box"]
    centre = outputs.pred_boxes[0, query, :2].detach().numpy()
    np.testing.assert_allclose([(left + right) / 2 / 90, (top + bottom) / 2 / 60], centre, rtol=1e-4)
