import array_api_compat.numpy as xnp
import numpy as np
import pytest

from seewhy.errors import TargetError
from seewhy.models.class_names import ClassNames
from seewhy.targets import (
    AllOutputs,
    Class,
    Combined,
    Counterfactual,
    Difference,
    Embedding,
    Function,
    Objective,
    PerImage,
    Region,
    TopK,
    resolve,
)

OUTPUTS = np.array([[1.0, 5.0, 3.0], [4.0, -2.0, 0.0]])
NAMES = ClassNames(["cat", "dog", "bird"])
FIND = NAMES.find


def scores_of(spec, outputs=OUTPUTS, find=FIND, all_outputs=None):
    target = resolve(spec, find)
    target.check_images(len(OUTPUTS))
    target.check_outputs(outputs.shape)
    scores, indices = target(outputs, target.arrays(len(outputs)), xnp, all_outputs)
    return np.asarray(scores).tolist(), np.maximum(indices, -1).tolist()


@pytest.mark.parametrize(
    ("spec", "scores", "indices"),
    [
        ("top-1", [[5], [4]], [[1], [0]]),
        ("top-2", [[5, 3], [4, 0]], [[1, 2], [0, 2]]),
        (TopK(3), [[5, 3, 1], [4, 0, -2]], [[1, 2, 0], [0, 2, 1]]),
        (2, [[3], [0]], [[2], [2]]),
        (np.int64(2), [[3], [0]], [[2], [2]]),
        ("dog", [[5], [-2]], [[1], [1]]),
        ("2", [[3], [0]], [[2], [2]]),
        (["bird", 0], [[3, 1], [0, 4]], [[2, 0], [2, 0]]),
        ((1, 1), [[5, 5], [-2, -2]], [[1, 1], [1, 1]]),
        (np.array([2, 0]), [[3, 1], [0, 4]], [[2, 0], [2, 0]]),
        ([[0], ["dog"]], [[1], [-2]], [[0], [1]]),
        ([[0, 1], [2, 1]], [[1, 5], [0, -2]], [[0, 1], [2, 1]]),
        (np.array([[0], [1]]), [[1], [-2]], [[0], [1]]),
        (Class(("cat",)), [[1], [4]], [[0], [0]]),
        (["top-1", "bird"], [[5, 3], [4, 0]], [[1, 2], [0, 2]]),
        (["cat", "top-2", 1], [[1, 5, 3, 5], [4, 4, 0, -2]], [[0, 1, 2, 1], [0, 0, 2, 1]]),
        (lambda outputs: outputs[:, 0] - outputs[:, 1], [[-4], [6]], [[-1], [-1]]),
        (lambda outputs: outputs[:, :2], [[1, 5], [4, -2]], [[-1, -1], [-1, -1]]),
        ([0, lambda outputs: outputs[:, 2]], [[1, 3], [4, 0]], [[0, -1], [0, -1]]),
        (Difference("dog", "cat"), [[4], [-6]], [[-1], [-1]]),
        (Counterfactual("bird"), [[-3], [0]], [[-1], [-1]]),
        ([Counterfactual(0), "top-1", Difference(2, 1)], [[-1, 5, -2], [-4, 4, 2]], [[-1, 1, -1], [-1, 0, -1]]),
        ([[Difference("cat", "dog")], [Class(("dog",))]], [[-4], [-2]], [[-1], [1]]),
        ([["dog"], ["top-1"]], [[5], [4]], [[1], [0]]),
        ([[Counterfactual(0), 2], ["top-2"]], [[-1, 3], [4, 0]], [[-1, 2], [0, 2]]),
        ([[lambda outputs: outputs[:, :2]], [1, Counterfactual(1)]], [[1, 5], [-2, 2]], [[-1, -1], [1, -1]]),
        ([[Difference(1, 0)], [Difference(0, 2)]], [[4], [4]], [[-1], [-1]]),
    ],
)
def test_scores_and_indices_of_every_kind_of_target(spec, scores, indices):
    assert scores_of(spec) == (scores, indices)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("top-0", "'top-0' selects no class; expected 'top-1' or more"),
        ("top-4", "'top-4' selects more than the model's 3 classes"),
        (3, "There is no class 3: the model has classes 0 to 2"),
        (-1, "There is no class -1"),
        ("dgo", "There is no class 'dgo'. Did you mean 'dog'"),
        (1.5, "Unknown target 1.5. Expected 'top-3', a class index or name"),
        (True, "Unknown target True"),
        (None, "Unknown target None"),
        ([], r"Unknown target \[\]"),
        ([[0]], "Targets were given for 1 images, but there are 2"),
        ([[0], [1], [2]], "Targets were given for 3 images, but there are 2"),
        ([[0], [1, 2]], r"Every image needs the same number of targets, at least one; given \[1, 2\]"),
        ([[], []], "Every image needs the same number of targets, at least one"),
        ([[0], 1], "either a list for all images, or a list of lists"),
        ([[0.5], [1]], "Unknown target 0.5"),
        ([[[0]], [[1]]], "nested too deeply; expected at most a list of lists, one for each image"),
        (Class(((0,), (1,), (2,))), "Targets were given for 3 images, but there are 2"),
        ([[Counterfactual(0)]], "Targets were given for 1 images, but there are 2"),
        ([[Counterfactual(0)], [1, 2]], r"Every image needs the same number of targets, at least one; given \[1, 2\]"),
        ([[lambda outputs: outputs], [Counterfactual(1)]], r"Every image needs the same number of.*given \[1, 3\]"),
        ([[Counterfactual(0)], []], r"Every image needs the same number of targets, at least one; given \[0, 1\]"),
        (Difference("cat", "dgo"), "There is no class 'dgo'. Did you mean 'dog'"),
        (Difference(0, 3), "There is no class 3: the model has classes 0 to 2"),
        (Difference("cat", 0), r"Difference\('cat', 0\) is always 0: both are class 0"),
        (Counterfactual("brid"), "There is no class 'brid'. Did you mean 'bird'"),
        (
            Region(np.ones((4, 5), bool), 0),
            r"A Region needs a segm.*an output of shape \(N, 3\). For a classifier, give a class",
        ),
        (
            Embedding([1, 2]),
            r"an Embedding has 2 values, .* must be \(N, 2\); given an output of shape \(N, 3\)",
        ),
        (Embedding(np.ones((3, 3))), "Targets were given for 3 images, but there are 2"),
        (lambda outputs: outputs[0, 0], r"expected scores of shape \(N,\) or \(N, T\)"),
        (lambda _: "cat", "The target function returned 'cat'"),
        (lambda outputs: outputs[:, :0], r"expected scores of shape \(N,\) or \(N, T\)"),
        (lambda outputs: outputs[:, None, :], r"expected scores of shape \(N,\) or \(N, T\)"),
    ],
)
def test_targets_that_are_refused(spec, message):
    with pytest.raises(TargetError, match=message):
        scores_of(spec)


