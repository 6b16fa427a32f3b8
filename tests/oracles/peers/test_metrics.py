"""Oracles: metrics of Captum, pytorch-grad-cam, Xplique, Quantus, scikit-image and SciPy, where they define the same.

Where a definition differs, it says how: the peer is then given the same pixels, subsets or noise.
"""

import warnings

import captum.attr
import captum.metrics
import keras
import numpy as np
import pytest
import quantus
import scipy.stats
import tensorflow as tf
import torch
from pytorch_grad_cam.metrics import arcc, road
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from skimage.metrics import structural_similarity as skimage_similarity
from tests.oracles.peers.test_gradcam import CLASSES, images, plain, seeded

import seewhy
from seewhy import evaluate
from seewhy.evaluate.correlation import spearman, structural_similarity
from seewhy.evaluate.heatmap_stack import heatmap_stack, positive_part
from seewhy.evaluate.mufidelity import grid_cells, random_subsets
from seewhy.evaluate.noisy_linear_imputation import impute

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # TensorFlow Probability compares versions as it did of old
    from xplique.metrics import Deletion, Insertion, MuFidelity

SIDE = 32
PERCENTILES = range(10, 100, 10)


def smooth_maps(count, side):
    """Maps (N, h, w) in 0..1, with some noise, so that no two values are equal: each tool orders those as it likes."""
    random = np.random.default_rng(0)
    stack = heatmap_stack(random.random((count, 1, 5, 5)))
    smooth = np.stack([stack.on_input(image, (side, side))[0] for image in range(count)])
    return positive_part(smooth + 0.01 * random.random(smooth.shape))


def test_max_sensitivity_as_captum_under_the_same_noise():
    """Captum's radius is in the units of the input, and ours a fraction of each image's range."""
    model, inputs = seeded(plain), images(2, SIDE)
    random, radius, samples = np.random.default_rng(0), 0.02, 10
    noise = np.stack([np.moveaxis(random.uniform(-1, 1, (SIDE, SIDE, 3)), -1, 0) for _ in range(samples)])
    ranges = np.ptp(inputs.numpy(), axis=(1, 2, 3))

    def perturb(repeated, _):
        repeated = repeated[0] if isinstance(repeated, tuple) else repeated
        changes = radius * ranges[:, None, None, None, None] * noise[None]
        return repeated + torch.as_tensor(changes.reshape(repeated.shape), dtype=torch.float32)

    def explain(given):
        given = (given[0] if isinstance(given, tuple) else given).detach().requires_grad_()
        return (captum.attr.InputXGradient(model).attribute(given, target=CLASSES[0]).sum(dim=1).detach(),)

    theirs = captum.metrics.sensitivity_max(explain, inputs, perturb, radius, samples)
    explainer = seewhy.Explainer(seewhy.Classifier(model), "gradient_x_input", signed=True)
    ours = evaluate.max_sensitivity(explainer, inputs.numpy(), [CLASSES[0]], samples=samples, radius=radius)
    np.testing.assert_allclose(ours[:, 0], theirs.numpy(), rtol=1e-4)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context")  # of NumPy's functions on tensors
def test_road_as_pytorch_grad_cam(monkeypatch):
    """Theirs takes logits, averages over nine percentiles, and removes what reaches a percentile: the same pixels."""
    model, inputs = seeded(plain), images(2, SIDE)
    maps = smooth_maps(2, SIDE)
    removed = np.random.default_rng(0).random((SIDE, SIDE)) < 0.6
    filled = road.NoisyLinearImputer(noise=0)(inputs[0], torch.as_tensor(~removed, dtype=torch.float32))
    ours = impute(np.moveaxis(inputs[0].numpy(), 0, -1), removed, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(np.moveaxis(ours, -1, 0), filled.numpy(), atol=1e-5)

    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    targets = [ClassifierOutputTarget(CLASSES[0])] * 2
    theirs = road.ROADCombined(list(PERCENTILES))(inputs, maps.astype(np.float32), targets, model)
    kept = [(maps[0] < np.percentile(maps[0], each)).mean() for each in PERCENTILES]
    given, shares = (seewhy.Classifier(model), inputs.numpy(), maps, [CLASSES[0]]), [1 - share for share in kept]
    curve = evaluate.road_curve(*given, shares=shares, noise=0.0, score="logit")
    np.testing.assert_allclose(curve.y.mean(axis=-1)[:, 0], theirs, rtol=1e-3, atol=1e-5)


def test_the_parts_of_adcc_as_pytorch_grad_cam():
    """It has the coherency and the complexity; the drop is that of Grad-CAM++, and the mean the paper's equation 5."""
    model, inputs = seeded(plain), images(3, SIDE)
    explainer = seewhy.Explainer(seewhy.Classifier(model), "layercam")
    maps = positive_part(_on_input(explainer.heatmaps(inputs.numpy(), [CLASSES[0]])))
    masked = inputs.numpy() * maps[:, None].astype(np.float32)
    again = positive_part(_on_input(explainer.heatmaps(masked, [CLASSES[0]])))
    coherency = (arcc.batch_pearson_coherency(again, maps) + 1) / 2
    complexity = arcc.Complexity()(maps)
    with torch.no_grad():
        own, left = (torch.softmax(model(torch.as_tensor(each)), 1)[:, CLASSES[0]].numpy() for each in (inputs, masked))
    drop = np.maximum(0, own - left) / own
    theirs = 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop))
    np.testing.assert_allclose(evaluate.adcc(explainer, inputs.numpy(), [CLASSES[0]])[:, 0], theirs, rtol=1e-4)


