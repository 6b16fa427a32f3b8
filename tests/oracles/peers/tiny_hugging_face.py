"""Folders with small models of Hugging Face without weights, of each kind that finds objects or labels pixels."""

import json
from pathlib import Path

SIDE = 64
STAGES = ["stage2", "stage3", "stage4"]
DETR = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "num_queries": 5,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
}
TRANSFORMER = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
VIT = {**TRANSFORMER, "image_size": SIDE, "patch_size": 16}
RT_DETR = {
    "encoder_hidden_dim": 16,
    "encoder_in_channels": [16, 32, 64],
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "decoder_in_channels": [16, 16, 16],
    "decoder_ffn_dim": 32,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_queries": 5,
    "num_denoising": 0,
}
MOBILEVIT = {
    "image_size": SIDE,
    "hidden_sizes": [16, 24, 32],
    "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 64],
    "aspp_out_channels": 16,
    "num_attention_heads": 2,
}
CONVNEXT = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "out_features": ["stage1", *STAGES]}
UPERNET = {"hidden_size": 16, "auxiliary_in_channels": 16, "auxiliary_channels": 8, "use_pretrained_backbone": False}

DETECTORS = {
    "Detr": ("Detr", {**DETR, "backbone": ["stage4"]}),
    "ConditionalDetr": ("ConditionalDetr", {**DETR, "backbone": ["stage4"]}),
    "DeformableDetr": ("DeformableDetr", {**DETR, "backbone": STAGES, "num_feature_levels": 3, "decoder_layers": 2}),
    "TableTransformer": ("Detr", {**DETR, "backbone": ["stage4"]}),
    "Yolos": ("Yolos", {**VIT, "image_size": [SIDE, SIDE], "num_detection_tokens": 5}),
    "RTDetr": ("RTDetr", {**RT_DETR, "backbone": STAGES}),
    "RTDetrV2": ("RTDetr", {**RT_DETR, "backbone": STAGES}),
}
SEGMENTERS = {
    "Segformer": (
        "Segformer",
        {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}
        | {"decoder_hidden_size": 16},
    ),
    "UperNet": ("Segformer", {**UPERNET, "backbone": CONVNEXT}),
    "MobileViT": ("MobileViT", MOBILEVIT),
    "MobileViTV2": ("MobileViT", {"image_size": SIDE, "width_multiplier": 0.5, "aspp_out_channels": 16}),
    "MobileNetV2": ("MobileNetV2", {"image_size": SIDE, "depth_multiplier": 0.35}),
    "Beit": ("Beit", {**VIT, "out_indices": [1, 2, 3, 4], "use_relative_position_bias": True}),
    "Data2VecVision": ("Beit", {**VIT, "out_indices": [0, 1, 2, 3]}),
    "DPT": (
        "DPT",
        {**VIT, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16], "readout_type": "ignore"}
        | {"fusion_hidden_size": 16},
    ),
}
"""The kind of image processor, and the settings of the model that are not the library's."""


def write_folder(kind: str, folder: Path) -> Path:
    """Write the config of a small model and of its image processor, as `save_pretrained` does, without weights."""
    import transformers

    is_detector = kind in DETECTORS
    processor, settings = (DETECTORS if is_detector else SEGMENTERS)[kind]
    settings = {**settings, "num_labels": 3}
    backbone = settings.pop("backbone", None)
    if isinstance(backbone, dict):
        settings["backbone_config"] = transformers.ConvNextConfig(**backbone)
    elif backbone is not None:
        name = "RTDetrResNetConfig" if kind.startswith("RT") else "ResNetConfig"
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1], "layer_type": "basic"}
        settings["backbone_config"] = getattr(transformers, name)(**sizes, out_features=backbone)
    config = getattr(transformers, f"{kind}Config")(**settings)
    config.architectures = [f"{kind}{'ForObjectDetection' if is_detector else 'ForSemanticSegmentation'}"]
    config.save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    is_cropped = processor.startswith("Mobile")
    written = {
        "image_processor_type": f"{processor}ImageProcessor",
        "size": {"shortest_edge": SIDE} if is_cropped else size,
        "crop_size": size,
        "do_center_crop": is_cropped,
        "resample": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(written))
    return folder
