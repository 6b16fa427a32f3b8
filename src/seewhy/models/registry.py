"""Every name and every kind of source from which a model can be loaded."""

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seewhy import timing
from seewhy.errors import ModelError, OptionError, did_you_mean, warn
from seewhy.frameworks.device import Device, FrameworkName
from seewhy.frameworks.device_choice import prepare_device
from seewhy.models import (
    efficientnet_lite0,
    efficientnet_lite0_backends,
    factories,
    hugging_face,
    keras_applications,
    keras_file,
    model_file,
    onnx_file,
    open_clip_models,
    torch_hubs,
    torch_weights,
    ultralytics_models,
)
from seewhy.models.class_names import ClassNames, imagenet
from seewhy.models.classifier import Classifier
from seewhy.models.given_device import given_device
from seewhy.models.overrides import ClassNamesSpec, InputSizeSpec, Overrides, PreprocessingSpec
from seewhy.models.text_encoder import PromptsSpec
from seewhy.plugins import call_plugin, find_plugins, load_plugin
from seewhy.representation import ShortRepr
from seewhy.startup_log import quiet_first_start
from seewhy.timing import Phase
from seewhy.types import Backend

_logger = logging.getLogger("seewhy.models")


@dataclass(frozen=True, repr=False)
class NamedModel(ShortRepr):
    """A model that comes with SeeWhy: a row of `MODELS`.

    Attributes:
        name: The name that `load` takes.
        input_size: (h, w) in pixels.
        parameters: The number of trainable parameters.
        weights: The origin of the trained weights.
        build: Builds the classifier: with its trained weights if True, with random ones from a fixed seed if False.
    """

    name: str
    input_size: tuple[int, int]
    parameters: int
    weights: str
    build: Callable[[bool], Classifier]


MODELS = {
    model.name: model
    for model in (
        NamedModel(
            name="efficientnet-lite0",
            input_size=efficientnet_lite0.PREPROCESSING.size,
            parameters=4_652_008,
            weights="installed with the extra 'demo'",
            build=efficientnet_lite0_backends.build,
        ),
        NamedModel(
            name="efficientnet-lite0-torch",
            input_size=efficientnet_lite0.PREPROCESSING.size,
            parameters=4_652_008,
            weights="the same weights, for native PyTorch",
            build=lambda pretrained: efficientnet_lite0_backends.native_torch(pretrained, "efficientnet-lite0-torch"),
        ),
    )
}


@dataclass(frozen=True, repr=False)
class Source(ShortRepr):
    """A kind of source: a row of `SOURCES`.

    Attributes:
        syntax: How such a source is written.
        matches: Whether a string is a source of this kind.
        load: Loads a source, given the string, whether to load trained weights, and whether to trust code in a file.
        has_random_weights: Whether the model can be built without its trained weights.
        check: Raises ModelError for a source that cannot be loaded, as far as that is known without a framework.
        class_names: The names of its classes, where they are known before the model is loaded.
        build: Builds an architecture with random weights and a number of classes, or with its own number for None.
        class_count: Returns the number of classes of weights, given theirs and the model's state dict, if it differs.
        no_preprocessing: What a warning says about a model that came without preprocessing; "" if there is none.
        may_start_tensorflow: Whether TensorFlow may be imported while such a source is loaded.
        framework: What its models are written in; None where that is known only after one is loaded.
    """

    syntax: str
    matches: Callable[[str], bool]
    load: Callable[[str, bool, bool], Classifier]
    has_random_weights: bool
    check: Callable[[str], object] = lambda _: None
    class_names: Callable[[], ClassNames | None] = lambda: None
    build: Callable[[str, int | None], Classifier] | None = None
    class_count: Callable[[torch_weights.StateDict, torch_weights.StateDict], int | None] = torch_weights.class_count
    no_preprocessing: str = ""
    may_start_tensorflow: bool = True
    framework: FrameworkName | None = None


def _hub(prefix: str, load: Callable[..., Classifier]) -> Source:
    return Source(
        syntax=f"{prefix}NAME",
        matches=lambda source: source.startswith(prefix),
        load=lambda source, pretrained, _: load(source.removeprefix(prefix), pretrained=pretrained),
        has_random_weights=True,
        build=lambda source, classes: load(source.removeprefix(prefix), pretrained=False, classes=classes),
        may_start_tensorflow=False,
        framework="torch",
    )


def _load_plugin(plugin: str, name: str) -> Classifier:
    """Load a model by a plug-in, which is a function of its name."""
    load_model = load_plugin("seewhy.models", plugin)
    if load_model is None:
        raise ModelError(f"The model {plugin}:{name} cannot be loaded: its plug-in was skipped, as the warning says.")
    model = call_plugin(load_model, f"The model {plugin}:{name}", ModelError, name)
    return model if isinstance(model, Classifier) else Classifier(model, name=name)


