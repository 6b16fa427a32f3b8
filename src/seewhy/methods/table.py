"""The table of methods, and finding a method by its name."""

from typing import Any

from seewhy.errors import MethodError, did_you_mean
from seewhy.methods.ablationcam import ablationcam
from seewhy.methods.attention_rollout import attention_rollout
from seewhy.methods.cam import cam
from seewhy.methods.eigencam import eigencam, eigengradcam
from seewhy.methods.elementwise import elementwise
from seewhy.methods.finercam import finer_contrast, finercam
from seewhy.methods.gradcam import gradcam
from seewhy.methods.gradcampp import gradcampp
from seewhy.methods.gradient_rollout import gradient_rollout
from seewhy.methods.gradient_shap import gradient_shap
from seewhy.methods.gradient_x_input import gradient_x_input
from seewhy.methods.guided_backprop import guided_backprop, guided_gradcam, guided_rule
from seewhy.methods.hirescam import hirescam
from seewhy.methods.integrated_gradients import integrated_gradients
from seewhy.methods.kpcacam import kpcacam
from seewhy.methods.layercam import layercam
from seewhy.methods.legrad import legrad
from seewhy.methods.legrad_rollout import legrad_rollout
from seewhy.methods.method import Method
from seewhy.methods.occlusion import occlusion
from seewhy.methods.recipro_cam import recipro_cam
from seewhy.methods.refinecam import refinecam
from seewhy.methods.rise import rise
from seewhy.methods.saliency import saliency
from seewhy.methods.scorecam import iscam, scorecam, sscam
from seewhy.methods.smoothgrad import smoothgrad
from seewhy.methods.smoothgradcampp import smoothgradcampp
from seewhy.methods.xgradcam import xgradcam
from seewhy.types import Capture, Tensor

