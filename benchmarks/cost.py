"""What an explanation costs, against the bare forward pass of the same model, on every framework.

Each row of the tables is a process of its own, in which the bare forward pass, one class and eight classes take turns:
first of one image, then of a batch of 16.
"""

from benchmarks.cases import PACKAGES, Case, Measured, Turns, figures, main, raw, shown, take_turns
from benchmarks.forwards import subject
from benchmarks.interleaved import machine
from benchmarks.results import Figure, Row, publish

import seewhy

COUNTS = (1, 8)
BATCH = 16
MODELS = ("MobileNetV2", "EfficientNet-Lite0", "ResNet50", "Xception", "VGG16")
CASES = (
    *(Case("torch", model) for model in MODELS if model != "Xception"),  # torchvision has none
    *(Case("torch-channels-last", model) for model in ("MobileNetV2", "ResNet50", "VGG16")),
    *(Case(f"keras-{each}", model) for each in ("tensorflow", "jax", "torch") for model in MODELS),
)
SECONDS = 4.0


def measure(case: Case, seconds: float) -> list[Turns]:
    """Measure one case, in this process."""
    what = subject(case.framework, case.model)
    explainer = seewhy.Explainer(what.model)
    one = take_turns(what, explainer, COUNTS, seconds)
    batch = what.with_batch(BATCH if seconds else 2)
    return [one, take_turns(batch, explainer, COUNTS, seconds, slow=True)]


def rows(found: list[Figure]) -> list[Row]:
    """Return a row for each case: the forward pass, and what the explanations take of it."""
    forwards = [each for each in found if each["tool"] == "forward"]
    return [_row(each, [other for other in found if other["title"] == each["title"]]) for each in forwards]


def _row(forward: Figure, of_case: list[Figure]) -> Row:
    cells = {"": forward["title"], "forward, ms": shown(forward["ms"], 0 if forward["ms"][1] >= 100 else 1)}
    for each in of_case:
        if each["tool"] == "seewhy":
            name = f"{each['classes']} class{'es' * (each['classes'] > 1)}"
            cells[f"{name} / forward"] = shown(each["forward"])
            if each["images"] == 1:
                cells[f"goal, {name}"] = f"{each['goal']:.2f}"
    return cells | {"rounds": str(forward["rounds"])}


def publish_both(measured: Measured) -> None:
    """Publish the tables of one image and of the batch."""
    for place, name in enumerate(("cost", "cost-batch")):
        of_batch = [(case, [of_case[place]]) for case, of_case in measured]
        found = figures(name, of_batch)
        words = f"a batch of {found[0]['images']}" if place else "one image"
        title = f"What an explanation costs: {words}; medians, and the middle half of the rounds"
        publish(name, title, rows(found), raw(of_batch), machine(*PACKAGES), found)


if __name__ == "__main__":
    main("cost", CASES, measure, publish_both, SECONDS)
