"""Models that carry their explanation, run by ONNX Runtime, against the explainers that they were exported from."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tests.contracts import attention_reference, in_onnx, in_torch, reference
from torch import nn

import seewhy
from seewhy.errors import MethodError, ModelError, ModelRunError, OptionError, OutputError, SeewhyWarning, TargetError
from seewhy.exporter.verification import deviation

SIZE, CHANNELS, CLASSES = (12, 10), 6, 4
IMAGES = np.random.default_rng(1).normal(size=(3, 3, *SIZE)).astype(np.float32)
PICTURES = [np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8) for seed in range(2)]

HEADS = {
    "pooled-linear": lambda: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES)],
    "normalized": lambda: [
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.BatchNorm1d(CHANNELS), nn.Dropout(), nn.Linear(CHANNELS, CLASSES)),
    ],
    "perceptron": lambda: [
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(CHANNELS, 5), nn.GELU(), nn.Linear(5, CLASSES), nn.Softmax(-1)),
    ],
    "pooled 1x1": lambda: [nn.AdaptiveAvgPool2d(1), nn.Conv2d(CHANNELS, CLASSES, 1), nn.Flatten()],
    "flattened": lambda: [nn.Flatten(), nn.Linear(CHANNELS * 8 * 6, CLASSES)],
    "convolutions": lambda: [nn.Conv2d(CHANNELS, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 6 * 4, 1), nn.Sigmoid()],
}
"""Heads of features (N, 6, 8, 6), whose gradients are constants; the third and the last have backward passes."""


def classifier(head, **options):
    torch.manual_seed(3)
    features = nn.Sequential(nn.Conv2d(3, CHANNELS, 3), nn.BatchNorm2d(CHANNELS), nn.Hardswish(), nn.Conv2d(6, 6, 3))
    model = nn.Sequential(features, *HEADS[head]())
    for part in model.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(part.running_mean, -0.5, 0.5), nn.init.uniform_(part.weight, 0.5, 2)
    options.setdefault("preprocess", seewhy.Preprocessing(size=SIZE, mean=(120, 110, 100), std=(50, 60, 70)))
    return seewhy.Classifier(model.eval(), name=head, **options)


def run(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = [value.name for value in session.get_outputs()]
    return dict(zip(outputs, session.run(None, {session.get_inputs()[0].name: inputs}), strict=True))


def agree(found, wanted, tolerance=1e-5):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("head", "method"),
    [*((head, "gradcam") for head in HEADS), *((head, "xgradcam") for head in ("normalized", "perceptron"))],
)
def test_outputs_are_those_of_the_explainer(head, method, tmp_path):
    """In batches of another size than that of the samples, on other images, of the classes that are the highest."""
    explainer = seewhy.Explainer(classifier(head), method, "0")
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="top-2", samples=PICTURES)
    wanted, found = explainer.heatmaps(IMAGES, "top-2"), run(written.path, IMAGES)
    assert tuple(found) == written.outputs == ("scores", "probabilities", "heatmaps", "classes")
    assert found["classes"].tolist() == wanted.indices.tolist()
    agree(np.take_along_axis(found["scores"], found["classes"], 1), wanted.scores)
    agree(found["probabilities"], wanted.probabilities)
    agree(found["heatmaps"], wanted.values)
    assert written.deviation < 1e-5
    assert written.backward_passes == (2 if head in ("perceptron", "convolutions") else 0)


@pytest.mark.parametrize(
    ("method", "head"),
    [
        *(("hirescam", head) for head in ("flattened", "convolutions")),
        *(("layercam", head) for head in ("pooled-linear", "convolutions")),
        *(("gradcam++", head) for head in ("pooled-linear", "perceptron")),
        *(("elementwise", head) for head in ("pooled-linear", "convolutions")),
        *(("cam", head) for head in ("normalized", "pooled 1x1")),
        *((method, "pooled 1x1") for method in ("saliency", "gradient_x_input")),
    ],
)
def test_every_method_and_all_classes(method, head, tmp_path):
    explainer = seewhy.Explainer(
        classifier(head), method, "auto" if method in ("saliency", "gradient_x_input") else "0"
    )
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="all", samples=PICTURES)
    wanted, found = (
        explainer.heatmaps(IMAGES, list(range(2 if head == "convolutions" else CLASSES))),
        run(written.path, IMAGES),
    )
    assert "classes" not in found
    agree(found["heatmaps"], wanted.values)
    agree(found["scores"], wanted.scores)


def test_what_the_explainer_is_set_to(tmp_path):
    for options in ({"signed": True}, {"score": "probability"}):
        explainer = seewhy.Explainer(classifier("perceptron"), "gradcam", "0", **options)
        written = seewhy.export(explainer, tmp_path / "model.onnx", targets=[3, 1], samples=PICTURES)
        wanted, found = explainer.heatmaps(IMAGES, [3, 1]), run(written.path, IMAGES)
        agree(found["heatmaps"], wanted.values)
        agree(found["scores"][:, [3, 1]], wanted.scores)


@pytest.mark.parametrize(("model", "layer"), [("class_token", "blocks.0"), ("sequence_first", "norm")])
def test_transformers_and_their_tokens(model, layer, tmp_path):
    """Heatmaps have rows and columns, without the class token."""
    source = seewhy.Classifier(getattr(in_torch, model)(), input_size=reference.SIZE, preprocess=lambda pixels: pixels)
    explainer = seewhy.Explainer(source, "gradcam", layer, signed=True)
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="top-2", samples=PICTURES)
    images = in_torch.given(reference.images(2))
    wanted, found = explainer.heatmaps(images, "top-2"), run(written.path, images)
    assert wanted.values.ndim == 4
    agree(found["heatmaps"], wanted.values)


@pytest.mark.parametrize(("model", "method"), [("class_token", "auto"), ("transformer", "gradient_rollout")])
def test_attention_maps(model, method, tmp_path):
    """Also of attention heads that are stored among the images, as those of PyTorch's own transformer are."""
    size = attention_reference.SIZE if model == "transformer" else reference.SIZE
    source = seewhy.Classifier(getattr(in_torch, model)(), input_size=size, preprocess=lambda pixels: pixels / 255)
    explainer = seewhy.Explainer(source, method)
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="top-2", samples=PICTURES)
    assert (written.method, written.backward_passes) == ("legrad_rollout" if method == "auto" else method, 2)
    images = np.random.default_rng(4).normal(size=(3, 3, *size)).astype(np.float32)
    wanted, found = explainer.heatmaps(images, "top-2"), run(written.path, images)
    assert found["classes"].tolist() == wanted.indices.tolist()
    agree(found["heatmaps"], wanted.values)


