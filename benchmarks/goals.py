"""What was to be reached, and whether it was.

A goal holds for the medians of some figures of one result. It is met by a figure or missed by it; none is averaged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.interleaved import Spread
from benchmarks.results import Figure, Row


@dataclass(frozen=True, eq=False)  # by identity, as what it is of has no hash
class Goal:
    """A bound for some figures.

    Args:
        text: What is bounded.
        result: The name of the result that has the figures.
        of: The values that the figures have, by key.
        bound: The most that the ratio may be, or the least.
        ratio: The key of the ratio.
        is_least: Whether the ratio should be the bound or more; otherwise the bound or less.
    """

    text: str
    result: str
    of: dict[str, tuple[Any, ...]]
    bound: float
    ratio: str = "forward"
    is_least: bool = False

    @property
    def shown(self) -> str:
        """The bound: "≤ 1.10"."""
        return f"≥ {self.bound:g}" if self.is_least else f"≤ {self.bound:.2f}"

    def is_of(self, figure: Figure) -> bool:
        """Whether it bounds this figure."""
        return all(figure.get(key) in values for key, values in self.of.items())

    def missed_by(self, figure: Figure) -> float:
        """By how much the figure's median misses the bound; zero or less if it is met."""
        median = float(figure[self.ratio][1])
        return self.bound - median if self.is_least else median - self.bound


NATIVE = ("torch", "torch-channels-last")
TENSORFLOW = ("keras-tensorflow",)
KERAS = ("keras-tensorflow", "keras-jax", "keras-torch")
SMALL = ("MobileNetV2", "EfficientNet-Lite0")
LARGE = ("ResNet50", "Xception")
VGG16 = ("VGG16",)


def _one_and_eight() -> Iterable[Goal]:
    others = tuple(each for each in (*NATIVE, *KERAS) if each not in TENSORFLOW)
    of_lite0 = {1: 1.06, 8: 1.15}
    for words, classes, of_small, of_large, of_tensorflow, of_vgg16 in (
        ("one class", 1, 1.08, 1.10, 1.15, 1.25),
        ("eight classes", 8, 1.12, 1.15, 1.35, 1.60),
    ):
        text = f"{words} / bare forward, one image"
        for name, frameworks, models, bound in (
            ("", (*NATIVE, *KERAS), LARGE, of_large),
            (", small models, PyTorch", NATIVE, SMALL, of_small),
            (", MobileNetV2, Keras", KERAS, ("MobileNetV2",), of_large),
            (", EfficientNet-Lite0, Keras/TensorFlow", TENSORFLOW, ("EfficientNet-Lite0",), of_lite0[classes]),
            (
                ", EfficientNet-Lite0, Keras/JAX and Keras/PyTorch",
                ("keras-jax", "keras-torch"),
                ("EfficientNet-Lite0",),
                of_large,
            ),
            (", VGG16, Keras/TensorFlow", TENSORFLOW, VGG16, of_tensorflow),
            (", VGG16, elsewhere", others, VGG16, of_vgg16),
        ):
            of = {"classes": (classes,), "tool": ("seewhy",), "framework": frameworks, "model": models}
            yield Goal(f"{text}{name}", "cost", of, bound)


def _small_images() -> Iterable[Goal]:
    of = {"tool": ("seewhy",), "framework": TENSORFLOW, "model": VGG16, "side": (128,)}
    for words, classes in (("one class", 1), ("eight classes", 8)):
        text = f"{words} / bare forward, VGG16, 128 px, Keras/TensorFlow"
        yield Goal(text, "growth-size", {**of, "classes": (classes,)}, 1.5)


