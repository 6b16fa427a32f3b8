"""CAM, on heads of pooling and a linear layer, and on heads that resemble them at one image."""

import numpy as np
import pytest
from tests.methods.captures import raw_heatmaps
from tests.methods.pooled_model import CHANNELS, PooledModel, Runner, make_image

from seewhy import methods
from seewhy.errors import LayerError

TARGETS = [2, 0]


def cam(model, image=None):
    image = make_image() if image is None else image
    return methods.get("cam")(model.capture(image, TARGETS), Runner(model, image, TARGETS))


class Rectified(PooledModel):
    """Two dense layers with a ReLU between: gradients alike at every position, and different elsewhere."""

    def head(self, activations):
        return np.maximum(self.pooled(activations) @ self.hidden + 5, 0) @ self.dense + self.logit_bias


class Bent(PooledModel):
    """Linear but for a single unit of six, and that one only where it is far below what it is now."""

    def head(self, activations):
        pooled = self.pooled(activations)
        pooled[0] = max(pooled[0], -3)
        return pooled @ self.dense + self.logit_bias


class Softmax(PooledModel):
    def head(self, activations):
        exponentials = np.exp(super().head(activations) / 100)
        return exponentials / exponentials.sum()


class Square(PooledModel):
    """GeM pooling of the second power."""

    def pooled(self, activations):
        return np.sqrt((activations.reshape(-1, CHANNELS) ** 2).mean(axis=0))


class Greatest(PooledModel):
    def pooled(self, activations):
        return activations.reshape(-1, CHANNELS).max(axis=0)


class RectifiedThenPooled(PooledModel):
    """A ReLU between the layer and the pooling, that changes nothing at these activations, which are above 0."""

    def trunk(self, inputs):
        return np.abs(inputs @ self.mix) + 1

    def pooled(self, activations):
        return np.maximum(activations, 0).reshape(-1, CHANNELS).mean(axis=0)


class Dead(PooledModel):
    """Gradients of 0 here, and not elsewhere."""

    def head(self, activations):
        return np.maximum(super().head(activations) - 100, 0)


class Affine(PooledModel):
    """Normalisation and two dense layers without anything between: a linear layer all the same."""

    def head(self, activations):
        return ((self.pooled(activations) - 0.3) * 1.7 @ self.hidden) @ self.dense


@pytest.mark.parametrize("rectified", [True, False])
def test_the_weights_are_the_linear_layers(rectified):
    """Equation 2 of arXiv 1512.04150, in loops, with the model's own weights."""
    model, image = PooledModel(rectified=rectified), make_image()
    activations, found = model.trunk(image), cam(model, image)
    assert found.shape == (1, 2, 3, 4)
    for t, target in enumerate(TARGETS):
        for i, j in np.ndindex(3, 4):
            expected = sum(model.dense[k, target] * activations[i, j, k] for k in range(CHANNELS))
            assert found[0, t, i, j] == pytest.approx(expected, abs=1e-4)


def test_it_is_the_other_methods_times_the_positions():
    model, image = PooledModel(), make_image()
    capture = model.capture(image, TARGETS)
    for name in ("gradcam", "hirescam", "xgradcam"):
        found = raw_heatmaps(name, capture.activations, capture.gradients)
        np.testing.assert_allclose(cam(model, image), 12 * found, atol=1e-4)


def test_its_mean_is_the_score_without_the_bias():
    model = PooledModel()
    scores = model.head(model.trunk(make_image()))[TARGETS] - model.logit_bias[TARGETS]
    np.testing.assert_allclose(cam(model).mean(axis=(2, 3))[0], scores, atol=1e-4)


def test_several_linear_layers_are_one():
    model = Affine()
    expected = model.trunk(make_image()) @ (1.7 * model.hidden @ model.dense)[:, TARGETS]
    np.testing.assert_allclose(cam(model)[0], np.moveaxis(expected, -1, 0), atol=1e-3)


def test_activations_of_zero_give_zeros():
    model = PooledModel()
    model.bias[:] = -100
    np.testing.assert_array_equal(cam(model), np.zeros((1, 2, 3, 4)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("head", [Rectified, Bent, Softmax, RectifiedThenPooled, Dead])
def test_a_head_that_is_linear_only_near_the_activations_is_refused(head, seed):
    model = head(seed)
    gradients = model.capture(make_image(), TARGETS).gradients
    np.testing.assert_allclose(gradients, np.broadcast_to(gradients[:, :, :1, :1], gradients.shape), atol=1e-5)
    with pytest.raises(LayerError, match=r"after 'conv' the scores are not a linear function .* use hirescam"):
        cam(model)


@pytest.mark.parametrize("head", [Square, Greatest])
def test_another_pooling_is_refused(head):
    with pytest.raises(LayerError, match="after 'conv' the gradients differ between positions"):
        cam(head())


def test_nan_gradients_give_nan_which_the_explainer_refuses():
    model, image = PooledModel(), make_image()
    capture = model.capture(image, TARGETS)
    capture.gradients[0, 1] = np.nan
    found = methods.get("cam")(capture, Runner(model, image, TARGETS))
    assert np.isnan(found[0, 1]).all()
