"""What DESIGN promises (section 6), on every framework of this process.

| promise | shown here by | and by |
| --- | --- | --- |
| 1 the model stays as it is | test_the_model_is_afterwards_what_it_was | test_keras.py; frameworks/test_torch.py |
| 2 every framework agrees | test_agreement.py, with NumPy | oracles/test_four_frameworks.py, with each other |
| 3 images do not meet | test_images_of_a_batch_do_not_influence_each_other | |
| 4 logits | test_a_softmax_is_seen_through and those after it | test_scores.py; frameworks/ |
| 5 no NaN; no evidence is said | test_no_evidence_is_zeros, test_what_is_no_number_is_said | test_mistakes.py |
| 6 maps lie where they belong | test_input_box.py: models that crop | images/test_geometry.py, test_explanation.py |
| 7 no gradient is an error | test_no_gradient_is_an_error_and_not_a_blank_map | test_layers.py; test_torch.py |
| 8 nothing is swallowed | test_mistakes.py: no other layer, output or class is taken | test_imports.py |
| 9 threads | test_eight_threads_share_an_explainer | test_keras.py; frameworks/ |
| 10 memory | test_memory_does_not_grow_with_calls | |
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.contracts import memory
from tests.contracts.capturing import capture
from tests.contracts.in_keras import ENDINGS
from tests.contracts.reference import CLASSES, SIZE, close, expected, images, in_full

import seewhy
from seewhy.errors import LayerError, ModelRunError, NoGradientError, TargetError
from seewhy.targets import Class

ALL = tuple(range(CLASSES))
METHODS = ("gradcam", "hirescam")


# 1: The user's model is bit-for-bit and mode-for-mode the same after every call, also a failing one


def failing(_):
    raise RuntimeError("the caller's own mistake")


@pytest.mark.parametrize("layer", ["auto", "first"])
def test_the_model_is_afterwards_what_it_was(framework, layer):
    model, inputs = framework.subclassed(), framework.given(images())
    message_of = framework.predict(model, inputs)
    explainer, before = seewhy.Explainer(model, layer=layer), framework.state(model)
    explainer.heatmaps(inputs, "top-2")
    assert framework.state(model) == before
    for targets, error in ((failing, RuntimeError), (CLASSES, TargetError)):
        with pytest.raises(error):
            explainer.heatmaps(inputs, targets)
        assert framework.state(model) == before
    with pytest.raises(LayerError):
        seewhy.Explainer(model, layer="spare").heatmaps(inputs)
    assert framework.state(model) == before
    np.testing.assert_array_equal(framework.predict(model, inputs), message_of)


def test_a_model_that_fails_is_said_and_left_as_it_was(framework):
    model = framework.subclassed()
    model.is_broken = True
    before = framework.state(model)
    shape = r"\((any|3), (12, 10, 3|3, 12, 10)\)"
    with pytest.raises(ModelRunError, match=rf"cannot run on an input of shape {shape}: [\s\S]*broken on purpose"):
        seewhy.Explainer(model).heatmaps(framework.given(images()))
    assert framework.state(model) == before


def test_training_goes_on_and_later_explanations_see_the_new_weights(framework):
    model, inputs = framework.plain(), framework.given(images())
    explainer = seewhy.Explainer(model)
    first = explainer.heatmaps(inputs, 2)
    framework.trained_further(model, 2)
    second = explainer.heatmaps(inputs, 2)
    np.testing.assert_allclose(second.values, 2 * first.values, rtol=1e-5)
    np.testing.assert_allclose(second.scores, 2 * first.scores, rtol=1e-5)


# 3: Images in a batch do not influence each other


@pytest.mark.parametrize("method", METHODS)
def test_images_of_a_batch_do_not_influence_each_other(framework, method):
    """Each is asked about classes of its own, and among images of other sizes of numbers."""
    inputs = images(4) * np.array([1, 100, 0.01, 1], np.float32)[:, None, None, None]
    selected = [[0, 1], [3, 2], [1, 3], [2, 0]]
    explainer = seewhy.Explainer(framework.plain(), method)
    together = explainer.heatmaps(framework.given(inputs), selected)
    np.testing.assert_array_equal(together.indices, selected)
    for row, classes in enumerate(selected):
        one = inputs[row : row + 1]
        alone = explainer.heatmaps(framework.given(one), classes)
        close(together.values[row], alone.values[0])
        close(together.values[row], getattr(expected(one, classes), method)[0])
        close(together.scores[row], alone.scores[0])


# 4: Scores are logits by default


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_softmax_is_seen_through(framework, ending):
    inputs = images()
    wanted = expected(inputs, ALL)
    found = capture(framework.plain(ending=ending), "features", Class(ALL), framework.given(inputs))
    for name in ("scores", "gradients", "probabilities"):
        close(getattr(found, name), getattr(wanted, name))


def test_a_saturated_softmax_still_has_gradients(framework):
    """Logits in the thousands: the highest probability is 1 to the last digit, and its derivatives are next to 0."""
    inputs = images()
    wanted = expected(inputs, ALL)
    found = capture(framework.plain(scale=5000), "features", Class(ALL), framework.given(inputs))
    np.testing.assert_array_equal(found.probabilities.max(axis=1), 1)
    close(found.scores, 5000 * wanted.scores)
    close(found.gradients, 5000 * wanted.gradients)


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_on_request(framework, method):
    """The softmax's own derivative, by hand: dp_c/dA = p_c (dy_c/dA - sum_k p_k dy_k/dA)."""
    inputs = images()
    wanted = expected(inputs, ALL)
    p = wanted.probabilities
    mean = np.einsum("nc,cuvk->nuvk", p, wanted.by_class)
    gradients = p[:, :, None, None, None] * (wanted.by_class[None] - mean[:, None])
    heatmaps = seewhy.Explainer(framework.plain(), method, score="probability").heatmaps(
        framework.given(inputs), list(ALL)
    )
    close(heatmaps.values, in_full(wanted.activations, gradients)[method])
    close(heatmaps.scores, p)


