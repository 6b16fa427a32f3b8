"""How well the recipe `seewhy train digits` reads digits, plain and with `--augment`, over several seeds.

Trains on the 3,000 digits of `examples/data/digits_4000.npz`, tests on its 1,000, and prints a table in Markdown. The
accuracy is that of the last epoch: nothing is chosen by the test digits. Run it with `python benchmarks/digits.py`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from seewhy.train.digits import DigitsRecipe, train_digits

DIGITS = Path(__file__).parent.parent / "examples" / "data" / "digits_4000.npz"


def measure(augment: bool, seeds: int, folder: Path) -> None:
    """Train once with each seed, and print a line of the table."""
    name = "`--augment`" if augment else "plain"
    found, start = [], time.perf_counter()
    for seed in range(seeds):
        recipe = DigitsRecipe(seed=seed, augment=augment)
        rows = train_digits(DIGITS, folder / f"{name}-{seed}", recipe)
        found.append(rows[-1]["validation_accuracy"])
        Console(stderr=True).print(f"{name}, seed {seed}: {found[-1]:.3f}", highlight=False)
    seconds = (time.perf_counter() - start) / seeds
    cells = " | ".join(f"{accuracy:.3f}" for accuracy in (*found, float(np.mean(found))))
    print(f"| {name}, {recipe.total_epochs} epochs | {cells} | {seconds:.0f} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    print(f"| recipe | {' | '.join(f'seed {seed}' for seed in range(seeds))} | mean | s for each |")
    print("| --- |" + " ---: |" * (seeds + 2), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for augment in (False, True):
            measure(augment, seeds, Path(folder))


if __name__ == "__main__":
    main()
