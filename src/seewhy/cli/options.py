"""Options that several commands share, and the values of options with a fixed set of them."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_MODEL = "efficientnet-lite0"

MODEL_HELP = (
    "A name listed by 'seewhy models'; a .keras, .h5 or .onnx file, or a folder that contains one; torchvision:NAME; "
    "timm:NAME; open_clip:NAME@TAG; ultralytics:NAME, without trained weights; hf:OWNER/NAME of Hugging Face, or a "
    "folder that its save_pretrained wrote; a .pt, .pth or .safetensors file with weights, together with "
    "--architecture; or package.module:callable, which runs your code: the module is imported, also from the current "
    "folder, and the callable is called."
)
METHOD_HELP = "A name listed by 'seewhy methods'; auto takes the one that suits the model."
TARGETS_HELP = "What to explain: top-3; or classes by name, index or wnid, separated by commas: tabby,285."


class FigureName(StrEnum):
    """What is drawn."""

    overlay = "overlay"
    panels = "panels"
    grid = "grid"
    probabilities = "probabilities"


class NormalizationName(StrEnum):
    """How a heatmap is scaled to 0..1."""

    max = "max"
    range = "range"


class UpsamplingName(StrEnum):
    """How a heatmap is interpolated to the size of the image."""

    bilinear = "bilinear"
    bicubic = "bicubic"
    nearest = "nearest"


class RescaleName(StrEnum):
    """How an overlay is brought into 0..255."""

    none = "none"
    max = "max"
    range = "range"


class ScoreName(StrEnum):
    """Which score of a class is explained."""

    logit = "logit"
    probability = "probability"


class PrecisionName(StrEnum):
    """The precision in which the model runs."""

    float32 = "float32"
    bfloat16 = "bfloat16"


WeightsOption = Annotated[
    str,
    typer.Option(
        metavar="imagenet|none|PATH",
        help="The weights of a model given by name. imagenet: trained. none: random, from a fixed seed. PATH: a file "
        "written by save_weights of Keras, or a state dict of PyTorch.",
    ),
]
ArchitectureOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The architecture of a file with weights: timm:resnet18, torchvision:resnet50, a name listed by "
        "'seewhy models', or package.module:callable.",
        show_default=False,
    ),
]
ClassNamesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="The class names in the order of the outputs: a text file with a name a line, or a .json file. Or "
        "imagenet.",
        show_default="those of the model",
    ),
]
PreprocessingOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How pixels become the model's input. imagenet: as torchvision does. 0..1, -1..1 or 0..255: scaled to "
        "that range. Or a module of keras.applications, such as vgg16.",
        show_default="that of the model",
    ),
]
SampleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=VALUE",
        help="An input of a model with several, instead of IMAGE; repeated for each: left=a.jpg, right=b.jpg. "
        "VALUE is an image; numbers for an input that takes no image, age=41 or box=0.1,0.2; or a .npy file. "
        "Without names, in the order of the inputs.",
        show_default=False,
    ),
]

InputSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="The model's input in pixels: a side, 224; or height x width, 240x320. For volumes and videos, their "
        "three sides: 32x64x64.",
        show_default="that of the model",
    ),
]
BackendOption = Annotated[
    str | None,
    typer.Option(
        metavar="onnx|openvino|keras|tensorflow|jax|torch",
        help="What runs the model: onnx or openvino for any; efficientnet-lite0 is built for the others, too.",
        show_default="the model's framework; for efficientnet-lite0 ONNX Runtime, else Keras, else PyTorch",
    ),
]
PromptOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help='A text that becomes a class of a model which compares images with texts, such as CLIP: "a photo of a '
        'dog". May be repeated.',
        show_default=False,
    ),
]
ModelOption = Annotated[str, typer.Option(metavar="MODEL", help=MODEL_HELP)]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
TargetsOption = Annotated[str, typer.Option(metavar="CLASS,...", help=TARGETS_HELP)]
MethodOption = Annotated[str, typer.Option(metavar="METHOD", help=METHOD_HELP)]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set an option of the method, such as masks=8000; may be repeated. 'seewhy methods' lists the options of "
        "each method.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors and notes, on standard error.")
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let the model file do what it says: its code (a Lambda layer) runs with your rights, and functions of "
        "Keras that read or write files, connect to the internet or change settings are called; and Python code of a "
        "Hugging Face repository runs. Only for files of your own, or of authors whom you would let run any program.",
    ),
]
LayerOption = Annotated[
    str,
    typer.Option(
        metavar="LAYER",
        help="A name or path listed by 'seewhy layers'. auto: the default layer of the model or, if it has none, the "
        "last layer with spatial output that passes the tests of 'seewhy layers --check'. With --method auto, a layer "
        "that is named is explained by gradcam.",
    ),
]
TokensOption = Annotated[
    str | None,
    typer.Option(
        metavar="HxW,prefix=N",
        help="How the tokens of a transformer's layer lie on the image: rows x columns of patches, and how many other "
        "tokens are before them, such as a class token, or after them: 14x14,prefix=1 or 4x6,prefix=5,suffix=1.",
        show_default="found by what the model declares and does",
    ),
]
ScoreOption = Annotated[
    ScoreName, typer.Option(help="Explain the logit, or the probability after the final softmax or sigmoid.")
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        help="The precision in which the model runs. bfloat16 is less exact, and faster on processors that support it."
    ),
]
ColormapOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="The name of a colour map, such as inferno. jet is misleading: its bands look like edges."
    ),
]
OutOption = Annotated[Path, typer.Option(metavar="FOLDER", help="The output folder; created if missing.")]


def split_list(text: str, known: Sequence[str] | None = None) -> list[str]:
    """Split a list that is separated by commas; known names, such as prompts, may have commas themselves."""
    from seewhy.models.class_names import split_names  # imported only by the commands that run

    return split_names(text, known or ())
