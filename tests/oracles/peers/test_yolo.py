"""The real models of Ultralytics with random weights, against its own programs, plain hooks and autograd.

`make detectors` runs this in an environment of its own; it is skipped where ultralytics is not installed.
"""

import warnings

import numpy as np
import pytest
import torch

import seewhy
from seewhy.errors import ModelError, SeewhyWarning

ultralytics = pytest.importorskip("ultralytics", exc_type=(ImportError, RuntimeError))  # type: ignore[arg-type]

from PIL import Image  # noqa: E402
from ultralytics.data.augment import LetterBox, classify_transforms  # noqa: E402  # where it is installed
from ultralytics.utils import nms, ops  # noqa: E402
from ultralytics.utils.metrics import box_iou  # noqa: E402

from seewhy.methods.rise import _RandomMasks  # noqa: E402

SIDE = 64
IMAGE = np.random.default_rng(1).integers(0, 255, (60, 130, 3), dtype=np.uint8)
NAMES = ["yolov5n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n", "yolo11n-seg", "yolo11n-pose"]


def random_model(name: str) -> torch.nn.Module:
    """Return a YOLO object whose random scores differ: batch norms are given the statistics of some pictures."""
    torch.manual_seed(0)
    yolo = ultralytics.YOLO(f"{name}.yaml")
    for module in yolo.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
    with torch.no_grad():
        yolo.model.train()
        for _ in range(3):
            yolo.model(torch.rand(4, 3, SIDE, SIDE))
        yolo.model.eval()
        for path, module in yolo.model.model[-1].named_modules():
            if "cv3" in path and isinstance(module, torch.nn.Conv2d) and module.bias is not None:
                module.register_forward_hook(spread)
        yolo.model(torch.rand(4, 3, SIDE, SIDE))
    for module in yolo.model.modules():
        module._forward_hooks.clear()
    return yolo


def spread(convolution, _, output):
    """Let class logits have the mean -2 and the deviation 1; untrained ones say that there is nothing anywhere."""
    deviation = output.std()
    convolution.weight /= deviation
    convolution.bias[...] = (convolution.bias - output.mean()) / deviation - 2


def letterboxed(image: np.ndarray) -> torch.Tensor:
    """Return the input that ultralytics makes of an image."""
    bordered = LetterBox((SIDE, SIDE))(image=image)
    return torch.tensor(bordered.transpose(2, 0, 1)[None] / 255, dtype=torch.float32)


def raw_scores(outputs):
    """Return the class logits (C, A) that a head returns beside its outputs."""
    raw = outputs[1]
    return raw.get("one2many", raw)["scores"][0]


@pytest.mark.parametrize("name", NAMES)
def test_the_surest_detections_of_a_yolo(name):
    yolo = random_model(name)
    classifier = seewhy.Classifier(yolo, input_size=(SIDE, SIDE))
    inputs = classifier.preprocess([IMAGE])
    np.testing.assert_allclose(np.asarray(inputs), letterboxed(IMAGE), atol=1.5 / 255)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeewhyWarning)
        (explanation,) = seewhy.Explainer(classifier).explain([IMAGE], "top-2")
        heatmaps = seewhy.Explainer(classifier).heatmaps(inputs, "top-2")
    model, batch = yolo.model, torch.tensor(np.asarray(inputs))
    outputs = model(batch)
    decoded = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    (found,) = nms.non_max_suppression(decoded, 1e-6, 0.7, nc=len(model.names))
    expected = ops.scale_boxes((SIDE, SIDE), found[:2, :4].clone(), IMAGE.shape).detach().numpy()
    for target, box, surest in zip(explanation.targets, expected, found, strict=False):
        clipped = np.clip(target.box, 0, (IMAGE.shape[1], IMAGE.shape[0]) * 2)
        np.testing.assert_allclose(clipped, box, atol=0.75)  # which rounds the border, and so the ratio
        np.testing.assert_allclose(target.probability, surest[4].item(), rtol=1e-4)
        assert target.index == int(surest[5])
    logits = raw_scores(outputs)
    for column, surest in enumerate(found[:2]):
        row = int((logits[int(surest[5])].sigmoid() - surest[4]).abs().argmin())
        np.testing.assert_allclose(heatmaps.scores[0, column], logits[int(surest[5]), row].item(), rtol=1e-4)
        check_map(model, batch, heatmaps, column, lambda outputs, at=(int(surest[5]), row): raw_scores(outputs)[at])


