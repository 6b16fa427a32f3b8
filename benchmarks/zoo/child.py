"""Measure one model of the zoo, in this process, and print the result as JSON.

python -m benchmarks.zoo.child NAME MEMORY
"""

import importlib.util
import json
import resource
import sys

from benchmarks.zoo.entries import entries


def main(name: str, memory: int) -> None:
    """Build the model, measure it, and print the row."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    entry = next(entry for entry in entries() if entry.name == name)
    if importlib.util.find_spec("torchvision") is not None:
        from tests.torchvision_operators import declare_missing

        declare_missing()
    import torch
    from benchmarks.zoo.measure import measure

    torch.set_num_threads(1)
    model, size = entry.build()
    print(json.dumps(measure(model, size)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
