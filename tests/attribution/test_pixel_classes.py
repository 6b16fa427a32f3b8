"""What a segmentation model predicts at each pixel, by its final activation and its channels."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy.attribution.pixel_classes import predicted_masks
from seewhy.errors import LayerError, ModelError, NotClassScoresError, NotPredictedError, SeewhyWarning, TargetError


class ColorMasks(nn.Module):
    """Scores each pixel by its own colours: channel k is the input's channel k, minus a half."""

    def __init__(self, classes, ending=None):
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1)
        self.scores = nn.Conv2d(3, classes, 1)
        self.ending = ending or nn.Identity()
        with torch.no_grad():
            for convolution in (self.features, self.scores):
                convolution.weight.copy_(torch.eye(3)[: convolution.out_channels, :, None, None])
                convolution.bias.zero_()
            self.scores.bias.fill_(-0.5)

    def forward(self, image):
        return self.ending(self.scores(torch.relu(self.features(image))))


IMAGE = np.zeros((1, 3, 4, 6), np.float32)
IMAGE[0, 0, :2] = 1  # 12 pixels of class 0
IMAGE[0, 1, 2:, :5] = 1  # 10 pixels of class 1
IMAGE[0, 2, 3, 5] = 1  # 1 pixel of class 2; the last one, of no class


def explained(model, targets, names=None):
    return seewhy.Explainer(seewhy.Classifier(model, class_names=names)).heatmaps(IMAGE, targets)


@pytest.mark.parametrize(
    ("ending", "scores"), [(None, [6 - 0.5, 5]), (nn.Softmax(1), [6 - 0.5, 5]), (nn.Sigmoid(), [6, 5])]
)
def test_each_activation_predicts_in_its_own_way(ending, scores):
    """Without a sigmoid every pixel has a class: the one without a colour is the first of equals."""
    found = explained(ColorMasks(3, ending), [0, 1])
    np.testing.assert_allclose(found.scores[0], scores, rtol=1e-6)
    assert found.names == (("class 0", "class 1"),)
    assert found.values[0, 0][:2].min() > 0 == found.values[0, 0][2:].max()


def test_one_channel_with_a_sigmoid_is_a_foreground():
    """Class 1 has the channel's logits, and class 0, the background, their negatives."""
    model = ColorMasks(1, nn.Sigmoid())
    found = explained(model, [1, 0], ["sky", "bird"])
    np.testing.assert_allclose(found.scores[0], [12 * 0.5, 12 * 0.5], rtol=1e-6)
    assert found.names == (("bird", "sky"),)
    assert explained(model, "top-1", ["sky", "bird"]).names == (("sky",),)  # as many pixels, and the first
    assert explained(model, "top-1").names == (("class 1",),)  # of which nobody says that it is the background


def test_one_channel_without_a_sigmoid_is_a_foreground_only_with_two_names():
    model = ColorMasks(1)
    np.testing.assert_allclose(explained(model, "bird", ["sky", "bird"]).scores, [[6]], rtol=1e-6)
    assert explained(model, "top-1", ["sky", "bird"]).names == (("bird",),)
    with pytest.raises(TargetError, match="'sky' is where the model's one output is low"):
        explained(model, "sky", ["sky", "bird"])
    with pytest.raises(NotClassScoresError, match="may be the logit of a foreground, or a quantity such as a depth"):
        explained(model, "top-1")


@pytest.mark.parametrize("is_last", [False, True])
def test_steps_of_a_sequence_and_voxels_of_a_volume(is_last):
    """A softmax shows which axis holds the classes, and that an output (N, L, C) holds any."""
    flat = nn.Sequential(ColorMasks(3), nn.Flatten(2), Transposed() if is_last else nn.Identity())
    found = explained(nn.Sequential(flat, nn.Softmax(-1 if is_last else 1)), [0, 1])
    np.testing.assert_allclose(found.scores[0], [6 - 0.5, 5], rtol=1e-6)
    assert found.values[0, 0][:2].min() > 0 == found.values[0, 0][2:].max()
    volumes = nn.Sequential(nn.Conv3d(1, 3, 1), nn.ReLU(), nn.Conv3d(3, 2, 1, bias=False))
    with torch.no_grad():
        for convolution, weights in ((volumes[0], [1, -1, 0]), (volumes[2], [[1, 0, 0], [0, 1, 0]])):
            convolution.weight[:] = torch.tensor(weights, dtype=torch.float32).reshape(convolution.weight.shape)
        volumes[0].bias.zero_()
    volume = np.full((1, 1, 2, 3, 4), -1, np.float32)
    volume[0, 0, 1, :2] = 2  # 8 of 24 voxels
    found = seewhy.Explainer(volumes).heatmaps(volume, [0, 1])
    np.testing.assert_allclose(found.scores, [[8 * 2, 16]])
    np.testing.assert_allclose(found.values[0, 0], np.where(volume[0, 0] > 0, 2, 0), rtol=1e-6)


