"""Explaining all attention layers of a model together: which maps count, images that mix, and where the head reads."""

import warnings

import numpy as np
import pytest
import torch
from tests.contracts import attention_reference as reference
from tests.contracts.transformer_in_torch import Transformer

import seewhy
from seewhy.errors import LayerError, SeewhyWarning

IMAGES = reference.images()
INPUTS = np.ascontiguousarray(np.moveaxis(IMAGES, -1, 1))
ROLLOUTS = {
    "gradient_rollout": lambda images, **options: reference.gradient_rollout(images, 1, **options),
    "attention_rollout": reference.attention_rollout,
}


class Auxiliary(Transformer):
    """Attends once more for an output that no score depends on."""

    def forward(self, image):
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens[:, :1], tokens], dim=1)
        scores = super().forward(image)
        self.auxiliary = (tokens @ tokens.mT).softmax(-1) @ tokens
        return scores


@pytest.mark.parametrize("method", ROLLOUTS)
def test_a_map_that_no_score_depends_on_is_left_out(method):
    explainer = seewhy.Explainer(Auxiliary("fused", "first").eval(), method)
    expected = ROLLOUTS[method](IMAGES)
    for _ in range(2):  # what the head reads is kept for the second time
        found = explainer.heatmaps(INPUTS, [1])
        np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-6)
    assert found.layer == "3 attention layers"


class Branched(Transformer):
    """Adds what a convolution of the image says, which attention does not see."""

    def __init__(self):
        super().__init__("fused", "first")
        self.branch = torch.nn.Conv2d(3, reference.CLASSES, 2)

    def forward(self, image):
        return self.branch(image).mean((2, 3)) + super().forward(image)


def test_a_branch_that_bypasses_attention_is_told_of():
    model = Branched().eval()
    assert seewhy.Explainer(model).heatmaps(INPUTS, [1]).method == "integrated_gradients"
    explainer = seewhy.Explainer(model, "gradient_rollout", tokens=seewhy.TokenGrid(reference.GRID, 1))
    with pytest.warns(SeewhyWarning, match="a branch bypasses the attention layers, and the heatmap shows only what"):
        explainer.heatmaps(INPUTS, [1])


class Mixing(Transformer):
    """Subtracts the mean of the batch."""

    def forward(self, image):
        return super().forward(image - image.mean(dim=0))


def test_images_that_influence_each_other_are_explained_alone():
    explainer = seewhy.Explainer(Mixing("fused", "first").eval(), "legrad", tokens=seewhy.TokenGrid(reference.GRID, 1))
    with pytest.warns(SeewhyWarning, match="The images of a batch influence each other"):
        found = explainer.heatmaps(INPUTS, [1])
    expected = reference.legrad(np.zeros_like(IMAGES), 1)
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-6)


class Maximum(Transformer):
    """Reads the token whose first value is the largest."""

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(x))
        return self.head(x[torch.arange(len(x)), x[:, :, 0].argmax(dim=1)])


def test_each_image_may_read_another_token():
    model = Maximum("fused", "mean").eval()
    images = reference.images(4)
    inputs = np.ascontiguousarray(np.moveaxis(images, -1, 1))
    explainer = seewhy.Explainer(model, "attention_rollout")
    together = explainer.heatmaps(inputs, [1]).values
    alone = [explainer.heatmaps(each[None], [1]).values[0] for each in inputs]
    np.testing.assert_allclose(together, alone, atol=1e-7)
    assert len({each.argmax() for each in together}) > 1


def test_tokens_that_do_not_fit_the_maps_are_refused():
    explainer = seewhy.Explainer(Transformer("fused", "first").eval(), "legrad", tokens=seewhy.TokenGrid((3, 3), 1))
    with pytest.raises(LayerError, match=r"are 1 \+ 3 x 3 \+ 0 = 10 tokens, and the output of the layer .* has 7"):
        explainer.heatmaps(INPUTS, [1])


def test_what_was_found_with_other_tokens_is_not_said_again():
    classifier = seewhy.Classifier(Transformer("fused", "first").eval())
    with pytest.warns(SeewhyWarning, match="do not lie on the image row by row"):
        seewhy.Explainer(classifier, "legrad", tokens=seewhy.TokenGrid((3, 2), 1)).heatmaps(INPUTS, [1])
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeewhyWarning)
        found = seewhy.Explainer(classifier, "legrad_rollout").heatmaps(INPUTS, [1])
    expected = reference.legrad(IMAGES, 1) * reference.attention_rollout(IMAGES)
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-6)


class Saturated(Transformer):
    """Has a logit of class 1 that is far above all others in images of large values."""

    def forward(self, image):
        return super().forward(image) + 1000 * (image.mean(dim=(1, 2, 3)) > 1)[:, None] * torch.eye(4)[1]


def test_what_is_read_is_found_where_a_probability_is_1():
    explainer = seewhy.Explainer(Saturated("fused", "first").eval(), "attention_rollout", score="probability")
    for images in (IMAGES + 3, IMAGES):
        found = explainer.heatmaps(np.ascontiguousarray(np.moveaxis(images, -1, 1)), [1])
        assert (found.scores == 1).all() == (images is not IMAGES)
        np.testing.assert_allclose(found.values[:, 0], reference.attention_rollout(images), atol=1e-6)


class TokenPerClass(Transformer):
    """Reads the score of each class from a token of its own, the first four of those of the image."""

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(x))
        return x[:, :4].sum(dim=2)


def test_each_class_may_read_a_token_of_its_own():
    _, maps = reference.run(IMAGES, "mean")
    rollout = np.eye(6)
    for attention in maps:
        rollout = (attention.mean(axis=1) / 2 + np.eye(6) / 2) @ rollout
    explainer = seewhy.Explainer(TokenPerClass("fused", "mean").eval(), "attention_rollout")
    for targets in ([2], [0, 3], [1]):
        found = explainer.heatmaps(INPUTS, targets).values
        np.testing.assert_allclose(found, rollout[:, targets].reshape(2, -1, *reference.GRID), atol=1e-6)
