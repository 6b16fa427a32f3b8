"""A model of every framework, exported with its explanation and run by the runtime of the format.

Keras on TensorFlow and on JAX has a format of its own with its own gradients; the others are exported to ONNX.
"""

import json

import numpy as np
import pytest
from tests.contracts import reference

import seewhy
from seewhy.errors import ModelError

IMAGES = reference.images(3)
PICTURES = [np.random.default_rng(2).integers(0, 256, (*reference.SIZE, 3), np.uint8)]


def run_saved_model(path, images):
    from seewhy.frameworks.tensorflow.saved_model import run_saved_model

    return run_saved_model(path, {"input": images})


def run_stablehlo(path, images):
    from seewhy.frameworks.jax.stablehlo import run_stablehlo

    return run_stablehlo(path.read_bytes(), {"input": images})


def run_onnx(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: images}), strict=True))


FORMATS = {"keras-tensorflow": ("model", run_saved_model), "keras-jax": ("model.stablehlo", run_stablehlo)}


def exported(framework, model, method, tmp_path, path=None, **options):
    """Return what the exported model gives for `IMAGES`, and what was written."""
    classifier = seewhy.Classifier(model, preprocess=lambda pixels: pixels / 255, input_size=reference.SIZE)
    name, run = FORMATS.get(framework.NAME, ("model.onnx", run_onnx))
    written = seewhy.export(
        seewhy.Explainer(classifier, method, "features"), tmp_path / (path or name), samples=PICTURES, **options
    )
    return run(written.path, framework.given(IMAGES)), written


def agree(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_heatmaps_are_those_computed_by_hand(framework, tmp_path):
    """By backward passes, of the classes with the highest scores."""
    found, written = exported(framework, framework.plain(), "hirescam", tmp_path, targets="top-2")
    wanted = reference.expected(IMAGES, range(reference.CLASSES))
    highest = np.argsort(-wanted.logits, axis=1)[:, :2]
    assert found["classes"].tolist() == highest.tolist()
    agree(found["scores"], wanted.logits)
    agree(found["probabilities"], wanted.probabilities)
    agree(found["heatmaps"], np.take_along_axis(wanted.hirescam, highest[..., None, None], axis=1))
    assert written.deviation < 1e-4


def test_all_classes_of_a_head_that_reads_the_mean(framework, tmp_path):
    model = framework.reading("mean", 5)
    found, written = exported(framework, model, "gradcam", tmp_path, targets="all")
    wanted = seewhy.Explainer(model, "gradcam", "features").heatmaps(framework.given(IMAGES), list(range(5)))
    agree(found["heatmaps"], wanted.values)
    assert (written.backward_passes, "classes" in found) == (0, False)
    if framework.NAME in FORMATS:
        name = "model/assets.extra/seewhy.json" if framework.NAME == "keras-tensorflow" else "model.stablehlo.json"
        assert json.loads((tmp_path / name).read_text("utf-8")) == dict(written.metadata)


def test_a_format_of_another_framework_is_refused(framework, tmp_path):
    for to, name in (("savedmodel", "model"), ("stablehlo", "model.stablehlo")):
        if FORMATS.get(framework.NAME, ("",))[0] != name:
            with pytest.raises(ModelError, match=r"is a model of (torch|keras|onnx).* Export it to ONNX or OpenVINO"):
                exported(framework, framework.plain(), "gradcam", tmp_path, name, to=to)
