"""Raising KeyboardInterrupt at one of the many points of a call, as an unlucky Ctrl+C does."""

import gc
import sys


class Interrupter:
    """Counts the events (lines, calls, returns) of a call in files of some packages, and interrupts at one of them."""

    def __init__(self, *packages):
        self._packages = packages
        self.count, self.stop_at = 0, None

    def run(self, function, stop_at=None):
        """Run a function; return whether it was interrupted."""
        self.count, self.stop_at = 0, stop_at
        previous = sys.gettrace()
        sys.settrace(self._trace)
        try:
            function()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(previous)
            gc.collect(0)  # contexts that were being opened are closed with their generators
        return False

    def _trace(self, frame, event, _):
        name = frame.f_code.co_filename
        if not any(package in name for package in self._packages):
            return None if event == "call" else self._trace
        self.count += 1
        if self.count == self.stop_at:
            raise KeyboardInterrupt
        return self._trace


def points(total, wanted):
    """Return about this many points, spread over all events, and the last ones, where all is restored."""
    return sorted({*range(1, total + 1, max(1, total // wanted)), *range(max(1, total - wanted // 2), total + 1)})
