"""The first heatmap without a framework: what the extra `demo` installs, and how long the command takes from its start.

Run it with `python -m benchmarks.light`: it makes an environment in a temporary folder, installs `.[demo]` into it, and
explains a photo several times, each in a new process; a Python that only imports NumPy is timed in the same rounds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 5
GOALS = {"megabytes": 300, "seconds to install": 30, "seconds to a heatmap": 1.5}


def seconds(*command: object) -> float:
    """Return the time that a command takes."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print each figure beside its goal."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "python"
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        installing = seconds(*pip, "--constraint", ROOT / "constraints.txt", f"{ROOT}[demo]")
        megabytes = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        command = (folder / "bin" / "seewhy", "explain", ROOT / "examples" / "cat.png", "--out", folder / "out")
        seconds(*command)  # compiles Python's files and reads them from the disk
        rounds = [(seconds(*command), seconds(python, "-c", "import numpy")) for _ in range(ROUNDS)]
    heatmap, numpy = (statistics.median(times) for times in zip(*rounds, strict=True))
    found = dict(zip(GOALS, (megabytes, installing, heatmap), strict=True))
    for what, goal in GOALS.items():
        print(f"{what}: {found[what]:.2f}; goal: at most {goal}")
    print(f"a heatmap takes {heatmap / numpy:.1f} times as long as importing NumPy alone; {os.cpu_count()} cores")
    sys.exit(any(found[what] > goal for what, goal in GOALS.items()))


if __name__ == "__main__":
    main()
