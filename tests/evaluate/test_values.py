"""Values of metrics that were computed by hand, or by a second derivation."""

import itertools

import numpy as np
import pytest
import torch
from tests.evaluate import known_models
from tests.evaluate.known_models import explainer, hirescam

from seewhy import Classifier, evaluate
from seewhy.evaluate.correlation import ranks, spearman
from seewhy.evaluate.noisy_linear_imputation import impute
from seewhy.targets import Difference

ROW = np.array([[1.0, 2.0, 0.0, 4.0]])
"""The weights of a model of four pixels; the map that explains it for an image of ones."""
ONES = np.ones((1, 3, 1, 4), np.float32)


def four_pixels():
    return known_models.linear(ROW)


def test_deletion_and_insertion_of_four_pixels():
    """The score is 7. The true map removes 4, 2, 1 and 0: 7, 3, 1, 0, 0. Inserted they give 0, 4, 6, 7, 7."""
    for function, expected in ((evaluate.deletion_curve, [7, 3, 1, 0, 0]), (evaluate.insertion_curve, [0, 4, 6, 7, 7])):
        curve = function(four_pixels(), ONES, ROW[None], [0], steps=4, baseline=0.0, score="logit")
        np.testing.assert_allclose(curve.y[0, 0], expected, atol=1e-6)
        np.testing.assert_allclose(curve.x, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(curve.values, [[(sum(expected) - (expected[0] + expected[-1]) / 2) / 4]], rtol=1e-6)
    probability = evaluate.deletion_curve(four_pixels(), ONES, ROW[None], [0], steps=1)
    np.testing.assert_allclose(probability.y[0, 0], 1 / (1 + np.exp([-7.0, 0])), rtol=1e-6)


def test_average_drop_increase_and_gain_of_four_pixels():
    """The map is scaled to 1/4, 1/2, 0, 1, so that the masked logit is 1/4 + 1 + 4; its negative values are none."""
    own, masked = (1 / (1 + np.exp(-logit)) for logit in (7, 5.25))
    given = (four_pixels(), ONES, ROW[None], [0])
    np.testing.assert_allclose(evaluate.average_drop(*given), [[(own - masked) / own]], rtol=1e-4)
    np.testing.assert_allclose(evaluate.average_gain(*given), [[0]])
    np.testing.assert_array_equal(evaluate.average_increase(*given), [[0]])
    against = known_models.linear(-ROW)
    own, masked = (1 / (1 + np.exp(logit)) for logit in (7, 5.25))
    np.testing.assert_allclose(
        evaluate.average_gain(against, ONES, ROW[None], [0]), [[(masked - own) / (1 - own)]], 1e-4
    )
    np.testing.assert_array_equal(evaluate.average_increase(against, ONES, ROW[None], [0]), [[1]])


def test_mufidelity_is_one_for_what_each_pixel_adds():
    weights = np.random.default_rng(0).normal(size=(6, 6))
    images = np.random.default_rng(1).random((2, 3, 6, 6), dtype=np.float32)
    classifier = known_models.linear(weights)
    for sign in (1, -1):
        found = evaluate.mufidelity(classifier, images, sign * weights * images[:, 0], [0], grid=3, samples=30)
        np.testing.assert_allclose(found, sign, atol=1e-5)
    ranked = evaluate.mufidelity(
        classifier, images, weights * images[:, 0], [0], grid=3, samples=30, similarity="spearman"
    )
    np.testing.assert_allclose(ranked, 1, atol=1e-5)


def test_imputation_solves_the_equations_of_every_pixel():
    """A second derivation: the full system, with a row for each pixel, solved densely."""
    random = np.random.default_rng(0)
    image, removed = random.random((5, 6, 2), dtype=np.float32), random.random((5, 6)) < 0.7
    matrix, right = np.eye(30), image.reshape(30, 2).astype(float)
    for row, column in np.argwhere(removed):
        at = row * 6 + column
        weights = {
            (row + down) * 6 + column + across: 1 / 6 if 0 in (down, across) else 1 / 12
            for down, across in itertools.product((-1, 0, 1), repeat=2)
            if (down, across) != (0, 0) and 0 <= row + down < 5 and 0 <= column + across < 6
        }
        right[at] = 0
        for other, weight in weights.items():
            matrix[at, other] = -weight / sum(weights.values())
    filled = impute(image, removed, 0.0, random)
    np.testing.assert_allclose(filled.reshape(30, 2), np.linalg.solve(matrix, right), rtol=1e-5)
    noisy = impute(image, removed, 0.1, np.random.default_rng(0))
    assert 0.05 < np.std((noisy - filled)[removed]) / np.ptp(image) < 0.15
    np.testing.assert_array_equal(noisy[~removed], image[~removed])


def test_road_of_a_half_that_is_imputed_from_the_other():
    """Of an image that is 1 left and 0 right, without the left half nothing is left; without the right, all is one."""
    weights = np.zeros((4, 8))
    weights[:, :4] = 1 / 16
    image = np.zeros((1, 3, 4, 8), np.float32)
    image[:, :, :, :4] = 1
    curve = evaluate.road_curve(
        known_models.linear(weights), image, weights[None], [0], shares=[0.5], noise=0.0, score="logit"
    )
    np.testing.assert_allclose(curve.y, [[[0.5]]], atol=1e-6)
    for order, expected in (("most", 0), ("least", 1)):
        curve = evaluate.road_curve(
            known_models.linear(weights), image, weights[None], [0], shares=[0.5], noise=0.0, score="logit", order=order
        )
        np.testing.assert_allclose(curve.y, [[[expected]]], atol=1e-6)


def test_localisation_on_paper():
    """A map of 2 x 4 and an object of three pixels, one of which the map does not show."""
    heatmap = np.array([[4.0, 2, 0, -2], [1, 1, 0, 0]])
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 0]], dtype=bool)
    given = (heatmap[None, None], mask[None])
    assert evaluate.energy_pointing_game(*given).item() == pytest.approx(6 / 8)
    assert evaluate.relevance_mass(*given).item() == pytest.approx(8 / 10)
    assert evaluate.relevance_rank(*given).item() == pytest.approx(1)  # 4, 2 and |-2| are the three largest
    assert evaluate.pointing_game(*given, tolerance=0).item() == 1
    # The box of what exceeds 15% of 4 is the left half of the image; that of the object's larger part its upper row.
    assert evaluate.box_iou(*given).item() == pytest.approx(2 / 4)
    assert evaluate.swept_box_iou(*given, thresholds=10).item() == pytest.approx(1)  # above 1, 4 and 2 are left
    masks = evaluate.mask_iou_curve(*given, thresholds=2)
    np.testing.assert_allclose(masks.y[0, 0], [2 / 5, 2 / 3])


