"""The pages of `docs/moving`: the code of both sides runs, and what they make agrees to what the page states.

A page's Python blocks run in order, in one namespace. Where it says that `theirs` and `ours` agree to a share of the
maximum, the variables of these names are compared. A `text` block must equal what the block above it prints.
"""

import contextlib
import io
import re

import numpy as np
import pytest
from docs_build.images import ROOT
from docs_build.run_pages import EXAMPLE, prints

PAGES = ROOT / "docs" / "moving"
AGREEMENT = re.compile(r"^`theirs` and `ours` agree to (\S+) of the\s+maximum", re.MULTILINE)
COUNTS = {"pytorch-grad-cam": 6, "captum": 5, "torchcam": 3, "tf-keras-vis": 4, "keras-recipe": 3}
"""How many agreements each page states."""

TIGHTEST, LOOSEST = 1e-6, 1e-3


def test_every_page_is_run():
    assert {page.stem for page in PAGES.glob("*.md")} == {"index", *COUNTS}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.filterwarnings(
    "ignore:Please import `zoom`:DeprecationWarning",  # tf-keras-vis
    "ignore:The structure of `inputs` doesn't match:UserWarning",  # Keras, of models that other tools rebuild
    "ignore:Setting backward hooks on ReLU activations:UserWarning",  # Captum
    "ignore:Input Tensor 0 did not already require gradients:UserWarning",
)
def test_a_page(name, monkeypatch, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    page = (PAGES / f"{name}.md").read_text("utf-8")
    namespace, agreements = {"__name__": "__main__"}, 0
    parts = sorted([*EXAMPLE.finditer(page), *AGREEMENT.finditer(page)], key=lambda part: part.start())
    for part in parts:
        line = f"{name}.md:{page.count(chr(10), 0, part.start()) + 1}"
        if part.re is AGREEMENT:
            agreements += 1
            theirs, ours = (np.asarray(namespace.pop(name)) for name in ("theirs", "ours"))
            check_agreement(theirs, ours, float(part[1]), line)
        elif part[1] == "python":
            run(part, namespace, line)
    assert agreements == COUNTS[name]


def run(block, namespace, line):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(block[3], line, "exec"), namespace)  # noqa: S102  # our own pages
    if block[4] is not None:
        assert prints(output.getvalue(), block[4]), f"{line}: it printed\n{output.getvalue()}"


def check_agreement(theirs, ours, tolerance, line):
    """Compare every map to a share of the maximum of theirs; none may be flat, nor the statement too loose."""
    assert theirs.shape == ours.shape, line
    assert TIGHTEST <= tolerance <= LOOSEST, line
    space = tuple(range(1, theirs.ndim))
    peaks = np.abs(theirs).max(axis=space)
    assert (np.ptp(theirs, axis=space) > 0.5 * peaks).all(), line
    shares = np.abs(ours - theirs).max(axis=space) / peaks
    assert (shares <= tolerance).all(), f"{line}: they differ by {shares} of the maximum"
