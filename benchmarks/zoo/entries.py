"""The models of the zoo: the smallest of each family, with random weights, and the size of image that each is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Size = tuple[int, int]
SIDE = 160
"""The side of images for models that take any size."""

CLASSES = 8


@dataclass(frozen=True)
class Entry:
    """A model of the zoo.

    Attributes:
        name: The library, and the model's name there.
        build: Returns the model in inference mode, and the size of its input.
        backend: Keras's backend; None for torch modules.
        is_sample: Whether it is one of those that CI explains.
    """

    name: str
    build: Callable[[], tuple[Any, Size]]
    backend: str | None = None
    is_sample: bool = False


TIMM = """
beit_base_patch16_224 eca_halonext26ts test_byobnet cait_xxs24_224 coat_tiny coat_lite_tiny convit_tiny
convmixer_768_32 test_convnext cpubone_nano crossvit_tiny_240 csatv2 cs3darknet_focus_s cspnext_tiny davit_tiny
deepseek_vit_412m deit_tiny_patch16_224 deit_tiny_distilled_patch16_224 densenet121 dla34 dpn68 edgenext_x_small
efficientformer_l1 efficientformerv2_s0 test_efficientnet efficientvim_m1 efficientvit_b0 efficientvit_m0
eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny gemma4_vit_167m ghostnet_050
hardcorenas_b hgnetv2_b0 hiera_tiny_224 sam2_hiera_tiny hrnet_w18_small iformer_t inception_next_atto
inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small levit_384_s8 lowformer_b0 test_mambaout test_coatnet
caformer_s18 gmlp_ti16_224 lcnet_035 mobilenetv5_base mobilevit_xxs mvitv2_tiny naflexvit_base_patch16_siglip
nasnetalarge nest_tiny nextvit_small test_nfnet pit_xs_224 pnasnet5large pvt_v2_b0 qwen3_vit_88m_merge rdnet_tiny
regnetx_004_tv repghostnet_050 repvit_m1 res2net50_14w_8s resnest14d test_resnet resnet50_clip resnetv2_50 rexnet_100
selecsls42 legacy_seresnet18 sequencer2d_s shvit_s1 skresnet18 starnet_s1 swiftformer_xs swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_legacy_patch16_224 tresnet_m twins_svt_small vgg11
visformer_tiny test_vit vit_tiny_patch16_224 vit_tiny_r_s16_p8_224 test_vit_relpos samvit_base_patch16
vitamin_small_224 volo_d1_224 ese_vovnet19b_slim_dw legacy_xception xception41 xcit_nano_12_p8_224
""".split()  # noqa: SIM905 - a list of names is read more easily as text
"""One model of each module of timm; of those with several kinds of heads, the kinds."""

TIMM_SIDES = {
    "vgg11": 224,
    "samvit_base_patch16": 256,
    "deepseek_vit_412m": 168,
    "efficientvit_b0": 320,
    "inception_v4": 299,
    "lcnet_035": 320,
}
"""Other sides than `timm_model` chooses: multiples of the patches, and sizes that leave enough positions to judge the
grid by. SAM's model is built for images of that size."""

TORCHVISION = """
alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnext50_32x4d shufflenet_v2_x0_5
squeezenet1_1 swin_t swin_v2_t vgg11 vgg11_bn vit_b_16 wide_resnet50_2
""".split()  # noqa: SIM905 - a list of names is read more easily as text

FIXED_SIDES = {"vit_b_16": 224, "maxvit_t": 224, "inception_v3": 224}

APPLICATIONS = """
ConvNeXtTiny DenseNet121 EfficientNetB0 EfficientNetV2B0 InceptionResNetV2 InceptionV3 MobileNet MobileNetV2
MobileNetV3Small NASNetMobile ResNet50 ResNet50V2 VGG16 Xception
""".split()  # noqa: SIM905 - a list of names is read more easily as text

ON_OTHER_BACKENDS = ("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "MobileNetV2", "ResNet50V2", "VGG16")

SAMPLE = {
    "timm:test_resnet",
    "timm:test_vit",
    "timm:test_convnext",
    "torchvision:mobilenet_v3_small",
    "keras.applications:MobileNetV3Small (tensorflow)",
    "hf:ViT",
    "hf:ResNet",
    "hf:Swin",
    "keras_hub:ViT",
}
"""A few small models, one or two of each library."""


def entries() -> list[Entry]:
    """Return every entry, in the order of the table."""
    from benchmarks.zoo.hugging_face import MODELS as HUGGING_FACE
    from benchmarks.zoo.keras_hub import MODELS as KERAS_HUB

    every: list[tuple[str, Callable[[], tuple[Any, Size]], str | None]] = [
        *((f"timm:{name}", _with(timm_model, name), None) for name in TIMM),
        *((f"torchvision:{name}", _with(torchvision_model, name), None) for name in TORCHVISION),
        *((f"hf:{name}", build, None) for name, build in HUGGING_FACE.items()),
        *((f"keras.applications:{name} (tensorflow)", _with(application, name), "tensorflow") for name in APPLICATIONS),
        *(
            (f"keras.applications:{name} ({backend})", _with(application, name), backend)
            for backend in ("jax", "torch")
            for name in ON_OTHER_BACKENDS
        ),
        *((f"keras_hub:{name}", build, "tensorflow") for name, build in KERAS_HUB.items()),
    ]
    return [Entry(name, build, backend, name in SAMPLE) for name, build, backend in every]


def _with(build: Callable[[str], tuple[Any, Size]], name: str) -> Callable[[], tuple[Any, Size]]:
    return lambda: build(name)


def timm_model(name: str) -> tuple[Any, Size]:
    """Build a model of timm for images of 160 pixels, or of its own size if that is fixed."""
    import timm
    import torch

    torch.manual_seed(0)
    options = {"img_size": TIMM_SIDES[name]} if name.startswith("samvit") else {}
    model = timm.create_model(name, pretrained=False, num_classes=CLASSES, **options).eval()
    if name in TIMM_SIDES:
        return model, (TIMM_SIDES[name],) * 2
    config = model.pretrained_cfg
    sides = config.get("input_size", (3, 224, 224))[1:]
    if not config.get("fixed_input_size"):
        least = config.get("min_input_size") or (3, SIDE, SIDE)
        sides = tuple(max(SIDE, side) for side in least[1:])
    return model, (sides[0], sides[1])


def torchvision_model(name: str) -> tuple[Any, Size]:
    """Build a classifier of torchvision."""
    import torch
    from torchvision import models

    torch.manual_seed(0)
    options = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    side = FIXED_SIDES.get(name, SIDE)
    return models.get_model(name, weights=None, num_classes=CLASSES, **options).eval(), (side, side)


def application(name: str) -> tuple[Any, Size]:
    """Build a model of keras.applications."""
    import keras

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(
        weights=None, classes=CLASSES, classifier_activation=None, input_shape=(SIDE, SIDE, 3)
    )
    return model, (SIDE, SIDE)
