"""Detectors: which detections a target means, and the heatmap of each."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.attribution.small_detector import SIDE, SmallDetector, picture, trained_detector

import seewhy
import seewhy.evaluate
from seewhy.attribution.detections import detection_names
from seewhy.errors import (
    MethodError,
    ModelError,
    ModelRunError,
    NotPredictedError,
    OptionError,
    SeewhyWarning,
    TargetError,
)
from seewhy.explainer import Explainer
from seewhy.frameworks.torch.detectors.detector import Found, find_detections, find_entries
from seewhy.frameworks.torch.detectors.kinds import QueryDetector
from seewhy.interpolation import resize
from seewhy.methods.rise import _RandomMasks
from seewhy.targets.detection import Detection, FixedDetections


@pytest.fixture(scope="module")
def model() -> SmallDetector:
    torch.manual_seed(0)
    return SmallDetector(threshold=0.1).eval()  # untrained


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    random = np.random.default_rng(0)
    return np.stack([picture(random)[0] for _ in range(2)])


def derived_maps(model: SmallDetector, image: np.ndarray, path: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the maps and class logits of the surest detections, with a hook and autograd alone."""
    kept: list[torch.Tensor] = []

    def keep(_: object, __: object, output: torch.Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    hook = model.get_submodule(path).register_forward_hook(keep)
    logits, _ = model.maps(torch.tensor(image[None]))
    hook.remove()
    window = torch.nn.functional.max_pool2d(logits, 3, stride=1, padding=1)
    peaks = logits[(logits == window) & (logits.sigmoid() > model.threshold)].sort(descending=True).values[:count]
    maps = []
    for peak in peaks:
        (gradients,) = torch.autograd.grad(peak, kept[0], retain_graph=True)
        maps.append((gradients * kept[0]).sum(dim=1)[0].clamp(min=0).detach().numpy())
    return np.stack(maps), peaks.detach().numpy()


@pytest.mark.parametrize("path", ["backbone.4", "auto"])
def test_a_map_is_the_gradient_of_the_class_logit_times_activations(
    model: SmallDetector, images: np.ndarray, path: str
) -> None:
    heatmaps = Explainer(model, layer=path).heatmaps(images, "top-2")
    layers = heatmaps.layer.split(", ")
    assert heatmaps.method == "hirescam"
    assert path == "auto" or layers == [path]
    assert len(layers) == 1  # one resolution, so that the expected maps need not be resized
    for row, image in enumerate(images):
        maps, logits = derived_maps(model, image, layers[0], 2)
        np.testing.assert_allclose(heatmaps.values[row], maps, rtol=1e-4, atol=1e-4 * maps.max())
        np.testing.assert_allclose(heatmaps.scores[row], logits, rtol=1e-4)


def test_gradients_and_gradcam_explain_the_same_detections(model: SmallDetector, images: np.ndarray) -> None:
    first = Explainer(model).heatmaps(images, "top-1")
    second = Explainer(model, "gradcam", "backbone.4").heatmaps(images, "top-1")
    np.testing.assert_array_equal(first.boxes, second.boxes)
    np.testing.assert_allclose(first.scores, second.scores, rtol=1e-5)


def test_a_perturbation_method_matches_detections_by_overlap_and_score(
    model: SmallDetector, images: np.ndarray
) -> None:
    method = seewhy.methods.get("occlusion", window=32, stride=32)
    heatmaps = Explainer(model, method).heatmaps(images[:1], "top-1")
    assert heatmaps.boxes is not None
    assert heatmaps.detection_scores is not None
    np.testing.assert_allclose(heatmaps.scores, heatmaps.detection_scores, rtol=1e-5)  # matched with itself


def test_the_matched_score_by_hand() -> None:
    target = FixedDetections(
        entries=np.zeros((1, 2), np.int32),
        boxes=np.array([[0, 0, 4, 4]], np.float32),
        classes=np.array([1], np.int32),
        detection_names=("a",),
        detection_scores=np.ones(1, np.float32),
        is_matched=True,
    )
    found = {
        "boxes": torch.tensor([[[0.0, 0, 4, 4], [2, 0, 6, 4], [0, 0, 4, 2], [0, 0, 0, 0]]]),
        "labels": torch.tensor([[0, 1, 1, 0]]),
        "scores": torch.tensor([[0.9, 0.9, 0.5, 0.0]]),
    }
    arrays = [torch.tensor(array) for array in target.arrays(1)]
    import array_api_compat.torch as xp

    scores, indices = target(None, arrays, xp, found)
    # Overlaps with the boxes of class 1: 8 / 24 and 8 / 16; times scores 0.3 and 0.25.
    np.testing.assert_allclose(scores, [[0.3]], rtol=1e-6)
    assert indices.tolist() == [[1]]


def matched(target: FixedDetections, found: dict[str, torch.Tensor]) -> np.ndarray:
    import array_api_compat.torch as xp

    assert target.array_count == len(target.arrays(1))
    return target(None, [torch.tensor(array) for array in target.arrays(1)], xp, found).scores.numpy()


@pytest.mark.parametrize("has_objectness", [False, True])
def test_the_similarity_of_class_probabilities_by_hand(has_objectness: bool) -> None:
    """Two detections are explained: of class 1, and of class 0 at the same candidate."""
    target = FixedDetections(
        entries=np.zeros((2, 2), np.int32),
        boxes=np.array([[0, 0, 4, 4]] * 2, np.float32),
        classes=np.array([1, 0], np.int32),
        detection_names=("a", "b"),
        detection_scores=np.ones(2, np.float32),
        is_matched=True,
        probabilities=np.array([[0.3, 0.4]] * 2, np.float32),
    )
    found = {
        "boxes": torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 0, 0]]]),
        "labels": torch.tensor([[0, 1, 0]]),
        "scores": torch.tensor([[0.8, 0.4, 0.0]]),
        "probabilities": torch.tensor([[[0.8, 0.0], [0.3, 0.4], [0.0, 0.0]]]),
    }
    if has_objectness:
        found["objectness"] = torch.tensor([[0.5, 0.9, 0.0]])
        # The overlaps are 1 and 1/2; the cosines 0.24 / (0.5 * 0.8) = 0.6, and 1.
        expected = [[max(0.6 * 0.5, 0.5 * 0.9)] * 2]
    else:
        expected = [[max(0.6 * 0.0, 0.5 * 0.4), max(0.6 * 0.8, 0.5 * 0.3)]]
    np.testing.assert_allclose(matched(target, found), expected, rtol=1e-5)
    np.testing.assert_allclose(matched(target.at([1]), found), [expected[0][1:]], rtol=1e-5)


