"""All targets at once, where what follows the layer takes nothing of it but its mean: as one by one, or not at all."""

import numpy as np
import pytest
from tests.contracts.capturing import capture
from tests.contracts.in_keras import ENDINGS
from tests.contracts.reference import SIZE, images

import seewhy
from seewhy.attribution import target_chunks
from seewhy.errors import ModelRunError, TargetError
from seewhy.targets import Class, TopK

CLASSES = 12
MEANS = ("mean", "mean, axes kept", "mean, as a function", "mean, dropped out", "mean, bent")
OTHERS = (
    *("all", "maximum", "mean of squares", "mean of rows"),
    *("mean over the batch too", "mean and one more", "mean and maximum"),
)
TARGETS = {
    "every class": Class(tuple(range(CLASSES))),
    "one class": Class((3,)),
    "classes for each image": Class(((1, 5, 0), (2, 2, 11), (7, 8, 9))),
    "the best": TopK(5),
}


def agree(model, inputs, target, score="logit"):
    """Compare the products with those of the activations and the gradients that are captured one by one."""
    wanted = capture(model, "features", target, inputs, score)
    found = capture(model, "features", target, inputs, score, derivatives="closed_form")
    assert found.gradients is None
    products = np.einsum("nt...k,n...k->nt...", wanted.gradients, wanted.activations)
    np.testing.assert_allclose(found.closed_form, products, rtol=0, atol=1e-5 * np.abs(products).max())
    for name in ("activations", "scores", "indices", "outputs", "probabilities"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-6)


@pytest.mark.parametrize(
    ("what", "score"),
    [
        *((what, "logit") for what in MEANS),
        *((what, "probability") for what in ("mean", "mean, bent")),
        *(
            pytest.param(
                what, "probability", marks=pytest.mark.slow(reason="each shown of logits, and that of two others")
            )
            for what in MEANS
            if what not in ("mean", "mean, bent")
        ),
    ],
)
def test_heads_that_take_the_mean_alone(framework, what, score):
    agree(framework.reading(what, CLASSES), framework.given(images()), TARGETS["every class"], score)


@pytest.mark.parametrize("target", TARGETS)
def test_targets_of_every_kind(framework, target):
    agree(framework.reading("mean", CLASSES), framework.given(images()), TARGETS[target])


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings_of_every_kind(framework, ending):
    agree(framework.reading("mean", CLASSES, ending), framework.given(images()), TARGETS["every class"])


@pytest.mark.parametrize("what", OTHERS)
def test_heads_that_take_more_have_none(framework, what):
    found = capture(
        framework.reading(what, CLASSES), "features", TopK(3), framework.given(images()), "logit", "closed_form"
    )
    assert found.closed_form is None
    assert found.gradients is None
    assert found.indices.shape == (3, 3)


def test_a_class_that_is_not_there(framework):
    with pytest.raises(TargetError, match="There is no class 12"):
        capture(
            framework.reading("mean", 12),
            "features",
            Class((12,)),
            framework.given(images()),
            derivatives="closed_form",
        )


# Through the explainer, from MIN_TARGETS targets on


def counted(explainer):
    """Return a list that grows with every run of the model, by how many targets it was asked."""
    runs, capture = [], explainer.framework.capture

    def count(inputs, layer, objective, derivatives="gradients", gradient_rule="plain"):
        runs.append((objective.target.target_count, derivatives))
        return capture(inputs, layer, objective, derivatives, gradient_rule)

    explainer.framework.capture = count
    return runs


