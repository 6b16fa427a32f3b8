"""Write `llms.txt`, a list of the pages of the documentation for language models (https://llmstxt.org)."""

import re
from pathlib import Path

FILE = "llms.txt"
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
SENTENCE = re.compile(r"(.+?[.])(?: |$)")
BLOCK = re.compile(r"^```.*?^```$|^<!--.*?-->$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")

HEAD = """# SeeWhy

> SeeWhy makes Grad-CAM heatmaps, and those of related methods, for Keras 3 models (TensorFlow, JAX, PyTorch) and native
> PyTorch modules: they show which parts of an image a prediction is based on.

SeeWhy needs Linux and Python 3.11 or later, and is not on PyPI yet: `pip install '.[tensorflow,demo]'` in a checkout.

- `seewhy.explain("efficientnet-lite0", "cat.png", targets="top-3").save("cat.png")` is a whole program.
- For more than one image: `seewhy.Explainer(seewhy.load(name)).explain(images, targets)`.
- For a model of your own: `seewhy.Classifier(model, preprocess=..., class_names=..., input_size=...)`.
- From arrays to heatmaps: `seewhy.Explainer(model).heatmaps(inputs, targets).values`, (N, T, rows, columns).
- Logits are explained, not probabilities; `score="probability"` changes this.
- Every error is a `seewhy.SeewhyError` whose message says what to do.
"""


def write_llms(docs: Path) -> None:
    """Write the list of the pages below `docs/index.md` into the folder `docs`, with a section for each part."""
    root, parts = toctree(docs / "index.md"), []
    single = [page for page in root if not toctree(page)]
    parts.append(section("Pages", single, docs.resolve()))
    parts += [section(title_of(page), [page, *toctree(page)], docs.resolve()) for page in root if toctree(page)]
    (docs / FILE).write_text("\n".join([HEAD, *parts]), "utf-8")


def toctree(page: Path) -> list[Path]:
    """Return the pages that a page lists in its tables of contents."""
    lines = "\n".join(TOCTREE.findall(page.read_text("utf-8"))).splitlines()
    names = [line.strip() for line in lines if line.strip() and not line.startswith(":")]
    return [(page.parent / f"{name}.md").resolve() for name in names]


def section(title: str, pages: list[Path], root: Path) -> str:
    """Return a section with a link to each page and its first sentence."""
    links = [
        f"- [{title_of(page)}]({page.relative_to(root).with_suffix('.html')}): {summary_of(page)}" for page in pages
    ]
    return "\n".join([f"## {title}\n", *links, ""])


def title_of(page: Path) -> str:
    """Return the title of a page."""
    found = TITLE.search(page.read_text("utf-8"))
    return page.stem if found is None else found[1]


def summary_of(page: Path) -> str:
    """Return the first sentence of a page's text, without links; "" for a page that begins with a list or a table."""
    text = BLOCK.sub("", TITLE.split(page.read_text("utf-8"), maxsplit=1)[-1])
    first = next((" ".join(part.split()) for part in text.split("\n\n") if part.strip()), "")
    found = SENTENCE.match(LINK.sub(r"\1", first)) if first[:1] not in ("-", "|", "#", "") else None
    return "" if found is None else found[1]