def _on_input(heatmaps):
    stack = heatmap_stack(heatmaps)
    return np.stack([stack.on_input(image, (SIDE, SIDE))[0] for image in range(len(stack))])


@pytest.fixture(scope="module")
def in_keras():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((18, 18, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def test_deletion_and_insertion_as_xplique(in_keras):
    """It takes the model's outputs, here probabilities, and averages over images."""
    inputs, maps = np.random.default_rng(0).random((3, 18, 18, 3), np.float32), smooth_maps(3, 18)
    classes = [0, 2, 1]
    for ours, theirs in ((evaluate.deletion, Deletion), (evaluate.insertion, Insertion)):
        expected = theirs(in_keras, inputs, np.eye(3, dtype=np.float32)[classes], steps=9)(maps)
        given = (seewhy.Classifier(in_keras), inputs, maps, [[each] for each in classes])
        assert ours(*given, steps=9, baseline=0.0).mean() == pytest.approx(expected, rel=1e-5)


def test_mufidelity_as_xplique(in_keras, monkeypatch):
    """It correlates ranks, and draws each cell by itself, so that the sizes of the subsets vary: it is given ours."""
    inputs, maps = np.random.default_rng(0).random((2, 18, 18, 3), np.float32), smooth_maps(2, 18)
    subsets = random_subsets(50, 9, 0.2, 0)[:, grid_cells((18, 18), 9)]

    def perturb(_, given, count):
        kept = tf.constant(~subsets[:count, ..., None], tf.float32)
        degraded = given[:, None] * kept[None]
        return tf.reshape(degraded, (-1, 18, 18, 3)), tf.repeat(kept[None], len(given), axis=0)

    monkeypatch.setattr(MuFidelity, "_perturb_samples", perturb)
    expected = MuFidelity(in_keras, inputs, np.eye(3, dtype=np.float32)[[0, 1]], nb_samples=50, batch_size=64)(
        maps.astype(np.float32)
    )
    options = {"samples": 50, "similarity": "spearman", "score": "probability"}
    ours = evaluate.mufidelity(seewhy.Classifier(in_keras), inputs, maps, [[0], [1]], **options)
    assert ours.mean() == pytest.approx(expected, abs=1e-3)


QUIET = {"disable_warnings": True, "display_progressbar": False}


def test_localisation_and_complexity_as_quantus():
    """Of maps without negative or equal values. Its sparseness adds 1e-7 to every value; its game has no tolerance."""
    maps = smooth_maps(4, SIDE) + 0.01
    masks = np.random.default_rng(1).random((4, 1, SIDE, SIDE)) < 0.3

    def theirs(metric):
        return metric(**QUIET).evaluate_batch(x_batch=maps.copy(), a_batch=maps[:, None].copy(), s_batch=masks)

    def hits(heatmaps, own):
        return evaluate.pointing_game(heatmaps, own, tolerance=0)

    for ours, peer in (
        (evaluate.relevance_mass, quantus.RelevanceMassAccuracy),
        (evaluate.relevance_rank, quantus.RelevanceRankAccuracy),
        (hits, quantus.PointingGame),
    ):
        np.testing.assert_allclose(ours(maps, masks[:, 0])[:, 0], theirs(peer), rtol=1e-6)
    np.testing.assert_allclose(evaluate.entropy(maps)[:, 0], theirs(quantus.Complexity), rtol=1e-6)
    np.testing.assert_allclose(evaluate.gini(maps)[:, 0], theirs(quantus.Sparseness), rtol=1e-4)


def test_similarities_as_scikit_image_and_scipy():
    first, second = smooth_maps(2, SIDE)
    first, second = ((each - each.min()) / np.ptp(each) for each in (first, second))
    assert structural_similarity(first, second) == pytest.approx(skimage_similarity(first, second, data_range=1.0))
    assert spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first.ravel(), second.ravel()).statistic)