@pytest.mark.parametrize("spec", ["top-1", 0, [0, "top-1"]])
def test_outputs_that_are_not_class_scores_have_no_classes(spec):
    with pytest.raises(TargetError, match="not one score for each class"):
        resolve(spec, FIND).check_outputs((None, 4, 4, 3))
    with pytest.raises(TargetError, match="not one score for each class"):
        resolve(spec, FIND).check_outputs(None)
    resolve(len, FIND).check_outputs(None)


def test_what_are_classes_only():
    assert all(resolve(spec, FIND).is_classes for spec in ("top-2", [0, "top-1"], [[0], ["top-1"]]))
    assert not any(resolve(spec, FIND).is_classes for spec in (len, [0, len], [[0], [Counterfactual(1)]]))


def test_a_slice_of_a_batch():
    per_image = resolve([[0], [1], [2]], FIND)
    assert per_image.slice_images(1, 3).arrays(2)[0].tolist() == [[1], [2]]
    assert resolve([0, 1], FIND).slice_images(1, 3).arrays(2)[0].tolist() == [[0, 1], [0, 1]]


def test_a_slice_of_the_targets():
    assert Class((0, 1, 2)).slice_targets(1, 3) == Class((1, 2))
    assert Class(((0, 1, 2), (2, 1, 0))).slice_targets(0, 2) == Class(((0, 1), (2, 1)))
    assert [TopK(3).target_count, Class((0, 1)).target_count, Function(len).target_count] == [3, 2, None]