def _models() -> Iterable[Goal]:
    """Of `benchmarks.models`; one class of tiny models, of which the rest has no goal."""
    of = {"tool": ("seewhy",), "model": ("ViT-tiny", "Swin-tiny", "ConvNeXt-tiny")}
    for words, classes, bound in (("one class", 1, 1.15), ("eight classes", 8, 1.25)):
        text = f"Grad-CAM, {words} / bare forward, ViT-tiny, Swin-tiny, ConvNeXt-tiny"
        yield Goal(text, "models", {**of, "classes": (classes,)}, bound)
    for library in ("Hugging Face", "KerasHub"):
        of = {"tool": ("seewhy",), "classes": (1,), "library": (library,)}
        yield Goal(f"Grad-CAM, one class / bare forward, tiny configs of {library}", "models", of, 1.15)


def _starts() -> Iterable[Goal]:
    """In seconds, and as times the first explanation."""
    for framework, seconds in (("TensorFlow", 6.0), ("PyTorch", 2.5), ("ONNX Runtime", 1.5)):
        text = f"first heatmap in a new process, in seconds, {framework}"
        yield Goal(text, "start", {"first_heatmap": (framework,)}, seconds, "seconds")
    of = {"framework": TENSORFLOW, "shape": ("second shape", "third shape", "fourth shape")}
    yield Goal("another shape / the first explanation, Keras/TensorFlow", "shapes", of, 1.25, "first")


def _methods() -> Iterable[Goal]:
    text = "pytorch-grad-cam / SeeWhy, Eigen-CAM, PyTorch, ResNet50"
    yield Goal(text, "methods-peers", {"method": ("eigencam",)}, 4.0, "seewhy", is_least=True)


def _perturbations() -> Iterable[Goal]:
    """Of `benchmarks.perturbations`: 0.95 of the speed of the bare passes, 1.05 times as long."""
    for method, words in (("scorecam", "Score-CAM"), ("rise", "RISE")):
        of = {"method": (method,), "tool": ("seewhy",)}
        yield Goal(f"{words} / as many bare forwards of equal batch, MobileNetV2, 224 px", "perturbations", of, 1.05)
    of = {"method": ("scorecam",), "tool": ("pytorch-grad-cam",)}
    text = "pytorch-grad-cam / SeeWhy in ONNX Runtime, Score-CAM, MobileNetV2, 224 px"
    yield Goal(text, "perturbations", of, 2.0, "onnx", is_least=True)


def _peers() -> Iterable[Goal]:
    keras = {"framework": TENSORFLOW, "model": ("ResNet50",)}
    for tool, classes, bound, where, of in (
        ("pytorch-grad-cam", 1, 3.5, "PyTorch", {"framework": NATIVE}),
        ("torchcam", 1, 1.2, "PyTorch", {"framework": NATIVE}),
        ("captum", 1, 1.2, "PyTorch", {"framework": NATIVE}),
        ("pytorch-grad-cam", 8, 25.0, "PyTorch", {"framework": NATIVE}),
        ("tf-keras-vis", 1, 6.0, "Keras/TensorFlow, ResNet50", keras),
        ("xplique", 1, 1.15, "Keras/TensorFlow, ResNet50", keras),
        ("notebook", 1, 6.0, "Keras/TensorFlow, ResNet50", keras),
    ):
        text = f"{tool} / SeeWhy, {'one class' if classes == 1 else 'eight classes'}, {where}"
        yield Goal(text, "peers", {"tool": (tool,), "classes": (classes,), **of}, bound, "seewhy", is_least=True)


