"""Prompts: their scores and heatmaps by hand, as classes, and what the model keeps."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from tests.two_towers import SCALE, Towers, tokenize, two_squares

import seewhy
from seewhy import datasets, evaluate
from seewhy.errors import InputError, ModelError, OptionError, SeewhyWarning, TargetError
from seewhy.targets import Class, Counterfactual, Difference, Embedding, Prompt

IMAGES = np.concatenate([two_squares(), two_squares()[:, :, ::-1, ::-1] * 0.5])
TEXTS = ["a red square", "a green square"]
EMBEDDING = np.array([9, 4, 0]) / np.hypot(9, 4)
"""That of both images: shares of colours do not depend on where they are, or how bright."""


def classifier(bias=None):
    return seewhy.Classifier(
        Towers(bias), preprocess=seewhy.Preprocessing(size=(8, 8), std=255.0), tokenizer=tokenize, name="towers"
    )


def by_hand(image, color):
    """Grad-CAM at `map` of y = s e_k / |e|, with e the means of A: dy / dA = s (1_k / |e| - e_k e / |e|^3) / 64."""
    means = image.mean((1, 2))
    length = np.linalg.norm(means)
    gradient = SCALE * (np.eye(3)[color] / length - means[color] * means / length**3) / 64
    return np.maximum((gradient[:, None, None] * image).sum(0), 0)


def test_scores_and_heatmaps_by_hand():
    heatmaps = seewhy.Explainer(classifier(), "gradcam").heatmaps(IMAGES, [Prompt(text) for text in TEXTS])
    np.testing.assert_allclose(heatmaps.scores, np.tile(SCALE * EMBEDDING[:2], (2, 1)), rtol=1e-6)
    for row, image in enumerate(IMAGES):
        for color in (0, 1):
            np.testing.assert_allclose(heatmaps.values[row, color], by_hand(image, color), rtol=1e-5, atol=1e-7)
    assert heatmaps.names == (tuple(TEXTS), tuple(TEXTS))
    assert heatmaps.probabilities is None
    assert (heatmaps.indices == -1).all()


def test_an_image_and_a_prompt_depend_on_no_others():
    explainer = seewhy.Explainer(classifier(), "gradcam")
    together = explainer.heatmaps(IMAGES, [Prompt(text) for text in TEXTS])
    alone = explainer.heatmaps(IMAGES[1:], Prompt(TEXTS[1]))
    np.testing.assert_array_equal(alone.values[0, 0], together.values[1, 1])
    captions = explainer.heatmaps(IMAGES, [[Prompt(TEXTS[1])], [Prompt(TEXTS[0])]])
    np.testing.assert_array_equal(captions.values[:, 0], together.values[[0, 1], [1, 0]])
    assert captions.names == ((TEXTS[1],), (TEXTS[0],))


@pytest.mark.parametrize("method", ["occlusion", "scorecam", "integrated_gradients"])
def test_the_peak_lies_on_the_square_by_other_methods(method):
    options = {"window": 2, "stride": 1} if method == "occlusion" else {}
    explainer = seewhy.Explainer(classifier(), seewhy.methods.get(method, **options))
    red, green = explainer.heatmaps(two_squares(), [Prompt(text) for text in TEXTS]).values[0]
    assert np.unravel_index(red.argmax(), (8, 8))[0] < 4 < 5 <= np.unravel_index(green.argmax(), (8, 8))[0]


def test_prompts_as_classes():
    given = classifier().with_prompts(TEXTS)
    image = np.moveaxis(two_squares()[0] * 255, 0, -1).astype(np.uint8)
    logits = SCALE * EMBEDDING[:2]
    probabilities = np.exp(logits) / np.exp(logits).sum()
    (predicted,) = given.predict([image])
    assert [prediction.name for prediction in predicted] == TEXTS
    np.testing.assert_allclose([prediction.probability for prediction in predicted], probabilities, rtol=1e-5)
    (explanation,) = seewhy.Explainer(given).explain([image], "top-2")
    assert [target.name for target in explanation.targets] == TEXTS
    np.testing.assert_allclose([target.score for target in explanation.targets], logits, rtol=1e-6)
    values = seewhy.Explainer(given).heatmaps(two_squares(), [Prompt(TEXTS[1]), Difference(*TEXTS)])
    np.testing.assert_allclose(values.scores[0], [logits[1], logits[0] - logits[1]], rtol=1e-5)
    np.testing.assert_allclose(values.values[0, 0], by_hand(two_squares()[0], 1), rtol=1e-5, atol=1e-7)
    (probable,) = seewhy.Explainer(given, score="probability").explain([image], TEXTS[0])
    assert probable.targets[0].score == pytest.approx(probabilities[0])
    assert given.replace(class_names=["r", "g"]).predict([image])[0][0].name == "r"
    with pytest.raises(ModelError, match="There are 1 class name and 2 prompts"):
        given.replace(class_names=["r"])
    assert given.fingerprint() != classifier().with_prompts(TEXTS[::-1]).fingerprint()


def test_a_bias_makes_probabilities_sigmoids():
    given = classifier(bias=-5.0)
    heatmaps = seewhy.Explainer(given.with_prompts(TEXTS)).heatmaps(two_squares(), [0, 1])
    np.testing.assert_allclose(heatmaps.scores[0], SCALE * EMBEDDING[:2] - 5, rtol=1e-5)
    np.testing.assert_allclose(heatmaps.probabilities[0], 1 / (1 + np.exp(5 - SCALE * EMBEDDING[:2])), rtol=1e-5)
    alone = seewhy.Explainer(given).heatmaps(two_squares(), Prompt(TEXTS[0]))
    np.testing.assert_allclose(alone.scores, heatmaps.scores[:, :1], rtol=1e-6)
    one = seewhy.Explainer(given.with_prompts(TEXTS[:1])).heatmaps(two_squares())
    assert (one.names, one.probabilities) == (((TEXTS[0],),), None)
    np.testing.assert_allclose(one.scores, heatmaps.scores[:, :1], rtol=1e-6)


def test_several_texts_of_a_class_are_averaged():
    given = classifier().with_prompts({"warm": ["red", "red green"], "cold": "blue"})
    scores = seewhy.Explainer(given).heatmaps(two_squares(), ["warm", "cold"]).scores[0]
    mean = np.array([1, 0, 0]) / 2 + np.array([1, 1, 0]) / np.sqrt(2) / 2
    np.testing.assert_allclose(scores, [SCALE * mean @ EMBEDDING / np.linalg.norm(mean), 0], atol=1e-5)


def test_text_inputs_are_classes():
    inputs = {"image": two_squares(), "text": tokenize([*TEXTS, "blue"])}
    heatmaps = seewhy.Explainer(classifier(), "gradcam").heatmaps(inputs, [1, 2])
    np.testing.assert_allclose(heatmaps.scores, [[SCALE * EMBEDDING[1], 0]], atol=1e-5)
    assert heatmaps.names == (("text 1", "text 2"),)


def test_a_named_output_is_explained_as_that_of_any_model():
    inputs = {"image": two_squares(), "text": tokenize(["red"])}
    heatmaps = seewhy.Explainer(classifier(), "gradcam", output=0).heatmaps(inputs, 1)
    np.testing.assert_allclose(heatmaps.scores, [[4 / 64]], rtol=1e-6)  # the mean of green


def test_metrics_and_data_sets_read_the_output_that_is_explained(tmp_path):
    explainer = seewhy.Explainer(classifier(), "gradcam", output="image_embedding")
    heatmaps = explainer.heatmaps(IMAGES, 1)
    np.testing.assert_allclose(heatmaps.scores, EMBEDDING[[[1], [1]]], rtol=1e-6)
    both = evaluate.mufidelity(explainer, IMAGES, heatmaps, 1)
    np.testing.assert_allclose(both[:1], evaluate.mufidelity(explainer, IMAGES[:1], heatmaps.values[:1], 1))
    assert (evaluate.max_sensitivity(explainer, IMAGES, 1) < 0.5).all()
    Image.fromarray(np.moveaxis(two_squares()[0] * 255, 0, -1).astype(np.uint8)).save(tmp_path / "squares.png")
    (row,) = datasets.run(explainer, tmp_path, tmp_path / "out", [1, 0]).table().to_pylist()
    np.testing.assert_allclose([target["score"] for target in row["targets"]], EMBEDDING[[1, 0]], rtol=1e-6)
    assert [target["box"]["top"] for target in row["targets"]] == [5, 1]  # the green square, and the red one


def test_a_model_with_two_towers_is_not_exported(tmp_path):
    for explainer in (seewhy.Explainer(classifier()), seewhy.Explainer(classifier().with_prompts(TEXTS))):
        with pytest.raises(ModelError, match="'towers' has an image and a text tower, and is not exported"):
            seewhy.export(explainer, tmp_path / "towers.onnx")


def test_other_targets_read_the_embedding():
    heatmaps = seewhy.Explainer(classifier(), "gradcam").heatmaps(two_squares(), Embedding(np.array([1.0, 0, 0])))
    np.testing.assert_allclose(heatmaps.scores, [[EMBEDDING[0]]], rtol=1e-6)


def test_a_text_is_run_once_and_again_after_the_weights_changed():
    given = classifier()
    explainer, model = seewhy.Explainer(given, "gradcam"), given.model
    zero_shot = seewhy.Explainer(given.with_prompts(TEXTS), "gradcam")
    for _ in range(2):
        explainer.heatmaps(two_squares(), [Prompt(text) for text in TEXTS])
        zero_shot.heatmaps(two_squares(), TEXTS)
    assert model.texts_run == 2
    with torch.no_grad():
        model.words.weight[1], model.words.weight[2] = torch.eye(3)[1], torch.eye(3)[0]
    for changed in (explainer, zero_shot):
        scores = changed.heatmaps(two_squares(), [Prompt(text) for text in TEXTS]).scores
        np.testing.assert_allclose(scores, [SCALE * EMBEDDING[[1, 0]]], rtol=1e-6)


def test_embeddings_are_kept_up_to_a_number(monkeypatch):
    monkeypatch.setattr("seewhy.models.text_encoder.MAX_EMBEDDINGS", 2)
    given = classifier()
    explainer = seewhy.Explainer(given, "gradcam")
    for text in ("red", "green", "red", "blue", "green", "red"):  # blue takes the place of red
        explainer.heatmaps(two_squares(), Prompt(text))
    assert given.model.texts_run == 4


def test_guided_backpropagation_takes_no_step_of_ours_for_an_activation():
    model, images = Towers(), torch.tensor(two_squares()).requires_grad_()
    with torch.no_grad():
        model.map.weight[:] = torch.tensor([[2.0, 0, 0], [0, 1, 1], [1, 1, 0]])[:, :, None, None]
    given = seewhy.Classifier(model, tokenizer=tokenize)
    heatmaps = seewhy.Explainer(given, "guided_backprop", signed=True).heatmaps(two_squares(), Prompt("red"))
    (SCALE * torch.nn.functional.normalize(model.encode_image(images), dim=-1)[0, 0]).backward()
    np.testing.assert_allclose(heatmaps.values[0, 0], images.grad[0].sum(0), rtol=1e-5, atol=1e-7)
    assert np.abs(heatmaps.values).max() > 0


def test_an_image_whose_embedding_is_zero_has_no_evidence():
    heatmaps = seewhy.Explainer(classifier(), "gradcam").heatmaps(0 * two_squares(), Prompt("red"))
    assert (heatmaps.scores.item(), heatmaps.values.max(), heatmaps.has_evidence.item()) == (0, 0, False)


class OneThreadTokenizer:
    """A tokenizer that fails where two threads use it at once, as those of Hugging Face do ("Already borrowed")."""

    def __init__(self):
        self.is_used, self.calls = False, 0

    def __call__(self, texts):
        assert not self.is_used
        self.is_used = True
        time.sleep(0.01)  # in which another thread may come
        self.is_used = False
        self.calls += len(texts) == 1 and len(texts[0].split()) < 6  # without the longer text by which cuts are found
        return tokenize(texts)


def test_threads_embed_a_prompt_once_and_one_at_a_time():
    tokenizer = OneThreadTokenizer()
    given = seewhy.Classifier(Towers(), tokenizer=tokenizer)
    explainer, barrier = seewhy.Explainer(given, "gradcam"), threading.Barrier(6)

    def explain(number):
        barrier.wait(timeout=60)
        return explainer.heatmaps(two_squares(), Prompt(TEXTS[number % 2])).scores.item()

    with ThreadPoolExecutor(6) as threads:
        scores = list(threads.map(explain, range(6)))
    np.testing.assert_allclose(scores, np.tile(SCALE * EMBEDDING[:2], 3), rtol=1e-6)
    assert (given.model.texts_run, tokenizer.calls) == (2, 2)


def test_prompts_and_replaced_parts_keep_what_runs_the_model():
    given = seewhy.Classifier(Towers(), tokenizer=tokenize, backend="onnx")
    for other in (given.with_prompts(TEXTS), given.replace(class_names=["a"]), given.with_prompts(TEXTS).replace()):
        assert other.backend == "onnx"
        with pytest.raises(OptionError, match="backend='onnx' cannot run the model 'Towers'"):
            seewhy.Explainer(other)


def test_the_model_stays_as_it_was_and_everything_can_be_pickled():
    given = classifier()
    given.model.train()
    hooked = []
    hook = given.model.map.register_forward_hook(lambda *_: hooked.append(1))
    before = {name: value.clone() for name, value in given.model.state_dict().items()}
    found = seewhy.Explainer(given, "gradcam").heatmaps(two_squares(), Prompt(TEXTS[0]))
    assert all(torch.equal(value, before[name]) for name, value in given.model.state_dict().items())
    assert given.model.training and given.model.words.training and hooked  # noqa: PT018
    assert all(parameter.grad is None for parameter in given.model.parameters())
    assert list(given.model.map._forward_hooks.values()) != [] and len(given.model.map._forward_hooks) == 1  # noqa: PT018
    hook.remove()
    copied = pickle.loads(pickle.dumps(seewhy.Explainer(given.with_prompts(TEXTS), "gradcam")))  # noqa: S301
    np.testing.assert_allclose(copied.heatmaps(two_squares(), [0]).values, found.values, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The prompt is empty"),
        ("  ", "The prompt is empty"),
        (3, "A prompt is a text"),
        (None, "A prompt is a text"),
        ("a \ud800", "half a character"),
        ("a" * 10_001, "has 10,001 characters"),
    ],
)
def test_bad_prompts(text, message):
    with pytest.raises(TargetError, match=message):
        seewhy.Explainer(classifier()).heatmaps(two_squares(), Prompt(text))
    for prompts in (["red", text], {"warm": text}, {"warm": ["red", text]}, {text: "red"}):
        with pytest.raises(TargetError, match=message):
            classifier().with_prompts(prompts)


def test_a_prompt_is_a_text_and_no_name_of_a_class():
    explainer = seewhy.Explainer(classifier().with_prompts({"red": "green", "green": "red", "cold": "blue"}))
    heatmaps = explainer.heatmaps(two_squares(), [Prompt("red"), "red"])
    np.testing.assert_allclose(heatmaps.scores[0], SCALE * EMBEDDING[:2], rtol=1e-6)
    assert heatmaps.indices.tolist() == [[1, 0]]
    with pytest.raises(TargetError, match="'cold' is the name of a class of 'towers', whose text is another"):
        explainer.heatmaps(two_squares(), Prompt("cold"))


def test_images_and_tokens_by_other_names_or_of_other_shapes():
    explainer, tokens = seewhy.Explainer(classifier(), "gradcam"), tokenize(["red", "blue"])
    cases = [
        ({"image": two_squares(), "text": tokens, "mask": tokens}, "no input 'mask' beside its images"),
        ({"image": two_squares(), "text": 3}, "The input 'text' was given 3; expected whole numbers"),
        ({"image": two_squares(), "text": tokens[:0]}, "expected whole numbers of shape"),
        ({"text": two_squares()}, "images were given as the input 'text'; expected 'image'"),
        ({"picture": two_squares()}, "images were given as the input 'picture'; expected 'image'"),
    ]
    for inputs, message in cases:
        with pytest.raises(InputError, match=message):
            explainer.heatmaps(inputs, [0] if len(inputs) > 1 else Prompt("red"))
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(InputError, match=r"given a sample of several values\. .*texts as prompts"):
        explainer.explain([{"image": image, "text": [1, 2]}], Prompt("red"))


def test_a_text_that_a_function_may_have_cut():
    with pytest.warns(SeewhyWarning, match="fills all tokens that the model reads, or has more"):
        classifier().with_prompts(["red red red red blue"])


def test_a_tokenizer_of_the_caller_that_fails_and_layers_without_prompts():
    explainer = seewhy.Explainer(classifier())
    with pytest.raises(TargetError, match="The tokenizer does not take the prompt 'purple': KeyError: purple"):
        explainer.heatmaps(two_squares(), Prompt("purple"))
    assert [call.path for call in explainer.layers()] == ["map"]  # of images alone


def test_other_bad_input():
    given, plain = classifier(), seewhy.Classifier(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.Flatten()))
    zero_shot = given.with_prompts(TEXTS)
    cases = [
        (lambda: seewhy.Explainer(plain).heatmaps(two_squares(), Prompt("red")), TargetError, "needs a model with an"),
        (lambda: plain.with_prompts(["red"]), TargetError, "needs a model with an image and a text tower"),
        (lambda: seewhy.Classifier(plain.model, tokenizer=tokenize), OptionError, "has no text tower"),
        (lambda: seewhy.Classifier(given.model, tokenizer=3), OptionError, "tokenizer is 3"),
        (lambda: given.with_prompts([]), OptionError, "expected texts"),
        (lambda: given.with_prompts("red"), OptionError, "expected texts"),
        (lambda: given.with_prompts(["red", "red"]), OptionError, "was given twice"),
        (lambda: given.with_prompts({"warm": []}), OptionError, "without a prompt"),
        (lambda: given.predict([np.zeros((8, 8, 3), np.uint8)]), ModelError, "has no classes. Give prompts"),
        (
            lambda: given.with_prompts(["red"]).predict([np.zeros((8, 8, 3), np.uint8)]),
            ModelError,
            "only class of 'towers' is the prompt 'red'.* Give two prompts or more",
        ),
        (lambda: seewhy.Explainer(given).heatmaps(two_squares()), TargetError, "has no classes. Give prompts"),
        (lambda: seewhy.Explainer(given).heatmaps(two_squares(), "red"), TargetError, "'red' is no class"),
        *(
            (lambda other=other: seewhy.Explainer(given).heatmaps(two_squares(), other), TargetError, "has no classes")
            for other in ([Prompt("red"), Class((0,))], [[Class((0,))]], Difference(0, 1), Counterfactual(0))
        ),
        (
            lambda: seewhy.Explainer(given, score="probability").heatmaps(two_squares(), Prompt("red")),
            OptionError,
            "is compared with no other",
        ),
        (lambda: seewhy.Explainer(zero_shot).heatmaps(two_squares(), Prompt("blue")), TargetError, "is not among the"),
        (
            lambda: seewhy.Explainer(zero_shot).heatmaps({"image": two_squares(), "text": tokenize(["red"])}),
            InputError,
            "texts were given too",
        ),
        (lambda: seewhy.Explainer(given, backend="onnx"), OptionError, "cannot run the model 'towers'"),
        (
            lambda: seewhy.Explainer(seewhy.Classifier(given.model)).heatmaps(two_squares(), Prompt("red")),
            OptionError,
            "without its tokenizer",
        ),
        (
            lambda: seewhy.Classifier(given.model, tokenizer=lambda _: np.ones(3)).with_prompts(["red"]),
            OptionError,
            "The tokenizer returned",
        ),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
