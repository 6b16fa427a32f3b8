"""Running the server: a socket, signals, and an end in good order."""

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from seewhy.errors import OptionError
from seewhy.serve.settings import Settings

GRACE = 5.0
"""Seconds that a server that is ended waits beyond the time limit of what runs."""


def bind(host: str, port: int) -> socket.socket:
    """Take hold of an address.

    Raises:
        OptionError: It is taken, or not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise OptionError(f"Cannot listen on {host} port {port}: {why}. Give others with --host and --port.") from error
    return taken


def address_of(taken: socket.socket) -> str:
    """Return the address for a browser."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def config_of(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return how the application is run."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.time_limit + GRACE),
    )


def serve(app: ASGIApp, taken: socket.socket, settings: Settings, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl+C; what runs then is answered first.

    Args:
        app: The application.
        taken: Where to listen.
        settings: What is allowed.
        ready: Called once the server listens.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    def end(number: int, frame: FrameType | None) -> None:
        """Do nothing: uvicorn sends a signal once more after it has ended in good order."""

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        Server(config_of(app, settings)).run(sockets=[taken])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
