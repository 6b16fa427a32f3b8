"""PyTorch modules with several image inputs, against gradients by autograd."""

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy import evaluate
from seewhy.errors import InputError, LayerError, ModelRunError, OptionError, SeewhyError, SeewhyWarning

RANDOM = np.random.default_rng(0)
LEFT, RIGHT = (RANDOM.integers(0, 256, (12, 12, 3), dtype=np.uint8) for _ in "ab")


class Towers(nn.Module):
    """Two towers and a vector, joined after pooling."""

    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2), nn.Tanh())
        self.right = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh())
        self.age, self.score = nn.Linear(1, 5), nn.Linear(5, 2)

    def forward(self, left, right, age):
        pooled = self.left(left).mean((2, 3)) * self.right(right).mean((2, 3))
        return self.score(torch.tanh(pooled + self.age(age)))


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return seewhy.Classifier(Towers().eval(), preprocess=lambda pixels: pixels / 255, input_size=(12, 12))


def tensors():
    images = [torch.tensor(image / np.float32(255)).movedim(2, 0)[None].requires_grad_() for image in (LEFT, RIGHT)]
    return [*images, torch.tensor([[0.4]])]


SAMPLE = {"right": RIGHT, "left": LEFT, "age": [0.4]}


def test_gradcam_of_each_tower_is_that_of_autograd(classifier):
    (found,) = seewhy.Explainer(classifier).explain([SAMPLE], [0, 1])
    assert found.layers == {"right": "right.1", "left": "left.3"}
    model, (left, right, age) = classifier.model, tensors()
    maps = {"left": model.left(left), "right": model.right(right)}
    scores = model.score(torch.tanh(maps["left"].mean((2, 3)) * maps["right"].mean((2, 3)) + model.age(age)))
    for name, activations in maps.items():
        for target in range(2):
            (gradients,) = torch.autograd.grad(scores[0, target], activations, retain_graph=True)
            expected = (gradients.mean((2, 3), keepdim=True) * activations).sum(1).relu()[0]
            np.testing.assert_allclose(found[name].heatmaps[target], expected.detach(), rtol=1e-4, atol=1e-6)


def test_arrays_of_one_input_give_the_same_maps_in_batches(classifier):
    explainer = seewhy.Explainer(classifier)
    samples = [SAMPLE, {"left": RIGHT, "right": LEFT, "age": [0.1]}, {"left": LEFT, "right": LEFT, "age": [0.7]}]
    inputs = classifier.preprocess(samples).values
    heatmaps = explainer.heatmaps(inputs, [0, 1], input_name="left")
    explained = explainer.explain(samples, [0, 1])
    np.testing.assert_allclose(heatmaps.values, [each["left"].heatmaps for each in explained], atol=1e-7)
    assert (heatmaps.layer, heatmaps.outputs.shape, len(heatmaps.names)) == ("left.3", (3, 2), 3)
    per_image = explainer.heatmaps(inputs, [[0], [1], [0]], input_name=1)
    np.testing.assert_array_equal(per_image.values[:, 0], heatmaps.values[[0, 1, 2], [0, 1, 0]])


def test_inputs_that_do_not_fit_are_named(classifier):
    explainer, inputs = seewhy.Explainer(classifier), classifier.preprocess([SAMPLE, SAMPLE]).values
    left, right, age = (inputs[name] for name in ("left", "right", "age"))
    with pytest.raises(InputError, match="images: 2 in 'left', 1 in 'right', 2 in 'age'"):
        explainer.heatmaps([left, right[:1], age], 0, input_name="left")
    with pytest.raises(InputError, match="The input 'right' holds NaN or infinite values, in image 1"):
        explainer.heatmaps([left, np.where(np.arange(2)[:, None, None, None], np.nan, right), age], 0)
    numbered = explainer.heatmaps([left, right, age], 0, input_name=np.int64(1))
    np.testing.assert_array_equal(numbered.values, explainer.heatmaps(inputs, 0, input_name="right").values)
    layers = ["left.0", "left.2"]
    with pytest.raises(LayerError, match=r"The layers 'left\.0', 'left\.2' are not computed from 'right'"):
        seewhy.Explainer(classifier, layer=layers).explain([SAMPLE])


