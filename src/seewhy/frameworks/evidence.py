"""What runs of a model have shown about it, kept for later runs."""

from collections.abc import Hashable
from typing import Any, final

MAX_FINDINGS = 1024
"""The number of findings that are kept; all are dropped when there are more, and found again when needed."""


@final
class Evidence:
    """Findings about one model, by key. Threads may share it; a copy of it starts empty."""

    def __init__(self) -> None:
        self._findings: dict[Hashable, Any] = {}

    def __reduce__(self) -> tuple[type["Evidence"], tuple[()]]:
        return Evidence, ()  # the keys of targets that are functions cannot be pickled

    def get(self, key: Hashable) -> Any:
        """Return a finding; None if there is none."""
        return self._findings.get(key)

    def add(self, key: Hashable, finding: Any) -> None:
        """Keep a finding, which is not None."""
        if len(self._findings) >= MAX_FINDINGS:
            self._findings.clear()
        self._findings[key] = finding
