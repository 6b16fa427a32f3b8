"""Perturbations are generated one at a time: a method's memory does not grow with their number."""

import tracemalloc

import numpy as np
import pytest

from seewhy import methods
from seewhy.types import Capture


class Sums:
    """Scores each perturbation by its sum."""

    layer_extents = None

    inputs = np.random.default_rng(0).uniform(size=(64, 64, 1)).astype(np.float32)

    def scores(self, perturbations, count):
        sums = np.array([[perturbation.sum() / 1000] for perturbation in perturbations], dtype=np.float32)
        assert len(sums) == count
        return sums

    head_scores = scores

    def score_batches(self, write, count):
        batch = np.empty((4, *self.inputs.shape), np.float32)
        for start in range(0, count, 4):
            numbers = range(start, min(start + 4, count))
            write(numbers, batch[: len(numbers)])
            yield self.scores(batch[: len(numbers)], len(numbers))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("scorecam", {}),
        ("sscam", {"samples": 2}),
        ("iscam", {"steps": 2}),
        ("ablationcam", {}),
        ("occlusion", {"window": 8, "stride": 2}),
        ("rise", {"masks": 800}),
    ],
)
def test_memory_does_not_grow_with_the_number_of_perturbations(name, options):
    activations = np.random.default_rng(1).uniform(size=(1, 8, 8, 800)).astype(np.float32)
    capture = Capture(activations, None, None, None, None, None, "layer", np)
    method = methods.get(name, **options)
    tracemalloc.start()
    method(capture, Sums())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    perturbation = activations.nbytes if name == "ablationcam" else Sums.inputs.nbytes
    assert peak < 5 * perturbation + 800_000  # all 800 perturbations at once would take 160 times as much