@pytest.mark.parametrize(("kind", "tolerance"), [("fixed", 1e-5), ("float16", 5e-3)])
def test_onnx_files(kind, tolerance, tmp_path):
    """Of a fixed number of images, and in another type."""
    fixed = {"fixed": lambda: in_onnx.exported(in_torch.plain(), (3, *reference.SIZE), images=3)}
    model = fixed.get(kind, lambda: in_onnx.in_type("float16"))()
    explainer = seewhy.Explainer(
        seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255), "gradcam", "features"
    )
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="all", samples=PICTURES)
    images = in_torch.given(reference.images(3))
    found = run(written.path, images.astype(np.float16) if kind == "float16" else images)
    agree(found["heatmaps"], explainer.heatmaps(images, list(range(CLASSES))).values, tolerance)


@pytest.mark.parametrize("preprocess", [None, lambda pixels: pixels[..., ::-1] - [103.0, 116.0, 123.0]])
def test_pixels_in_and_placed_heatmaps_out(preprocess, tmp_path):
    """A mean and a divisor of each channel; and channels in another order."""
    source = classifier("perceptron", **({} if preprocess is None else {"preprocess": preprocess, "input_size": SIZE}))
    explainer = seewhy.Explainer(source, "gradcam", "0")
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="top-2", preprocess=True, place=True)
    pixels = np.random.default_rng(5).integers(0, 256, (2, *SIZE, 3), np.uint8)
    assert written.inputs == ("image",)
    found = run(written.path, pixels)
    for row, image in enumerate(pixels):
        explanation = explainer.explain([image], "top-2")[0]
        placed = explanation.placement.place(explanation.heatmaps)
        agree(found["heatmaps"][row], placed)


def test_grey_pixels_are_rounded_as_pillow_does(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    source = seewhy.Classifier(model, preprocess=seewhy.Preprocessing(size=SIZE, grey=True, mean=90, std=70))
    explainer = seewhy.Explainer(source, "hirescam", "0")
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="all", preprocess=True)
    pixels = np.random.default_rng(6).integers(0, 256, (1, *SIZE, 3), np.uint8)
    wanted = explainer.heatmaps(source.preprocess(list(pixels)), [0, 1, 2])
    agree(run(written.path, pixels)["heatmaps"], wanted.values)


