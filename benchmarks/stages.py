"""The work for one image on its way from a JPEG file to an overlay in a file, stage by stage, beside the forward pass.

In milliseconds of processor time of one thread, with nothing else running in the process: `python -m
benchmarks.pipeline --stages`. In a pipeline every stage takes longer, because it shares caches and memory with others.
"""

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.interleaved import Spread, Times, Variants, interleave, machine
from benchmarks.results import Figure, publish

SECONDS = 3.0
"""The budget of a size, in processor time."""

HEATMAP_SIZE = (7, 7)


def stage_times(paths: Sequence[Path], forward: Callable[[int], object], preprocessing: Any, side: int | None) -> Times:
    """Measure the stages of some images in turns, in milliseconds for each image.

    Args:
        paths: JPEG files of one size.
        forward: Runs the model on so many images.
        preprocessing: Of the model.
        side: What the shorter side keeps at least; None for the full size.
    """
    from seewhy import Style
    from seewhy.images.overlay import placed_overlay
    from seewhy.images.pillow_memory import keep_image_memory
    from seewhy.images.reading import read
    from seewhy.images.writing import image_writer

    keep_image_memory()
    generator, style = np.random.default_rng(0), Style()
    heatmap = np.sort(generator.random(HEATMAP_SIZE, np.float32))
    images = [read(path, side) for path in paths]
    placements = preprocessing(images).placements

    def draw() -> list[Any]:
        pairs = zip(images, placements, strict=True)
        return [placed_overlay(image, heatmap, placement, style) for image, placement in pairs]

    drawn = draw()

    def encode(suffix: str) -> None:
        for pixels in drawn:
            image_writer(pixels, suffix)(io.BytesIO())

    calls: Variants = {
        "forward pass of ResNet-50": lambda: forward(len(paths)),
        "read and decode": lambda: [read(path, side) for path in paths],
        "preprocess": lambda: preprocessing(images),
        "place and blend the heatmap": draw,
        "encode as JPEG": lambda: encode(".jpg"),
        "encode as PNG": lambda: encode(".png"),
    }
    times = interleave(calls, SECONDS, clock=time.thread_time)
    return {name: [ms / len(paths) for ms in each] for name, each in times.items()}


def measure_stages(
    model: Any, preprocessing: Any, sizes: Sequence[tuple[str, int | None, Callable[[Path], Sequence[Path]]]]
) -> None:
    """Measure the stages at several sizes, and publish the table.

    Args:
        model: Native PyTorch.
        preprocessing: Of the model.
        sizes: What each is called, what the shorter side keeps at least, and what writes a few images to a folder.
    """
    import torch

    inputs = torch.rand(16, 3, *preprocessing.size, generator=torch.Generator().manual_seed(0))

    def forward(count: int) -> None:
        with torch.inference_mode():
            model(inputs[:count])

    threads, measured = torch.get_num_threads(), {}
    torch.set_num_threads(1)
    try:
        for name, side, make in sizes:
            with tempfile.TemporaryDirectory() as folder:
                measured[name] = stage_times(make(Path(folder) / "in"), forward, preprocessing, side)
    finally:
        torch.set_num_threads(threads)
    figures: list[Figure] = [
        {"title": f"{size}, {stage}", "size": size, "stage": stage, "ms": Spread.of(ms).numbers()}
        for size, times in measured.items()
        for stage, ms in times.items()
    ]
    stages = list(next(iter(measured.values())))
    rows = [
        {"ms of one core": stage} | {size: f"{statistics.median(times[stage]):.1f}" for size, times in measured.items()}
        for stage in stages
    ]
    title = "The work for one image, from a JPEG file to an overlay in a file"
    publish("pipeline-stages", title, rows, measured, machine("torch", "torchvision", "pillow", "numpy"), figures)
