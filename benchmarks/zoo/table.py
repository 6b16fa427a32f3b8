"""The table of the zoo, docs/zoo.md."""

from collections import Counter
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent.parent / "docs" / "zoo.md"

INTRODUCTION = """# The zoo

What `layer="auto"` and the default method do with one model of each family of timm, torchvision, Hugging Face
transformers, `keras.applications` and KerasHub, with random weights. `make zoo` measures this in about 40 minutes on
two cores, with the versions of `constraints-zoo.txt`, and writes this page. The models of transformers and KerasHub
have small configurations. Most others are the smallest of their family, and get images of 160 pixels if they take any.

| column | meaning |
| --- | --- |
| answer | the model is explained, or refused with an error |
| equal | the largest difference from Grad-CAM by plain hooks, or the method written apart, as a share of the maximum |
| pos | the share of the layer's positions that have a gradient, of several images and classes |
| bypass | the share of the difference of scores between images that does not pass the layer |
| grid | of five patches that were overwritten in turn, how many changed their own cell more than the others did |
| state | whether weights, modes, hooks and gradients are as before |
| ratio | the time of an explanation over that of the bare forward pass; rough, for the models are tiny |
| wrong | what is not as it should be: equal above 1e-4, pos below 0.25, bypass above 0.1, grid below 4/5 or 3/4 |

Pos, bypass and grid are about a layer. They are empty for methods that explain all attention layers or the input.
"""


def write_table(rows: list[dict[str, Any]], count: int) -> None:
    """Write the page.

    Args:
        rows: What was measured.
        count: The number of models of the zoo.
    """
    libraries = list(dict.fromkeys(row["name"].partition(":")[0] for row in rows))
    parts = [INTRODUCTION, _summary(rows, count)]
    for library in libraries:
        own = [row for row in rows if row["name"].partition(":")[0] == library]
        parts.append(f"## {library}\n\n{_table(own)}")
    PAGE.write_text("\n".join(parts))


def _summary(rows: list[dict[str, Any]], models: int) -> str:
    count = Counter("wrong" if row["problems"] else row["outcome"] for row in rows)
    told = [f"{count[kind]} {words}" for kind, words in KINDS.items() if count[kind]]
    measured = "" if len(rows) == models else f"{len(rows)} of {models} models are measured. "
    return f"{measured}Of {len(rows)} models, {', '.join(told)}.\n"


KINDS = {
    "explained": "are explained rightly",
    "refused": "are refused with an error",
    "wrong": "are explained wrongly",
    "failed": "could not be run here",
}


def _table(rows: list[dict[str, Any]]) -> str:
    heading = "| model | answer | layer | method | equal | pos | bypass | grid | state | ratio | wrong |"
    lines = [heading, "|" + " --- |" * 11]
    return "\n".join([*lines, *map(_line, rows)]) + "\n"


def _line(row: dict[str, Any]) -> str:
    name = row["name"].partition(":")[2]
    if row["outcome"] != "explained":
        answer = f"{row['outcome']}: {_text(row['words'])}"
        cells = [name, answer, *[""] * 6, "same" if row.get("state") else "", "", ", ".join(row["problems"])]
        return f"| {' | '.join(cells)} |"
    answer = "explained, with a warning" if row["warnings"] else "explained"
    cells = [
        name,
        answer,
        f"`{row['layer']}` ({' x '.join(map(str, row['grid']))})",
        row["method"],
        "" if row["equal"] is None else f"{row['equal']:.0e}",
        "" if row["pos"] is None else f"{row['pos']:.2f}",
        "" if row["bypass"] is None else f"{row['bypass']:.2f}",
        "" if row["cells"] is None else "/".join(map(str, row["cells"])),
        "same" if row["state"] else "changed",
        f"{row['ratio']:.1f}",
        ", ".join(row["problems"]),
    ]
    return f"| {' | '.join(cells)} |"


def _text(words: str, most: int = 160) -> str:
    words = " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")
    return words if len(words) <= most else f"{words[: most - 3]}..."
