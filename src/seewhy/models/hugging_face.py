"""Image classifiers, segmentation models, and models that compare images with texts, of Hugging Face transformers.

They are loaded by name from the hub, or from a folder of `save_pretrained`.
"""

import contextlib
import copy
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError, did_you_mean, short_repr
from seewhy.models import hugging_face_hub
from seewhy.models.classifier import Classifier
from seewhy.models.hugging_face_folder import CONFIG, PROCESSOR, HuggingFaceFolder, inspect, is_folder
from seewhy.models.hugging_face_processor import hugging_face_preprocessing
from seewhy.models.model_file import expanded, similar_paths
from seewhy.models.torch_build_limits import TorchBuildLimits, limited
from seewhy.models.torch_hubs import SEED, incompatible_torch
from seewhy.timing import Phase

PREFIX = "hf:"
WRAPPERS = {"timm_wrapper"}
"""Types whose config names a model of another package, with any arguments."""

NO_PROCESSOR = (
    f"has no image processor ({PROCESSOR}), and how the images that it was trained on were prepared is not known. It "
    "is given pixels in 0..255, with which its predictions are probably meaningless. Save its processor beside it: "
    "processor.save_pretrained(folder). Or give the preprocessing: preprocessing='imagenet' (--preprocessing on the "
    "command line)."
)
"""What a warning says about a model that came without its preprocessing."""

EXPECTED = (
    "Expected a model for image classification, which AutoModelForImageClassification loads, with its classification "
    "head; or one for semantic segmentation, or object detection"
)

SEGMENTATION = "ForSemanticSegmentation"
"""How the name of an architecture ends that scores each pixel."""

TWO_TOWERS = {
    "CLIPModel": "clip",
    "MetaClip2Model": "metaclip_2",
    "SiglipModel": "siglip",
    "ChineseCLIPModel": "chinese_clip",
    "AltCLIPModel": "altclip",
    "AlignModel": "align",
    "CLIPSegModel": "clipseg",
    "GroupViTModel": "groupvit",
}
"""The architectures with an image and a text tower, whose classes are prompts, and their types."""

DETECTION = "ForObjectDetection"
"""How the name of an architecture ends that finds objects. Any other is loaded as an image classifier."""


UNIVERSAL = ("ForUniversalSegmentation", "ForInstanceSegmentation", "ForSegmentation")
"""How the names of architectures end that predict masks."""


def is_source(source: str) -> bool:
    """Whether a source is written `hf:NAME`, or is the path of a folder with a Hugging Face model."""
    if source.startswith(PREFIX):
        return True
    try:
        return source != "" and is_folder(expanded(source))
    except ModelError:  # it begins with ~, and there is no such user
        return False


def check(source: str) -> None:
    """Raise ModelError for a folder that is no model, or a text that is no name, as far as that is known here."""
    name = source.removeprefix(PREFIX)
    if _is_path(name):
        _find_folder(name)
    else:
        hugging_face_hub.check_name(name)


def load(source: str, *, pretrained: bool, trust: bool, classes: int | None = None) -> Classifier:
    """Load an image classifier, or a model for semantic segmentation, with its image processor and class names.

    Args:
        source: "hf:OWNER/NAME", or "hf:" and the path of a folder; the path of a folder alone, too.
        pretrained: True for the trained weights; False for random ones from a fixed seed.
        trust: True allows Python code of the model's author to run.
        classes: The number of classes, of a model that is not pretrained; None for that of the config.

    Raises:
        ModelError: There is no such model, it is no image classifier, it needs code that is not trusted, or its image
            processor cannot be expressed as a `Preprocessing`.
        WeightsError: The weights are damaged, or lack the classification head.
        MissingExtraError: transformers or torch is not installed.
    """
    name = source.removeprefix(PREFIX)
    is_path = _is_path(name)
    if not is_path:
        _check_installed(source)  # before anything is downloaded
    path = _find_folder(name) if is_path else hugging_face_hub.find_model(name, trust=trust, needs_weights=pretrained)
    folder = inspect(path, trust=trust, needs_weights=pretrained)
    title = path.resolve().name if is_path else f"{PREFIX}{name}"
    transformers = _import_transformers(title)
    config = _config(transformers, folder, title, trust=trust)
    if classes is not None:
        config.num_labels = classes
    model = _build(transformers, folder, config, title, pretrained=pretrained, trust=trust)
    preprocessing = None
    if folder.processor is not None:
        channels = getattr(getattr(config, "vision_config", config), "num_channels", 3)
        preprocessing = hugging_face_preprocessing(title, folder.processor, channels)
    return Classifier(model, preprocess=preprocessing, name=title)


