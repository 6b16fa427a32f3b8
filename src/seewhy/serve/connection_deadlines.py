"""Deadlines of a connection: for the headers of a request, and for the client to take a response.

uvicorn waits for headers as long as single bytes arrive, and without limit for a client that does not read.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

TIMEOUT_RESPONSE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class DeadlineProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # whichever of uvicorn's two is installed
    """Closes a connection whose request has not sent all its headers in time, or that does not read the response.

    The time for the headers counts from the opening of the connection, or from the first byte of a further request on
    it; that for reading from when the system takes no more of what was written, until it has taken everything.

    Attributes:
        header_seconds: The time for the headers.
        send_seconds: The time for reading.
    """

    header_seconds: float
    send_seconds: float
    _header_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # writing is paused whenever something is not sent yet
        self._start_header_timer()

    def data_received(self, data: bytes) -> None:
        previous = self.cycle  # a cycle is one request with its response; it begins when the headers are complete
        if self._header_timer is None and (previous is None or previous.response_complete):
            self._start_header_timer()
        super().data_received(data)
        if self.cycle is not previous:
            self._stop_header_timer()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_send_timer()
        self._send_timer = self.loop.call_later(self.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_send_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_timer()
        self._stop_send_timer()
        super().connection_lost(exc)

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(self.header_seconds, self._close, self.cycle)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _close(self, cycle: Any) -> None:
        self._header_timer = None
        if self.cycle is cycle and not self.transport.is_closing():
            self.transport.write(TIMEOUT_RESPONSE)
            self.transport.close()


def protocol_with_deadlines(header_seconds: float, send_seconds: float) -> type[asyncio.Protocol]:
    """Return `DeadlineProtocol` with these numbers of seconds."""
    attributes = {"header_seconds": header_seconds, "send_seconds": send_seconds}
    return type("DeadlineProtocol", (DeadlineProtocol,), attributes)