def test_relevance_of_equal_pixels_counts_as_the_mean_over_all_choices():
    """Two of three equal pixels are among the top two, and one of the three lies on the object of two pixels."""
    mask = np.array([[[1, 0, 0, 1]]], dtype=bool)
    assert evaluate.relevance_rank(np.array([[[1.0, 1, 1, 0]]]), mask).item() == pytest.approx(1 / 3)


def test_the_pointing_game_has_a_tolerance_and_shares_a_plateau():
    heatmap, mask = np.zeros((8, 8)), np.zeros((1, 8, 8), dtype=bool)
    heatmap[0, 0], mask[0, 3, 4] = 1, True
    found = [evaluate.pointing_game(heatmap[None], mask, tolerance=far).item() for far in (4.9, 5)]
    assert found == [0, 1]
    heatmap[3, 4] = heatmap[7, 7] = heatmap[7, 0] = 1
    assert evaluate.pointing_game(heatmap[None], mask, tolerance=0).item() == 0.25


def test_max_box_accuracy_chooses_one_threshold_for_all_images():
    """Of two images, the first threshold makes one a hit at all overlaps, and the second both at 0.3, one at 0.5."""
    curve = evaluate.Curve(np.array([0, 0.5]), np.array([[[0.8, 0.4]], [[0.1, 0.6]], [[np.nan] * 2]]), "", "")
    assert evaluate.max_box_accuracy(curve) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_a_heatmap_is_resized_to_the_mask_bilinearly():
    """Of two cells on four pixels, the values at the pixels' centres are 1, 0.75, 0.25 and 0."""
    mask = np.array([[[1, 1, 0, 0]]], dtype=bool)
    assert evaluate.energy_pointing_game(np.array([[[1.0, 0]]]), mask).item() == pytest.approx(1.75 / 2)


def test_boxes_to_masks():
    (mask, empty) = evaluate.boxes_to_masks([[(0, 1, 2, 3), (1.6, -5, 9, 0.6)], []], (3, 4))
    np.testing.assert_array_equal(mask, [[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0]])
    assert not empty.any()


def test_complexity_on_paper():
    maps = np.array([[[1.0, 1], [1, 1]], [[0, 0], [0, -3]], [[1, 0], [0, 3]]])
    np.testing.assert_allclose(evaluate.entropy(maps)[:, 0], [np.log(4), 0, -0.25 * np.log(0.25) - 0.75 * np.log(0.75)])
    # Of 0, 0, 1, 3: 1 - 2 (1/4 x 1.5/4 + 3/4 x 0.5/4).
    np.testing.assert_allclose(evaluate.gini(maps)[:, 0], [0, 0.75, 0.625], atol=1e-12)


def test_ranks_share_ties():
    np.testing.assert_array_equal(ranks(np.array([5, 1, 5, 2])), [2.5, 0, 2.5, 1])
    assert spearman(np.array([1.0, 2, 3]), np.array([1.0, 10, 11])) == pytest.approx(1)


