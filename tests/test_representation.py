"""Every public class represents itself in one line of at most 300 characters, however much it holds."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

import seewhy
from seewhy import errors, methods, models, targets, timing, types
from seewhy.representation import MAX_LENGTH, call_repr, description, listed, shortened, value_text
from seewhy.viewer.report import ReportWriter
from tests.viewer.sample_explanation import sample_explanation

LONG = "a name of very many words, " * 80
NAMES = tuple(f"class number {index}" for index in range(1000))
ARRAY = np.zeros((1000, 7, 7), np.float32)


class Doubled(torch.nn.Module):
    def forward(self, x):
        return x * 2


def long_explanation():
    """Return an explanation of a thousand targets with long names."""
    results = tuple(seewhy.TargetResult(index, LONG, 1.5, 0.25, True) for index in range(1000))
    predictions = tuple(seewhy.Prediction(index, LONG, 0.001) for index in range(1000))
    changes = {"targets": results, "predictions": predictions, "ids": NAMES, "layer": LONG, "model": LONG}
    return sample_explanation(heatmaps=ARRAY, source=LONG, **changes)


def recording_explanation(kind, **recording):
    """Return an explanation of a volume, a signal or a video with a thousand targets."""
    shared = {**vars(long_explanation()), "source": None, "placement": seewhy.GridPlacement((1000,), ((0, 1000),))}
    del shared["image"]
    return kind(**{**shared, **recording})


def classifier():
    return seewhy.Classifier(Doubled(), class_names=NAMES, input_size=(224, 224), name=LONG)


def onnx_model():
    onnx = pytest.importorskip("onnx")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], LONG, values[:1], values[1:])
    return seewhy.OnnxModel(onnx.helper.make_model(graph), providers=NAMES)


def every_public_class():
    """Return the classes that the public modules export, without errors, protocols and type aliases."""
    modules = ((module, getattr(module, "__all__", None)) for module in (seewhy, methods, targets, timing, models))
    found = {ReportWriter, types.Capture}
    for module, names in modules:
        for name in names or [name for name in vars(module) if not name.startswith("_")]:
            value = getattr(module, name)
            is_own = names is not None or getattr(value, "__module__", None) == module.__name__
            if inspect.isclass(value) and is_own and not inspect.isabstract(value):
                found.add(value)
    return {each for each in found if not getattr(each, "_is_protocol", False) and not issubclass(each, Exception)}


HEATMAPS = seewhy.Heatmaps(
    np.zeros((4, 1000, 7, 7), np.float32), np.zeros((4, 1000)), np.zeros((4, 1000)), ARRAY, ARRAY, LONG, "gradcam",
    ((LONG,) * 1000,) * 4,
)  # fmt: skip
LARGE = {
    seewhy.ClassNames: lambda: seewhy.ClassNames(NAMES, ids=NAMES, synonyms=[NAMES] * 1000),
    seewhy.Classifier: classifier,
    seewhy.Comparison: lambda: seewhy.Comparison((long_explanation(),) * 50),
    seewhy.Explainer: lambda: seewhy.Explainer(classifier()),
    seewhy.Export: lambda: seewhy.Export(Path(LONG), "onnx", NAMES, NAMES, LONG, LONG, 1 / 3, 0, {}),
    seewhy.Explanation: long_explanation,
    seewhy.Heatmaps: lambda: HEATMAPS,
    seewhy.Inputs: lambda: seewhy.Inputs(ARRAY, (seewhy.Placement((7, 7), (0, 0, 7, 7)),) * 1000),
    seewhy.Inspection: lambda: seewhy.Inspection(ARRAY, ARRAY, long_explanation()),
    seewhy.LayerCall: lambda: seewhy.LayerCall("/".join(NAMES), "Conv2D", (7, 7, 512), False, False, 1, 1),
    seewhy.MultiImageExplanation: lambda: seewhy.MultiImageExplanation(
        {f"{LONG}{number}": long_explanation() for number in range(20)}, {"age": ARRAY}
    ),
    seewhy.Placement: lambda: seewhy.Placement((4000, 6000), (1 / 3, 2 / 3, 4000 / 3, 6000 / 7)),
    seewhy.Prediction: lambda: seewhy.Prediction(1, LONG, 0.5),
    seewhy.OnnxModel: onnx_model,
    seewhy.Preprocessing: lambda: seewhy.Preprocessing((224, 224), 0.875, mean=(1 / 3,) * 3, finish=classifier),
    seewhy.SampleInputs: lambda: seewhy.SampleInputs({LONG: ARRAY}, {LONG: None}, ({LONG: ARRAY},) * 1000),
    seewhy.GridPlacement: lambda: seewhy.GridPlacement((10**9,) * 3, ((1 / 3, 10**9 / 7),) * 3),
    seewhy.Signal: lambda: seewhy.Signal(ARRAY[:, 0], 1e6 / 3, LONG),
    seewhy.SignalExplanation: lambda: recording_explanation(
        seewhy.SignalExplanation, signal=seewhy.Signal(ARRAY[:, 0])
    ),
    seewhy.Style: seewhy.Style,
    seewhy.Video: lambda: seewhy.Video(np.zeros((9, 9, 9, 3), np.uint8), 1e6 / 3, LONG),
    seewhy.VideoExplanation: lambda: recording_explanation(
        seewhy.VideoExplanation, video=seewhy.Video(np.zeros((9, 9, 9, 3), np.uint8))
    ),
    seewhy.Volume: lambda: seewhy.Volume(ARRAY, (1 / 3, 1 / 7, 1e5 / 7), None, LONG, (-1e5 / 3, 1e9 / 7)),
    seewhy.VolumeExplanation: lambda: recording_explanation(seewhy.VolumeExplanation, volume=seewhy.Volume(ARRAY)),
    seewhy.TargetResult: lambda: seewhy.TargetResult(1, LONG, 1.0, 0.5, True),
    seewhy.TokenGrid: lambda: seewhy.TokenGrid((10**9, 10**9), 10**9, 10**9),
    methods.Method: lambda: methods.get("rise", masks=10**6),
    models.NamedModel: lambda: models.MODELS["efficientnet-lite0"],
    models.Source: lambda: models.SOURCES[0],
    targets.AllOutputs: lambda: targets.AllOutputs(lambda outputs: outputs),
    targets.Class: lambda: targets.Class((NAMES,) * 1000),
    targets.Combined: lambda: targets.Combined((targets.Class(NAMES),) * 1000),
    targets.Counterfactual: lambda: targets.Counterfactual("c" * 1000),
    targets.Detection: lambda: targets.Detection(box=(0.5, 1.25, 100.75, 80.125), class_="d" * 1000, rank=2),
    targets.Difference: lambda: targets.Difference("a" * 1000, "b" * 1000),
    targets.Embedding: lambda: targets.Embedding(np.ones((1000, 512))),
    targets.Function: lambda: targets.Function(np.sum),
    targets.Objective: lambda: targets.Objective(targets.Class(NAMES)),
    targets.PerImage: lambda: targets.PerImage((targets.TopK(1),) * 1000),
    targets.Prompt: lambda: targets.Prompt("a photo of a dog " * 100),
    targets.Region: lambda: targets.Region(np.ones((1000, 50, 50), bool), "tabby"),
    targets.Regression: lambda: targets.Regression(12, "the age of the person in years"),
    targets.TargetScores: lambda: targets.TargetScores(ARRAY, ARRAY),
    targets.TopK: lambda: targets.TopK(3),
    timing.Phase: lambda: timing.Phase.READING,
    timing.Times: timing.Times,
    types.Capture: lambda: types.Capture(ARRAY, ARRAY, ARRAY, ARRAY, ARRAY, None, LONG, np),
    ReportWriter: lambda: ReportWriter("r" * 3000 + ".html", 3),
}


def test_no_public_class_is_left_out():
    assert every_public_class() == set(LARGE)


@pytest.mark.parametrize("kind", LARGE, ids=lambda kind: kind.__name__)
def test_a_representation_is_one_short_line(kind):
    text = repr(LARGE[kind]())
    assert len(text) <= MAX_LENGTH
    assert text.isprintable()
    assert kind.__name__ in text or kind is timing.Phase
    assert " object at 0x" not in text


def test_errors_are_represented_by_their_message():
    assert repr(errors.OptionError("alpha is 2")) == "OptionError('alpha is 2')"


def test_it_says_what_matters():
    explanation = sample_explanation(source="photos/cat.png")
    results = ", ".join(f"{target.index}, {target.name} {target.probability:.1%}" for target in explanation.targets)
    assert repr(explanation) == (
        "<Explanation of photos/cat.png: gradcam at conv of lite, heatmaps (3, 3, 4); "
        f"targets: {results} (no evidence)>"
    )
    assert repr(sample_explanation(source=None)).startswith("<Explanation of an image of 40 x 60: ")
    assert "4 images: float32 (4, 1000, 7, 7), gradcam at a name of" in repr(HEATMAPS)
    assert repr(methods.get("gradcam")) == "<Method gradcam: Grad-CAM, 1610.02391; channels='sum'>"
    assert repr(targets.Class((281, "lynx"))) == "Class(classes=(281, 'lynx'))"
    assert repr(targets.Class(NAMES)).endswith("'class number 2', ... 1,000 in all))")
    assert "mask=bool (50, 50)" in repr(targets.Region(np.ones((50, 50), bool), 1))
    comparison = seewhy.Comparison((explanation, sample_explanation(1, source="photos/dog.png")))
    assert repr(comparison) == "<Comparison of 2 explanations, 3 targets each: cat.png, dog.png>"
    assert repr(seewhy.ClassNames(["cat", "dog"])) == "<ClassNames of 2 classes: cat, dog>"
    assert repr(seewhy.Classifier(Doubled(), class_names=["a", "b"], name="twice")).startswith("<Classifier twice: ")


def test_what_a_terminal_would_obey_is_escaped():
    assert description(ARRAY, "a\nb\x1b[31m\udcff") == r"<ndarray a b\x1b[31m\udcff>"
    assert value_text("a\nb") == r"'a\nb'"


def test_long_texts_lose_their_middle_and_long_lists_their_end():
    assert shortened("abcdefghij", 9) == "abc...hij"
    assert listed("abcd") == "a, b, c, d"
    assert listed("abcde") == "a, b, c, ... 5 in all"
    assert call_repr("F", {f"name{index}": "x" * 50 for index in range(20)}).endswith("...)")


def test_nested_values():
    assert value_text((1, [2.5, "x"], {"a": ARRAY}, np.float32(1))) == (
        "(1, [2.5, 'x'], {'a': float32 (1000, 7, 7)}, np.float32(1.0))"
    )
    assert value_text(len) == "len"
    assert value_text(()) == "()"


def test_numbers_agree_with_their_nouns():
    assert repr(seewhy.ClassNames(["cat"])) == "<ClassNames of 1 class: cat>"
    assert repr(seewhy.Comparison((sample_explanation(),))).startswith("<Comparison of 1 explanation, 3 targets each")


class Thousand(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 1000, 1)

    def forward(self, x):
        return self.layer(x).mean((2, 3))


def test_no_attribute_or_result_prints_a_thousand_classes():
    names = seewhy.ClassNames(NAMES, ids=NAMES, synonyms=[(LONG,)] * 1000)
    classifier = seewhy.Classifier(Thousand(), class_names=names, input_size=(4, 4), preprocess=lambda image: image)
    explainer, image = seewhy.Explainer(classifier, score="probability"), np.zeros((4, 4, 3), np.uint8)
    explanation = explainer.explain(image, "top-50")[0]
    heatmaps = explainer.heatmaps(np.ones((9, 3, 4, 4), np.float32), "top-50")
    assert explanation.predictions[:2] == tuple(explanation.predictions)[:2]
    results = {"predict": classifier.predict([image])[0], "layers": explainer.layers()}
    for owner in (explanation, heatmaps, names, classifier, explainer):
        results |= {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    for name, result in results.items():
        is_array = isinstance(result, np.ndarray) or name == "tensor"  # which its framework prints
        assert callable(result) or is_array or len(repr(result)) <= 1000, name