_HUGGING_FACE = Source(
    syntax="hf:NAME, or a folder that save_pretrained of transformers wrote",
    matches=hugging_face.is_source,
    load=lambda source, pretrained, trust: hugging_face.load(source, pretrained=pretrained, trust=trust),
    has_random_weights=True,
    check=hugging_face.check,
    build=lambda source, classes: hugging_face.load(source, pretrained=False, trust=False, classes=classes),
    no_preprocessing=hugging_face.NO_PROCESSOR,
    may_start_tensorflow=False,
    framework="torch",
)

_ONNX_FILE = Source(
    syntax="a path to an .onnx file",
    matches=lambda source: Path(source).suffix.lower() in onnx_file.SUFFIXES and not os.path.isdir(source),
    load=lambda source, _, trust: model_file.load(source, trust=trust),
    has_random_weights=False,
    check=model_file.find_model,
    may_start_tensorflow=False,
    framework="onnx",
)

_FILE = Source(
    syntax="a path to a .keras or .h5 file",
    matches=model_file.looks_like_path,
    load=lambda source, _, trust: model_file.load(source, trust=trust),
    has_random_weights=False,
    check=model_file.find_model,
)

SOURCES = (
    Source(
        syntax=", ".join(MODELS),
        matches=lambda source: source in MODELS,
        load=lambda source, pretrained, _: MODELS[source].build(pretrained),
        has_random_weights=True,
        class_names=imagenet,
    ),
    Source(
        syntax="a name that 'seewhy models' lists",
        matches=keras_applications.is_name,
        load=lambda source, pretrained, _: keras_applications.load(source, pretrained=pretrained, other_names=MODELS),
        has_random_weights=True,
        check=lambda source: keras_applications.check_name(source, MODELS),
        class_names=imagenet,
        framework="keras",
    ),
    _hub("torchvision:", torch_hubs.load_torchvision),
    _hub("timm:", torch_hubs.load_timm),
    replace(
        _hub(ultralytics_models.PREFIX, ultralytics_models.load_ultralytics), class_count=ultralytics_models.class_count
    ),
    Source(
        syntax=f"{open_clip_models.PREFIX}NAME@TAG",
        matches=lambda source: source.startswith(open_clip_models.PREFIX),
        load=lambda source, pretrained, _: open_clip_models.load_open_clip(
            source.removeprefix(open_clip_models.PREFIX), pretrained=pretrained
        ),
        has_random_weights=True,
        may_start_tensorflow=False,
        framework="torch",
    ),
    _HUGGING_FACE,
    _ONNX_FILE,
    _FILE,
    Source(
        syntax="PLUGIN:NAME, of another package",
        matches=lambda source: ":" in source and source.partition(":")[0] in find_plugins("seewhy.models"),
        load=lambda source, *_: _load_plugin(*source.split(":", 1)),
        has_random_weights=False,
    ),
    Source(
        syntax="package.module:callable",
        matches=factories.is_callable,
        load=lambda source, *_: factories.load(source),
        has_random_weights=False,
        check=factories.check,
    ),
)
"""What `load` accepts; the first match is used."""

WEIGHTS_SUFFIXES = (*torch_weights.SUFFIXES, ".h5", ".hdf5")
"""The suffixes of files with weights only."""


