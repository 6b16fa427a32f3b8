"""Image classifiers of Hugging Face transformers with small, random configs."""

from functools import partial
from typing import Any

TOWER = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 8,
}
STAGES = {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]}
SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [1, 2], "window_size": 4}
LEVIT = {"image_size": 128, "hidden_sizes": [16] * 3, "num_attention_heads": [2] * 3, "depths": [1] * 3}
MOBILEVIT = {"image_size": 128, "num_attention_heads": 2, "hidden_sizes": [16] * 3, "neck_hidden_sizes": [8] * 6 + [16]}

CONFIGS: dict[str, tuple[str, dict[str, Any], int]] = {
    "ViT": ("ViTForImageClassification", TOWER, 64),
    "DeiT": ("DeiTForImageClassification", TOWER, 64),
    "DeiT, with a teacher": ("DeiTForImageClassificationWithTeacher", TOWER, 64),
    "BEiT": ("BeitForImageClassification", TOWER, 64),
    "DINOv2": ("Dinov2ForImageClassification", {**TOWER, "mlp_ratio": 2}, 64),
    "DINOv2, with registers": (
        "Dinov2WithRegistersForImageClassification",
        {**TOWER, "mlp_ratio": 2, "num_register_tokens": 3},
        64,
    ),
    "CLIP": ("CLIPForImageClassification", {"vision_config": TOWER}, 64),
    "SigLIP": ("SiglipForImageClassification", {"vision_config": TOWER}, 64),
    "Swin": ("SwinForImageClassification", SWIN, 64),
    "Swin V2": ("Swinv2ForImageClassification", SWIN, 64),
    "ConvNeXt": ("ConvNextForImageClassification", STAGES, 128),
    "ConvNeXt V2": ("ConvNextV2ForImageClassification", STAGES, 128),
    "ResNet": ("ResNetForImageClassification", {**STAGES, "embedding_size": 8}, 128),
    "RegNet": ("RegNetForImageClassification", {**STAGES, "embedding_size": 8, "groups_width": 8}, 128),
    "MobileNet V2": ("MobileNetV2ForImageClassification", {"image_size": 128, "depth_multiplier": 0.35}, 128),
    "MobileViT": ("MobileViTForImageClassification", MOBILEVIT, 128),
    "SegFormer": ("SegformerForImageClassification", {**STAGES, "num_attention_heads": [1, 1, 2, 2]}, 128),
    "PoolFormer": ("PoolFormerForImageClassification", STAGES, 128),
    "PVT": ("PvtForImageClassification", {**STAGES, "image_size": 128, "num_attention_heads": [1, 1, 2, 2]}, 128),
    "LeViT": ("LevitForImageClassification", {**LEVIT, "key_dim": [8] * 3}, 128),
    "FocalNet": (
        "FocalNetForImageClassification",
        {"image_size": 64, "embed_dim": 16, "depths": [1, 1], "focal_levels": [1, 1], "focal_windows": [3, 3]},
        64,
    ),
    "Hiera": (
        "HieraForImageClassification",
        {
            "image_size": [64, 64],
            "embed_dim": 16,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "query_stride": [2, 2],
            "masked_unit_size": [4, 4],
            "num_query_pool": 1,
        },
        64,
    ),
}
"""The class of the model, the changes to its config, and the side of its images."""


def _build(kind: str, changes: dict[str, Any], side: int) -> tuple[Any, tuple[int, int]]:
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, kind)
    config = model.config_class(**changes, num_labels=8)
    for part in (config, getattr(config, "vision_config", None)):
        if hasattr(part, "initializer_range"):
            part.initializer_range = 0.2  # in models as narrow as these, nothing is left of an image with 0.02
    return model(config).eval(), (side, side)


MODELS = {name: partial(_build, *config) for name, config in CONFIGS.items()}