def test_max_sensitivity_of_a_linear_model():
    """Its map changes by the weights times the noise, which is drawn here again."""
    weights, images = known_models.quadrant(), known_models.images()
    found = evaluate.max_sensitivity(
        explainer(known_models.linear(weights), hirescam), images, [0], samples=3, radius=0.1
    )
    random, changes = np.random.default_rng(0), []
    for _ in range(3):
        noise = 0.1 * random.uniform(-1, 1, (*images.shape[2:], 3))[..., 0]
        before = np.maximum(weights * images[:, 0], 0)
        after = np.maximum(weights * (images[:, 0] + np.ptp(images, axis=(1, 2, 3))[:, None, None] * noise), 0)
        changes.append(np.linalg.norm(after - before, axis=(1, 2)) / np.linalg.norm(before, axis=(1, 2)))
    np.testing.assert_allclose(found[:, 0], np.max(changes, axis=0), rtol=1e-4)


def test_adcc_of_a_map_that_keeps_all_that_counts():
    """The map is 1 on the quadrant, which is all that raises the score: coherency 1, complexity 1/4, drop 0."""

    def where_positive(capture):
        return (hirescam(capture) > 1e-9).float()

    found = evaluate.adcc(
        explainer(known_models.linear(known_models.quadrant()), where_positive), known_models.images(), [0]
    )
    np.testing.assert_allclose(found, 3 / (1 / 1 + 1 / 0.75 + 1 / 1), rtol=1e-5)


def test_the_grid_pointing_game_has_the_chance_of_a_cell():
    def ones(capture):
        return hirescam(capture) * 0 + 1

    given = (known_models.solid(), "top-1")
    for function, expected in ((hirescam, 1), (ones, 0.25)):
        found = evaluate.grid_pointing_game(explainer(known_models.colours(), function, "1"), *given)
        np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    # Nine images of two classes make no mosaic of four, and an unsure model none at all.
    few = np.repeat(known_models.solid()[:2], 5, axis=0)
    assert np.isnan(evaluate.grid_pointing_game(explainer(known_models.colours(), hirescam, "1"), few)).all()


def test_baselines_do_not_depend_on_the_number_of_images():
    many = evaluate.random_map(5, 2, seed=3)
    np.testing.assert_array_equal(many[2:4], evaluate.random_map(2, 2, seed=3, first_image=2))
    assert np.unique(many).size == many.size
    gaussian = evaluate.centered_gaussian(1, size=(5, 5))[0, 0]
    assert gaussian[2, 2] == 1
    np.testing.assert_allclose(gaussian[2], np.exp(-0.5 * (np.array([-0.4, -0.2, 0, 0.2, 0.4]) / 0.25) ** 2), rtol=1e-6)


def test_targets_that_are_no_classes():
    """A difference of logits as the target, where no image may share a batch with another."""
    images = known_models.images(3)
    weights = known_models.quadrant()
    maps = weights * images[:, 0]
    given = {"steps": 4, "score": "logit", "batch_size": 2}
    difference = evaluate.deletion(known_models.linear(weights), images, maps, Difference(0, 1), **given)
    np.testing.assert_allclose(
        difference, evaluate.deletion(known_models.linear(weights), images, maps, [0], **given), 1e-5
    )


def test_two_targets_have_two_maps():
    """The map of the second class is the first's reversed, and its values those of the first class negated."""

    class Both(torch.nn.Module):
        def forward(self, images):
            left, right = images[:, 0, :, :2].mean((1, 2)), images[:, 0, :, 2:].mean((1, 2))
            return torch.stack([left, right], 1)

    classifier = Classifier(Both().eval(), input_size=(4, 4))
    left = np.tile([1.0, 1, 0, 0], (4, 1))
    maps = np.stack([left, left[:, ::-1]])[None]
    found = evaluate.deletion_curve(classifier, np.ones((1, 3, 4, 4), np.float32), maps, [0, 1], steps=2, score="logit")
    np.testing.assert_allclose(found.y, [[[1, 0, 0], [1, 0, 0]]], atol=1e-6)


def test_the_other_class_of_the_random_logit_test_depends_on_the_class_alone():
    maker = explainer(known_models.colours(), hirescam, "1")
    images = np.concatenate([known_models.solid()[:, :, :8], known_models.solid()[::-1, :, 8:]], axis=2)
    together = evaluate.random_logit(maker, images, [[0], [1], [1], [0]], seed=2)
    alone = np.concatenate(
        [evaluate.random_logit(maker, images[[row]], [[c]], seed=2) for row, c in enumerate([0, 1, 1, 0])]
    )
    np.testing.assert_allclose(together, alone)
    for seed in range(8):  # never the class itself, of which the map would be the same
        assert not (evaluate.random_logit(maker, images, [[0], [1], [1], [0]], seed=seed) > 0.999).any()
