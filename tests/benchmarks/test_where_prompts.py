"""The where-test of prompts: its images and texts, and where a peak is counted."""

import numpy as np
from benchmarks.where_prompts import PROMPTS, draw, peaks_in_boxes
from words_and_shapes import COLORS, SHAPES, tokenize


def test_the_shapes_lie_in_their_boxes():
    images, prompts, boxes = draw(20, seed=0)
    for image, numbers, places in zip(images, prompts, boxes, strict=True):
        for number, (top, left, bottom, right) in zip(numbers, places, strict=True):
            color, shape = list(COLORS.values())[number // 3], SHAPES[number % 3]
            is_colored = (np.abs(image - color) < 0.25).all(-1)
            share = is_colored[top:bottom, left:right].mean()
            assert {"square": 0.9, "circle": 0.7, "triangle": 0.45}[shape] < share <= 1
            assert PROMPTS[number] == f"a {list(COLORS)[number // 3]} {shape}"
    assert len(np.unique(tokenize(PROMPTS), axis=0)) == len(PROMPTS) == 12


def test_a_peak_counts_in_its_own_box():
    heatmaps = np.zeros((1, 2, 6, 6), np.float32)
    heatmaps[0, :, 1, 4] = 1  # the pixels 8 to 15 from above, 32 to 39 from the left
    boxes = np.array([[[8, 32, 16, 40], [16, 32, 24, 40]]])
    assert peaks_in_boxes(heatmaps, boxes, 48).tolist() == [[True, False]]
