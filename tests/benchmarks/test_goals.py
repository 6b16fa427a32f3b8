"""What is met, what is missed, and by how much."""

import pytest
from benchmarks.cases import Case, Turns, figures
from benchmarks.goals import GOALS, Goal, goal_of, judged, misses
from benchmarks.summary import summary

AT_MOST = Goal("one class", "cost", {"classes": (1,), "model": ("ResNet50", "Xception")}, 1.10)
AT_LEAST = Goal("captum / SeeWhy", "peers", {"tool": ("captum",)}, 1.2, "seewhy", is_least=True)


def figure(median, model="ResNet50", **others):
    spread = [median - 0.02, median, median + 0.02]
    return {"title": f"PyTorch, {model}", "model": model, "classes": 1, "forward": spread, **others}


def test_a_goal_that_every_figure_reaches_is_met():
    assert judged(AT_MOST, [figure(1.02), figure(1.10, "Xception")]) == {
        "ratio": "one class",
        "goal": "≤ 1.10",
        "measured": "1.02 to 1.10",
        "met": "2 of 2",
    }


def test_a_goal_says_how_often_and_by_how_much_it_is_missed():
    found = [figure(1.02), figure(1.30, "Xception"), figure(1.15)]
    assert judged(AT_MOST, found)["met"] == "1 of 3, missed by up to 0.20"
    assert [(each["of"], each["missed by"]) for each in misses(AT_MOST, found)] == [
        ("PyTorch, Xception", "0.20"),
        ("PyTorch, ResNet50", "0.05"),
    ]


def test_other_models_and_classes_have_other_goals():
    assert judged(AT_MOST, [figure(9.0, "VGG16"), figure(9.0, classes=8)])["met"] == "not measured"


@pytest.mark.parametrize(("median", "met"), [(1.2, "yes"), (1.5, "yes"), (1.01, "no, missed by 0.19")])
def test_peers_should_take_at_least_so_long(median, met):
    row = judged(AT_LEAST, [{"title": "", "tool": "captum", "seewhy": [1, median, 2]}])
    assert (row["goal"], row["met"]) == ("≥ 1.2", met)


def test_a_small_miss_is_no_hit():
    assert judged(AT_MOST, [figure(1.1004)])["met"] == "no, missed by 0.0004"


def test_each_figure_has_one_goal():
    turn = Turns(1, 224, {"forward": [10.0] * 5, "seewhy, 1": [12.0] * 5, "seewhy, 8": [13.0] * 5})
    for framework, model, one, eight in (
        ("keras-jax", "VGG16", 1.25, 1.6),
        ("keras-tensorflow", "VGG16", 1.15, 1.35),
        ("keras-jax", "Xception", 1.1, 1.15),
        ("keras-tensorflow", "EfficientNet-Lite0", 1.06, 1.15),
        ("keras-torch", "EfficientNet-Lite0", 1.1, 1.15),
        ("torch", "MobileNetV2", 1.08, 1.12),
        ("torch-channels-last", "MobileNetV2", 1.08, 1.12),
        ("keras-jax", "MobileNetV2", 1.1, 1.15),
    ):
        found = figures("cost", [(Case(framework, model), [turn])])
        assert [each["goal"] for each in found] == [None, one, eight]
        assert [sum(goal.result == "cost" and goal.is_of(each) for goal in GOALS) for each in found] == [0, 1, 1]


def test_the_goals_of_other_results():
    pipeline = [
        {"size": size, "what": f"to {what}"} for size in ("500 x 375", "4000 x 3000") for what in ("JPEG", "PNG")
    ]
    assert [goal_of("pipeline", each) for each in pipeline] == [1.12, 1.25, 1.12, 1.25]
    assert goal_of("start", {"first_heatmap": "PyTorch"}) == 2.5
    assert goal_of("shapes", {"framework": "keras-tensorflow", "shape": "second shape"}) == 1.25
    assert goal_of("shapes", {"framework": "keras-tensorflow", "shape": "the first again"}) is None
    small = {"tool": "seewhy", "framework": "keras-tensorflow", "model": "VGG16", "side": 128}
    assert [goal_of("growth-size", {**small, "classes": classes}) for classes in (1, 8)] == [1.5, 1.5]
    assert goal_of("growth-size", {**small, "classes": 8, "side": 224}) is None
    assert goal_of("methods-peers", {"method": "eigencam"}) == 4.0
    assert goal_of("models", {"tool": "by hand", "classes": 1, "model": "ViT-tiny", "library": "timm"}) is None
    assert goal_of("models", {"tool": "seewhy", "classes": 8, "model": "Swin-tiny", "library": "timm"}) == 1.25
    assert goal_of("models", {"tool": "seewhy", "classes": 1, "model": "ViT, KerasHub", "library": "KerasHub"}) == 1.15


