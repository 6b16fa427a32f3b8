"""Image classifiers of KerasHub with small backbones."""

from functools import partial
from typing import Any

SIDE = 64
"""Of the images, in pixels."""

CONFIGS: dict[str, dict[str, Any]] = {
    "ViT": {"patch_size": (8, 8), "num_layers": 3, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64},
    "DeiT": {"patch_size": (8, 8), "num_layers": 3, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 64},
    "ResNet": {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 64, 64],
        "stackwise_num_blocks": [1, 1, 1],
        "stackwise_num_strides": [1, 2, 2],
        "block_type": "basic_block",
    },
    "SwinTransformer": {"embed_dim": 16, "depths": [2, 2], "num_heads": [1, 2], "window_size": 4},
    "MiT": {
        "layerwise_depths": [1, 1],
        "num_layers": 2,
        "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [4, 2],
        "max_drop_path_rate": 0.0,
        "layerwise_patch_sizes": [7, 3],
        "layerwise_strides": [4, 2],
        "hidden_dims": [16, 32],
    },
    "DenseNet": {"stackwise_num_repeats": [2, 2], "growth_rate": 8},
    "VGG": {"stackwise_num_repeats": [1, 1, 1], "stackwise_num_filters": [8, 16, 32]},
    "CSPNet": {
        "stem_filters": 8,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 1],
        "stackwise_strides": [2, 2],
        "stackwise_num_filters": [16, 32],
        "block_type": "dark_block",
        "stage_type": "dark",
    },
}
"""The arguments of the backbone, besides the shape of its images."""


def _build(name: str) -> tuple[Any, tuple[int, int]]:
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    backbone = getattr(keras_hub.models, f"{name}Backbone")(**CONFIGS[name], image_shape=(SIDE, SIDE, 3))
    classifier = getattr(keras_hub.models, f"{name}ImageClassifier")
    return classifier(backbone=backbone, num_classes=8, preprocessor=None), (SIDE, SIDE)


MODELS = {name: partial(_build, name) for name in CONFIGS}