def test_many_sigmoids_are_many_logits(framework):
    inputs = images()
    wanted = expected(inputs, ALL)
    found = capture(framework.sigmoids(CLASSES), "features", Class(ALL), framework.given(inputs))
    close(found.scores, wanted.scores)
    close(found.gradients, wanted.gradients)
    close(found.probabilities, 1 / (1 + np.exp(-wanted.logits)))


@pytest.mark.parametrize("method", METHODS)
def test_a_single_sigmoid_is_two_classes(framework, method):
    """Class 1 is the unit's logit, class 0 the negated one."""
    inputs = images()
    wanted = expected(inputs, [0], classes=1)
    both = np.concatenate([-wanted.gradients, wanted.gradients], axis=1)
    model = framework.sigmoids(1)
    found = capture(model, "features", Class((0, 1)), framework.given(inputs))
    close(found.scores, wanted.scores * [-1, 1])
    close(found.gradients, both)
    close(found.probabilities, 1 / (1 + np.exp(-wanted.scores * [-1, 1])))
    heatmaps = seewhy.Explainer(model, method).heatmaps(framework.given(inputs), [0, 1])
    close(heatmaps.values, in_full(wanted.activations, both)[method])


# 5: No NaN, ever


@pytest.mark.parametrize("method", METHODS)
def test_no_evidence_is_zeros_and_says_so(framework, method):
    """Every gradient is negative and no activation is: nothing speaks for any class."""
    heatmaps = seewhy.Explainer(framework.negative(), method).heatmaps(framework.given(images()), [0, 1])
    np.testing.assert_array_equal(heatmaps.values, np.zeros((3, 2, *(each - 2 for each in SIZE))))
    assert not heatmaps.has_evidence.any()
    heatmaps = seewhy.Explainer(framework.plain(), method).heatmaps(framework.given(images()), [2, 3])
    assert heatmaps.has_evidence.all()


def test_what_is_no_number_is_said_and_no_map_is_made_up(framework):
    with pytest.raises(ModelRunError, match="The model gave NaN or infinite values for image 0 of the batch"):
        seewhy.Explainer(framework.damaged()).heatmaps(framework.given(images()), 0)


# 7: No gradient reaches the layer


def test_no_gradient_is_an_error_and_not_a_blank_map(framework):
    model, inputs = framework.cut_off(), framework.given(images())
    with pytest.raises(NoGradientError, match="No gradient reaches the layer 'features': the scores do not depend on"):
        seewhy.Explainer(model, layer="features").heatmaps(inputs, 0)


# 9: Threads


def test_eight_threads_share_an_explainer(framework):
    """Two sizes of batch, three kinds of targets, all at once and from the first call on; and one of them fails."""
    model = framework.nested()
    selected = [
        (framework.given(images(count, seed=count)), targets)
        for targets in ("top-1", [0, 2], CLASSES, 2)
        for count in (1, 2, 1)
    ] * 2
    before = framework.state(model)

    def explain(explainer, case):
        try:
            return explainer.heatmaps(*case).values
        except TargetError as error:
            return str(error)

    alone = seewhy.Explainer(model)
    wanted = [explain(alone, case) for case in selected]
    shared, barrier, waiting = seewhy.Explainer(model), threading.Barrier(8), threading.Semaphore(8)

    def explain_together(case):
        if waiting.acquire(blocking=False):
            barrier.wait(timeout=60)
        return explain(shared, case)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(explain_together, selected))
    for one, other in zip(found, wanted, strict=True):
        if isinstance(other, str):
            assert one == other == "There is no class 4: the model has classes 0 to 3."
        else:
            close(one, other)
    assert framework.state(model) == before


# 10: Memory


def test_memory_does_not_grow_with_calls(framework):
    """The smallest tensor of these calls has 1,920 bytes: of a leak, a quarter of it in each call would show.

    So every fourth call is followed by one that fails. Nor does Python hold one object more for each fourth call.
    """
    explainer, inputs = seewhy.Explainer(framework.plain()), framework.given(images())
    assert explainer.heatmaps(inputs, [0, 1]).values.nbytes == 1920

    def explain(number):
        explainer.heatmaps(inputs, [number % CLASSES, (number + 1) % CLASSES])
        if number % 4 == 0:
            with pytest.raises(TargetError):
                explainer.heatmaps(inputs, [CLASSES])

    assert not memory.leaks(explain, bytes_per_call=450)


@pytest.mark.parametrize("size", [1920, 1920 // 3])
def test_a_leak_would_be_seen(size):
    """The measurement itself is put to the test: what is as large as the smallest tensor, or a third of it."""
    kept = []
    assert memory.leaks(lambda _: kept.append(np.zeros(size, np.uint8)), bytes_per_call=450, objects_per_call=2)
    assert not memory.leaks(lambda _: np.zeros(size, np.uint8), bytes_per_call=450)


def test_objects_that_are_kept_would_be_seen():
    kept = []
    assert memory.leaks(lambda number: number % 4 or kept.append([]), bytes_per_call=450)
