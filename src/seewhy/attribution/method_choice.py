"""What `method="auto"` stands for: the method that suits the model, chosen by what the model computes.

In a convolutional model a position of the last layer holds what the model saw there, and Grad-CAM shows which of the
positions raise the score. In a vision transformer attention has carried information between all positions by then, and
the path that it took through the attention maps shows where it came from. Attention within windows has no such path, as
its maps do not say where the windows are: there, gradients are followed back to the input. So they are where attention
runs in several branches that meet at the score only, as no layer carries all of it, and where a model has several
inputs, whose attention maps are not told apart.

The pixels of a segmentation and the detections of a detector are parts of an image. Grad-CAM averages gradients over
all of it, and so shows a class wherever it is; HiResCAM shows what raises the scores of that part.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from seewhy.attribution.auto_layer import is_carried
from seewhy.attribution.pixel_classes import reads_pixels
from seewhy.attribution.token_layers import end_in_tokens
from seewhy.errors import LayerError, MethodError
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.structures import InputBatch, is_image_batch
from seewhy.methods import Method, get
from seewhy.methods.attention_chain import chain_steps, check_links
from seewhy.targets import Objective

LEAST_MAPS = 2
"""One attention map alone pools what convolutions computed, as in the attention pooling of CLIP's ResNets."""

STEPS_TO_INPUT = 16
"""Steps of integrated gradients, which the default runs for every image."""

AttentionKind = Literal["chain", "windows", "other"]
"""How the attention maps of a model lie: one after the other from the image's tokens to the score; within windows; or
otherwise, as with a single map, or where tokens are merged between maps."""

UNRELIABLE: dict[AttentionKind, frozenset[str]] = {
    "chain": frozenset(
        {
            *("gradcam", "hirescam", "gradcam++", "xgradcam", "layercam", "eigengradcam", "finercam"),
            *("smoothgradcam++", "eigencam", "ablationcam", "recipro_cam"),
            *("saliency", "gradient_x_input", "smoothgrad", "legrad"),
        }
    ),
    "windows": frozenset(
        {
            *("gradcam", "hirescam", "gradcam++", "xgradcam", "layercam", "elementwise", "eigengradcam", "finercam"),
            *("smoothgradcam++", "cam", "eigencam", "kpcacam", "ablationcam", "recipro_cam"),
            *("saliency", "gradient_x_input", "smoothgrad"),
        }
    ),
    "other": frozenset(),
}
"""The methods that the where-test found unreliable: whose peaks lie on what decided in fewer than half of the images,
in three or more models whose attention forms a chain, or in the one with windows. `python -m benchmarks.where --record`
measures that, and a test compares this list with its table."""


class MethodChoice(NamedTuple):
    """A method, and why "auto" chose it; the reason is empty where the caller named the method.

    Attributes:
        method: The method.
        reason: In a few words.
        doubt: What to say to the caller who named a method that is unreliable for this kind of model, or empty.
    """

    method: Method
    reason: str
    doubt: str = ""


def choose_method(
    method: Method, framework: Framework, inputs: InputBatch, layers: Sequence[LayerChoice], objective: Objective
) -> MethodChoice:
    """Return the method itself, or for "auto" the method that suits the model.

    Args:
        method: What the caller asked for.
        framework: Runs the model.
        inputs: Checked by `Framework.check_inputs`.
        layers: The layers to explain.
        objective: What is explained.
    """
    if objective.target.reads_detections:
        return _choose_for_detections(method, layers)
    are_pixels = reads_pixels(objective.target)
    if not method.is_auto:  # what is unreliable was found with classifiers
        return MethodChoice(method, "", "" if are_pixels else _doubt(method, framework, inputs, layers))
    if are_pixels:
        return MethodChoice(get("hirescam"), "it keeps to the pixels that are explained")
    return _choose_for_image(framework, inputs, layers, objective)