class Transposed(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


def test_mistakes_are_explained():
    model = ColorMasks(3)
    black = np.zeros_like(IMAGE)
    with pytest.raises(TargetError, match=r"predicts 'b' at no pixel of the image. .* predicts: a \(100.0%\)"):
        seewhy.Explainer(seewhy.Classifier(model, class_names="abc")).heatmaps(black, "b")
    with pytest.raises(TargetError, match="There is no class 3: the model has classes 0 to 2"):
        explained(model, 3)
    with pytest.raises(ModelError, match="2 class names were given, and the model 'ColorMasks' has 3 classes"):
        explained(model, 0, ["a", "b"])
    with pytest.raises(NotClassScoresError, match=r"output has shape \(1, 3, 24\), and is neither"):
        explained(nn.Sequential(ColorMasks(3), nn.Flatten(2)), 0)


COLORS = (np.moveaxis(IMAGE[0], 0, -1) * 255).astype(np.uint8)


def of_images(model, images, targets, names=None):
    preprocess = seewhy.Preprocessing(size=(4, 6), std=255.0)
    explainer = seewhy.Explainer(seewhy.Classifier(model, preprocess=preprocess, class_names=names))
    return explainer, explainer.explain(images, targets)


def test_top_k_is_at_most_k_classes_of_an_image():
    names = ["__background__", "cat", "dog"]
    only_cats = COLORS * np.array([1, 1, 0], np.uint8)
    explainer, found = of_images(ColorMasks(3), [COLORS, only_cats, 0 * COLORS], "top-2", names)
    assert [[target.name for target in each.targets] for each in found] == [
        ["cat", "dog"],
        ["cat"],
        ["__background__"],
    ]
    (alone,) = explainer.explain([only_cats], "top-2")
    assert alone.targets == found[1].targets
    np.testing.assert_array_equal(alone.heatmaps, found[1].heatmaps)


@pytest.mark.parametrize(
    ("model", "names", "message"),
    [
        (ColorMasks(1), ["sky", "bird"], "The model predicts 'bird' at no pixel of the image"),
        (ColorMasks(3, nn.Sigmoid()), None, "The model predicts a class at no pixel of the image"),
    ],
)
def test_an_image_without_any_class_is_an_error_of_that_image(model, names, message):
    with pytest.raises(NotPredictedError, match=message):
        of_images(model, [0 * COLORS], "top-1", names)
    explainer, _ = of_images(model, [COLORS], "top-1", names)
    first, second = explainer.stream([0 * COLORS, COLORS], "top-1", errors="yield")
    assert isinstance(first, NotPredictedError)
    assert len(second.targets) == 1


def test_the_background_is_chosen_last():
    names = ["__background__", "cat", "dog"]
    assert explained(ColorMasks(3), "top-2", names).names == (("cat", "dog"),)
    only = seewhy.Explainer(seewhy.Classifier(ColorMasks(3), class_names=names)).heatmaps(np.zeros_like(IMAGE))
    assert only.names == (("__background__",),)


def test_masks_by_hand():
    scores = np.array([[[[0.9, 0.2]], [[0.6, 0.1]]]])
    np.testing.assert_array_equal(predicted_masks(scores, "sigmoid")[0, :, 0], [[True, False], [True, False]])
    np.testing.assert_array_equal(predicted_masks(scores, "linear")[0, :, 0], [[True, True], [False, False]])
    one = np.array([[[[0.4, 0.6]]]])
    np.testing.assert_array_equal(predicted_masks(one, "sigmoid")[0, :, 0], [[True, False], [False, True]])
    np.testing.assert_array_equal(predicted_masks(one - 0.5, "linear")[0, :, 0], [[True, False], [False, True]])


class SkipConnection(nn.Module):
    """A coarse branch and a fine one, which meet before the scores; or the coarse one alone."""

    def __init__(self, has_skip):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.last, self.scores, self.has_skip = nn.Conv2d(4, 5, 1), nn.Conv2d(5, 2, 1), has_skip

    def forward(self, image):
        fine = torch.relu(self.fine(image))
        coarse = self.up(torch.relu(self.coarse(self.pool(fine))))
        return self.scores(torch.relu(self.last(coarse + fine if self.has_skip else coarse)))


@pytest.mark.parametrize(("has_skip", "layer", "space"), [(False, "coarse", (4, 4)), (True, "last", (8, 8))])
def test_auto_takes_the_coarsest_layer_that_nothing_bypasses(has_skip, layer, space, recwarn):
    torch.manual_seed(0)
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    found = seewhy.Explainer(SkipConnection(has_skip).eval()).heatmaps(image)
    assert (found.layer, found.values.shape[2:]) == (layer, space)
    assert not [warning for warning in recwarn if warning.category is SeewhyWarning]


def test_a_model_of_several_inputs():
    """The second input is added to the scores of every class alike, and changes no prediction."""

    class WithOffset(nn.Module):
        def __init__(self):
            super().__init__()
            self.masks = ColorMasks(3)

        def forward(self, image, offset):
            return self.masks(image) + offset[:, :, None, None]

    explainer = seewhy.Explainer(WithOffset())
    found = explainer.heatmaps([IMAGE, np.full((1, 1), 2.0, np.float32)], [0, 1])
    np.testing.assert_allclose(found.scores[0], [6 - 0.5 + 13 * 2, 5 + 10 * 2], rtol=1e-6)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("ends_in_resizing", [False, True])
def test_another_runtime_gives_the_same(backend, ends_in_resizing):
    """The last layer cannot be tapped there, whether it is the convolution of the scores or their resizing."""
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}[backend])
    torch.manual_seed(0)
    model = SkipConnection(has_skip=False)
    model = nn.Sequential(model, nn.Upsample(scale_factor=2)) if ends_in_resizing else model
    image = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    expected = seewhy.Explainer(model.eval()).heatmaps(image)
    found = seewhy.Explainer(model, backend=backend).heatmaps(image)
    assert (found.layer, found.names) == (expected.layer, expected.names)
    assert expected.values.max() > 0
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5 * expected.values.max())


