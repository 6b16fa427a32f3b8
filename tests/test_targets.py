import array_api_compat.numpy as xnp
import numpy as np
import pytest

from seewhy.errors import TargetError
from seewhy.models.class_names import ClassNames
from seewhy.targets import Class, Function, Several, Top, resolve

OUTPUTS = np.array([[1.0, 5.0, 3.0], [4.0, -2.0, 0.0]])
FIND = ClassNames(["cat", "dog", "bird"]).find


def ask(spec):
    target = resolve(spec, FIND)
    target.check_images(len(OUTPUTS))
    target.check_classes(OUTPUTS.shape[1])
    scores, indices = target(OUTPUTS, target.arrays(len(OUTPUTS)), xnp)
    return np.asarray(scores).tolist(), np.asarray(indices).tolist()


@pytest.mark.parametrize(
    ("spec", "scores", "indices"),
    [
        ("top-1", [[5], [4]], [[1], [0]]),
        ("top-2", [[5, 3], [4, 0]], [[1, 2], [0, 2]]),
        (Top(3), [[5, 3, 1], [4, 0, -2]], [[1, 2, 0], [0, 2, 1]]),
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
    ],
)
def test_what_may_be_asked(spec, scores, indices):
    assert ask(spec) == (scores, indices)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("top-0", "'top-0' asks for no class"),
        ("top-4", "'top-4' asks for more than the network's 3 classes"),
        (3, "There is no class 3: the network has classes 0 to 2"),
        (-1, "There is no class -1"),
        ("dgo", "There is no class 'dgo'. Did you mean 'dog'"),
        (1.5, "Cannot ask for 1.5. A target is 'top-3', a class index or name"),
        (True, "Cannot ask for True"),
        (None, "Cannot ask for None"),
        ([], r"Cannot ask for \[\]"),
        ([[0]], "Targets were given for 1 images, and there are 2"),
        ([[0], [1], [2]], "Targets were given for 3 images, and there are 2"),
        ([[0], [1, 2]], r"Every image needs the same number of targets, at least one; given \[1, 2\]"),
        ([[], []], "Every image needs the same number of targets, at least one"),
        ([[0], 1], "list for all images, or a list of lists"),
        ([[0.5], [1]], "A class is an index, a name or a wnid; given 0.5"),
        (lambda outputs: outputs[0, 0], r"expected scores of shape \(N,\) or \(N, T\)"),
        (lambda _: "cat", "The target function gave 'cat'"),
        (lambda outputs: outputs[:, :0], r"expected scores of shape \(N,\) or \(N, T\)"),
        (lambda outputs: outputs[:, None, :], r"expected scores of shape \(N,\) or \(N, T\)"),
    ],
)
def test_what_may_not_be_asked(spec, message):
    with pytest.raises(TargetError, match=message):
        ask(spec)


@pytest.mark.parametrize("spec", ["top-1", 0, [0, "top-1"]])
def test_outputs_that_are_no_class_scores_have_no_classes(spec):
    with pytest.raises(TargetError, match="not one score for each class"):
        resolve(spec, FIND).check_classes(None)
    resolve(len, FIND).check_classes(None)


def test_rows_of_a_batch():
    each = resolve([[0], [1], [2]], FIND)
    assert each.rows(1, 3).arrays(2)[0].tolist() == [[1], [2]]
    assert resolve([0, 1], FIND).rows(1, 3).arrays(2)[0].tolist() == [[0, 1], [0, 1]]


def test_classes_of_each_image_beside_other_targets():
    mixed = resolve([Class(((0,), (2,))), "top-1"], FIND)
    mixed.check_images(2)
    assert np.asarray(mixed(OUTPUTS, mixed.arrays(2), xnp).indices).tolist() == [[0, 1], [2, 0]]
    assert mixed.rows(1, 2).arrays(1)[0].tolist() == [[2]]
    with pytest.raises(TargetError, match="Targets were given for 2 images, and there are 3"):
        mixed.check_images(3)


def test_equal_keys_are_what_lets_a_compiled_step_be_used_again():
    assert resolve(0, FIND).key == resolve([[1, 2], [2, 0]], FIND).key
    assert resolve("top-2", FIND).key == Top(2).key != Top(3).key
    assert Several((Top(1), Class((0,)))).key == Several((Top(1), Class((2,)))).key
    assert Function(len).key != Function(abs).key
