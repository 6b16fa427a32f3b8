"""Attention methods on arrays: chains of maps in which tokens are pooled or joined, against products of matrices."""

import numpy as np
import pytest
from tests.methods.captures import NAMESPACES, tensor

from seewhy import methods
from seewhy.errors import LayerError
from seewhy.methods.attention_chain import chain_steps
from seewhy.types import AttentionCapture

IMAGES, TARGETS, HEADS = 2, 3, 2


def drawn(shapes, seed=0):
    """Draw maps (N, H, Lq, Lk), whose rows sum to 1, and their gradients."""
    random = np.random.default_rng(seed)
    exponentials = [np.exp(random.normal(size=(IMAGES, HEADS, *shape))) for shape in shapes]
    maps = [each / each.sum(axis=-1, keepdims=True) for each in exponentials]
    return maps, [random.normal(size=(IMAGES, TARGETS, HEADS, *shape)) for shape in shapes]


def heatmaps(name, maps, gradients, reads, xp=np):
    reads = np.broadcast_to(np.array(reads, float), (IMAGES, TARGETS, len(reads)))
    scores = tensor(np.zeros((IMAGES, TARGETS)), xp)
    capture = AttentionCapture(
        tuple(tensor(each, xp) for each in maps),
        tuple(tensor(each, xp) for each in gradients),
        *(scores, None, None, None, xp),
        reads=tensor(reads.copy(), xp),
    )
    return np.array(methods.get(name)(capture))


def passed(name, attention, gradient):
    """Return what a layer passes, (N, T, Lq, Lk), and how much its skip connection keeps."""
    if name == "attention_rollout":
        return np.repeat(attention.mean(axis=1)[:, None] / 2, TARGETS, axis=1), 0.5
    return np.maximum(gradient * attention[:, None], 0).mean(axis=2), 1.0


ROLLOUTS = ("gradient_rollout", "attention_rollout")


@pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("name", ROLLOUTS)
def test_every_token_keeps_its_place(name, xp):
    maps, gradients = drawn([(4, 4)] * 3)
    relevance = np.broadcast_to(np.eye(4), (IMAGES, TARGETS, 4, 4))
    for attention, gradient in zip(maps, gradients, strict=True):
        share, kept = passed(name, attention, gradient)
        relevance = kept * relevance + share @ relevance
    reads = np.array([0.5, 0, 0.25, 0.25])
    own = reads if name == "gradient_rollout" else 0
    np.testing.assert_allclose(heatmaps(name, maps, gradients, reads, xp), reads @ relevance - own, atol=1e-12)


def test_small_gradients_are_not_lost_beside_the_tokens_themselves():
    """In float32 the sum of a share of 0.25 and a relevance of 1e-9 is 0.25."""
    maps, gradients = drawn([(4, 4)] * 3)
    reads = np.full(4, 0.25, np.float32)
    small = [(1e-9 * each).astype(np.float32) for each in gradients]
    found = heatmaps("gradient_rollout", [each.astype(np.float32) for each in maps], small, reads)
    expected = sum(passed("gradient_rollout", *pair)[0] for pair in zip(maps, gradients, strict=True))
    np.testing.assert_allclose(found / 1e-9, np.einsum("q,ntqk->ntk", reads, expected), rtol=1e-5)


@pytest.mark.parametrize("name", ROLLOUTS)
def test_a_query_pools_the_tokens(name):
    maps, gradients = drawn([(4, 4), (1, 4)])
    (first, kept), (last, _) = (passed(name, *pair) for pair in zip(maps, gradients, strict=True))
    expected = (last @ (kept * np.eye(4) + first))[:, :, 0]
    np.testing.assert_allclose(heatmaps(name, maps, gradients, [1.0]), expected, atol=1e-12)


@pytest.mark.parametrize("name", ROLLOUTS)
def test_a_class_token_joins_the_others_and_attends_twice(name):
    maps, gradients = drawn([(4, 4), (1, 5), (1, 5)])
    (first, kept), *later = (passed(name, *pair) for pair in zip(maps, gradients, strict=True))
    relevance = np.zeros((IMAGES, TARGETS, 5, 5))  # of the class token and the others, to themselves before
    relevance[:, :, 0, 0] = 1
    relevance[:, :, 1:, 1:] = kept * np.eye(4) + first
    for share, kept in later:
        relevance[:, :, :1] = kept * relevance[:, :, :1] + share @ relevance
    np.testing.assert_allclose(heatmaps(name, maps, gradients, [1.0]), relevance[:, :, 0, 1:], atol=1e-12)


