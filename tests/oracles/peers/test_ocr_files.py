"""ONNX files that others made: the text detector, the direction classifier and the recogniser of PaddleOCR.

The package rapidocr-onnxruntime ships them. Texts are drawn at known places. The oracle for the gradients are
differences of what ONNX Runtime itself computes from the explained layer on.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image, ImageDraw, ImageFont

import seewhy

FOLDER = Path(*importlib.util.find_spec("rapidocr_onnxruntime").submodule_search_locations, "models")
DETECTOR, DIRECTION, RECOGNISER = (
    FOLDER / f"ch_{name}_infer.onnx" for name in ("PP-OCRv4_det", "ppocr_mobile_v2.0_cls", "PP-OCRv4_rec")
)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
AROUND_0 = ((0.5,) * 3, (0.5,) * 3)


def drawn(size, *texts, height=32):
    """Return an image (w, h) of texts at places (x, y), and where their letters begin and end."""
    image = Image.new("RGB", size, (240, 240, 235))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(height)
    boxes = []
    for text, place in texts:
        draw.text(place, text, fill=(20, 20, 40), font=font)
        boxes.append(draw.textbbox(place, text, font=font))
    return image, boxes


def line(text, width):
    """Return a line of text, and the columns where each of its letters begins, and the last one ends."""
    image, _ = drawn((width, 48), (text, (6, 4)))
    font = ImageFont.load_default(32)
    return image, [6 + font.getlength(text[:count]) for count in range(len(text) + 1)]


def as_input(image, scaling):
    """Return (1, 3, h, w); these models take blue first."""
    mean, deviation = scaling
    values = (np.asarray(image, np.float32)[..., ::-1] / 255 - mean) / deviation
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)[None], dtype=np.float32)


class Tail:
    """A file from a layer on, in ONNX Runtime: `others` are the values that bypass the layer."""

    def __init__(self, path, inputs, layer, logits, others=()):
        model, given = onnx.load(path), (layer, *others)
        made = {name: node for node in model.graph.node for name in node.output}
        pending, found = [logits], set()
        while pending:
            name = pending.pop()
            if name in made and name not in given and id(made[name]) not in found:
                found.add(id(made[name]))
                pending += made[name].input
        model.graph.output.extend(map(helper.make_empty_tensor_value_info, given))
        self.layer, *rest = onnxruntime.InferenceSession(model.SerializeToString()).run(list(given), {"x": inputs})
        graph = helper.make_graph(
            [node for node in model.graph.node if id(node) in found],
            "tail",
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
                for name, array in zip(given, (self.layer, *rest), strict=True)
            ],
            [helper.make_empty_tensor_value_info(logits)],
            list(model.graph.initializer),
        )
        tail = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
        self.session, self.name, self.others = onnxruntime.InferenceSession(tail.SerializeToString()), layer, others
        self.rest = dict(zip(others, rest, strict=True))

    def __call__(self, layer):
        return self.session.run(None, {self.name: layer, **self.rest})[0].astype(np.float64)

    def grad_cam(self, score, step):
        """Return Grad-CAM (h, w) with the derivative of a score by a change of a whole channel as its weight."""
        weights = []
        for channel in range(self.layer.shape[1]):
            change = np.zeros_like(self.layer)
            change[:, channel] = step * max(1e-3, np.abs(self.layer[:, channel]).max())
            above, below = (score(self(self.layer + sign * change)) for sign in (1, -1))
            weights.append((above - below) / (2 * change.max() * self.layer[0, 0].size))
        return np.maximum(np.einsum("k,khw->hw", weights, self.layer[0].astype(np.float64)), 0)


def agrees(heatmap, by_differences):
    np.testing.assert_allclose(heatmap, by_differences, atol=1e-3 * by_differences.max())


def test_the_detector_sees_text_where_it_is():
    explainer = seewhy.Explainer(DETECTOR)
    for seed, words in enumerate((("Where", "text"), ("signal", "open"), ("model", "evidence"))):
        places = np.random.default_rng(seed).integers(((8, 8), (8, 108)), ((60, 50), (60, 150)))
        image, boxes = drawn((192, 192), *zip(words, map(tuple, places.tolist()), strict=True), height=30)
        inputs = as_input(image, IMAGENET)
        found = explainer.heatmaps(inputs)
        assert found.names == (("class 1",),)
        inside = np.zeros((192, 192), bool)
        for left, top, right, bottom in boxes:
            inside[top - 4 : bottom + 4, left - 4 : right + 4] = True
        heatmap = found.values[0, 0]
        fine = np.kron(heatmap, np.ones((192 // len(heatmap),) * 2))
        assert inside.mean() < 0.3
        assert fine[inside].sum() > 0.9 * fine.sum()
        assert inside.ravel()[fine.argmax()]
        predicted = found.outputs[0, 0] > 0.5
        assert predicted[inside].sum() == predicted.sum() > 0
    tail = Tail(DETECTOR, inputs, found.layer, "p2o.Add.281")
    heatmap = seewhy.Explainer(DETECTOR, "gradcam").heatmaps(inputs).values[0, 0]
    agrees(heatmap, tail.grad_cam(lambda logits: logits[0, 0][predicted].sum(), 1e-3))


@pytest.mark.parametrize("text", ["2026 72", "Rome 44", "kernel 9"])
@pytest.mark.parametrize("turned", [0, 180])
def test_the_direction_is_read_from_the_text(text, turned):
    """Most evidence lies on the letters; without the columns of the most evidence less is left than without others."""
    explainer = seewhy.Explainer(DIRECTION)
    image, edges = line(text, 192)
    image = image.rotate(turned)
    first, last = (192 - edges[-1], 192 - edges[0]) if turned else (edges[0], edges[-1])
    inputs = as_input(image, AROUND_0)
    found = explainer.heatmaps(inputs)
    direction = turned // 180
    assert found.outputs[0].argmax() == direction
    columns = np.repeat(found.values[0, 0].sum(axis=0), 192 // found.values.shape[-1])
    inside = (np.arange(192) > first - 6) & (np.arange(192) < last + 6)
    assert inside[columns.argmax()]
    assert columns[inside].sum() > max(0.8, inside.mean() + 0.1) * columns.sum()
    evidence = np.convolve(columns, np.ones(40), "valid")
    scores = []
    for start in (int(evidence.argmax()), int(evidence.argmin())):
        covered = inputs.copy()
        covered[..., start : start + 40] = inputs[0, :, 0, 0].reshape(1, 3, 1, 1)
        scores.append(float(explainer.heatmaps(covered, direction).scores[0, 0]))
    assert scores[0] < min(scores[1], float(found.scores[0, 0]))
    tail = Tail(DIRECTION, inputs, found.layer, "linear_1.tmp_1")
    agrees(found.values[0, 0], tail.grad_cam(lambda logits: logits[0, direction], 1e-1))


def characters():
    (names,) = (entry.value for entry in onnx.load(RECOGNISER).metadata_props if entry.key == "character")
    return ["blank", *names.replace("\u3000", "wide space").split("\n"), "space"]


def test_each_letter_is_read_where_it_stands():
    text, names = "Grad-CAM 2069", characters()
    image, edges = line(text, 320)
    inputs = as_input(image, AROUND_0)
    explainer = seewhy.Explainer(seewhy.Classifier(seewhy.load(RECOGNISER).model, class_names=names))
    wanted = sorted(set(text) - {" ", "2"})
    found = explainer.heatmaps(inputs, [names.index(letter) for letter in wanted])
    steps = found.outputs[0].argmax(axis=-1)
    read = [names[step] for step, before in zip(steps, [0, *steps], strict=False) if step not in (0, before)]
    assert "".join(read).replace("space", " ").rstrip() == text
    for letter, heatmap in zip(wanted, found.values[0], strict=True):
        first, last = edges[text.index(letter)], edges[text.index(letter) + 1]
        assert first - 8 <= 8 * heatmap[0].argmax() + 4 <= last + 8
    explainer = seewhy.Explainer(RECOGNISER, "gradcam", "p2o.Concat.8")  # after the attention
    index = names.index("M")
    tail = Tail(RECOGNISER, inputs, "p2o.Concat.8", "p2o.Add.277")
    by_hand = tail.grad_cam(lambda logits: logits[0][steps == index, index].sum(), 1e-2)
    agrees(explainer.heatmaps(inputs, index).values[0, 0], by_hand)


def test_attention_before_the_letters():
    """Most of the score bypasses the layer before it, which a warning says; what passes it is as differences are."""
    inputs = as_input(line("Grad-CAM 2069", 320)[0], AROUND_0)
    with pytest.warns(seewhy.errors.SeewhyWarning, match=r"bypasses the layer 'swish_12\.tmp_0'"):
        found = seewhy.Explainer(RECOGNISER, "gradcam", "swish_12.tmp_0").heatmaps(inputs, 26)
    steps = found.outputs[0].argmax(axis=-1)
    tail = Tail(RECOGNISER, inputs, "swish_12.tmp_0", "p2o.Add.277", ["p2o.AveragePool.1"])
    agrees(found.values[0, 0], tail.grad_cam(lambda logits: logits[0][steps == 26, 26].sum(), 1e-2))


def test_the_command_line(tmp_path):
    drawn((192, 192), ("Where", (20, 30)))[0].save(tmp_path / "page.png")
    line("Rome 44", 192)[0].save(tmp_path / "line.png")
    (tmp_path / "names.txt").write_text("\n".join(characters()) + "\n", encoding="utf-8")
    runs = {
        "explained class 1": ("page.png", DETECTOR, "--preprocessing", "imagenet", "--input-size", "192x192"),
        "explained 0 class 0": ("line.png", DIRECTION, "--preprocessing=-1..1", "--input-size", "48x192"),
        "explained 4": (
            *("line.png", RECOGNISER, "--preprocessing=-1..1", "--input-size", "48x192"),
            *("--class-names", "names.txt", "--targets", f"{characters().index('4')}"),
        ),
    }
    for printed, (image, model, *options) in runs.items():
        command = [sys.executable, "-m", "seewhy", "explain", image, "--model", str(model), *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert printed in done.stdout
