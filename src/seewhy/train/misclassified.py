"""What a trained model looked at when it was wrong: its mistakes on the images it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.errors import InputError
from seewhy.explainer import Explainer
from seewhy.images.figure import Panel, draw_panels
from seewhy.images.reading import read
from seewhy.models import Classifier, load
from seewhy.results.explanation import Explanation
from seewhy.results.figures import caption
from seewhy.train import digits_data
from seewhy.train.evaluation import HeldOutImages, Judgement, judge
from seewhy.train.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Misclassified:
    """An image that was taken for another class.

    Attributes:
        name: What the image is called.
        answer: What the model said.
        explanation: Of two targets, the class it is and the class it was taken for.
    """

    name: str
    answer: Judgement
    explanation: Explanation


@dataclass(frozen=True, eq=False)
class MisclassifiedImages:
    """What a model got wrong.

    Attributes:
        shown: The surest of its mistakes, the surest first.
        count: How many mistakes there are in all.
        images: How many images it was measured on.
    """

    shown: tuple[Misclassified, ...]
    count: int
    images: int

    def figure(self, colormap: str = "jet") -> "Figure":
        """Draw a row for each mistake: the image, what speaks for its class, what for the class it was taken for."""
        panels = [panel for mistake in self.shown for panel in _panels(mistake, colormap)]
        return draw_panels(panels, columns=3, colormap=colormap)


def explain_mistakes(run: Run, limit: int, data: Path | None = None, method: str = "gradcam") -> MisclassifiedImages:
    """Find the mistakes on the images that were held out, and explain the surest of them.

    Args:
        run: The folder of a finished run.
        limit: How many are explained.
        data: Where the images are now, if they were moved.
        method: A method's name.

    Raises:
        ModelError: The folder holds no run.
        InputError: The data are not those that were trained on.
        ImageError: An image cannot be read any more.
    """
    recipe = run.recipe()
    classifier = load(run.model)
    held_out = _SOURCES[recipe.kind](run, data or Path(recipe.data), classifier)
    wrong = [each for each in judge(classifier, held_out) if each.predicted != each.label]
    shown = sorted(wrong, key=lambda each: -each.probability)[:limit]
    explanations = _explain(classifier, held_out, shown, method)
    mistakes = [
        Misclassified(held_out.names[answer.position], answer, explanation)
        for answer, explanation in zip(shown, explanations, strict=True)
    ]
    return MisclassifiedImages(tuple(mistakes), len(wrong), len(held_out.images))


def _explain(
    classifier: Classifier, held_out: HeldOutImages, shown: Sequence[Judgement], method: str
) -> list[Explanation]:
    if not shown:
        return []
    images = [held_out.images[each.position] for each in shown]
    return Explainer(classifier, method).explain(images, [[each.label, each.predicted] for each in shown])


def _panels(mistake: Misclassified, colormap: str) -> list[Panel]:
    explanation = mistake.explanation
    of_label, of_predicted = explanation.targets
    return [
        Panel(mistake.name, explanation.image),
        Panel(f"is {caption(of_label)}", explanation.overlay(0, colormap=colormap)),
        Panel(f"taken for {caption(of_predicted)}", explanation.overlay(1, colormap=colormap)),
    ]


def _test_digits(run: Run, data: Path, _: Classifier) -> HeldOutImages:
    digits = digits_data.read_digits(data)
    if digits.sha256 != run.recipe().settings["data_sha256"]:
        raise InputError(f"{data} is not the file that {run.folder} was trained on. Give that one with --data.")
    names = [f"x_test[{position}]" for position in range(len(digits.x_test))]
    return HeldOutImages([read(each) for each in digits.x_test], names, digits.y_test.tolist())


def _validation_images(run: Run, data: Path, classifier: Classifier) -> HeldOutImages:
    kept = [row for row in run.read_table("images.csv") if row["part"] == "validation"]
    names = list(classifier.class_names or ())
    if not data.is_dir():
        raise InputError(f"The images of {run.folder} are not in {data} any more. Say where they are with --data.")
    return HeldOutImages(
        [data / row["path"] for row in kept], [row["path"] for row in kept], [names.index(row["class"]) for row in kept]
    )


_SOURCES: dict[str, Callable[[Run, Path, Classifier], HeldOutImages]] = {
    "digits": _test_digits,
    "transfer": _validation_images,
}