@pytest.mark.parametrize(("head", "preprocess"), [("pooled-linear", False), ("convolutions", True)])
def test_it_is_read_back_as_its_source(head, preprocess, tmp_path):
    names = ["no", "yes"] if head == "convolutions" else [*"abcd"]
    source = classifier(head, class_names=names)
    explainer = seewhy.Explainer(source, "gradcam", "0")
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets="top-1", preprocess=preprocess)
    read = seewhy.load(written.path)
    assert tuple(read.class_names) == tuple(names)
    assert read.layer == "0"
    (wanted,), (found,) = explainer.explain(PICTURES[:1]), seewhy.Explainer(read, "gradcam").explain(PICTURES[:1])
    agree(found.heatmaps, wanted.heatmaps)
    assert [target.name for target in found.targets] == [target.name for target in wanted.targets]
    np.testing.assert_allclose(found.predictions[0].probability, wanted.predictions[0].probability, atol=1e-6)


@pytest.mark.parametrize("head", ["pooled-linear", "perceptron"])
def test_logits_of_a_file_with_probabilities(head, tmp_path):
    """They are found before the softmax that the export added, or the model's own."""
    source = classifier(head)
    path = seewhy.export(
        seewhy.Explainer(source, "gradcam", "0", score="probability"), tmp_path / "m.onnx", samples=PICTURES
    ).path
    for score in ("logit", "probability"):
        wanted = seewhy.Explainer(source, "gradcam", "0", score).heatmaps(IMAGES, [1, 2])
        found = seewhy.Explainer(seewhy.load(str(path)), "gradcam", score=score).heatmaps(IMAGES, [1, 2])
        agree(found.values, wanted.values)
        agree(found.scores, wanted.scores)


def test_metadata(tmp_path):
    explainer = seewhy.Explainer(classifier("pooled-linear", class_names=[*"abcd"]), "gradcam", "0")
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets=["b", 3])
    stored = {entry.key: entry.value for entry in onnx.load(written.path).metadata_props}
    assert stored == dict(written.metadata)
    said = {key.removeprefix("seewhy."): value for key, value in stored.items()}
    assert said["model"], said["method"] == ("pooled-linear", "gradcam")
    assert (said["layer"], said["version"], said["targets"]) == ("0", seewhy.__version__, "[1, 3]")
    assert json.loads(said["preprocessing"])["mean"] == [120, 110, 100]
    assert json.loads(said["class_names"]) == [*"abcd"]
    assert float(said["tolerance"]) == 1e-3
    assert float(said["deviation"]) < 1e-5


def refused(tmp_path, error, message, explainer=None, name="model.onnx", **options):
    explainer = explainer or seewhy.Explainer(classifier("pooled-linear"), "gradcam", "0")
    with pytest.raises(error, match=message):
        seewhy.export(explainer, tmp_path / name, samples=PICTURES, **options)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_cannot_be_exported(tmp_path):
    def of(method, layer="0", head="pooled-linear", **options):
        return seewhy.Explainer(classifier(head), method, layer, **options)

    refused(tmp_path, MethodError, "RISE runs the model many times", of("rise"))
    refused(tmp_path, MethodError, "Eigen-CAM computes principal components", of("eigencam"))
    refused(tmp_path, MethodError, "RefineCAM explains several layers", of("refinecam"))
    refused(tmp_path, OptionError, "explains one layer", of("gradcam", ["0", "0.2"]))
    refused(tmp_path, OptionError, "Leave out augmentation", of("gradcam", augmentation="flips"))
    refused(tmp_path, OptionError, "Leave out precision='bfloat16'", of("gradcam", precision="bfloat16"))
    refused(tmp_path, TargetError, "'top-9' selects more than the model's 4 classes", targets="top-9")
    refused(tmp_path, TargetError, "explains classes, and the targets are", targets=lambda outputs: outputs[:, 0])
    refused(tmp_path, OptionError, r"Cannot export to '.*model.pb'; expected a name with the suffix", name="model.pb")
    refused(tmp_path, OptionError, "Unknown format 'onxx'. Did you mean 'onnx'", to="onxx")
    refused(tmp_path, OptionError, "expected a name that ends in .xml", to="openvino")
    refused(tmp_path, ModelError, "export was given .*; expected an Explainer", classifier("pooled-linear"))
    refused(tmp_path, OptionError, "tolerance is 0; expected a share", tolerance=0)
    refused(
        tmp_path,
        OptionError,
        "it is not a weighted sum",
        seewhy.Explainer(classifier("pooled-linear", preprocess=np.sqrt, input_size=SIZE), "gradcam", "0"),
        preprocess=True,
    )
    segmentation = seewhy.Classifier(nn.Conv2d(3, 4, 3), input_size=SIZE, preprocess=lambda pixels: pixels / 255)
    refused(tmp_path, ModelError, "are not class scores", seewhy.Explainer(segmentation, "gradcam"))