def _choose_for_image(
    framework: Framework, inputs: InputBatch, layers: Sequence[LayerChoice], objective: Objective
) -> MethodChoice:
    """Return the method that suits scores of a whole image."""
    if reason := _reason_without_maps(inputs, layers):
        return MethodChoice(get("gradcam"), reason)
    shapes = framework.attention_shapes(inputs)
    if not shapes and _untold_kind(framework, inputs) is not None:
        reason = f"the attention maps of several inputs are not told apart; {STEPS_TO_INPUT} steps"
        return MethodChoice(get("integrated_gradients", steps=STEPS_TO_INPUT), reason)
    if not shapes:
        reason = "the image's last layers have no tokens" if framework.untold_attention(inputs) else "no attention maps"
        return MethodChoice(get("gradcam"), reason)
    kind = attention_kind(framework, inputs)
    if kind != "windows" and (len(shapes) < LEAST_MAPS or is_carried(framework, inputs, objective)):
        if kind == "other":
            return MethodChoice(get("gradcam"), "the attention layers form no chain")
        if not end_in_tokens(framework, inputs, shapes):
            return MethodChoice(get("gradcam"), "the last layers have other positions than the maps")
        return MethodChoice(get("legrad_rollout"), f"{len(shapes)} attention layers form a chain")
    where = "within windows" if kind == "windows" else "in one of several branches"
    return MethodChoice(get("integrated_gradients", steps=STEPS_TO_INPUT), f"attention {where}; {STEPS_TO_INPUT} steps")


def _choose_for_detections(method: Method, layers: Sequence[LayerChoice]) -> MethodChoice:
    """Return the method itself, or for "auto" HiResCAM.

    Raises:
        MethodError: The method perturbs activations, reads attention maps, or looks for layers.
    """
    if method.is_auto:
        return MethodChoice(get("hirescam"), "it tells the detections apart")
    if method.family == "attention" or (method.needs_runner and method.level == "layer"):
        what = "reads attention maps" if method.family == "attention" else "runs the model on other activations"
        raise MethodError(
            f"{method.title} {what}, which does not tell the detections of a detector apart. Use hirescam, which "
            "method='auto' takes, gradcam, or rise."
        )
    if method.fuse is not None and len(layers) == 1:
        raise MethodError(
            f"{method.title} multiplies the heatmaps of layers of several resolutions, and each detection has layers "
            "of its own. Name two or more layers: Explainer(model, method, layer=[...]). Or use hirescam, which "
            "method='auto' takes."
        )
    return MethodChoice(method, "")


def _reason_without_maps(inputs: InputBatch, layers: Sequence[LayerChoice]) -> str:
    """Return why "auto" takes Grad-CAM whatever attention the model computes; empty where that decides."""
    if not all(layer.is_auto for layer in layers):
        return "a layer is named, or the classifier has a default layer"
    return "" if is_image_batch(inputs) else "the input is not one batch of images"


def attention_kind(framework: Framework, inputs: InputBatch) -> AttentionKind:
    """Return how the attention maps of a model lie."""
    shapes = framework.attention_shapes(inputs)
    if any(len(shape) > 3 for shape in shapes):
        return "windows"
    if len(shapes) < LEAST_MAPS:
        return "other"
    try:
        chain_steps(shapes)
        check_links(framework.attention_links(inputs))
    except LayerError:
        return "other"
    return "chain"


def _untold_kind(framework: Framework, inputs: InputBatch) -> AttentionKind | None:
    """Return how attention lies in the tower of one of several images; None where that has none, as far as is known."""
    shapes = framework.untold_attention(inputs)
    if not shapes:
        return None
    if any(len(shape) > 3 for shape in shapes):
        return "windows"
    last = next((call for call in reversed(framework.calls(inputs)) if call.is_candidate), None)
    has_tokens = last is not None and last.shape is not None and len(last.shape) == 2
    return "chain" if has_tokens and len(shapes) >= LEAST_MAPS else None


def _doubt(method: Method, framework: Framework, inputs: InputBatch, layers: Sequence[LayerChoice]) -> str:
    """Return what is said of a method that the caller named, and of no layer; empty where nothing is known against it.

    A layer that is named has evidence of its own.
    """
    is_suspect = any(method.name in names for names in UNRELIABLE.values())
    if not (is_suspect and all(layer.is_auto for layer in layers) and is_image_batch(inputs)):
        return ""
    shapes, untold = framework.attention_shapes(inputs), _untold_kind(framework, inputs)
    kind = untold or attention_kind(framework, inputs)
    is_other = kind == "chain" and not untold and not end_in_tokens(framework, inputs, shapes)
    if method.name not in UNRELIABLE[kind] or is_other:
        return ""
    suited = "integrated_gradients" if kind == "windows" or untold else "legrad_rollout"
    what = "attention runs within windows" if kind == "windows" else "attention layers form a chain"
    return (
        f"{method.title} is unreliable for a model whose {what}: in SeeWhy's tests with such models, its peak mostly "
        f"lay elsewhere than on what decided. method='auto' takes {suited}."
    )