def test_methods_of_the_input_explain_one_image_while_the_other_stays(classifier):
    left, right, age = tensors()
    scores = classifier.model(left, right, age)[0]
    (found,) = seewhy.Explainer(classifier, "saliency").explain([SAMPLE], [0, 1])
    for name, image in (("left", left), ("right", right)):
        gradients = torch.stack([torch.autograd.grad(scores[t], image, retain_graph=True)[0][0] for t in range(2)])
        np.testing.assert_allclose(found[name].heatmaps, gradients.abs().amax(1), rtol=1e-4, atol=1e-6)
    occlusion = seewhy.methods.get("occlusion", window=4, stride=4)
    (found,) = seewhy.Explainer(classifier, occlusion, signed=True).explain([SAMPLE], [1])
    covered = right.detach().clone()
    covered[:, :, 4:8, :4] = 0
    expected = (scores[1] - classifier.model(left, covered, age)[0, 1]).item()
    np.testing.assert_allclose(found["right"].heatmaps[0, 4:8, :4], expected, rtol=1e-3, atol=1e-6)


class Frozen(nn.Module):
    """Takes its inputs in one dict, and runs its tower without gradients and in one call for each image."""

    def __init__(self):
        super().__init__()
        self.conv, self.score = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, batch):
        with torch.no_grad():
            right, left = self.conv(batch["right"]), self.conv(batch["left"])
        return self.score((left.mean((2, 3)) - right.mean((2, 3))).abs())


def test_calls_are_told_apart_by_what_they_were_given_also_without_gradients():
    model = Frozen().eval()
    classifier = seewhy.Classifier(
        model, preprocess=lambda pixels: pixels / 255, input_size={"left": (8, 8), "right": (9, 9)}
    )
    (found,) = seewhy.Explainer(classifier, "eigencam").explain([{"left": LEFT, "right": RIGHT}])
    assert found.layers == {"left": "conv#2", "right": "conv#1"}
    assert found["right"].heatmaps.shape == (1, 7, 7)


class Siamese(nn.Module):
    """Runs one tower on each image."""

    def __init__(self):
        super().__init__()
        self.tower, self.score = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Linear(4, 2)

    def forward(self, left, right):
        return self.score((self.tower(left).mean((2, 3)) - self.tower(right).mean((2, 3))).abs())


def test_the_calls_of_a_tower_have_names_of_one_kind():
    """A tower that is called twice is no block with a module that it calls twice."""
    torch.manual_seed(0)
    classifier = seewhy.Classifier(Siamese().eval(), preprocess=lambda pixels: pixels / 255, input_size=(12, 12))
    (found,) = seewhy.Explainer(classifier).explain([(LEFT, RIGHT)])
    assert found.layers == {"left": "tower.1#1", "right": "tower.1#2"}


class TokenTowers(nn.Module):
    """Runs one small transformer with a class token on each image."""

    def __init__(self):
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 10, 8))
        self.blocks = nn.ModuleList(nn.MultiheadAttention(8, 1, batch_first=True) for _ in "abcde")
        self.norms, self.score = nn.ModuleList(nn.LayerNorm(8) for _ in "abcde"), nn.Linear(8, 2)

    def tower(self, image):
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1) + self.places
        for block, norm in zip(self.blocks, self.norms, strict=True):
            tokens = norm(tokens + block(tokens, tokens, tokens)[0])
        return tokens[:, 0]

    def forward(self, left, right):
        return self.score(self.tower(left) * self.tower(right))


def test_the_tokens_of_each_image_are_probed_by_its_own_tower():
    """The model gives the same for exchanged images, so that the right one has the map that it has as the left one."""
    torch.manual_seed(0)
    explainer = seewhy.Explainer(TokenTowers().eval(), "gradcam", "norms.1", signed=True)
    one, other = RANDOM.random((2, 1, 3, 12, 12), dtype=np.float32)
    right, left = (explainer.heatmaps([one, other], [0, 1], input_name=name) for name in ("right", "left"))
    swapped = explainer.heatmaps([other, one], [0, 1], input_name="left")
    assert (right.layer, left.layer, right.values.shape) == ("norms.1#2", "norms.1#1", (1, 2, 3, 3))
    np.testing.assert_allclose(right.values, swapped.values, rtol=1e-4, atol=1e-6)


