import numpy as np
import pytest

from seewhy.errors import OptionError
from seewhy.images.figure import MOST_PANELS, Panel, draw_panels

PANEL = Panel("a", np.zeros((2, 2, 3), np.uint8))


def test_a_figure_has_an_end():
    with pytest.raises(OptionError, match=f"would have {MOST_PANELS + 1} panels; it can have {MOST_PANELS}"):
        draw_panels([PANEL] * (MOST_PANELS + 1), columns=3, colormap="jet")
