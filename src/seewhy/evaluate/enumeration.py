"""Lists of names in messages: the first in full, and how many more there are."""

from collections.abc import Sequence

MAX_ITEMS = 10


def enumerated(texts: Sequence[str]) -> str:
    """Return texts with commas; of many the first ten, and how many more there are."""
    more = f" and {len(texts) - MAX_ITEMS:,} more" if len(texts) > MAX_ITEMS else ""
    return ", ".join(texts[:MAX_ITEMS]) + more