def test_auto_takes_the_input_for_towers_with_attention():
    torch.manual_seed(0)
    images = list(RANDOM.random((2, 1, 3, 12, 12), dtype=np.float32))
    heatmaps = seewhy.Explainer(TokenTowers().eval()).heatmaps(images, 0, input_name="right")
    assert (heatmaps.method, heatmaps.layer) == ("integrated_gradients", "input")
    assert "several inputs are not told apart; 16 steps" in heatmaps.method_reason
    with pytest.warns(SeewhyWarning, match="Grad-CAM is unreliable .* method='auto' takes integrated_gradients"):
        seewhy.Explainer(TokenTowers().eval(), "gradcam").heatmaps(images, 0, input_name="right")


class Joined(nn.Module):
    """Joins the images by channels before any layer, or their maps side by side."""

    def __init__(self, *, is_beside):
        super().__init__()
        self.tower, self.axis = (nn.Conv2d(3, 3, 3), 3) if is_beside else (nn.Identity(), 1)
        self.conv, self.score = nn.Conv2d(3 if is_beside else 6, 4, 3), nn.Linear(4, 2)

    def forward(self, left, right):
        joined = torch.cat([self.tower(left), self.tower(right)], self.axis)
        return self.score(self.conv(joined).relu().mean((2, 3)))


def test_a_layer_of_several_images_belongs_to_none():
    stacked, beside = (
        seewhy.Classifier(
            Joined(is_beside=is_beside).eval(), preprocess=lambda pixels: pixels / 255, input_size=(12, 12)
        )
        for is_beside in (False, True)
    )
    with pytest.warns(SeewhyWarning, match="belongs to no single image"):
        (found,) = seewhy.Explainer(stacked, layer="conv").explain([(LEFT, RIGHT)])
    np.testing.assert_array_equal(found["left"].heatmaps, found["right"].heatmaps)
    with pytest.raises(LayerError, match="its positions are not those of this image"):
        seewhy.Explainer(beside, layer="conv").explain([(LEFT, RIGHT)])


class Early(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.score = nn.Conv2d(6, 4, 3), nn.Linear(4, 2)

    def forward(self, left, right):
        return self.score(self.conv(torch.cat([left, right], 1)).mean((2, 3)))


def test_auto_refuses_where_no_layer_is_of_one_image():
    classifier = seewhy.Classifier(Early().eval(), preprocess=lambda pixels: pixels / 255, input_size=(8, 8))
    with pytest.raises(LayerError, match=r"computed from 'left' and from no other image\. .* or name a layer: conv"):
        seewhy.Explainer(classifier).explain([(LEFT, RIGHT)])


def test_a_named_layer_is_that_of_the_images_it_is_computed_from(classifier):
    (found,) = seewhy.Explainer(classifier, layer=["left.0", "right.0"]).explain([SAMPLE])
    assert found.layers == {"right": "right.0", "left": "left.0"}
    with pytest.raises(LayerError, match=r"'left.0' is not computed from 'right'"):
        seewhy.Explainer(classifier, layer="left.0").explain([SAMPLE])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"left": LEFT, "rihgt": RIGHT, "age": [0.4]}, "has no input 'rihgt'.* Did you mean 'right'"),
        ({"left": LEFT, "right": RIGHT}, "no value for the input 'age'"),
        ((LEFT, RIGHT), "has 3 inputs, 'left', 'right', 'age'; the sample has 2 values"),
        (LEFT, "was given images for one. Give a value for each"),
        ({"left": LEFT, "right": RIGHT, "age": None}, "given None; expected an image or numbers"),
        ({"left": [1.0], "right": [1.0], "age": [0.4]}, "no image: numbers were given for left, right, age"),
    ],
)
def test_samples_that_do_not_fit(classifier, sample, message):
    with pytest.raises(InputError, match=message):
        seewhy.Explainer(classifier).explain([sample])