Declared = type("PreTrainedModel", (torch.nn.Module,), {"__module__": "transformers.modeling_utils"})


class QueryModelForObjectDetection(Declared):  # type: ignore[misc, valid-type]
    """Two queries, which score two classes each by a sigmoid, as the DETR family of Hugging Face does."""

    main_input_name = "images"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.config = SimpleNamespace(num_labels=2)
        self.features, self.head = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Linear(4, 4)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = torch.relu(self.features(images)).mean(dim=(2, 3))
        centres = torch.tensor([[0.25, 0.25], [0.5, 0.5]]).expand(len(images), 2, 2)
        sides = 0.3 + 0.2 * features[:, :2, None].sigmoid().expand(-1, 2, 2)
        return {"logits": 4 * self.head(features).reshape(-1, 2, 2), "pred_boxes": torch.cat([centres, sides], dim=-1)}


@pytest.fixture
def query_model() -> torch.nn.Module:
    return QueryModelForObjectDetection().eval()


def similarity(outputs: dict[str, torch.Tensor], row: int, wanted: tuple[int, int], box: np.ndarray, p: np.ndarray):
    """Return the similarity of D-RISE of the detections of an image with one of a query and a class."""
    best = torch.tensor(0.0)
    for shares, logits in zip(outputs["pred_boxes"][row], outputs["logits"][row], strict=True):
        centre, sides = shares[:2] * SIDE, shares[2:] * SIDE
        low, high = centre - sides / 2, centre + sides / 2
        inside = (torch.minimum(high, torch.tensor(box[2:])) - torch.maximum(low, torch.tensor(box[:2]))).clamp(min=0)
        union = (high - low).prod() + float(np.prod(box[2:] - box[:2])) - inside.prod()
        cosine = torch.nn.functional.cosine_similarity(logits.sigmoid(), torch.tensor(p), dim=0)
        best = torch.maximum(best, inside.prod() / union * cosine * logits.sigmoid()[wanted[1]])
    return best


