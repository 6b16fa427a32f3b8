"""Explain every model of the zoo in a process of its own, check each answer, and write the table: `make zoo`.

    python -m benchmarks.zoo             the whole zoo; what has been measured before is kept
    python -m benchmarks.zoo --sample    a few small models; fails if one of them is explained wrongly
    python -m benchmarks.zoo --only vit  the models whose names contain a text, again
    python -m benchmarks.zoo --table     only write docs/zoo.md, from what has been measured

Each result is a JSON file in benchmarks/results/zoo. To measure all anew, delete that folder. The results are kept in
docs/zoo.json, so that the table is whole after some of them are measured again.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.zoo.entries import Entry, entries
from benchmarks.zoo.table import PAGE, write_table

RESULTS = Path(__file__).parent.parent / "results" / "zoo"
RECORD = PAGE.with_suffix(".json")
MAX_SECONDS, MAX_MEMORY = 600, 8 * 2**30
"""What one model may take; the memory is that of its data."""


def main() -> int:
    """Measure models, and return the number of those that are explained wrongly or failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__.splitlines()[0])
    parser.add_argument("--sample", action="store_true", help="a few small models")
    parser.add_argument("--only", metavar="TEXT", help="the models whose names contain a text, again")
    parser.add_argument("--table", action="store_true", help="only write the table")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="how many at once")
    arguments = parser.parse_args()
    every = entries()
    chosen = [] if arguments.table else [entry for entry in every if _is_chosen(entry, arguments)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if arguments.sample else RESULTS
        folder.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        with ThreadPoolExecutor(arguments.jobs) as pool:
            rows = list(pool.map(lambda entry: _result(entry, folder, again=arguments.only is not None), chosen))
        wrong = [row for row in rows if row["problems"] or row["outcome"] == "failed"]
        print(f"{len(rows)} models in {time.monotonic() - start:.0f} s, {len(wrong)} of them wrong or failed")
    if not arguments.sample:
        write_table(_record(every), len(every))
    return len(wrong)


def _is_chosen(entry: Entry, arguments: argparse.Namespace) -> bool:
    if arguments.only is not None:
        return arguments.only in entry.name
    return entry.is_sample or not arguments.sample


def _record(every: list[Entry]) -> list[dict[str, Any]]:
    """Keep what was measured in the record, and return its rows."""
    known = {row["name"]: row for row in json.loads(RECORD.read_text("utf-8"))} if RECORD.exists() else {}
    measured = [json.loads(path.read_text()) for entry in every if (path := _path(entry, RESULTS)).exists()]
    known |= {row["name"]: row for row in measured}
    rows = [known[entry.name] for entry in every if entry.name in known]
    RECORD.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", encoding="utf-8")
    return rows


def _path(entry: Entry, folder: Path) -> Path:
    name = re.sub(r"[^\w.-]+", "-", entry.name)
    return folder / f"{name}.json"


def _result(entry: Entry, folder: Path, *, again: bool) -> dict[str, Any]:
    """Return what was found out about a model, now or before."""
    path = _path(entry, folder)
    if path.exists() and not again:
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    start = time.monotonic()
    row = _measured(entry) | {"name": entry.name, "seconds": round(time.monotonic() - start, 1)}
    path.write_text(json.dumps(row, indent=1))
    problems = f": {', '.join(row['problems'])}" if row["problems"] else ""
    words = row.get("words", "")[:100] if row["outcome"] != "explained" else f"{row['layer']}, {row['method']}"
    print(f"{row['seconds']:6.1f} s  {entry.name}: {row['outcome']}, {words}{problems}", flush=True)
    return row


def _measured(entry: Entry) -> dict[str, Any]:
    """Measure one model in a process with limited time and memory."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    if entry.backend is not None:
        environment["KERAS_BACKEND"] = entry.backend
    command = [sys.executable, "-m", "benchmarks.zoo.child", entry.name, str(MAX_MEMORY)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=MAX_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return _failed(f"it took more than {MAX_SECONDS} s")
    lines = output.strip().splitlines()
    if process.returncode or not lines:
        return _failed((errors.strip().splitlines() or [f"the process ended with {process.returncode}"])[-1][:300])
    row: dict[str, Any] = json.loads(lines[-1])
    return row


def _failed(reason: str) -> dict[str, Any]:
    return {"outcome": "failed", "words": reason, "problems": []}


if __name__ == "__main__":
    sys.exit(main())