def _is_path(name: str) -> bool:
    """Whether a name after `hf:` is a path: it looks like one, or is that of a folder."""
    has_path_syntax = name.startswith((".", "/", "~")) or name.partition("@")[0].count("/") > 1
    return has_path_syntax or (name != "" and os.path.isdir(name))  # Path.is_dir raises if it is too long


def _find_folder(name: str) -> Path:
    path = expanded(name)
    if not os.path.isdir(path):
        raise ModelError(f"There is no folder {path}.{similar_paths(path)}")
    if not os.path.exists(path / CONFIG):
        raise ModelError(
            f"The folder {path} contains no {CONFIG}; expected a folder that save_pretrained of transformers wrote, "
            f"with {CONFIG}, model.safetensors and preprocessor_config.json."
        )
    return path


def _check_installed(title: str) -> None:
    """Raise MissingExtraError if a package is missing, without the seconds in which it is imported."""
    for package in ("transformers", "torch"):
        if sys.modules.get(package) is None and (package in sys.modules or importlib.util.find_spec(package) is None):
            raise MissingExtraError(f"For {title}, {package}", "huggingface")


def _import_transformers(title: str) -> Any:
    try:
        with timing.phase(Phase.IMPORTING):
            import torch  # noqa: F401 - without it, transformers has no models
            import transformers
    except ModuleNotFoundError as error:
        if error.name not in ("transformers", "torch"):
            raise
        raise MissingExtraError(f"For {title}, {error.name}", "huggingface") from error
    try:
        import torchvision  # noqa: F401 - transformers imports it where it is installed
    except ModuleNotFoundError:
        pass
    except RuntimeError as error:
        raise incompatible_torch(error) from error
    return transformers


def _config(transformers: Any, folder: HuggingFaceFolder, title: str, *, trust: bool) -> Any:
    """Return the config object of a model that classifies images, or their pixels."""
    kind = folder.config.get("model_type")
    names = transformers.models.auto.modeling_auto
    if _is_two_towers(folder):
        known = {TWO_TOWERS[str(_architecture(folder))]}
    elif _is_segmentation(folder):
        known = {*names.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES}
    elif _is_detector(folder):
        known = {*names.MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES}
    else:
        known = {*names.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES} - WRAPPERS
    if not trust and (_architecture(folder) or "").endswith(UNIVERSAL):
        raise ModelError(
            f"{title} is a {_architecture(folder)}, which predicts masks, each with class logits, and no score for "
            "each class at each pixel. Take a model for semantic segmentation, such as SegFormer; or load the model "
            "yourself, and wrap it in a torch.nn.Module that returns, for each class and pixel, the sum over all masks "
            "of the mask's sigmoid times the softmax of its class logits."
        )
    if not trust and (not isinstance(kind, str) or kind not in known):
        made = f" It was saved as {short_repr(_architecture(folder))}." if _architecture(folder) else ""
        raise ModelError(
            f"{title} is a model of type {short_repr(kind)}, for which transformers has no image classifier."
            f"{did_you_mean(str(kind), known)}{made} {EXPECTED}; a model of timm is given as timm:NAME. Or wrap your "
            "model in a torch.nn.Module whose forward takes pixels and returns class scores."
        )
    try:
        return transformers.AutoConfig.from_pretrained(folder.path, local_files_only=True, trust_remote_code=trust)
    except Exception as error:  # transformers and its checks raise errors of a dozen types
        raise WeightsError(f"transformers cannot read the config of {title}: {_first_line(error)}") from error


