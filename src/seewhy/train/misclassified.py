"""Explain the images that a trained model misclassifies, among those that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.errors import ImageError, InputError, TargetError
from seewhy.explainer import BATCH_SIZE, Explainer
from seewhy.images.default_style import DEFAULT_COLORMAP
from seewhy.images.figure import Panel, draw_panels
from seewhy.images.finding import find_images
from seewhy.images.reading import read
from seewhy.models import Classifier, load
from seewhy.results.explanation import Explanation
from seewhy.results.figures import caption
from seewhy.train import digits_data
from seewhy.train.evaluation import EvaluatedImage, EvaluationImages, evaluate
from seewhy.train.image_folder import find_class_folders
from seewhy.train.run_folder import Run

MAX_LISTED = 3
"""The number of unknown class folders that an error lists."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class MisclassifiedImage:
    """An image whose predicted class is not its true class.

    Attributes:
        name: The name of the image.
        prediction: The true and the predicted class.
        explanation: The explanation of two targets: the true class and the predicted class.
    """

    name: str
    prediction: EvaluatedImage
    explanation: Explanation


@dataclass(frozen=True, eq=False)
class MisclassifiedImages:
    """The misclassified images of an evaluation.

    Attributes:
        explained: Those with the highest predicted probability, in descending order.
        count: The number of all misclassified images.
        evaluated: The number of images that the model was evaluated on.
        skipped: Why images could not be read.
    """

    explained: tuple[MisclassifiedImage, ...]
    count: int
    evaluated: int
    skipped: tuple[ImageError, ...] = ()

    def figure(self, colormap: str = DEFAULT_COLORMAP) -> "Figure":
        """Draw a row for each image: the image, and the overlays for its true and its predicted class."""
        panels = [panel for image in self.explained for panel in _panels(image, colormap)]
        return draw_panels(panels, columns=3, colormap=colormap)


def explain_misclassified(
    run: Run,
    limit: int,
    data: Path | None = None,
    method: str = "auto",
    batch_size: int = BATCH_SIZE,
    device: str | None = None,
) -> MisclassifiedImages:
    """Evaluate the model of a run, and explain the misclassified images with the highest predicted probability.

    Args:
        run: The folder of a finished run.
        limit: The number of images to explain.
        data: The path of the data, if they were moved after training.
        method: The name of a method.
        batch_size: How many images, or perturbations of an image, run at once.
        device: As for `load`.

    Raises:
        ModelError: The folder does not contain a run.
        InputError: The data are not those of the run.
        ImageError: An image cannot be read.
    """
    config = run.config()
    classifier = load(run.model_path, device=device)
    evaluation = EVALUATION_IMAGES[config.kind](run, data or Path(config.data), classifier)
    return explain_errors(classifier, evaluation, limit, method, batch_size=batch_size)


def explain_errors(
    classifier: Classifier,
    evaluation: EvaluationImages,
    limit: int,
    method: str = "auto",
    layer: str = "auto",
    batch_size: int = BATCH_SIZE,
) -> MisclassifiedImages:
    """Evaluate a classifier, and explain the misclassified images with the highest predicted probability.

    Args:
        classifier: The classifier.
        evaluation: The images and their true classes.
        limit: The number of images to explain.
        method: The name of a method.
        layer: The layer to explain.
        batch_size: How many images, or perturbations of an image, run at once.
    """
    skipped: list[ImageError] = []
    evaluated = list(evaluate(classifier, evaluation, skipped, batch_size))
    wrong = [image for image in evaluated if image.predicted_class != image.true_class]
    selected = sorted(wrong, key=lambda image: -image.predicted_probability)[:limit]
    explanations = _explain(Explainer(classifier, method, layer), evaluation, selected, batch_size)
    explained = [
        MisclassifiedImage(evaluation.names[image.position], image, explanation)
        for image, explanation in zip(selected, explanations, strict=True)
    ]
    return MisclassifiedImages(tuple(explained), len(wrong), len(evaluated), tuple(skipped))


def images_by_folder(data: Path, classifier: Classifier, *, recursive: bool = True) -> EvaluationImages:
    """Return the images of a folder of class folders; where it has `train` and `validation`, those of `validation`.

    Args:
        data: The folder. The name of each class folder is the name, the index or the id of a class.
        classifier: The classifier, which knows the classes.
        recursive: Whether the folder of a class is searched with its subfolders.

    Raises:
        InputError: The folder is missing, or the name of a class folder is not that of a class.
        ImageError: There are no images.
    """
    folders = find_class_folders(data)[-1]
    classes, unknown = {}, []
    for folder in folders:
        try:
            classes[folder] = classifier.find_class(folder.name)
        except TargetError as error:
            unknown.append(f"{folder.name!r} ({error})")
    if unknown:
        more = f" and {len(unknown) - MAX_LISTED} more" if len(unknown) > MAX_LISTED else ""
        raise InputError(
            f"The folders of {data} are not the classes of the model {classifier.name!r}: "
            f"{'; '.join(unknown[:MAX_LISTED])}{more}. Name each folder after its class, or give the class names."
        )
    found = [
        (image.path, classes[folder])
        for folder in folders
        for image in find_images(str(folder), recursive=recursive).images
    ]
    paths = [path for path, _ in found]
    return EvaluationImages(paths, [str(path.relative_to(data)) for path in paths], [index for _, index in found])


def _explain(
    explainer: Explainer, evaluation: EvaluationImages, selected: Sequence[EvaluatedImage], batch_size: int
) -> list[Explanation]:
    if not selected:
        return []
    images = [evaluation.images[image.position] for image in selected]
    targets = [[image.true_class, image.predicted_class] for image in selected]
    return explainer.explain(images, targets, batch_size=batch_size)


def _panels(image: MisclassifiedImage, colormap: str) -> list[Panel]:
    explanation = image.explanation
    true_target, predicted_target = explanation.targets
    return [
        Panel(image.name, explanation.image),
        Panel(f"True class: {caption(true_target)}", explanation.overlay(0, colormap=colormap)),
        Panel(f"Predicted: {caption(predicted_target)}", explanation.overlay(1, colormap=colormap)),
    ]


def _test_digits(run: Run, data: Path, _: Classifier) -> EvaluationImages:
    digits = digits_data.read_digits(data)
    if digits.sha256 != run.config().settings["data_sha256"]:
        raise InputError(f"{data} is not the file that the model in {run.folder} was trained on. Give it with --data.")
    names = [f"x_test[{position}]" for position in range(len(digits.x_test))]
    return EvaluationImages([read(image) for image in digits.x_test], names, digits.y_test.tolist())


def _validation_images(run: Run, data: Path, classifier: Classifier) -> EvaluationImages:
    rows = [row for row in run.read_table("images.csv") if row["split"] == "validation"]
    class_names = list(classifier.class_names or ())
    if not data.is_dir():
        raise InputError(f"There is no folder {data} with the images of {run.folder}. Give its path with --data.")
    return EvaluationImages(
        images=[data / row["path"] for row in rows],
        names=[row["path"] for row in rows],
        true_classes=[class_names.index(row["class"]) for row in rows],
    )


EVALUATION_IMAGES: dict[str, Callable[[Run, Path, Classifier], EvaluationImages]] = {
    "digits": _test_digits,
    "transfer": _validation_images,
}
"""Loads the evaluation images of a run, by the kind of the run."""
