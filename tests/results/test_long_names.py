"""Titles and labels of long names, such as prompts: they fit their panels."""

import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from tests.results.test_explanation import explanation

import seewhy
from seewhy.results.figures import caption, grid, probabilities

LONG = "a photo of " + "a very " * 300 + "small dog\nwith a \x1b[31mred collar"


def test_a_caption_is_cut_in_its_middle_and_has_one_line():
    text = caption(seewhy.TargetResult(3, LONG, 1.0, 0.5, True))
    assert text.startswith("3, a photo of a very a very")
    assert text.endswith(r"small dog with a \x1b[31mred collar 50.0%")
    assert len(text) == 80 + len("3,  50.0%")


def test_titles_do_not_reach_over_other_panels():
    targets = tuple(seewhy.TargetResult(index, LONG, 1.0, 0.5, True) for index in (3, 4))
    predictions = tuple(seewhy.Prediction(index, LONG, 0.5) for index in (3, 4))
    named = explanation(targets=targets, predictions=predictions)
    for figure in (grid(named, seewhy.Style()), probabilities(named, 0, seewhy.Style())):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # with warnings as errors: matplotlib has none of a layout that does not fit
        boxes = [axes.title.get_window_extent(canvas.get_renderer()) for axes in figure.axes]
        for left, right in itertools.pairwise(boxes):
            assert left.x1 < right.x0