def test_classes_of_each_image_beside_other_targets():
    mixed = resolve([Class(((0,), (2,))), "top-1"], FIND)
    mixed.check_images(2)
    assert np.asarray(mixed(OUTPUTS, mixed.arrays(2), xnp).indices).tolist() == [[0, 1], [2, 0]]
    assert mixed.slice_images(1, 2).arrays(1)[0].tolist() == [[2]]
    with pytest.raises(TargetError, match="Targets were given for 2 images, but there are 3"):
        mixed.check_images(3)


def test_equal_keys_share_a_compiled_function():
    assert resolve(0, FIND).key == resolve([[1, 2], [2, 0]], FIND).key
    assert resolve("top-2", FIND).key == TopK(2).key != TopK(3).key
    assert Combined((TopK(1), Class((0,)))).key == Combined((TopK(1), Class((2,)))).key
    assert Function(len).key != Function(abs).key
    assert Difference(0, 1).key == Difference(2, 1).key != Counterfactual(0).key == Counterfactual(1).key
    mask = np.ones((3, 4), bool)
    assert Region(mask, 0).key == Region(~mask, 2).key != Region(mask.T, 0).key
    assert Embedding([1, 0]).key == Embedding([[2, 3], [4, 5]]).key
    one, other = Difference(0, 1), Counterfactual(2)
    assert PerImage((one, other)).key == PerImage((other, Difference(2, 0), one)).key != PerImage((one,)).key
    assert AllOutputs(len).key == AllOutputs(len).key != Function(len).key


# Objects with values out of range


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TopK("3"), r"TopK takes a number of classes, such as TopK\(3\); given '3'"),
        (lambda: Class(5), r"Class takes a tuple of classes; given 5. Give Class\(\(5,\)\)"),
        (lambda: Class(((0,), 1)), "Class takes classes for all images, or a tuple for each"),
        (lambda: Difference(0, 1.5), "A class is an index, a name or a wnid; given 1.5"),
        (lambda: Counterfactual(True), "A class is an index, a name or a wnid; given True"),
        (lambda: Function(3), "Function takes a function of the outputs; given 3"),
        (lambda: AllOutputs("boxes"), "AllOutputs takes a function of the outputs; given 'boxes'"),
        (lambda: Combined(()), r"Combined takes a tuple of targets; given \(\)"),
        (lambda: Combined((0, 1)), "Combined takes targets that apply to every image; given 0"),
        (lambda: PerImage((PerImage((TopK(),)),)), "PerImage takes one target for each image; given PerImage"),
        (lambda: Region(np.ones((2, 2)), 0), r"has type float64 and shape \(2, 2\); expected bool \(H, W\)"),
        (lambda: Region(np.ones(4, bool), 0), r"has type bool and shape \(4,\); expected bool \(H, W\)"),
        (lambda: Region(np.ones((2, 2, 2), bool), 0, axes=1), r"shape \(2, 2, 2\); expected bool \(L,\), or \(N, L\)"),
        (lambda: Region(np.ones((2, 2), bool), 0, axes=0), "axes=0 of a Region; expected the number of spatial axes"),
        (lambda: Region(np.ones((2, 2), bool), None), "A class is an index, a name or a wnid; given None"),
        (lambda: Embedding(["a"]), r"has type <U1 and shape \(1,\); expected numbers \(D,\)"),
        (lambda: Embedding(np.ones((1, 1, 1))), r"shape \(1, 1, 1\); expected numbers"),
        (lambda: Embedding([1, np.nan]), "The reference of an Embedding has NaN or infinite values"),
        (lambda: Embedding([[1, 0], [0, 0]]), "all zeros, so it has no direction"),
    ],
)
def test_objects_with_values_out_of_range(make, message):
    with pytest.raises(TargetError, match=message):
        make()


# Maps and vectors

MAPS = np.arange(2 * 3 * 4 * 2, dtype=np.float64).reshape(2, 3, 4, 2)  # (N, H, W, C)
LEFT = np.zeros((3, 4), bool)
LEFT[:, 0] = True


def by_hand(mask, class_index, image):
    """Sum the class's value at each pixel of the mask, one by one."""
    return sum(MAPS[image, row, column, class_index] for row in range(3) for column in range(4) if mask[row, column])