def _build(
    transformers: Any, folder: HuggingFaceFolder, config: Any, title: str, *, pretrained: bool, trust: bool
) -> Any:
    """Return the model in evaluation mode; random weights come from a fixed seed, and torch's generator is restored."""
    import torch

    if _is_two_towers(folder):
        auto = transformers.AutoModel
    elif _is_segmentation(folder):
        auto = transformers.AutoModelForSemanticSegmentation
    elif _is_detector(folder):
        auto = transformers.AutoModelForObjectDetection
    else:
        auto = transformers.AutoModelForImageClassification
    limits: Any = contextlib.nullcontext() if trust else limited(folder.weight_bytes if pretrained else None)
    with limits as counted, torch.random.fork_rng(devices=[]), _quiet(transformers):
        torch.manual_seed(SEED)
        try:
            if pretrained:
                model, report = auto.from_pretrained(
                    folder.path,
                    config=config,
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=trust,
                    dtype=torch.float32,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,  # the report names them
                )
                _check_report(report, folder, title)
            else:
                model = _random(auto, config, counted, trust=trust)
        except Exception as error:  # transformers raises errors of a dozen types
            raise _build_error(error, counted, title) from error
    return model.eval().to(memory_format=torch.channels_last)


def _random(auto: Any, config: Any, limits: TorchBuildLimits | None, *, trust: bool) -> Any:
    """Return a model with random weights, which is built without memory for them first if there are limits."""
    import torch

    if limits is not None:
        with torch.device("meta"):
            auto.from_config(copy.deepcopy(config), dtype=torch.float32)
        limits.restart()
        torch.manual_seed(SEED)
    return auto.from_config(config, trust_remote_code=trust, dtype=torch.float32)


def _build_error(error: Exception, limits: TorchBuildLimits | None, title: str) -> Exception:
    if limits is not None and limits.problem is not None:
        return ModelError(
            f"{title} is refused: {limits.problem}. If the model is your own, or you trust its author to run any "
            "program, load it with trust=True (--trust on the command line)."
        )
    if isinstance(error, (ModelError, WeightsError)):
        return error
    return WeightsError(f"transformers cannot load {title}: {type(error).__name__}: {_first_line(error)}")


def _check_report(report: Mapping[str, Any], folder: HuggingFaceFolder, title: str) -> None:
    """Raise WeightsError if weights are missing: transformers would take random ones, and say so in a log."""
    missing = sorted(report["missing_keys"])
    other = sorted(str(key[0] if isinstance(key, tuple) else key) for key in report["mismatched_keys"])
    if not missing and not other:
        return
    problem = f"has no weights for {_few(missing)}" if missing else f"has weights of another shape for {_few(other)}"
    saved = _architecture(folder)
    made = f" It was saved as {saved}, which may have no classification head, or another one." if saved else ""
    count = f" The number of classes in {CONFIG} (id2label) has to be that of the head." if other else ""
    raise WeightsError(f"{title} {problem}.{made} {EXPECTED}, and its weights.{count}")


def _is_segmentation(folder: HuggingFaceFolder) -> bool:
    return (_architecture(folder) or "").endswith(SEGMENTATION)


def _is_two_towers(folder: HuggingFaceFolder) -> bool:
    return _architecture(folder) in TWO_TOWERS


def _is_detector(folder: HuggingFaceFolder) -> bool:
    return (_architecture(folder) or "").endswith(DETECTION)


def _architecture(folder: HuggingFaceFolder) -> str | None:
    names = folder.config.get("architectures")
    return str(names[0])[:100] if isinstance(names, list) and names else None


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Hide the progress bars and the report of transformers; what the report says is an error here."""
    logging = transformers.utils.logging
    level, had_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bar:
            logging.enable_progress_bar()


def _few(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
