"""How much of each method's evidence lies where it should, on an image of four images.

The mosaic of `examples/` has a cat, a coffee, a rocket and a daisy, each in a quadrant of its own. For each of the four
classes a map should have its energy in its own quadrant; a map that knows nothing of classes has about a quarter there.
Run it with `python benchmarks/mosaic.py`; it prints a table in Markdown.
"""

import argparse
import runpy
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

import seewhy
from seewhy.methods import METHODS

EXAMPLES = Path(__file__).parent.parent / "examples"
CLASSES = ("tiger cat", "espresso", "missile", "daisy")


def shares(explanation: seewhy.Explanation) -> list[float]:
    """Return, for each class, the share of its saliency that lies in its own quadrant."""
    heatmap = explanation.normalized_heatmaps
    height, width = (side // 2 for side in heatmap.shape[1:])
    quadrants = [(slice(height), slice(width)), (slice(height), slice(width, None))]
    quadrants += [(slice(height, None), slice(width)), (slice(height, None), slice(width, None))]
    return [float(each[place].sum() / max(each.sum(), 1e-12)) for each, place in zip(heatmap, quadrants, strict=True)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="efficientnet-lite0")
    names = [name for name, method in METHODS.items() if method.family != "attention"]
    parser.add_argument("--methods", nargs="*", default=names, choices=names, metavar="NAME")
    arguments = parser.parse_args()
    mosaic = np.asarray(runpy.run_path(str(EXAMPLES / "demo.py"))["make_mosaic"]())
    classifier = seewhy.load(arguments.model)
    print(f"| method | {' | '.join(CLASSES)} | mean | s |")
    print("| --- |" + " ---: |" * (len(CLASSES) + 2))
    for name in track(arguments.methods, console=Console(stderr=True), transient=True):
        explainer = seewhy.Explainer(classifier, name)
        start = time.perf_counter()
        (explanation,) = explainer.explain([mosaic], list(CLASSES))
        seconds = time.perf_counter() - start
        found = shares(explanation)
        cells = " | ".join(f"{share:.2f}" for share in (*found, float(np.mean(found))))
        print(f"| `{name}` | {cells} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