@pytest.mark.parametrize("outputs", [MAPS, np.moveaxis(MAPS, -1, 1)], ids=["channels last", "channels first"])
def test_a_region_sums_a_class_over_its_pixels(outputs):
    assert scores_of(Region(LEFT, "dog"), outputs)[0] == [[by_hand(LEFT, 1, 0)], [by_hand(LEFT, 1, 1)]]
    masks = np.stack([LEFT, ~LEFT])
    assert scores_of(Region(masks, 0), outputs)[0] == [[by_hand(LEFT, 0, 0)], [by_hand(~LEFT, 0, 1)]]
    both = [[Region(LEFT, 0)], [Region(~LEFT, 1)]]
    assert scores_of(both, outputs)[0] == [[by_hand(LEFT, 0, 0)], [by_hand(~LEFT, 1, 1)]]
    assert scores_of([Region(LEFT, 0), Region(LEFT, 1)], outputs)[0][1] == [by_hand(LEFT, 0, 1), by_hand(LEFT, 1, 1)]


def test_a_value_outside_of_a_region_does_not_matter_even_if_it_is_infinite():
    outputs = np.where(LEFT[None, :, :, None], MAPS, -np.inf)
    assert scores_of(Region(LEFT, 1), outputs)[0] == [[by_hand(LEFT, 1, 0)], [by_hand(LEFT, 1, 1)]]


@pytest.mark.parametrize(
    ("region", "shape", "message"),
    [
        (Region(LEFT.T, 0), (2, 3, 4, 2), r"has shape \(4, 3\), but the model's output has shape \(N, 3, 4, 2\)"),
        (Region(LEFT, 0, channels_first=True), (2, 3, 4, 2), r"shape \(3, 4\), but the model's output has shape"),
        (Region(LEFT, 2), (2, 3, 4, 2), "There is no class 2: the model has classes 0 to 1"),
        (Region(LEFT, 2), (2, 2, 3, 4), "There is no class 2: the model has classes 0 to 1"),
        (
            Region(np.ones((3, 3), bool), 0),
            (2, 3, 3, 3),
            r"fits an output of shape \(N, 3, 3, 3\) with channels first and with channels last",
        ),
        (Region(LEFT, 0), None, "given several outputs, none of which is selected"),
    ],
)
def test_regions_that_do_not_fit(region, shape, message):
    with pytest.raises(TargetError, match=message):
        region.check_outputs(shape)


def test_the_axis_of_the_classes_can_be_given():
    cube, ones = np.arange(54.0).reshape(2, 3, 3, 3), np.ones((3, 3), bool)
    assert scores_of(Region(ones, 1, channels_first=True), cube)[0] == [[cube[0, 1].sum()], [cube[1, 1].sum()]]
    assert scores_of(Region(ones, 1, channels_first=False), cube)[0] == [
        [cube[0, :, :, 1].sum()],
        [cube[1, :, :, 1].sum()],
    ]
    Region(LEFT, 1).check_outputs((None, None, 4, 2))  # a height that is not known yet


@pytest.mark.parametrize("mask", [~np.ones((3, 4), bool), np.stack([LEFT, LEFT & ~LEFT])])
def test_an_empty_region(mask):
    with pytest.raises(TargetError, match=r"The mask of a Region is all False.*: it selects no pixel"):
        resolve(Region(mask, 0), FIND)


def test_an_embedding_gives_the_cosine():
    cosines = [[(1 * 3 + 3 * 4) / np.sqrt(35) / 5], [(4 * 3) / np.sqrt(20) / 5]]
    np.testing.assert_allclose(scores_of(Embedding([3, 0, 4]))[0], cosines, rtol=1e-6)
    np.testing.assert_allclose(
        scores_of(Embedding([[30, 0, 40], [0, -1e-5, 0]]))[0], [cosines[0], [2 / np.sqrt(20)]], 1e-6
    )
    np.testing.assert_allclose(scores_of([[Embedding([3, 0, 4])], ["cat"]])[0], [cosines[0], [4]], rtol=1e-6)
    assert scores_of(Embedding([3, 0, 4]), np.zeros((2, 3)))[0] == [[0], [0]]