METHODS = {
    method.name: method
    for method in (
        Method(
            name="gradcam",
            title="Grad-CAM",
            paper="1610.02391",
            summary="channels weighted by their mean gradient; the usual choice",
            cost="T head backwards",
            function=gradcam,
            family="gradient",
            level="layer",
            closed_form=True,
        ),
        Method(
            name="hirescam",
            title="HiResCAM",
            paper="2011.08891",
            summary="each activation times its own gradient; shows only positions that raise the score",
            cost="T head backwards",
            function=hirescam,
            family="gradient",
            level="layer",
            closed_form=True,
        ),
        Method(
            name="gradcam++",
            title="Grad-CAM++",
            paper="1710.11063",
            summary="channels weighted by their positive gradients; finds several objects of a class",
            cost="T head backwards",
            function=gradcampp,
            family="gradient",
            level="layer",
        ),
        Method(
            name="xgradcam",
            title="XGrad-CAM",
            paper="2008.02312",
            summary="channels weighted by their mean gradient where they are active",
            cost="T head backwards",
            function=xgradcam,
            family="gradient",
            level="layer",
        ),
        Method(
            name="layercam",
            title="LayerCAM",
            paper="IEEE TIP 2021",
            summary="each activation times its own positive gradient; detailed heatmaps from early layers too",
            cost="T head backwards",
            function=layercam,
            family="gradient",
            level="layer",
        ),
        Method(
            name="elementwise",
            title="Element-wise Grad-CAM",
            paper="the library pytorch-grad-cam",
            summary="HiResCAM without the evidence against the target in single channels",
            cost="T head backwards",
            function=elementwise,
            family="gradient",
            level="layer",
        ),
        Method(
            name="eigengradcam",
            title="Eigen-Grad-CAM",
            paper="the library pytorch-grad-cam",
            summary="the first principal component of HiResCAM's channels",
            cost="T head backwards, T eigenvectors",
            function=eigengradcam,
            family="gradient",
            level="layer",
        ),
        Method(
            name="finercam",
            title="Finer-CAM",
            paper="2501.11309",
            summary="Grad-CAM of the difference from the most similar classes",
            cost="T head backwards",
            function=finercam,
            family="gradient",
            level="layer",
            contrast=finer_contrast(),
            choose_contrast=finer_contrast,
        ),
        Method(
            name="refinecam",
            title="RefineCAM",
            paper="2605.14641",
            summary="the product of Grad-CAM++ heatmaps of layers at several resolutions; detailed, and without a unit",
            cost="1 forward, T head backwards for each layer",
            function=refinecam,
            family="gradient",
            level="layer",
            fuse="product",
        ),
        Method(
            name="smoothgradcam++",
            title="Smooth Grad-CAM++",
            paper="1908.01224",
            summary="Grad-CAM++ of gradients averaged over noisy copies of the input",
            cost="samples forwards, samples T head backwards",
            function=smoothgradcampp,
            family="gradient",
            level="layer",
        ),
        Method(
            name="cam",
            title="CAM",
            paper="1512.04150",
            summary="the original, for models that end in global average pooling and one linear layer",
            cost="T head backwards, 4 head forwards",
            function=cam,
            family="gradient",
            level="layer",
        ),
        Method(
            name="eigencam",
            title="Eigen-CAM",
            paper="2008.00299",
            summary="the first principal component of the layer's channels; the same for every target",
            cost="1 eigenvector",
            function=eigencam,
            family="activation",
            level="layer",
            derivatives="none",
        ),
        Method(
            name="kpcacam",
            title="KPCA-CAM",
            paper="2410.00267",
            summary="Eigen-CAM with a kernel; the same for every target",
            cost="1 eigenvector",
            function=kpcacam,
            family="activation",
            level="layer",
            derivatives="none",
        ),
        Method(
            name="scorecam",
            title="Score-CAM",
            paper="1910.01279",
            summary="channels weighted by the score of the image masked with each channel",
            cost="K + 1 forwards",
            function=scorecam,
            family="perturbation",
            level="layer",
            derivatives="none",
        ),
        Method(
            name="sscam",
            title="SS-CAM",
            paper="2006.14255",
            summary="Score-CAM, averaged over noisy masks",
            cost="samples (K + 1) forwards",
            function=sscam,
            family="perturbation",
            level="layer",
            derivatives="none",
        ),
        Method(
            name="iscam",
            title="IS-CAM",
            paper="2010.03023",
            summary="Score-CAM, averaged over masks of increasing strength",
            cost="steps (K + 1) forwards",
            function=iscam,
            family="perturbation",
            level="layer",
            derivatives="none",
        ),
        Method(
            name="ablationcam",
            title="Ablation-CAM",
            paper="WACV 2020",
            summary="channels weighted by the drop in score without each channel",
            cost="K + 1 head forwards",
            function=ablationcam,
            family="perturbation",
            level="layer",
            derivatives="none",
        ),
        Method(
            name="recipro_cam",
            title="Recipro-CAM",
            paper="2209.14074",
            summary="the score of the activations around each position alone",
            cost="positions + 1 head forwards",
            function=recipro_cam,
            family="perturbation",
            level="layer",
            derivatives="none",
        ),
        Method(
            name="occlusion",
            title="Occlusion",
            paper="1311.2901",
            summary="the drop in score with each window of the image covered",
            cost="windows + 1 forwards",
            function=occlusion,
            family="perturbation",
            level="input",
            derivatives="none",
        ),
        Method(
            name="rise",
            title="RISE",
            paper="1806.07421",
            summary="random masks, averaged by the scores of the masked images",
            cost="masks forwards",
            function=rise,
            family="perturbation",
            level="input",
            derivatives="none",
        ),
        Method(
            name="saliency",
            title="Saliency",
            paper="1312.6034",
            summary="the absolute gradient of each pixel, without sign",
            cost="T backwards",
            function=saliency,
            family="gradient",
            level="input",
        ),
        Method(
            name="gradient_x_input",
            title="Gradient x input",
            paper="1605.01713",
            summary="each pixel times its own gradient",
            cost="T backwards",
            function=gradient_x_input,
            family="gradient",
            level="input",
        ),
        Method(
            name="integrated_gradients",
            title="Integrated gradients",
            paper="1703.01365",
            summary="gradients along the path from a baseline; sums to the difference of the scores",
            cost="steps forwards, steps T backwards",
            function=integrated_gradients,
            family="gradient",
            level="input",
            derivatives="none",
        ),
        Method(
            name="gradient_shap",
            title="Gradient SHAP",
            paper="1906.10670",
            summary="expected gradients: integrated gradients averaged over several baselines",
            cost="samples forwards, samples T backwards",
            function=gradient_shap,
            family="gradient",
            level="input",
            derivatives="none",
        ),
        Method(
            name="smoothgrad",
            title="SmoothGrad",
            paper="1706.03825",
            summary="saliency of the mean gradient over noisy copies of the input",
            cost="samples forwards, samples T backwards",
            function=smoothgrad,
            family="gradient",
            level="input",
            derivatives="none",
        ),
        Method(
            name="guided_backprop",
            title="Guided backpropagation",
            paper="1412.6806",
            summary="gradients through ReLUs that propagate positive values only; hardly depends on the class",
            cost="T backwards",
            function=guided_backprop,
            family="gradient",
            level="input",
            gradient_rule="guided",
            choose_gradient_rule=guided_rule,
        ),
        Method(
            name="guided_gradcam",
            title="Guided Grad-CAM",
            paper="1610.02391",
            summary="guided backpropagation times Grad-CAM",
            cost="1 forward, T backwards, T head backwards",
            function=guided_gradcam,
            family="gradient",
            level="input",
            gradient_rule="guided",
            choose_gradient_rule=guided_rule,
        ),
        Method(
            name="gradient_rollout",
            title="Gradient-weighted rollout",
            paper="2103.15679",
            summary="attention weighted by its positive gradients, followed through all layers; for transformers",
            cost="T backwards",
            function=gradient_rollout,
            family="attention",
            level="layer",
        ),
        Method(
            name="legrad",
            title="LeGrad",
            paper="2404.03214",
            summary="the positive gradients of attention, averaged over all layers; for transformers",
            cost="T backwards",
            function=legrad,
            family="attention",
            level="layer",
        ),
        Method(
            name="legrad_rollout",
            title="LeGrad x attention rollout",
            paper="2404.03214, 2005.00928",
            summary="LeGrad times attention rollout; the usual choice for vision transformers",
            cost="T backwards",
            function=legrad_rollout,
            family="attention",
            level="layer",
        ),
        Method(
            name="attention_rollout",
            title="Attention rollout",
            paper="2005.00928",
            summary="attention followed through all layers; for transformers; the same for every target",
            cost="1 backward, once",
            function=attention_rollout,
            family="attention",
            level="layer",
            derivatives="none",
        ),
    )
}
"""Every method by its name, grouped by family and level."""