def test_what_explains_one_image_refuses_samples(classifier):
    explainer = seewhy.Explainer(classifier)
    for refuse in (lambda: list(explainer.stream([SAMPLE])), lambda: explainer.inspect(SAMPLE)):
        with pytest.raises(SeewhyError, match=r"Samples of several images are explained by Explainer.explain"):
            refuse()
    with pytest.raises(OptionError, match=r"names the input 'lft'.* Did you mean 'left'"):
        seewhy.Classifier(classifier.model, input_size={"lft": (8, 8)})
    with pytest.raises(InputError, match=r"input_name=..."):
        seewhy.Explainer(classifier, "saliency").heatmaps([each.detach() for each in tensors()])
    with pytest.raises(InputError, match=r"'age' has the shape .* no positions"):
        explainer.heatmaps([each.detach() for each in tensors()], input_name="age")


class Optional(nn.Module):
    """Has to be given nothing, as the models of Hugging Face, and takes a second image."""

    def __init__(self):
        super().__init__()
        self.conv, self.other, self.score = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, pixels=None, after=None):
        change = 0 if after is None else self.other(after).mean((2, 3))
        return self.score(self.conv(pixels).mean((2, 3)) + change)


def test_a_module_with_one_argument_says_what_it_was_given():
    explainer = seewhy.Explainer(seewhy.Classifier(nn.Sequential(nn.Conv2d(3, 2, 1)).eval(), input_size=(4, 4)))
    with pytest.raises(ModelRunError, match="forward takes one argument, 'input', and was given 2 inputs in a dict"):
        explainer.explain([{"left": LEFT, "right": RIGHT}])


def test_metrics_say_that_they_take_the_explanation_of_one_image(classifier):
    explainer = seewhy.Explainer(classifier)
    explanations = explainer.explain([SAMPLE])
    with pytest.raises(InputError, match=r"such as explanation\['right'\], explanation\['left'\]"):
        evaluate.entropy(explanations)
    with pytest.raises(InputError, match="of several images was given"):
        evaluate.deletion(explainer, [SAMPLE], explanations[0])
    np.testing.assert_array_equal(evaluate.entropy([explanations[0]["left"]]).shape, (1, 1))
    for call in (evaluate.max_sensitivity, evaluate.model_randomization):
        with pytest.raises(InputError, match="given samples of several inputs"):
            call(explainer, [SAMPLE])


def test_inputs_that_need_not_be_given():
    explainer = seewhy.Explainer(
        seewhy.Classifier(Optional().eval(), input_size=(8, 8), preprocess=lambda pixels: pixels)
    )
    assert explainer.explain(LEFT)[0].layer == "conv"
    (found,) = explainer.explain([(LEFT, RIGHT)])
    assert found.layers == {"pixels": "conv", "after": "other"}


def test_evidence_lies_in_the_image_that_decides():
    """The brightest square decides: in the left image at a known place, and in the right one with a hundredth."""

    class Bright(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.score = (
                nn.Conv2d(3, 1, 3, padding=1),
                nn.Conv2d(3, 1, 3, padding=1),
                nn.Linear(2, 2),
            )
            with torch.no_grad():
                for conv in (self.left, self.right):
                    conv.weight.fill_(1 / 27)
                    conv.bias.fill_(-0.5)
                self.score.weight.copy_(torch.tensor([[1.0, 0.01], [-1.0, 0.0]]))

        def forward(self, left, right):
            return self.score(
                torch.cat([self.left(left).relu().mean((2, 3)), self.right(right).relu().mean((2, 3))], 1)
            )

    classifier = seewhy.Classifier(Bright().eval(), preprocess=lambda pixels: pixels / 255, input_size=(24, 24))
    explainer, inside = seewhy.Explainer(classifier), 0
    for case in range(20):
        rng = np.random.default_rng(case)
        images = rng.integers(0, 60, (2, 24, 24, 3), dtype=np.uint8)
        squares = rng.integers(0, 16, (2, 2))
        for image, (top, start) in zip(images, squares, strict=True):
            image[top : top + 8, start : start + 8] = 250
        (found,) = explainer.explain([tuple(images)], [0])
        left, right = found["left"].normalized_heatmaps[0], found["right"].heatmaps[0]
        row, column = np.unravel_index(left.argmax(), left.shape)
        inside += bool(squares[0][0] <= row < squares[0][0] + 8 and squares[0][1] <= column < squares[0][1] + 8)
        assert right.max() <= 0.02 * found["left"].heatmaps.max()
    assert inside == 20