def test_legrad_leaves_out_a_class_token_that_joins_later():
    maps, gradients = drawn([(4, 4), (1, 5)])
    first, last = (np.maximum(each, 0).mean(axis=(2, 3)) for each in gradients)
    np.testing.assert_allclose(heatmaps("legrad", maps, gradients, [1.0]), (first + last[:, :, 1:]) / 2, atol=1e-12)


def test_legrad_needs_the_same_tokens_in_all_layers():
    maps, gradients = drawn([(2, 4), (2, 2)])
    with pytest.raises(LayerError, match="fewer of them in later layers"):
        heatmaps("legrad", maps, gradients, [0.5, 0.5])


def test_legrad_rollout_by_hand():
    attention, gradient = np.array([[[[0.25, 0.75], [0.5, 0.5]]]]), np.array([[[[[4.0, -1.0], [0.0, 2.0]]]]])
    reads = [1.0, 0.0]  # rollout: (1 + 0.25) / 2 and 0.75 / 2; LeGrad: 4 / 2 and 2 / 2
    np.testing.assert_allclose(heatmaps("legrad_rollout", [attention], [gradient], reads)[0, 0], [1.25, 0.375])


@pytest.mark.parametrize("shapes", [[(4, 4)] * 3, [(4, 4), (1, 4)], [(4, 4), (1, 5), (1, 5)], [(1, 5), (1, 5)]])
def test_legrad_rollout_is_the_product_of_its_factors(shapes):
    maps, gradients = drawn(shapes)
    reads = np.arange(1.0, shapes[-1][0] + 1)
    product, *factors = (heatmaps(each, maps, gradients, reads) for each in ("legrad_rollout", "legrad", ROLLOUTS[1]))
    np.testing.assert_allclose(product, factors[0] * factors[1], rtol=1e-12)
    assert product.min() >= 0 < product.max()


def test_legrad_rollout_of_pooled_tokens_averages_the_layers_before():
    maps, gradients = drawn([(4, 4), (2, 4), (2, 2)])
    before = heatmaps("legrad", maps[:2], gradients[:2], [0.5, 0.5])
    expected = before * heatmaps("attention_rollout", maps, gradients, [0.5, 0.5])
    np.testing.assert_allclose(heatmaps("legrad_rollout", maps, gradients, [0.5, 0.5]), expected, rtol=1e-12)


CHAINS = {
    ((2, 9, 9), (2, 9, 9)): ("mix", "mix"),
    ((2, 9, 9), (4, 1, 9)): ("mix", "pool"),
    ((2, 9, 9), (1, 4, 9), (2, 4, 4)): ("mix", "pool", "mix"),
    ((2, 9, 9), (2, 1, 10), (2, 1, 10)): ("mix", "first class", "class"),
    ((2, 1, 10), (2, 1, 10)): ("class", "class"),
    ((2, 1, 10),): ("pool",),
}


@pytest.mark.parametrize(("shapes", "steps"), CHAINS.items())
def test_what_each_map_does(shapes, steps):
    assert chain_steps(shapes) == steps


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 9, 9), (2, 4, 4)),
        ((2, 9, 9), (2, 10, 10)),
        ((2, 9, 9), (2, 1, 10), (2, 10, 10)),
    ],
)
def test_maps_of_other_tokens_cannot_be_chained(shapes):
    with pytest.raises(LayerError, match=f"Attention layer {len(shapes)} of {len(shapes)} has a map of"):
        chain_steps(shapes)


def test_merged_keys_cannot_be_chained():
    with pytest.raises(LayerError, match="layer 1 of 2 has a map of 64 queries x 16 keys: the model merges tokens"):
        chain_steps(((2, 64, 16), (2, 64, 16)))


def test_windows_cannot_be_chained():
    with pytest.raises(LayerError, match=r"Attention layer 2 of 2 attends within windows, shape \(4, 2, 9, 9\)"):
        chain_steps(((2, 9, 9), (4, 2, 9, 9)))
