"""Image classifiers of KerasHub with small backbones."""

from collections.abc import Callable
from typing import Any

CONFIGS: dict[str, tuple[dict[str, Any], int]] = {
    "ViT": (
        {
            "image_shape": (64, 64, 3),
            "patch_size": (8, 8),
            "num_layers": 3,
            "num_heads": 2,
            "hidden_dim": 32,
            "mlp_dim": 64,
        },
        64,
    ),
    "DeiT": (
        {
            "image_shape": (64, 64, 3),
            "patch_size": (8, 8),
            "num_layers": 3,
            "num_heads": 2,
            "hidden_dim": 32,
            "intermediate_dim": 64,
        },
        64,
    ),
    "ResNet": (
        {
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [7],
            "stackwise_num_filters": [64, 64, 64],
            "stackwise_num_blocks": [1, 1, 1],
            "stackwise_num_strides": [1, 2, 2],
            "block_type": "basic_block",
            "image_shape": (64, 64, 3),
        },
        64,
    ),
    "SwinTransformer": (
        {"image_shape": (64, 64, 3), "embed_dim": 16, "depths": [2, 2], "num_heads": [1, 2], "window_size": 4},
        64,
    ),
    "MiT": (
        {
            "layerwise_depths": [1, 1],
            "num_layers": 2,
            "layerwise_num_heads": [1, 2],
            "layerwise_sr_ratios": [4, 2],
            "max_drop_path_rate": 0.0,
            "layerwise_patch_sizes": [7, 3],
            "layerwise_strides": [4, 2],
            "image_shape": (64, 64, 3),
            "hidden_dims": [16, 32],
        },
        64,
    ),
    "DenseNet": (
        {"stackwise_num_repeats": [2, 2], "growth_rate": 8, "image_shape": (64, 64, 3)},
        64,
    ),
    "VGG": (
        {"stackwise_num_repeats": [1, 1, 1], "stackwise_num_filters": [8, 16, 32], "image_shape": (64, 64, 3)},
        64,
    ),
    "CSPNet": (
        {
            "stem_filters": 8,
            "stem_kernel_size": 3,
            "stem_strides": 1,
            "stackwise_depth": [1, 1],
            "stackwise_strides": [2, 2],
            "stackwise_num_filters": [16, 32],
            "block_type": "dark_block",
            "stage_type": "dark",
            "image_shape": (64, 64, 3),
        },
        64,
    ),
}
"""The arguments of the backbone, and the side of its images."""


def _build(name: str) -> tuple[Any, tuple[int, int]]:
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    arguments, side = CONFIGS[name]
    backbone = getattr(keras_hub.models, f"{name}Backbone")(**arguments)
    classifier = getattr(keras_hub.models, f"{name}ImageClassifier")
    return classifier(backbone=backbone, num_classes=8, preprocessor=None), (side, side)


def _entry(name: str) -> Callable[[], tuple[Any, tuple[int, int]]]:
    return lambda: _build(name)


MODELS = {name: _entry(name) for name in CONFIGS}
