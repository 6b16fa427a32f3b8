"""The option `--tokens`: how the tokens of a transformer's layer lie on the image."""

import re
from typing import TYPE_CHECKING

from seewhy.errors import OptionError, short_repr

if TYPE_CHECKING:
    from seewhy.frameworks.tokens import TokenGrid

GRID = re.compile(r"([0-9]{1,9})\s*x\s*([0-9]{1,9})")

OTHERS = re.compile(r"(prefix|suffix)\s*=\s*([0-9]{1,9})")


def parse_tokens(text: str | None) -> "TokenGrid | None":
    """Return the grid that HxW,prefix=N,suffix=N describes; None for None.

    Raises:
        OptionError: The text has another form.
    """
    if text is None:
        return None
    from seewhy.frameworks.tokens import TokenGrid  # imported late: `--help` needs no numpy

    grid, *others = [part.strip() for part in text.split(",")]
    sizes, counts = GRID.fullmatch(grid), [OTHERS.fullmatch(other) for other in others]
    named = {count[1]: int(count[2]) for count in counts if count is not None}
    if sizes is None or len(named) < len(others):
        raise OptionError(
            f"--tokens is {short_repr(text)}; expected the rows and columns of patches, and how many other tokens "
            "are before or after them, such as 14x14,prefix=1."
        )
    return TokenGrid((int(sizes[1]), int(sizes[2])), **named)