def check_map(model, batch, heatmaps, column, score, layer=None):
    """Compare a map with gradients times activations by a hook, of a layer that is called once or several times."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeewhyWarning)
        layer = layer or heatmaps.layer.split(", ")[0]
        single = seewhy.Explainer(model, "hirescam", layer).heatmaps(batch.numpy(), "top-2")
    path, _, call = layer.partition("#")
    kept = []

    def keep(_, __, output):
        kept.append(output)

    hook = model.get_submodule(path).register_forward_hook(keep)
    scored = score(model(batch))
    hook.remove()
    activations = kept[int(call) - 1 if call else -1]
    (gradients,) = torch.autograd.grad(scored, activations, allow_unused=True)
    gradients = torch.zeros_like(activations) if gradients is None else gradients
    expected = (gradients * activations).sum(dim=1)[0].clamp(min=0).detach().numpy()
    np.testing.assert_allclose(single.values[0, column], expected, rtol=1e-3, atol=1e-4 * expected.max() + 1e-12)


def test_d_rise_of_a_yolo():
    """The detections of masked images are those of the package's own suppression."""
    yolo = random_model("yolov8n")
    model, image = yolo.model, np.random.default_rng(0).random((1, 3, SIDE, SIDE), dtype=np.float32)
    method = seewhy.methods.get("rise", masks=5, grid=4, centred=False)
    heatmaps = seewhy.Explainer(model, method).heatmaps(image, "top-2")

    def detections(batch):
        decoded = model(torch.tensor(batch))[0]
        (found,), (rows,) = nms.non_max_suppression(decoded, 1e-6, 0.7, nc=80, return_idxs=True)
        return found[:, :4], decoded[0, 4:84, rows.flatten()].T, found[:, 5].long()

    with torch.no_grad():
        boxes, p, labels = detections(image)
        expected = np.zeros((2, SIDE, SIDE))
        for mask in _RandomMasks((SIDE, SIDE), 5, (4, 4), 0.5, 0):
            found, vectors, _ = detections(image * mask)
            overlaps = box_iou(boxes[:2], found)
            for column in range(2):
                cosines = torch.nn.functional.cosine_similarity(vectors, p[column, None])
                similarity = overlaps[column] * cosines * vectors[:, labels[column]]
                expected[column] += similarity.max().item() * mask / (5 * 0.5)
    assert heatmaps.indices[0].tolist() == labels[:2].tolist()
    np.testing.assert_allclose(heatmaps.values[0], expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_gradients_of_perturbed_images_of_a_yolo_reach_its_scores():
    """Integrated gradients sum up to the change of the score from a black image; the overlap alone does not."""
    yolo = random_model("yolov8n")
    image = np.random.default_rng(0).random((1, 3, SIDE, SIDE), dtype=np.float32)
    method = seewhy.methods.get("integrated_gradients", steps=1)
    heatmaps = seewhy.Explainer(yolo.model, method, signed=True).heatmaps(image)
    halfway = torch.tensor(image / 2, requires_grad=True)
    decoded = yolo.model(halfway)[0]
    boxes, p = decoded[0, :4].T, decoded[0, 4:84].T
    corners = torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1)
    whole = yolo.model(torch.tensor(image))[0][0, 4:84].T
    row, label = divmod(int(whole.argmax()), 80)
    cosines = torch.nn.functional.cosine_similarity(p, whole[row, None].detach())
    overlaps = box_iou(torch.tensor(heatmaps.boxes[0] * SIDE), corners)[0]
    similarity = overlaps * cosines * p[:, label]
    _, (rows,) = nms.non_max_suppression(decoded.detach(), 1e-6, 0.7, nc=80, return_idxs=True)
    (gradients,) = torch.autograd.grad(similarity[rows.flatten()].max(), halfway)
    expected = (gradients.numpy() * image).sum(axis=1)
    np.testing.assert_allclose(heatmaps.values[0], expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())


def test_a_yolo_that_ran_in_inference_mode_before():
    """Its head keeps the places of its candidates between runs of one size: as tensors that autograd refuses."""
    yolo = random_model("yolov8n")
    batch = letterboxed(IMAGE)
    expected = seewhy.Explainer(yolo).heatmaps(batch.numpy(), "top-2")
    other = random_model("yolov8n")
    with torch.inference_mode():
        other.model(batch)
    found = seewhy.Explainer(other).heatmaps(batch.numpy(), "top-2")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    with torch.inference_mode():
        other.model(batch)  # and as before afterwards


