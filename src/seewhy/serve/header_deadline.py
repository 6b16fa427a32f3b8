"""A deadline for the headers of a request: uvicorn waits for them as long as single bytes arrive."""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

TIMEOUT_RESPONSE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class DeadlineProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # whichever of uvicorn's two is installed
    """Closes a connection whose request has not sent all its headers in time.

    The time counts from the opening of the connection, or from the first byte of a further request on it.

    Attributes:
        seconds: That time.
    """

    seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        previous = self.cycle  # a cycle is one request with its response; it begins when the headers are complete
        if self._timer is None and (previous is None or previous.response_complete):
            self._start_timer()
        super().data_received(data)
        if self.cycle is not previous:
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._close, self.cycle)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self, cycle: Any) -> None:
        self._timer = None
        if self.cycle is cycle and not self.transport.is_closing():
            self.transport.write(TIMEOUT_RESPONSE)
            self.transport.close()


def protocol_with_deadline(seconds: float) -> type[asyncio.Protocol]:
    """Return `DeadlineProtocol` with this number of seconds."""
    return type("DeadlineProtocol", (DeadlineProtocol,), {"seconds": seconds})
