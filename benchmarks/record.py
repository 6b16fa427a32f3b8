"""Keeps what was measured in docs/measured.json, of which the tables and plots of docs/costs.md are made.

    python -m benchmarks        on a quiet machine
    python -m benchmarks.record
    python -m benchmarks.record runtimes runtimes-goals    those alone, and where they were measured

What is kept are medians and quartiles, and the machine. The single times stay in benchmarks/results. A benchmark that
is run by itself, or for one case, replaces what `python -m benchmarks` has found there: keep a record before.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.interleaved import INSTRUCTIONS, processor, processor_flags
from benchmarks.results import read_results

RECORD = Path(__file__).parent.parent / "docs" / "measured.json"
PAGE = RECORD.parent / "costs.md"
MARKER = re.compile(r"<!-- measured: ([\w-]+) -->")
"""Where the page shows a result, or the machine."""

PACKAGES = (
    *("seewhy", "keras", "tensorflow", "jax", "torch", "torchvision", "onnxruntime", "openvino", "numpy", "pillow"),
    *("captum", "torchcam", "grad-cam", "tf-keras-vis", "xplique", "timm", "transformers", "keras-hub"),
)

APART = ("where-", "where_prompts", "where_spatial", "attention")
"""How the results begin that benchmarks record themselves."""


def describe_machine() -> dict[str, Any]:
    """Return what a reader must know of this machine and of what is installed."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "virtual": "hypervisor" in processor_flags(),
        "instructions": [each for each in INSTRUCTIONS if each in processor_flags()],
        "missing": [each for each in INSTRUCTIONS if each not in processor_flags()],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def compact(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a result without its single times, and with each key said once.

    Args:
        result: As `benchmarks.results.publish` wrote it.
        name: Under which it was written, which begins with the benchmark's.
    """
    benchmark = name.partition("-")[0]
    figures = [each for each in result["figures"] if each.get("tool") != "forward"]  # 1 by definition
    keys = list(dict.fromkeys(key for figure in figures for key in figure))
    return {
        "title": result["title"],
        "command": "make bench" if benchmark == "summary" else f"python -m benchmarks.{benchmark}",
        "date": result["date"],
        "headings": list(result["rows"][0]),
        "rows": [list(row.values()) for row in result["rows"]],
        "keys": keys,
        "figures": [[figure.get(key) for key in keys] for figure in figures],
    }


def to_text(record: dict[str, Any]) -> str:
    """Return JSON with a line for each row and figure, so that a change of one shows as one."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return text.replace('],["', '],\n["').replace('[["', '[\n["').replace('},"', '},\n"') + "\n"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def results_missing(page: str, results: Iterable[str]) -> list[str]:
    """Return the results that a page shows and that were not measured, in order.

    Args:
        page: The page in Markdown.
        results: The names of those that were.
    """
    return sorted(set(MARKER.findall(page)) - {"machine", *results})


def record_results(names: Iterable[str]) -> None:
    """Replace some results in the record by those that were measured last, and keep the others."""
    record, measured = json.loads(RECORD.read_text("utf-8")), read_results()
    kept = {name: compact(measured[name], name) | {"where": measured[name]["where"]} for name in names}
    record["results"] |= kept
    RECORD.write_text(to_text(record), encoding="utf-8")


def main() -> None:
    """Write the record, with what other benchmarks than those of `python -m benchmarks` have recorded."""
    if names := sys.argv[1:]:
        if missing := sorted(set(names) - set(read_results())):
            raise SystemExit(f"benchmarks/results has no {', '.join(missing)}; run the benchmark first.")
        record_results(names)
        return
    earlier = json.loads(RECORD.read_text("utf-8"))["results"]
    results = {name: result for name, result in earlier.items() if name.startswith(APART)}
    results |= {name: compact(result, name) for name, result in read_results().items()}
    if missing := results_missing(PAGE.read_text("utf-8"), results):
        benchmarks = {name.partition("-")[0]: None for name in missing}
        commands = [f"python -m benchmarks.{benchmark}" for benchmark in benchmarks if benchmark != "summary"]
        raise SystemExit(
            f"docs/costs.md shows what was not measured: {', '.join(missing)}. Nothing is recorded. Run "
            f"{', '.join([*commands, 'python -m benchmarks.summary'])}, and record again."
        )
    RECORD.write_text(to_text({"machine": describe_machine(), "results": results}), encoding="utf-8")
    print(f"{RECORD}: {len(results)} results, {RECORD.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