def test_a_class_is_inspected_as_it_is_explained():
    """By hand: dy/dA of channel 0 is 1 at the 12 pixels of class 0, and 0 elsewhere."""
    classifier = seewhy.Classifier(ColorMasks(3), preprocess=seewhy.Preprocessing(size=(4, 6), std=255.0))
    pixels = np.moveaxis(IMAGE[0] * 255, 0, -1).astype(np.uint8)
    found = seewhy.Explainer(classifier).inspect(pixels, 0)
    np.testing.assert_array_equal(found.gradients[0, ..., 0].sum(), 12)
    np.testing.assert_array_equal(found.gradients[0, ..., 1:], 0)
    (explanation,) = seewhy.Explainer(classifier, "gradcam").explain([pixels], 0)
    np.testing.assert_array_equal(found.explanation.heatmaps, explanation.heatmaps)
    (explanation,) = seewhy.Explainer(classifier).explain([pixels], 0)
    assert (explanation.method, explanation.method_reason) == ("hirescam", "it keeps to the pixels that are explained")


def test_a_model_without_layers_with_positions_is_refused():
    class Constant(nn.Module):
        def forward(self, image):
            return image[:, :2]

    with pytest.raises(LayerError):
        explained(Constant(), 0)


def shapes(count, seed):
    """Return noise with a red and a green square each, the classes of the pixels, and where the squares begin."""
    random = np.random.default_rng(seed)
    images = random.normal(0, 0.1, (count, 3, 32, 32)).astype(np.float32)
    labels, corners = np.zeros((count, 32, 32), np.int64), random.integers(0, 22, (count, 2, 2))
    for image, pixels, places in zip(images, labels, corners, strict=True):
        for index, (top, left) in enumerate(places):
            image[index, top : top + 9, left : left + 9] += 1
            pixels[top : top + 9, left : left + 9] = index + 1
    return images, labels, corners


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList(self.block(*sizes) for sizes in pairwise((3, 8, 16, 32)))
        self.up = nn.ModuleList((self.block(48, 16), self.block(24, 8)))
        self.scores = nn.Conv2d(8, 3, 1)

    @staticmethod
    def block(given, made):
        return nn.Sequential(nn.Conv2d(given, made, 3, padding=1), nn.BatchNorm2d(made), nn.ReLU())

    def forward(self, x):
        skips = []
        for number, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if number else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([nn.functional.interpolate(x, scale_factor=2), skip], 1))
        return self.scores(x)


@pytest.mark.slow(reason="trains a U-Net, and explains two hundred times")
def test_where_a_trained_u_net_sees_its_classes():
    torch.manual_seed(0)
    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(150):
        images, labels, _ = shapes(32, step)
        loss = nn.functional.cross_entropy(model(torch.tensor(images)), torch.tensor(labels))
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    names = ["background", "red", "green"]
    explainer = seewhy.Explainer(seewhy.Classifier(model.eval(), class_names=names))
    images, labels, corners = shapes(100, 1000)
    hits = []
    for image, places in zip(images, corners, strict=True):
        for name, (top, left) in zip(names[1:], places, strict=True):
            try:
                (heatmap,) = explainer.heatmaps(image[None], name).values[0]
            except TargetError:
                continue  # the other square covers it
            row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
            hits.append(top <= row < top + 9 and left <= column < left + 9)
    assert len(hits) >= 195
    assert np.mean(hits) >= 0.95
