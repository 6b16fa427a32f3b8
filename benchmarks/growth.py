"""How the cost of an explanation grows: with the classes, the batch, and the size of the image.

Each case is a process of its own, in which the bare forward pass of the same batch takes turns with the explanations.
"""

import numpy as np
from benchmarks.cases import PACKAGES, Case, Measured, Turns, figures, main, raw, shown, take_turns
from benchmarks.forwards import KERAS_RUNS, Subject, subject
from benchmarks.interleaved import machine
from benchmarks.results import Figure, Row, publish

import seewhy

CLASSES = (1, 8, 64, 1000)
BATCHES = (1, 4, 16, 64)
SIDES = (160, 224, 320, 448)
VGG16_SIDES = (128, 224)
"""VGG16's first dense layer has weights for one size of images: each size is a model of its own."""
COUNTS = (1, 8)
CASES = (
    Case("torch", "ResNet50", "classes"),
    Case("keras-tensorflow", "ResNet50", "classes"),
    Case("keras-jax", "ResNet50", "classes"),
    Case("keras-torch", "ResNet50", "classes"),
    Case("keras-tensorflow", "Xception", "classes"),
    Case("keras-jax", "Xception", "classes"),
    Case("torch", "EfficientNet-Lite0", "classes"),
    Case("torch", "ResNet50", "batch"),
    Case("keras-tensorflow", "ResNet50", "batch"),
    Case("torch", "ResNet50", "size"),
    Case("keras-tensorflow", "ResNet50", "size"),
    Case("keras-tensorflow", "VGG16", "size"),
)
SECONDS = 6.0
TITLES = {
    "classes": "One image and more and more classes",
    "batch": "Larger and larger batches",
    "size": "Larger and larger images",
}


def measure(case: Case, seconds: float) -> list[Turns]:
    """Measure one case, in this process."""
    if case.model == "VGG16":
        return [_vgg16(side, seconds) for side in VGG16_SIDES]
    what = subject(case.framework, case.model, any_size=case.kind == "size")
    explainer = seewhy.Explainer(what.model)
    if case.kind == "classes":
        return [take_turns(what, explainer, CLASSES, seconds)]
    batches = [what.with_batch(each) for each in BATCHES[: None if seconds else 2]]
    if case.kind == "size":
        batches = [what.with_batch(1, side) for side in SIDES]
    return [take_turns(each, explainer, COUNTS, seconds / 2, slow=True) for each in batches]


def _vgg16(side: int, seconds: float) -> Turns:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, input_shape=(side, side, 3))
    what = Subject(
        model, np.random.default_rng(0).random((1, side, side, 3), np.float32), KERAS_RUNS["tensorflow"](model)
    )
    return take_turns(what, seewhy.Explainer(model), COUNTS, seconds / 2, slow=True)


def rows(kind: str, found: list[Figure]) -> list[Row]:
    """Return a row for each batch: the forward pass, and what so many classes take of it."""
    cells = []
    for forward in [each for each in found if each["tool"] == "forward"]:
        row = {"": forward["title"]}
        if kind != "classes":
            row |= {"images": str(forward["images"]), "side, pixels": str(forward["side"])}
        row["forward, ms"] = shown(forward["ms"], 0)
        for each in found:
            same = all(each[key] == forward[key] for key in ("title", "images", "side"))
            if same and each["tool"] == "seewhy":
                row[f"{each['classes']:,} class{'es' * (each['classes'] > 1)} / forward"] = shown(each["forward"])
        cells.append(row | {"rounds": str(forward["rounds"])})
    return cells


def publish_each(measured: Measured) -> None:
    """Publish a table for each of what grows."""
    for kind, title in TITLES.items():
        of_kind = [(case, of_case) for case, of_case in measured if case.kind == kind]
        if of_kind:
            name = f"growth-{kind}"
            found = figures(name, of_kind)
            title += ", as times the bare forward pass of the same; medians, and the middle half"
            publish(name, title, rows(kind, found), raw(of_kind), machine(*PACKAGES), found)


if __name__ == "__main__":
    main("growth", CASES, measure, publish_each, SECONDS)