@dataclass(frozen=True)
class ModelSpec:
    """What `load` was given, checked as far as that is possible without a framework, which takes seconds to import.

    Attributes:
        source: The source of the model; of a file with weights, the architecture.
        kind: The kind of the source.
        weights: "imagenet", None for random ones, or the path of a file.
        overrides: What replaces the parts of the classifier.
        backend: What runs the model other than its framework.
        device: The device on which it runs; None for that which the framework takes.
    """

    source: str
    kind: Source
    weights: Path | str | None
    overrides: Overrides
    backend: Backend | None = None
    device: Device | None = None

    @property
    def class_names(self) -> Sequence[str] | None:
        """The names of the classes, where they are known before the model is loaded."""
        return self.overrides.names or self.kind.class_names()

    @timing.phase(Phase.LOADING)
    def load(self, *, trust: bool) -> Classifier:
        """Load the model; see `load`."""
        if self.device is not None and self.kind.framework is not None:
            prepare_device(self.device, self.kind.framework)  # before the model, which takes longer
        classifier = self._load(trust)
        if self.device is not None:
            classifier.model = classifier.framework.move_to(self.device) or classifier.model
        classifier = self.overrides.apply(classifier)
        classifier.backend = self.backend
        if self.kind.no_preprocessing and not classifier.has_preprocessing:
            warn(f"The model {classifier.name!r} {self.kind.no_preprocessing}")
        _logger.info(
            "loaded %s: framework %s, backend %s, device %s",
            self.source,
            classifier.framework.name,
            self.backend or "none",
            self.device or "the default",
        )
        return classifier

    def _load(self, trust: bool) -> Classifier:
        if not isinstance(self.weights, Path):
            return self.kind.load(self.source, self.weights is not None, trust)
        if self.weights.suffix.lower() in torch_weights.SUFFIXES:
            return self._load_torch_weights(self.weights)
        classifier = self.kind.load(self.source, False, trust)
        keras_file.load_weights(classifier.model, self.weights)
        return classifier

    def _load_torch_weights(self, path: Path) -> Classifier:
        """Build the architecture with the number of classes that the weights have, and load them."""
        state = torch_weights.read_state_dict(path)
        classifier = self.kind.load(self.source, False, False)
        if self.kind.build is not None:
            own = classifier.model.state_dict()
            classes = self.kind.class_count(torch_weights.without_wrapper(state, own), own)
            classifier = classifier if classes is None else self.kind.build(self.source, classes)
        torch_weights.load_state_dict(classifier.model, state, path, self.source)
        classifier.name = path.stem
        return classifier


def load(
    source: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = "imagenet",
    *,
    trust: bool = False,
    architecture: str | None = None,
    class_names: ClassNamesSpec | None = None,
    preprocessing: PreprocessingSpec | None = None,
    input_size: InputSizeSpec | None = None,
    backend: str | None = None,
    prompts: PromptsSpec | None = None,
    device: str | None = None,
) -> Classifier:
    """Load a model by name, from a file, from torchvision, timm, open_clip, Hugging Face, or a function of yours.

    Args:
        source: A name that `seewhy models` lists; a path to a `.keras`, legacy `.h5` or `.onnx` file, or to a folder
            that contains one; "torchvision:resnet50"; "timm:resnet50"; "open_clip:ViT-B-32@laion2b_s34b_b79k", with the
            tag of its weights; "ultralytics:yolo11n", with random weights or those of a file; "hf:microsoft/resnet-50",
            a model of the Hugging Face hub, or a folder that `save_pretrained` of transformers wrote; or
            "package.module:callable", which imports the module and calls the function, and so runs your code. The
            sidecar of a file, `model.json` beside `model.keras`, describes the preprocessing and the class names;
            `Classifier.save` writes both. Or a file with weights only, `.pt`, `.pth`, `.safetensors` or `.weights.h5`,
            with its `architecture`.
        weights: "imagenet" for the trained weights; None for random weights from a fixed seed; or the path of a
            file that `save_weights` of a Keras model of the same architecture wrote, or of a state dict of PyTorch.
            Model files and functions come with their own weights.
        trust: True allows Python code in a model file (a Lambda layer) or of a Hugging Face repository to run, and any
            function of Keras that the file names. Use it only for your own files.
        architecture: The architecture of a file with weights: "timm:resnet18", "torchvision:resnet50", a name that
            `seewhy models` lists, or "package.module:callable".
        class_names: The names of the classes; "imagenet"; or the path of a file with a name a line, or with JSON. None
            keeps those that come with the model.
        preprocessing: "imagenet", "0..1", "-1..1" or "0..255"; a module of `keras.applications`, such as "vgg16"; or
            what `Classifier` takes. None keeps the preprocessing that comes with the model.
        input_size: The height and width of the input, in pixels, or one number for both. None keeps that of the model.
        backend: What runs the model where an `Explainer` names nothing: "onnx" (ONNX Runtime) or "openvino", see
            `Explainer`. "efficientnet-lite0" is built for it: as an ONNX graph for "onnx", and also for "tensorflow" or
            "jax" (Keras), "keras" (on the backend that Keras is set to), or "torch" (native PyTorch). None takes, for
            that model, what is installed: ONNX Runtime, else Keras, else PyTorch; and for others what they are written
            in.
        prompts: Texts that become the classes of a model with an image and a text tower, see `Classifier.with_prompts`.
        device: The device on which the model runs, as far as its framework finds it here: "cpu"; "cuda" or "cuda:1";
            "mps"; or "gpu", the first accelerator. For ONNX models also the name of an execution provider. TensorFlow,
            and Keras on PyTorch, run all models of a process on one device. None leaves the choice to the framework;
            ONNX models then run on the CPU.

    Raises:
        ModelError: The source, the architecture or the weights are unknown; or the file is malicious, or names what is
            not known to be harmless and is not trusted.
        OptionError: The preprocessing or the backend is unknown, the input size is not one, or there is no such device.
        MissingExtraError: The framework, or the package with the weights, is not installed.
        WeightsError: A weights file is damaged, or, a `WeightsMismatchError`, does not fit the model.
    """
    overrides = Overrides.parse(class_names, preprocessing, input_size, prompts)
    spec = check(source, weights, architecture, overrides, backend, device)
    with quiet_first_start() if spec.kind.may_start_tensorflow else contextlib.nullcontext():
        return spec.load(trust=trust)


