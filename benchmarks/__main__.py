"""Every benchmark in turn: `make bench`. Each can be run by itself, and then has options.

    python -m benchmarks.cost    an explanation against the bare forward pass, on every framework
    python -m benchmarks.growth  how it grows with the classes, from 1 to 1,000, and with the batch, from 1 to 64
    python -m benchmarks.memory  the most memory that it takes, and that the bare forward pass takes
    python -m benchmarks.pipeline 200 JPEG files, from file to file, against the bare forward passes alone
    python -m benchmarks.peers   SeeWhy, Captum and pytorch-grad-cam, in one process
    python -m benchmarks.methods every method of one capture against Grad-CAM; three against pytorch-grad-cam
    python -m benchmarks.start   cold starts

They print tables, and write them into benchmarks/results as Markdown and, with every single time, as JSON.
"""

import subprocess
import sys

if __name__ == "__main__":
    for benchmark in ("cost", "growth", "memory", "pipeline", "peers", "methods", "start"):
        subprocess.run([sys.executable, "-m", f"benchmarks.{benchmark}"], check=True)