def test_rise_reads_the_class_probabilities_where_there_are_any(
    query_model: torch.nn.Module, images: np.ndarray
) -> None:
    outputs = query_model(torch.tensor(images[:1]))
    best = outputs["logits"][0].flatten().argsort(descending=True)[:2].tolist()
    method = seewhy.methods.get("rise", masks=6, grid=4, centred=False)
    heatmaps = Explainer(query_model, method).heatmaps(images[:1], "top-2")
    assert heatmaps.boxes is not None
    for column, number in enumerate(best):
        wanted = divmod(number, 2)
        p = outputs["logits"][0, wanted[0]].sigmoid().detach().numpy()
        np.testing.assert_allclose(heatmaps.scores[0, column], p[wanted[1]], rtol=1e-5)  # matched with itself
        expected = np.zeros((SIDE, SIDE))
        for mask in _RandomMasks((SIDE, SIDE), 6, (4, 4), 0.5, 0):
            found = query_model(torch.tensor(images[:1] * mask))
            expected += similarity(found, 0, wanted, heatmaps.boxes[0, column] * SIDE, p).item() * mask / (6 * 0.5)
        np.testing.assert_allclose(heatmaps.values[0, column], expected, rtol=1e-4, atol=1e-6)


def test_gradients_of_perturbed_inputs_pass_through_the_similarity(
    query_model: torch.nn.Module, images: np.ndarray
) -> None:
    """Integrated gradients of one step: the gradient of the similarity halfway to black, times the input."""
    heatmaps = Explainer(query_model, seewhy.methods.get("integrated_gradients", steps=1), signed=True).heatmaps(
        images[:1]
    )
    assert heatmaps.boxes is not None
    outputs = query_model(torch.tensor(images[:1]))
    wanted = divmod(int(outputs["logits"][0].argmax()), 2)
    p = outputs["logits"][0, wanted[0]].sigmoid().detach().numpy()
    halfway = torch.tensor(images[:1] / 2, requires_grad=True)
    score = similarity(query_model(halfway), 0, wanted, heatmaps.boxes[0, 0] * SIDE, p)
    (gradients,) = torch.autograd.grad(score, halfway)
    expected = (gradients.numpy() * images[:1]).sum(axis=1)
    np.testing.assert_allclose(heatmaps.values[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_rise_of_a_detection_is_d_rise(model: SmallDetector, images: np.ndarray) -> None:
    """Masks, each weighted by the largest similarity of a detection in the masked image, as in equations 3 and 4.

    The similarity is that of D-RISE with a class vector that has the label alone, and the score as the objectness.
    """
    method = seewhy.methods.get("rise", masks=6, grid=4, centred=False)
    heatmaps = Explainer(model, method).heatmaps(images[:1], "top-1")
    assert heatmaps.boxes is not None
    left, top, right, bottom = (float(edge) for edge in heatmaps.boxes[0, 0] * SIDE)
    expected = np.zeros((SIDE, SIDE))
    for mask in _RandomMasks((SIDE, SIDE), 6, (4, 4), 0.5, 0):
        (found,) = model(torch.tensor(images[:1] * mask))
        weights = [0.0]
        for box, label, score in zip(*(found[key].tolist() for key in ("boxes", "labels", "scores")), strict=True):
            width, height = min(box[2], right) - max(box[0], left), min(box[3], bottom) - max(box[1], top)
            shared = max(width, 0) * max(height, 0)
            union = (box[2] - box[0]) * (box[3] - box[1]) + (right - left) * (bottom - top) - shared
            weights.append(shared / union * float(label == heatmaps.indices[0, 0]) * score)
        expected += max(weights) * mask / (6 * 0.5)
    assert expected.max() > 0
    np.testing.assert_allclose(heatmaps.values[0, 0], expected, rtol=1e-4, atol=1e-6)


class FixedDetector(torch.nn.Module):
    """Finds the same two dogs and a cat in every image."""

    boxes = ((0.0, 0.0, 16.0, 16.0), (16.0, 16.0, 32.0, 32.0), (0.0, 16.0, 16.0, 32.0))

    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.features, self.count = torch.nn.Conv2d(3, 4, 3, padding=1), count

    def forward(self, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        change = 1e-3 * self.features(images).mean(dim=(1, 2, 3))
        scores, labels = torch.tensor([0.9, 0.6, 0.8]), torch.tensor([1, 1, 0])
        kept = slice(self.count)
        boxes = torch.tensor(self.boxes)
        return [{"boxes": boxes[kept], "labels": labels[kept], "scores": (scores + row)[kept]} for row in change]


def detector(count: int = 3) -> seewhy.Classifier:
    preprocess = seewhy.Preprocessing(size=(32, 32), std=255.0)
    return seewhy.Classifier(FixedDetector(count), preprocess=preprocess, class_names=["cat", "dog"])


IMAGE = np.full((64, 128, 3), 100, np.uint8)


@pytest.mark.parametrize(
    ("target", "names", "box"),
    [
        ("dog", ["dog"], (0, 0, 64, 32)),
        ("top-3", ["dog (1)", "cat", "dog (2)"], (0, 0, 64, 32)),
        (Detection(class_="dog", rank=2), ["dog"], (64, 32, 128, 64)),
        (Detection(box=(0, 40, 50, 60)), ["cat"], (0, 32, 64, 64)),  # in pixels of the image
        ([Detection(box=(70, 40, 128, 64)), "cat"], ["dog", "cat"], (64, 32, 128, 64)),
    ],
)
def test_targets_name_detections(target: object, names: list[str], box: tuple[float, ...]) -> None:
    (explanation,) = Explainer(detector(), layer="features").explain([IMAGE], target)  # type: ignore[arg-type]
    assert [result.name for result in explanation.targets] == names
    assert explanation.targets[0].box == pytest.approx(box)
    assert explanation.targets[0].probability == pytest.approx({"dog": 0.9, "cat": 0.8}[names[0][:3]], abs=0.31)


def test_a_detection_is_framed() -> None:
    (explanation,) = Explainer(detector(), layer="features").explain([IMAGE], Detection(box=(70, 40, 120, 60)))
    overlay = explanation.overlay(alpha=0)
    assert (overlay[40:60, 64] == 255).all()
    assert (overlay[32, 70:120] == 255).all()
    assert (overlay[40:60, 80:120] == 100).all()
    assert (overlay[:30] == 100).all()


@pytest.mark.parametrize(
    ("count", "target", "message"),
    [
        (0, "top-1", "finds nothing in the image"),
        (0, "dog", "finds nothing in the image"),
        (1, "cat", "no detection of class 'cat' above 0.05 in the image; found: dog 0.9 at (0, 0, 64, 32)"),
        (3, Detection(class_="cat", rank=2), "no detection 2 of class 'cat'"),
        (3, Detection(box=(100, 0, 128, 20), class_="cat"), "that overlaps the box (100, 0, 128, 20) in the image"),
        (3, lambda outputs: outputs, "reads one output, and the model is a detector"),
        (3, seewhy.targets.Difference("cat", "dog"), "reads one output, and the model is a detector"),
    ],
)
def test_a_detection_that_is_not_there(count: int, target: object, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        Explainer(detector(count), layer="features").explain([IMAGE], target)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize("box", [(1, 2, 3), (3, 0, 1, 4), (0, 0, np.nan, 1), "here"])
def test_a_box_that_is_none(box: object) -> None:
    with pytest.raises(TargetError, match="left < right"):
        Detection(box=box)  # type: ignore[arg-type]


def test_a_classifier_has_no_detections() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(TargetError, match="needs a detector"):
        Explainer(model, "gradcam", "0").heatmaps(np.zeros((1, 3, 8, 8), np.float32), Detection())


@pytest.mark.parametrize("method", ["ablationcam", "attention_rollout"])
def test_methods_that_cannot_tell_detections_apart(model: SmallDetector, images: np.ndarray, method: str) -> None:
    with pytest.raises(MethodError, match="hirescam"):
        Explainer(model, method).heatmaps(images)


def test_what_needs_class_scores_says_that_it_is_a_detector(images: np.ndarray) -> None:
    with pytest.raises(ModelError, match="is a detector"):
        detector().predict([IMAGE])
    with pytest.raises(ModelError, match="is a detector"):
        seewhy.evaluate.deletion(Explainer(detector()), images, np.ones((2, 1, 4, 4), np.float32), "top-1")
    with pytest.raises(ModelError, match="is a detector"):
        Explainer(detector(), "gradcam").inspect(IMAGE)


def test_an_unsure_detector_is_explained_with_a_warning(images: np.ndarray) -> None:
    torch.manual_seed(0)
    unsure = SmallDetector(threshold=0).eval()
    with torch.no_grad():
        unsure.classes.bias -= 6
    with pytest.warns(SeewhyWarning, match="sure of nothing"):
        Explainer(unsure, layer="backbone.4").heatmaps(images[:1])


def test_a_score_of_1_has_a_class_logit_with_gradients(images: np.ndarray) -> None:
    torch.manual_seed(0)
    sure = SmallDetector().eval()
    with torch.no_grad():
        sure.classes.weight *= 1e4
    heatmaps = Explainer(sure, layer="backbone.4").heatmaps(images[:1])
    assert heatmaps.detection_scores == [[1.0]]
    assert heatmaps.scores > 20
    assert heatmaps.has_evidence.all()


def test_top_k_is_at_most_k_detections_of_an_image_and_exactly_k_of_a_batch_of_arrays() -> None:
    (explanation,) = Explainer(detector(2), layer="features").explain([IMAGE], "top-5")
    assert [target.name for target in explanation.targets] == ["dog (1)", "dog (2)"]
    assert len(explanation.heatmaps) == 2
    with pytest.raises(NotPredictedError, match="'top-5' selects more detections than there are in image 0 of the"):
        Explainer(detector(2), layer="features").heatmaps(np.zeros((2, 3, 32, 32), np.float32), "top-5")


def test_images_of_a_batch_have_their_own_numbers_of_detections_and_resolutions(images: np.ndarray) -> None:
    """The heatmaps of a batch of arrays have one resolution; those of images are as those of each image alone."""
    torch.manual_seed(0)
    model = SmallDetector(threshold=0.1).eval()
    preprocess = seewhy.Preprocessing(size=(SIDE, SIDE), std=255.0)
    pixels = [(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0) for image in images]
    pixels.append(np.zeros((40, 90, 3), np.uint8))
    explainer = Explainer(seewhy.Classifier(model, preprocess=preprocess))
    together = explainer.explain(pixels, "top-30")
    assert len({len(explanation.targets) for explanation in together}) > 1
    for image, explanation in zip(pixels, together, strict=True):
        (alone,) = explainer.explain([image], "top-30")
        assert alone.targets == explanation.targets
        assert alone.layer == explanation.layer
        np.testing.assert_array_equal(alone.heatmaps, explanation.heatmaps)


class OneByOne(SmallDetector):
    """Runs its layers for each image of a batch anew."""

    def forward(self, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        return [found for image in images for found in super(OneByOne, self).forward(image[None])]


def test_a_detector_that_loops_over_images_is_first_given_several(images: np.ndarray) -> None:
    """Its layers are called as often as there are images, and once for each image that is explained."""
    torch.manual_seed(0)
    model = OneByOne(threshold=0.1).eval()
    explainer = Explainer(model)
    together = explainer.heatmaps(images, "top-1")
    alone = [Explainer(model).heatmaps(image[None], "top-1") for image in images]
    assert "#" not in together.layer
    np.testing.assert_array_equal(together.scores, np.concatenate([each.scores for each in alone]))
    named = Explainer(model, layer=["backbone.4", "backbone.0"]).heatmaps(images, "top-1")
    assert named.layer == "backbone.4, backbone.0"


def test_an_error_of_one_image_names_it() -> None:
    with pytest.raises(NotPredictedError, match=r"'cat' above 0.05 in image 0 of the batch"):
        Explainer(detector(1), layer="features").explain([IMAGE, IMAGE], "cat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "probability"}, "the score of a detection is its class logit"),
        ({"output": 0}, "the model is a detector, whose detections are read from all of them"),
        ({"augmentation": "flips"}, "where a detector has other candidates"),
        ({"backend": "onnx"}, "backend='onnx' cannot run a detector"),
    ],
)
def test_settings_that_detections_do_not_have_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Explainer(detector(), layer="features", **options).explain([IMAGE], "top-1")  # type: ignore[arg-type]


def test_too_few_class_names_are_an_error() -> None:
    preprocess = seewhy.Preprocessing(size=(32, 32), std=255.0)
    few = seewhy.Classifier(FixedDetector(), preprocess=preprocess, class_names=["cat"])
    with pytest.raises(ModelError, match=r"has 1 class names, and the model .* detects class 1"):
        Explainer(few, layer="features").explain([IMAGE], "cat")


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ({"labels": [1]}, r"labels: list, scores: Tensor \(1,\)"),
        ({"boxes": torch.zeros(1, 5)}, r"boxes: Tensor \(1, 5\)"),
        ({"scores": torch.zeros(2)}, r"scores: Tensor \(2,\)"),
        ({"labels": torch.tensor(1)}, r"labels: Tensor \(\)"),
    ],
)
def test_detections_of_other_types_and_shapes_are_an_error(change: dict[str, object], given: str) -> None:
    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = torch.nn.Conv2d(3, 4, 3)

        def forward(self, images: torch.Tensor) -> list[dict[str, object]]:
            found = {"boxes": torch.zeros(1, 4), "labels": torch.tensor([1]), "scores": torch.tensor([0.5])}
            return [{**found, **change} for _ in self.features(images)]

    with pytest.raises(ModelRunError, match=given):
        Explainer(Odd()).heatmaps(np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.parametrize("method", ["rise", "integrated_gradients"])
def test_a_box_without_an_area_shares_nothing_and_gives_no_nan(method: str) -> None:
    model = FixedDetector(1)
    model.boxes = ((4.0, 4.0, 4.0, 20.0),)
    options = {"masks": 4} if method == "rise" else {"steps": 2}
    heatmaps = Explainer(model, seewhy.methods.get(method, **options)).heatmaps(np.ones((1, 3, 32, 32), np.float32))
    assert heatmaps.scores.item() == 0
    assert not heatmaps.values.any()
    assert not heatmaps.has_evidence.any()


@pytest.mark.parametrize("box", [(np.nan, 0.0, 8.0, 8.0), (0.0, 0.0, np.inf, 8.0)])
def test_a_box_that_is_not_finite_is_an_error_of_the_image(box: tuple[float, float, float, float]) -> None:
    model = FixedDetector(2)
    model.boxes = (box, (0.0, 0.0, 8.0, 8.0))
    inputs = np.ones((1, 3, 32, 32), np.float32)
    with pytest.raises(ModelRunError, match=r"in the image whose score or box is not finite: score 0.9"):
        Explainer(model, layer="features").heatmaps(inputs)
    assert Explainer(model, layer="features").heatmaps(inputs, Detection(rank=2)).boxes is not None


def test_a_box_whose_corners_are_in_another_order_has_no_area() -> None:
    model = FixedDetector(1)
    model.boxes = ((20.0, 20.0, 4.0, 4.0),)
    method = seewhy.methods.get("rise", masks=4)
    assert Explainer(model, method).heatmaps(np.ones((1, 3, 32, 32), np.float32)).scores.item() == 0


def test_guided_gradcam_is_guided_backpropagation_times_gradcam(model: SmallDetector, images: np.ndarray) -> None:
    """Of the class logit; the layer of the Grad-CAM is that of each detection."""
    found = Explainer(model, "guided_gradcam").heatmaps(images[:1], "top-2")
    guided = Explainer(model, "guided_backprop", signed=True).heatmaps(images[:1], "top-2")
    np.testing.assert_allclose(found.scores, guided.scores, rtol=1e-5)
    coarse = Explainer(model, "gradcam").heatmaps(images[:1], "top-2")
    assert found.layer == guided.layer == "input"
    assert "," not in coarse.layer  # one layer, so that no map was resized before
    expected = np.maximum(guided.values * resize(coarse.values, (SIDE, SIDE)), 0)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-6 * expected.max())


def test_methods_that_compare_classes_or_look_for_layers_are_refused(model: SmallDetector, images: np.ndarray) -> None:
    with pytest.raises(TargetError, match="a detection of a detector is not a class"):
        Explainer(model, "finercam").heatmaps(images[:1])
    with pytest.raises(MethodError, match=r"each detection has layers of its own. Name two or more"):
        Explainer(model, "refinecam").heatmaps(images[:1])


def test_names_are_numbered_where_several_have_one() -> None:
    assert detection_names([("dog", 0), ("cat", 1), ("dog", 2)]) == ("dog (1)", "cat", "dog (2)")
    assert detection_names([("dog", 2), ("dog", 2), ("cat", 1)]) == ("dog", "dog", "cat")  # one that is named twice


def test_the_candidate_of_a_detection_is_found_by_differentiating() -> None:
    logits = torch.tensor([[0.0, 1, 2], [3, 0, 0], [1, 2, 0], [0, 0, 3]], requires_grad=True)
    scores = logits.softmax(dim=1)[[3, 2], [2, 1]]  # of rows 3 and 2
    found = Found([torch.zeros(2, 4)], [torch.tensor([2, 1])], [scores], logits)
    assert find_entries(found, [1, 0]) == [(2, 1), (3, 2)]


@pytest.mark.parametrize("columns", [2, 3])
def test_queries_have_a_softmax_with_a_column_more_and_else_a_sigmoid(columns: int) -> None:
    reader = QueryDetector(SimpleNamespace(config=SimpleNamespace(num_labels=2)))  # type: ignore[arg-type]
    logits = torch.tensor([[[0.0, 2, 1], [1, 0, 3]]])[..., :columns]
    boxes = torch.tensor([[[0.5, 0.5, 0.5, 1], [0.25, 0.5, 0.5, 0.5]]])
    found = reader.read({"logits": logits, "pred_boxes": boxes}, None, (10, 20))
    surest = find_detections(found)[0]
    assert surest.box == pytest.approx((5, 0, 15, 10))
    assert surest.class_ == 1
    expected = 1 / (1 + np.exp(-2)) if columns == 2 else np.exp(2) / (1 + np.exp(2) + np.exp(1))
    assert surest.score == pytest.approx(expected)
    assert find_entries(found, [surest.number]) == [(0, 1)]


@pytest.mark.slow("trains a detector for some 15 s")
def test_the_peak_of_each_instance_lies_in_its_own_box() -> None:
    model, random = trained_detector(), np.random.default_rng(7)
    model.threshold = 0.5
    explainer, inside, apart, total = Explainer(model), 0, 0, 0
    while total < 100:
        image, shapes = picture(random)
        twice = shapes[0][0]  # the class of two of the shapes
        if int((model(torch.tensor(image[None]))[0]["labels"] == twice).sum()) < 2:
            continue
        targets = [Detection(class_=twice, rank=rank) for rank in (1, 2)]
        heatmaps = explainer.heatmaps(image[None], targets)
        assert heatmaps.boxes is not None
        boxes = heatmaps.boxes[0] * SIDE
        rows, columns = heatmaps.values.shape[2:]
        for number, (heatmap, own) in enumerate(zip(heatmaps.values[0], boxes, strict=True)):
            row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
            x, y = (column + 0.5) / columns * SIDE, (row + 0.5) / rows * SIDE
            inside += own[0] <= x <= own[2] and own[1] <= y <= own[3]
            others = np.delete(boxes, number, axis=0)
            apart += not any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for box in others)
            total += 1
    assert inside / total >= 0.95
    assert apart / total >= 0.95
