"""Video transformers of Hugging Face, tiny and random: maps of the patches against autograd, and what is refused."""

import numpy as np
import pytest
import torch
import transformers

import seewhy
from seewhy.errors import LayerError

FRAMES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
TOWER = {
    "image_size": 32,
    "num_frames": 8,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_labels": 3,
}
MODELS = {
    "VideoMAE": ({"patch_size": 8, "tubelet_size": 2}, "videomae.embeddings.patch_embeddings.projection", (4, 4, 4)),
    "Vivit": ({"tubelet_size": [2, 8, 8]}, "vivit.embeddings.patch_embeddings.projection", (4, 4, 4)),
    "Timesformer": ({"patch_size": 8}, "timesformer.embeddings.patch_embeddings.projection", (8, 4, 4)),
}


def frames_first(clips):
    """Return (N, T, C, H, W), as these models take it."""
    return np.moveaxis(clips, -1, 2) / 255


@pytest.fixture(params=MODELS)
def tiny(request):
    torch.manual_seed(0)
    config, layer, space = MODELS[request.param]
    config = getattr(transformers, f"{request.param}Config")(**TOWER, **config)
    model = getattr(transformers, f"{request.param}ForVideoClassification")(config).eval()
    return model, layer, space


def test_the_maps_of_patches_are_those_of_autograd(tiny):
    model, layer, space = tiny
    classifier = seewhy.Classifier(model, preprocess=frames_first)
    found = seewhy.explain(classifier, seewhy.Video(FRAMES), targets=1, layer=layer, method="hirescam")
    kept = {}
    hook = model.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.update(output=output))
    inputs = torch.tensor(frames_first(FRAMES[None]), dtype=torch.float32)
    score = model(pixel_values=inputs).logits[0, 1]
    hook.remove()
    (gradient,) = torch.autograd.grad(score, kept["output"])
    product = (gradient * kept["output"]).detach()  # (1, K, *space), or (frames, K, rows, columns)
    expected = np.maximum(product.sum(1).reshape(space).numpy(), 0)
    assert found.heatmaps.shape == (1, *space)
    assert found.targets[0].score == pytest.approx(score.item(), rel=1e-4)
    np.testing.assert_allclose(found.heatmaps[0], expected, atol=1e-4 * np.abs(expected).max())


def test_tokens_are_refused_and_the_layer_of_patches_is_named(tiny):
    model, layer, _ = tiny
    explainer = seewhy.Explainer(seewhy.Classifier(model, preprocess=frames_first), method="gradcam")
    message = rf"tokens of a transformer, .* are not laid on frames, rows and columns. .*such as layer='{layer}'\. Or"
    with pytest.raises(LayerError, match=message):
        explainer.explain(seewhy.Video(FRAMES), targets=1)
