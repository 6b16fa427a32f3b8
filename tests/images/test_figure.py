import sys

import numpy as np
import pytest

from seewhy.errors import MissingExtraError, OptionError
from seewhy.images.figure import MAX_PANELS, Panel, draw_panels

PANEL = Panel("a", np.zeros((2, 2, 3), np.uint8))


def test_too_many_panels_are_refused():
    with pytest.raises(OptionError, match=f"would have {MAX_PANELS + 1} panels; the limit is {MAX_PANELS}"):
        draw_panels([PANEL] * (MAX_PANELS + 1), columns=3, colormap="jet")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"^For figures with titles, .* matplotlib is not .*\[figures\]'"):
        draw_panels([PANEL], columns=1, colormap="jet")