def test_all_outputs_are_passed_as_the_model_returns_them():
    returned = {"scores": OUTPUTS, "boxes": MAPS}
    box = AllOutputs(lambda outputs: outputs["boxes"][:, 0, 0, 0] + outputs["scores"][:, 0])
    assert scores_of(box, all_outputs=returned)[0] == [[1], [28]]
    assert scores_of([box, 1], all_outputs=returned) == ([[1, 5], [28, -2]], [[-1, 1], [-1, 1]])
    assert not Objective(box).reads_one_output
    assert Objective(box, output="scores").reads_one_output
    assert Objective(resolve([box, 1], FIND)).reads_one_output
    assert Objective(resolve([[box], [1]], FIND)).reads_one_output
    with pytest.raises(TargetError, match="The target function returned 3; expected scores"):
        scores_of(AllOutputs(lambda _: 3))


# Names, and fixed classes


def both_scores(outputs):
    return outputs[:, :2]


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("top-2", [("dog", "bird"), ("cat", "bird")]),
        (["bird", Difference("cat", "dog")], [("bird", "cat rather than dog")] * 2),
        (
            [both_scores, Counterfactual(0), both_scores, "top-1"],
            [("", "", "against cat", "", "", name) for name in ("dog", "cat")],
        ),
        ([[Difference(0, 1)], ["top-1"]], [("cat rather than dog",), ("cat",)]),
        (Embedding([1, 0, 0]), [("similarity to the reference",)] * 2),
    ],
)
def test_every_target_has_a_name_and_can_be_given_fixed_classes(spec, names):
    target = resolve(spec, FIND)
    result = target(OUTPUTS, target.arrays(2), xnp)
    for image in range(2):
        assert target.for_image(image).names(result.indices[image], NAMES.__getitem__) == names[image]
    # With fixed classes, the scores for other outputs are those of the classes above, whichever are now the best.
    with_classes = target.with_classes(np.asarray(result.indices))
    other = -OUTPUTS
    scores = with_classes(other, with_classes.arrays(2), xnp).scores
    for image in range(2):
        alone = with_classes.for_image(image)
        np.testing.assert_array_equal(alone(other[image : image + 1], alone.arrays(1), xnp).scores[0], scores[image])
        for column, index in enumerate(result.indices[image]):
            if index >= 0:
                assert scores[image, column] == other[image, index]


def test_a_region_is_transformed_as_its_image_is():
    mirrored = resolve([[Region(LEFT, 0)]], FIND).transform(lambda maps: maps[:, :, ::-1])
    assert mirrored.targets[0].mask[:, 3].all()
    assert not mirrored.targets[0].mask[:, :3].any()
    several = Combined((TopK(), Region(np.stack([LEFT, ~LEFT]), 1))).transform(lambda maps: maps[:, ::-1, ::-1])
    np.testing.assert_array_equal(several.parts[1].mask, np.stack([LEFT, ~LEFT])[:, ::-1, ::-1])


def test_nested_targets_are_flattened():
    nested = Combined((Combined((Function(both_scores), Counterfactual(1))), Function(both_scores)))
    assert [type(part) for part in nested.parts] == [Function, Counterfactual, Function]
    assert resolve([["cat"], ["dog"]], FIND) == Class(((0,), (1,)))  # one kind for all images


def test_a_function_without_a_hash_is_compared_by_identity():
    class Score(list):
        def __call__(self, outputs):
            return outputs[:, 0]

    one, other = Score(), Score()
    assert Function(one).key == Function(one).key != Function(other).key
    assert scores_of(one)[0] == [[1], [4]]


@pytest.mark.parametrize(
    "function",
    [
        lambda outputs: np.stack([each["scores"][0] for each in outputs]),
        lambda outputs: np.array([each["scores"].max() for each in outputs]),
        lambda outputs: outputs[1]["scores"],
    ],
    ids=["index", "maximum", "empty scores"],
)
def test_no_detections_are_no_mistake_of_the_function(function):
    outputs = [
        {"boxes": np.zeros((2, 4)), "scores": np.array([0.9, 0.5])},
        {"boxes": np.zeros((0, 4)), "scores": np.zeros(0)},
    ]
    message = r"found nothing to explain: its outputs \[1\]\['boxes'\] \(0, 4\), \[1\]\['scores'\] \(0,\) are empty"
    with pytest.raises(TargetError, match=message):
        AllOutputs(function)(None, (), np, outputs)


def test_a_mistake_of_the_function_stays_its_own():
    with pytest.raises(IndexError):
        AllOutputs(lambda outputs: outputs[5])(None, (), np, [np.ones(3)])