def _not_chosen(capture: Capture) -> Tensor:
    raise TypeError(f'No method was chosen for the capture of {capture.layer!r}: "auto" only stands for one.')


AUTO = Method(
    name="auto",
    title="Automatic",
    paper="",
    summary="legrad_rollout for vision transformers, integrated_gradients for attention in windows, else gradcam",
    cost="that of the chosen method",
    function=_not_chosen,
    family="gradient",
    level="layer",
)
"""The default: stands for the method that suits the model, which is chosen when the model runs."""


def get(method: str | Method, **options: Any) -> Method:
    """Return a method by its name, with its options set.

    Args:
        method: A name that `seewhy methods` lists; "auto", for the method that suits the model; or a method.
        **options: Options of the method, such as `masks=8000` for "rise".

    Raises:
        MethodError: The method is unknown.
        OptionError: The method has no such option, or the option cannot have that value, whatever the image is.
    """
    if isinstance(method, Method):
        return method.with_options(options)
    known = {AUTO.name: AUTO, **METHODS}
    if not isinstance(method, str) or method not in known:
        is_name = isinstance(method, str)
        suggestion = did_you_mean(method, known) if is_name else " Give one name; seewhy.compare takes several."
        raise MethodError(f"Unknown method {method!r}.{suggestion} Known: {', '.join(known)}.")
    return known[method].with_options(options)