def _runtimes() -> Iterable[Goal]:
    """In the faster of the two runtimes."""
    ours, resnet, mobilenet = {"tool": ("onnx", "openvino")}, ("ResNet50",), ("MobileNetV2",)
    for classes in (1, 1000):
        of = {**ours, "classes": (classes,), "model": resnet}
        words = "one class" if classes == 1 else f"{classes:,} classes"
        yield Goal(f"backend, {words} / PyTorch's forward, ResNet50", "runtimes", of, 0.75)
    for tool, classes, runtime, bound, model in (
        ("captum", 1, "onnx", 1.5, resnet),
        ("torchcam", 1, "onnx", 1.5, resnet),
        ("pytorch-grad-cam", 8, "onnx", 40.0, resnet),
        ("captum", 1, "onnx", 2.0, mobilenet),
        ("torchcam", 1, "onnx", 2.0, mobilenet),
        ("pytorch-grad-cam", 8, "onnx", 45.0, mobilenet),
    ):
        text = f"{tool} / SeeWhy in ONNX Runtime, {'one class' if classes == 1 else 'eight classes'}, {model[0]}"
        of = {"tool": (tool,), "classes": (classes,), "model": model}
        yield Goal(text, "runtimes", of, bound, runtime, is_least=True)
    for name in ("ResNet50", "MobileNetV2", "EfficientNet-Lite0", "VGG16"):
        text = f"backend, 1, 8 and 1,000 classes / the runtime's own forward, {name}"
        of = {**ours, "classes": (1, 8, 1000), "model": (name,)}
        yield Goal(text, "runtimes", of, 1.15, "runtime")


def _pipeline() -> Iterable[Goal]:
    for what, bound in (("JPEG", 1.12), ("PNG", 1.25)):
        for words, sizes in (("", ("500 x 375", "640 x 480")), (", 12 megapixels", ("4000 x 3000",))):
            text = f"from JPEG files to overlays as {what} / bare forwards{words}"
            of = {"what": (f"to {what}", f"reduced, to {what}"), "size": sizes}
            yield Goal(text, "pipeline", of, bound)


GOALS = (
    *_one_and_eight(),
    Goal(
        "1,000 classes / bare forward, ResNet50 and Xception",
        "growth-classes",
        {"classes": (1000,), "model": LARGE},
        1.5,
    ),
    *_small_images(),
    *_models(),
    *_starts(),
    *_methods(),
    *_perturbations(),
    *_peers(),
    *_runtimes(),
    *_pipeline(),
    Goal("peak memory, 16 images, one class / bare forward's", "memory", {"images": (16,), "classes": (1,)}, 1.2),
)


def goal_of(result: str, figure: Figure) -> float | None:
    """Return the bound for a figure, if there is one."""
    return next((goal.bound for goal in GOALS if goal.result == result and goal.is_of(figure)), None)


def judged(goal: Goal, figures: Iterable[Figure]) -> Row:
    """Return the cells of one goal: what it is, what was measured, and how often and by how much it was missed."""
    of_goal = [figure for figure in figures if goal.is_of(figure)]
    cells = {"ratio": goal.text, "goal": goal.shown}
    if not of_goal:
        return cells | {"measured": "", "met": "not measured"}
    medians = sorted(figure[goal.ratio][1] for figure in of_goal)
    measured = f"{medians[0]:.2f}" + (f" to {medians[-1]:.2f}" if len(medians) > 1 else "")
    missed = [goal.missed_by(figure) for figure in of_goal if goal.missed_by(figure) > 0]
    met = "yes" if len(of_goal) == 1 else f"{len(of_goal) - len(missed)} of {len(of_goal)}"
    if missed:
        met = f"{'no' if len(of_goal) == 1 else met}, missed by{' up to' * (len(missed) > 1)} {_digits(max(missed))}"
    return cells | {"measured": measured, "met": met}


def misses(goal: Goal, figures: Iterable[Figure]) -> list[Row]:
    """Return the cells of every figure that misses a goal."""
    return [
        {
            "of": str(figure["title"]),
            "ratio": goal.text,
            "goal": goal.shown,
            "measured": Spread(*figure[goal.ratio]).shown(2),
            "missed by": _digits(goal.missed_by(figure)),
        }
        for figure in figures
        if goal.is_of(figure) and goal.missed_by(figure) > 0
    ]


def _digits(miss: float) -> str:
    """Return two digits after the point, or what tells a small miss from none."""
    return f"{miss:.2f}" if miss >= 0.005 else f"{miss:.1g}"
