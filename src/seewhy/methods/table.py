"""Every method by its name."""

from typing import Any

from seewhy.errors import MethodError, OptionError, did_you_mean
from seewhy.methods.ablationcam import ablationcam
from seewhy.methods.cam import cam
from seewhy.methods.eigencam import eigencam, eigengradcam
from seewhy.methods.elementwise import elementwise
from seewhy.methods.gradcam import gradcam
from seewhy.methods.gradcampp import gradcampp
from seewhy.methods.gradient_x_input import gradient_x_input
from seewhy.methods.guided_backprop import guided_backprop, guided_gradcam, guided_rule
from seewhy.methods.hirescam import hirescam
from seewhy.methods.integrated_gradients import integrated_gradients
from seewhy.methods.kpcacam import kpcacam
from seewhy.methods.layercam import layercam
from seewhy.methods.method import Method
from seewhy.methods.occlusion import occlusion
from seewhy.methods.rise import rise
from seewhy.methods.saliency import saliency
from seewhy.methods.scorecam import iscam, scorecam, sscam
from seewhy.methods.smoothgrad import smoothgrad
from seewhy.methods.smoothgradcampp import smoothgradcampp
from seewhy.methods.xgradcam import xgradcam

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
            has_closed_form=True,
        ),
        Method(
            name="hirescam",
            title="HiResCAM",
            paper="2011.08891",
            summary="each activation times its own gradient; shows only places the score rises with",
            cost="T head backwards",
            function=hirescam,
            has_closed_form=True,
        ),
        Method(
            name="gradcam++",
            title="Grad-CAM++",
            paper="1710.11063",
            summary="channels weighted by their positive gradients; finds several objects of a class",
            cost="T head backwards",
            function=gradcampp,
        ),
        Method(
            name="xgradcam",
            title="XGrad-CAM",
            paper="2008.02312",
            summary="channels weighted by their gradients where they are active",
            cost="T head backwards",
            function=xgradcam,
        ),
        Method(
            name="layercam",
            title="LayerCAM",
            paper="IEEE TIP 2021",
            summary="each activation times its own positive gradient; fine maps from early layers too",
            cost="T head backwards",
            function=layercam,
        ),
        Method(
            name="elementwise",
            title="Element-wise Grad-CAM",
            paper="the library pytorch-grad-cam",
            summary="HiResCAM in which no channel speaks against another",
            cost="T head backwards",
            function=elementwise,
        ),
        Method(
            name="eigengradcam",
            title="Eigen-Grad-CAM",
            paper="the library pytorch-grad-cam",
            summary="what the channels of HiResCAM have most in common",
            cost="T head backwards, T eigenvectors",
            function=eigengradcam,
        ),
        Method(
            name="smoothgradcam++",
            title="Smooth Grad-CAM++",
            paper="1908.01224",
            summary="Grad-CAM++ of gradients averaged over noisy copies of the input",
            cost="samples forwards, samples T head backwards",
            function=smoothgradcampp,
            reruns=True,
        ),
        Method(
            name="cam",
            title="CAM",
            paper="1512.04150",
            summary="the original, for models that end in global average pooling and one linear layer",
            cost="T head backwards, 4 head forwards",
            function=cam,
            reruns=True,
        ),
        Method(
            name="eigencam",
            title="Eigen-CAM",
            paper="2008.00299",
            summary="what the layer's channels have most in common, whatever the target",
            cost="1 eigenvector",
            function=eigencam,
            backward="none",
        ),
        Method(
            name="kpcacam",
            title="KPCA-CAM",
            paper="2410.00267",
            summary="Eigen-CAM with a kernel; where the layer stands out, whatever the target",
            cost="1 eigenvector",
            function=kpcacam,
            backward="none",
        ),
        Method(
            name="scorecam",
            title="Score-CAM",
            paper="1910.01279",
            summary="channels weighted by the score of the image seen through each channel's map",
            cost="K + 1 forwards",
            function=scorecam,
            backward="none",
            reruns=True,
        ),
        Method(
            name="sscam",
            title="SS-CAM",
            paper="2006.14255",
            summary="Score-CAM, averaged over masks with noise",
            cost="samples (K + 1) forwards",
            function=sscam,
            backward="none",
            reruns=True,
        ),
        Method(
            name="iscam",
            title="IS-CAM",
            paper="2010.03023",
            summary="Score-CAM, averaged over masks from faint to full",
            cost="steps (K + 1) forwards",
            function=iscam,
            backward="none",
            reruns=True,
        ),
        Method(
            name="ablationcam",
            title="Ablation-CAM",
            paper="WACV 2020",
            summary="channels weighted by how much the score drops without each",
            cost="K + 1 head forwards",
            function=ablationcam,
            backward="none",
            reruns=True,
        ),
        Method(
            name="occlusion",
            title="Occlusion",
            paper="1311.2901",
            summary="how much the score drops with each window of the image covered",
            cost="windows + 1 forwards",
            function=occlusion,
            level="input",
            backward="none",
            reruns=True,
        ),
        Method(
            name="rise",
            title="RISE",
            paper="1806.07421",
            summary="random masks, averaged by the scores of the image seen through them",
            cost="masks forwards",
            function=rise,
            level="input",
            backward="none",
            reruns=True,
        ),
        Method(
            name="saliency",
            title="Saliency",
            paper="1312.6034",
            summary="how much the score hangs on each pixel; without sign",
            cost="T backwards",
            function=saliency,
            level="input",
            pixels=True,
        ),
        Method(
            name="gradient_x_input",
            title="Gradient x input",
            paper="1605.01713",
            summary="each pixel times its own gradient",
            cost="T backwards",
            function=gradient_x_input,
            level="input",
            pixels=True,
        ),
        Method(
            name="integrated_gradients",
            title="Integrated gradients",
            paper="1703.01365",
            summary="gradients on the way from a baseline; adds up to the score's difference from there",
            cost="steps forwards, steps T backwards",
            function=integrated_gradients,
            level="input",
            pixels=True,
            backward="none",
            reruns=True,
        ),
        Method(
            name="smoothgrad",
            title="SmoothGrad",
            paper="1706.03825",
            summary="saliency of the mean gradient over noisy copies",
            cost="samples forwards, samples T backwards",
            function=smoothgrad,
            level="input",
            pixels=True,
            backward="none",
            reruns=True,
        ),
        Method(
            name="guided_backprop",
            title="Guided backpropagation",
            paper="1412.6806",
            summary="the gradient through ReLUs that let back only what is positive; hardly tells classes apart",
            cost="T backwards",
            function=guided_backprop,
            level="input",
            pixels=True,
            backward="guided",
            choose_gradient_rule=guided_rule,
        ),
        Method(
            name="guided_gradcam",
            title="Guided Grad-CAM",
            paper="1610.02391",
            summary="guided backpropagation where Grad-CAM sees the target",
            cost="1 forward, T backwards, T head backwards",
            function=guided_gradcam,
            level="input",
            pixels=True,
            backward="guided",
            reruns=True,
            choose_gradient_rule=guided_rule,
        ),
    )
}


def get(method: str | Method, **given: Any) -> Method:
    """Find a method by its name, and set its options.

    Args:
        method: A name that `seewhy methods` lists; or a method, which is returned with these options.
        **given: Options of that method, such as `masks=8000` of "rise".

    Raises:
        MethodError: There is no such method.
        OptionError: It has no such option.
    """
    if isinstance(method, Method):
        found = method
    elif isinstance(method, str) and method in METHODS:
        found = METHODS[method]
    else:
        near = did_you_mean(method, METHODS) if isinstance(method, str) else ""
        raise MethodError(f"Unknown method {method!r}.{near} Known: {', '.join(METHODS)}.")
    for name in given:
        if name not in found.options:
            listed = ", ".join(f"{each}={default!r}" for each, default in found.options.items()) or "none"
            raise OptionError(f"The method {found.name!r} has no option {name!r}. Its options: {listed}.")
    return found.with_options(given) if given else found