def one_by_one(explainer, inputs, classes):
    return np.concatenate([explainer.heatmaps(inputs, index).values for index in classes], axis=1)


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_many_classes_of_a_pooled_layer_take_one_run(framework, method):
    inputs, explainer = framework.given(images()), seewhy.Explainer(framework.reading("mean", 40), method, signed=True)
    wanted = one_by_one(explainer, inputs, range(40))
    runs = counted(explainer)
    found = explainer.heatmaps(inputs, list(range(40)))
    assert runs == [(40, "closed_form")]
    np.testing.assert_allclose(found.values, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_array_equal(found.indices, [range(40)] * 3)
    best = explainer.heatmaps(inputs, "top-40")
    np.testing.assert_array_equal(np.sort(best.indices), found.indices)
    for image in range(3):
        np.testing.assert_allclose(best.values[image], found.values[image, best.indices[image]], atol=1e-6)


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "xgradcam", "layercam", "elementwise", "eigengradcam"])
def test_many_classes_of_another_layer_are_taken_in_parts(framework, method, monkeypatch):
    """The gradients of 7 of 40 classes are as much as may be held at once."""
    inputs, explainer = framework.given(images()), seewhy.Explainer(framework.reading("maximum", 40), method)
    monkeypatch.setattr(target_chunks, "GRADIENT_BYTES", 7 * 3 * 10 * 8 * 6 * 4 + 100)
    wanted = one_by_one(explainer, inputs, range(40))
    selected = [list(range(40)), list(range(39, -1, -1)), list(range(40))]
    runs = counted(explainer)
    found = explainer.heatmaps(inputs, selected)
    assert runs == [(40, "closed_form" if method == "gradcam" else "none"), *[(7, "gradients")] * 5, (5, "gradients")]
    for image in range(3):
        np.testing.assert_allclose(found.values[image], wanted[image][selected[image]], atol=1e-5 * wanted.max())
    np.testing.assert_array_equal(found.indices, selected)


def test_many_classes_of_pixels(framework, monkeypatch):
    inputs, explainer = framework.given(images()), seewhy.Explainer(framework.reading("mean", 40), "saliency")
    monkeypatch.setattr(target_chunks, "GRADIENT_BYTES", 1)
    wanted = one_by_one(explainer, inputs, range(40))
    explainer.heatmaps(inputs, "top-40")  # the first batch runs more than once
    runs = counted(explainer)
    np.testing.assert_allclose(explainer.heatmaps(inputs, "top-40").values.max(), wanted.max(), rtol=1e-5)
    assert runs == [(40, "none"), *[(1, "gradients")] * 40]


def test_an_option_of_the_method_counts(framework):
    """Tutorials' mean over channels is a sixth of the paper's sum."""
    inputs, model = framework.given(images()), framework.reading("mean", 40)
    summed, mean = (
        seewhy.Explainer(model, seewhy.methods.get("gradcam", channels=channels)).heatmaps(inputs, list(range(40)))
        for channels in ("sum", "mean")
    )
    np.testing.assert_allclose(mean.values, summed.values / 6, rtol=0, atol=1e-6 * summed.values.max())


def test_an_option_set_to_its_default_keeps_the_closed_form(framework):
    """One run of the model for 40 classes, and the same heatmaps to the bit."""
    inputs, model = framework.given(images()), framework.reading("mean", 40)
    expected = seewhy.Explainer(model, "gradcam").heatmaps(inputs, list(range(40)))
    explainer = seewhy.Explainer(model, seewhy.methods.get("gradcam", channels="sum"))
    explainer.heatmaps(inputs, list(range(40)))  # the first batch runs more than once
    runs = counted(explainer)
    found = explainer.heatmaps(inputs, list(range(40)))
    assert runs == [(40, "closed_form")]
    np.testing.assert_array_equal(found.values, expected.values)


@pytest.mark.parametrize("method", ["eigencam", "cam"])
def test_methods_that_take_all_targets_at_once_go_on_doing_so(framework, method):
    inputs, explainer = framework.given(images()), seewhy.Explainer(framework.reading("mean", 40), method)
    wanted = one_by_one(explainer, inputs, range(40))
    np.testing.assert_allclose(explainer.heatmaps(inputs, list(range(40))).values, wanted, atol=1e-5 * wanted.max())


def test_many_classes_of_what_is_no_number_are_refused(framework):
    inputs = framework.given(images() * np.float32(5e37))
    with pytest.raises(ModelRunError, match="The model gave NaN or infinite values"):
        seewhy.Explainer(framework.reading("mean", 40)).heatmaps(inputs, list(range(40)))


def test_the_inside_of_grad_cam_has_the_gradients_of_many_classes_too(framework):
    model = framework.reading("mean", 40)
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    explainer = seewhy.Explainer(seewhy.Classifier(model, preprocess=lambda values: values / 255, input_size=SIZE))
    inside = explainer.inspect(image, list(range(40)))
    (explanation,) = explainer.explain([image], list(range(40)))
    assert inside.gradients.shape == (40, 10, 8, 6)
    found = np.einsum("tk,uvk->tuv", inside.gradients.mean(axis=(1, 2)), inside.activations)
    np.testing.assert_allclose(explanation.heatmaps, np.maximum(found, 0), rtol=0, atol=1e-5 * found.max())
