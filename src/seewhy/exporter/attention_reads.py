"""What the scores of a model read of its attention maps, as samples tell."""

import numpy as np

from seewhy.attribution.attention import with_reads
from seewhy.attribution.token_layout import find_token_grid
from seewhy.errors import MethodError
from seewhy.explainer import Explainer
from seewhy.frameworks.export_settings import AttentionReads
from seewhy.frameworks.structures import InputBatch
from seewhy.frameworks.tokens import TokenGrid
from seewhy.methods.attention_chain import check_links
from seewhy.targets import Objective, TopK


def attention_reads(explainer: Explainer, inputs: InputBatch) -> tuple[AttentionReads, TokenGrid | None]:
    """Return what the scores read, and how the tokens of the first map lie on the image.

    Raises:
        LayerError: The model computes no attention or its attention layers form no chain, or the grid of its tokens
            cannot be determined.
        MethodError: What is read differs between images or classes.
    """
    framework = explainer.framework
    classes = min(2, int(np.shape(framework.to_numpy(framework.predict(inputs, explainer.output)))[1]))  # type: ignore[arg-type]
    objective = Objective(TopK(classes), "logit", explainer.output)
    capture = with_reads(framework, framework.capture_attention(inputs, objective))
    check_links(framework.attention_links(inputs), len(capture.maps))
    shares = framework.to_numpy(capture.require_reads())
    if (shares != shares[:1, :1]).any() or not shares[0, 0].any():
        raise MethodError(
            "The model's head reads other tokens in each image or for each class, so its attention maps cannot be "
            "followed in an exported model. Use a method that explains a layer, such as gradcam."
        )
    plan = explainer._pipeline.plan(inputs, Objective(TopK(1), explainer.score, explainer.output), 1)
    tokens = int(capture.maps[0].shape[-1])
    grid = find_token_grid(plan, inputs, (tokens,), f"the output of the {capture.layer}", objective)
    return AttentionReads(len(capture.maps), np.asarray(shares[0, 0], np.float32)), grid