def check(
    source: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None,
    architecture: str | None,
    overrides: Overrides,
    backend: str | None = None,
    device: str | None = None,
) -> ModelSpec:
    """Check what `load` was given, without importing a framework.

    Raises:
        ModelError, OptionError: As for `load`.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ModelError(
            f"Cannot load {source!r}; expected a name or a path. To use a model object, pass it to seewhy.Classifier."
        )
    name = os.fspath(source)
    built_for, runtime = efficientnet_lite0_backends.split_backend(backend, name)
    where = given_device(device, runtime)
    if architecture is not None:
        spec = _check_architecture(name, weights, architecture, overrides)
        return replace(spec, backend=runtime, device=where)
    kind = _kind_of_path(name) if isinstance(source, os.PathLike) else _kind_of(name)
    if weights != "imagenet" and not kind.has_random_weights:
        requested = "random weights" if weights is None else "other weights"
        raise ModelError(
            f"weights={weights!r} asks for {requested}, and {name!r} comes with its own. Leave out weights."
        )
    found = kind.check(name)
    if kind is _FILE and isinstance(found, Path):
        kind = replace(kind, framework="onnx" if found.suffix.lower() in onnx_file.SUFFIXES else "keras")
    path = weights if weights in (None, "imagenet") else _weights_path(weights)
    return ModelSpec(name, _built_for(kind, name, built_for, path), path, overrides, runtime, where)


def _check_architecture(
    source: str, weights: str | os.PathLike[str] | None, architecture: str, overrides: Overrides
) -> ModelSpec:
    path = model_file.expanded(source)
    if path.suffix.lower() not in WEIGHTS_SUFFIXES:
        raise OptionError(
            f"architecture={architecture!r} is for a file with weights only ({', '.join(WEIGHTS_SUFFIXES)}), and "
            f"{source!r} comes with its own. Leave out architecture."
        )
    if weights != "imagenet":
        raise OptionError(f"{source!r} contains the weights; given weights={weights!r} too. Leave out weights.")
    if not os.path.exists(path):  # Path.exists raises if a name is too long
        raise ModelError(f"There is no file {path}.")
    kind = _kind_of(architecture)
    if kind in (_ONNX_FILE, _FILE):
        raise ModelError(
            f"The architecture {architecture!r} is a file; expected a name, such as timm:resnet18, or "
            "package.module:callable."
        )
    kind.check(architecture)
    return ModelSpec(architecture, _built_for(kind, architecture, None, path), path, overrides)


def _built_for(kind: Source, name: str, backend: str | None, weights: Path | str | None) -> Source:
    """Return a kind that builds EfficientNet-Lite0 for a backend; where none is named, for that of a weights file."""
    if name != efficientnet_lite0_backends.NAME:
        return kind
    if isinstance(weights, Path):
        if backend == "onnx":
            raise OptionError(
                f"{weights} is loaded into a model of Keras or PyTorch, not into an ONNX graph; given backend='onnx'. "
                "Leave out backend."
            )
        backend = efficientnet_lite0_backends.backend_for_weights(weights) if backend is None else backend
    return replace(
        kind,
        load=lambda _, pretrained, __: efficientnet_lite0_backends.build(pretrained, backend),
        framework=efficientnet_lite0_backends.framework_of(backend),
    )


def _kind_of(name: str) -> Source:
    """Return the first kind of source that matches."""
    kind = next((kind for kind in SOURCES if kind.matches(name)), None)
    if kind is None:
        known = "; ".join(kind.syntax for kind in SOURCES)
        raise ModelError(f"Unknown model {name!r}.{did_you_mean(name, MODELS)} Known: {known}.")
    return kind


def _kind_of_path(path: str) -> Source:
    return next((kind for kind in (_HUGGING_FACE, _ONNX_FILE) if kind.matches(path)), _FILE)


def _weights_path(weights: str | os.PathLike[str]) -> Path:
    if not isinstance(weights, (str, os.PathLike)) or not os.path.isfile(weights):
        raise ModelError(
            f"Unknown weights {weights!r}; expected 'imagenet', None for random weights (on the command line: none), "
            "or the path of a file."
        )
    return Path(weights)