def test_figures_say_what_they_are_of_and_their_ratios():
    turn = Turns(1, 224, {"forward": [10.0, 20.0], "seewhy, 8": [11.0, 24.0], "captum, 8": [44.0, 96.0]})
    forward, seewhy, captum = figures("peers", [(Case("torch", "VGG16"), [turn])])
    assert (forward["tool"], forward["classes"], forward["forward"]) == ("forward", 0, [1, 1, 1])
    assert (seewhy["title"], seewhy["classes"], seewhy["rounds"]) == ("PyTorch, VGG16", 8, 2)
    assert seewhy["forward"] == [1.125, 1.15, 1.175]
    assert captum["seewhy"] == [4, 4, 4]


def test_the_goals_on_resnet50_are_of_no_other_model():
    peer = {"framework": "keras-tensorflow", "tool": "notebook", "classes": 1}
    assert goal_of("peers", {**peer, "model": "ResNet50"}) == 6.0
    assert goal_of("peers", {**peer, "model": "VGG16"}) is None


def test_the_summary_has_every_goal_and_every_miss():
    of = {"tool": "seewhy", "framework": "keras-torch"}
    results = {"cost": {"figures": [figure(1.4, **of), figure(1.2, "VGG16", **of)]}}
    goals, missed = summary(results)
    assert len(goals) == len(GOALS)
    assert [each["met"] for each in goals if each["measured"]] == ["no, missed by 0.30", "yes"]
    assert [each["of"] for each in missed] == ["PyTorch, ResNet50"]


WANTED = {
    "one class / bare forward, one image, small models, PyTorch": "≤ 1.08",
    "eight classes / bare forward, one image, small models, PyTorch": "≤ 1.12",
    "Grad-CAM, one class / bare forward, tiny configs of Hugging Face": "≤ 1.15",
    "Grad-CAM, one class / bare forward, tiny configs of KerasHub": "≤ 1.15",
    "one class / bare forward, one image, EfficientNet-Lite0, Keras/TensorFlow": "≤ 1.06",
    "one class / bare forward, one image, VGG16, Keras/TensorFlow": "≤ 1.15",
    "eight classes / bare forward, one image, VGG16, Keras/TensorFlow": "≤ 1.35",
    "one class / bare forward, VGG16, 128 px, Keras/TensorFlow": "≤ 1.50",
    "eight classes / bare forward, VGG16, 128 px, Keras/TensorFlow": "≤ 1.50",
    "from JPEG files to overlays as JPEG / bare forwards": "≤ 1.12",
    "from JPEG files to overlays as PNG / bare forwards": "≤ 1.25",
    "Score-CAM / as many bare forwards of equal batch, MobileNetV2, 224 px": "≤ 1.05",
    "pytorch-grad-cam / SeeWhy in ONNX Runtime, Score-CAM, MobileNetV2, 224 px": "≥ 2",
    "pytorch-grad-cam / SeeWhy, Eigen-CAM, PyTorch, ResNet50": "≥ 4",
    "first heatmap in a new process, in seconds, TensorFlow": "≤ 6.00",
    "first heatmap in a new process, in seconds, PyTorch": "≤ 2.50",
    "first heatmap in a new process, in seconds, ONNX Runtime": "≤ 1.50",
    "another shape / the first explanation, Keras/TensorFlow": "≤ 1.25",
}


def test_the_summary_has_the_goals_of_the_speed_that_was_asked_for():
    """Each with its bound, as the table of the page shows them."""
    shown = {goal.text: goal.shown for goal in GOALS}
    assert {text: shown.get(text) for text in WANTED} == WANTED