@pytest.mark.parametrize("is_detached", [False, True])
def test_a_head_that_finds_each_object_once(is_detached, monkeypatch):
    yolo = random_model("yolo26n")
    head, model, batch = yolo.model.model[-1], yolo.model, letterboxed(IMAGE)
    head.end2end = True
    (surest, *_) = model(batch)[0][0]
    if is_detached:  # as in versions before 8.4.100
        original = head.forward_head

        def forward_head(levels, box_head, cls_head):
            is_own = box_head is head.one2one_cv2
            return original([level.detach() for level in levels] if is_own else levels, box_head, cls_head)

        monkeypatch.setattr(head, "forward_head", forward_head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeewhyWarning)
        heatmaps = seewhy.Explainer(yolo).heatmaps(batch.numpy(), "top-2")
    np.testing.assert_allclose(heatmaps.boxes[0, 0] * SIDE, surest[:4].detach(), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(heatmaps.detection_scores[0, 0], surest[4].item(), rtol=1e-4)
    monkeypatch.undo()
    logits, class_ = model(batch)[1]["one2one"]["scores"][0], int(surest[5])
    row = int((logits[class_].sigmoid() - surest[4]).abs().argmin())
    check_map(model, batch, heatmaps, 0, lambda outputs: outputs[1]["one2one"]["scores"][0, class_, row], "model.16")


def test_an_rt_detr():
    torch.manual_seed(0)
    yolo = ultralytics.RTDETR("rtdetr-resnet50.yaml")
    classifier = seewhy.Classifier(yolo, input_size=(SIDE, SIDE))
    inputs = classifier.preprocess([IMAGE])
    np.testing.assert_allclose(
        np.asarray(inputs)[0].transpose(1, 2, 0) * 255,
        LetterBox((SIDE, SIDE), scale_fill=True)(image=IMAGE),
        atol=1.5,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeewhyWarning)
        heatmaps = seewhy.Explainer(classifier).heatmaps(inputs, "top-2")
    yolo.model.eval()
    boxes, logits = (part[-1, 0] for part in yolo.model(torch.tensor(np.asarray(inputs)))[1][:2])
    query, class_ = divmod(int(logits.argmax()), logits.shape[1])
    assert heatmaps.indices[0, 0] == class_
    np.testing.assert_allclose(heatmaps.scores[0, 0], logits[query, class_].item(), rtol=1e-4)
    centre = (heatmaps.boxes[0, 0, :2] + heatmaps.boxes[0, 0, 2:]) / 2
    np.testing.assert_allclose(centre, boxes[query, :2].detach(), rtol=1e-4)


def test_a_classifier():
    torch.manual_seed(0)
    yolo = ultralytics.YOLO("yolo11n-cls.yaml")
    classifier = seewhy.Classifier(yolo, input_size=(SIDE, SIDE))
    inputs = classifier.preprocess([IMAGE])
    expected = classify_transforms(SIDE)(Image.fromarray(IMAGE))
    np.testing.assert_allclose(np.asarray(inputs)[0], expected, atol=1e-6)
    heatmaps = seewhy.Explainer(classifier).heatmaps(inputs, [3, 5])
    probabilities, logits = yolo.model.eval()(torch.tensor(np.asarray(inputs)))
    np.testing.assert_allclose(heatmaps.scores[0], logits[0, [3, 5]].detach(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(heatmaps.probabilities, probabilities.detach(), rtol=1e-4)


def test_weights_of_other_classes_by_name(tmp_path):
    torch.manual_seed(0)
    model = ultralytics.nn.tasks.DetectionModel("yolo11n.yaml", nc=3, verbose=False)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    classifier = seewhy.load(
        tmp_path / "weights.pt", architecture="ultralytics:yolo11n", class_names=["a", "b", "c"], input_size=SIDE
    )
    assert classifier.input_size == (SIDE, SIDE)
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in classifier.model.state_dict().items())


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (None, {}, "is a checkpoint of Ultralytics, a pickle of a whole model"),
        (None, {"architecture": "ultralytics:yolo11n"}, "names ultralytics.nn.tasks"),
        ("ultralytics:yolo11n", {}, "trained weights of ultralytics:yolo11n are a pickle"),
        ("ultralytics:yolo11q", {"weights": None}, "Unknown model 'yolo11q'"),
        ("ultralytics:yolo11n-obb", {"weights": None}, "rotated boxes"),
    ],
)
def test_what_is_refused(source, options, message, tmp_path):
    ultralytics.YOLO("yolo11n.yaml").save(tmp_path / "yolo11n.pt")
    with pytest.raises(ModelError, match=message):
        seewhy.load(source or tmp_path / "yolo11n.pt", **options)