def test_samples_without_evidence(tmp_path):
    source = classifier("pooled-linear")
    nn.init.zeros_(source.model[-1].weight)
    with pytest.warns(SeewhyWarning, match="All heatmaps of the samples are 0"):
        seewhy.export(seewhy.Explainer(source, "gradcam", "0"), tmp_path / "m.onnx", samples=PICTURES)


def test_a_name_that_is_too_long(tmp_path):
    refused(tmp_path, OutputError, "File name too long", name=f"{'a' * 300}.onnx")


def test_too_many_backward_passes(tmp_path, monkeypatch):
    monkeypatch.setattr("seewhy.frameworks.onnx.head_gradients.MAX_BACKWARD_PASSES", 3)
    explainer = seewhy.Explainer(classifier("perceptron"), "gradcam", "0")
    refused(tmp_path, TargetError, "at most 3, and 4 were requested. Give fewer", explainer, targets="all")


def test_a_model_that_deviates_is_not_written(tmp_path):
    """Its own arithmetic is exact to 1e-7, and more than that is asked for."""
    explainer = seewhy.Explainer(classifier("perceptron"), "gradcam", "0")
    refused(tmp_path, ModelError, "deviates from its source: .*No file was written", explainer, tolerance=1e-12)


def test_an_explainer_that_runs_in_onnx_runtime(tmp_path):
    explainer = seewhy.Explainer(classifier("perceptron"), "gradcam", "0", backend="onnx")
    written = seewhy.export(explainer, tmp_path / "model.onnx", targets=[2], samples=PICTURES)
    agree(run(written.path, IMAGES)["heatmaps"], explainer.heatmaps(IMAGES, [2]).values)


class Scored(nn.Module):
    """A linear head of which a forward pass reads something by Python, and without it."""

    def __init__(self, read):
        super().__init__()
        self.read, self.linear = read, nn.Linear(CHANNELS, CLASSES)
        self.register_buffer("limit", torch.tensor(1.0))

    def forward(self, features):
        return self.read(self, self.linear(features.mean((2, 3))), features)


READS = {
    "branch": lambda head, scores, features: scores if features.mean() < head.limit else -scores,
    "number": lambda _, scores, features: scores * (1 + (features.max() > 1e9).item()),
    "array": lambda _, scores, features: scores * float(features.detach().numpy().min() > -1e9),
    "count": lambda _, scores, features: scores.reshape(len(features), CLASSES),
    "branch on the count": lambda _, scores, features: scores if features.shape[0] > 1 else -scores,
}
"""What a trace keeps as it was for its input."""


@pytest.mark.parametrize("kind", READS)
def test_values_that_python_reads(kind, tmp_path, monkeypatch):
    """Samples of one kind agree with a trace that other images do not."""
    monkeypatch.setitem(HEADS, kind, lambda: [Scored(READS[kind])])
    messages = {
        "count": r"images, at test_onnx\.py.*x\.shape\[0\]",
        "branch on the count": "depends on the number of images",
    }
    explainer = seewhy.Explainer(classifier(kind), "gradcam", "0")
    with pytest.raises(ModelRunError, match=messages.get(kind, r"value that it computes, at test_onnx\.py")) as caught:
        seewhy.export(explainer, tmp_path / "m.onnx", samples=PICTURES)
    assert "backend" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_sizes_and_constants_that_python_reads(tmp_path, monkeypatch):
    """They are the same for every input, or a trace follows them."""

    def read(head, scores, features):
        assert features.shape[2] == 8
        return scores.reshape(features.shape[0], CLASSES) if head.limit > 0 else None

    monkeypatch.setitem(HEADS, "read", lambda: [Scored(read)])
    explainer = seewhy.Explainer(classifier("read"), "gradcam", "0")
    written = seewhy.export(explainer, tmp_path / "m.onnx", samples=PICTURES)
    agree(run(written.path, IMAGES)["heatmaps"], explainer.heatmaps(IMAGES, "top-4").values)


def test_deviation_is_relative_to_each_heatmap():
    """An image with small heatmaps is verified as one with large ones is, up to a tenth of these."""
    wanted = np.array([1000.0, 200.0, 1.0]).reshape(3, 1, 1, 1) * np.ones((3, 1, 2, 2))
    off = np.zeros_like(wanted)
    off[1, 0, 0, 0], off[2, 0, 0, 0] = 20.0, 5.0
    assert deviation(wanted + off, wanted, (2, 3)) == pytest.approx(0.1)


def test_a_file_that_was_there_stays_if_the_export_fails(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")
    explainer = seewhy.Explainer(classifier("pooled-linear"), "gradcam", "0")
    with pytest.raises(ModelError):
        seewhy.export(explainer, path, tolerance=1e-12, samples=PICTURES)
    assert path.read_bytes() == b"before"
