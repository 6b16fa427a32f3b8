"""The server process: its socket, its address, and how it starts and shuts down."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from seewhy.errors import OptionError
from seewhy.serve.connection_deadlines import protocol_with_deadlines
from seewhy.serve.settings import Settings

SHUTDOWN_GRACE = 10
"""Seconds that running and waiting requests have to finish when the server shuts down; then they are stopped."""

SHUTDOWN_LIMIT = 14.0
"""Seconds after which the process ends, also where a model cannot be interrupted."""


def bind_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        OptionError: The address is in use, or is not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with contextlib.ExitStack() as closing:  # where it cannot be bound
            server_socket = closing.enter_context(socket.socket(family, socket.SOCK_STREAM))
            server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server_socket.bind(address)
            closing.pop_all()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            f"Cannot listen on {host} port {port}: {reason}. Choose another address with --host or --port."
        ) from error
    return server_socket


def url_of(server_socket: socket.socket) -> str:
    """Return the URL to open in a browser."""
    host, port = server_socket.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def uvicorn_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Return the configuration with which uvicorn runs the application."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=protocol_with_deadlines(settings.header_time_limit, settings.send_time_limit),
        timeout_graceful_shutdown=SHUTDOWN_GRACE,
    )


def serve(app: ASGIApp, server_socket: socket.socket, settings: Settings, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl+C, after which running and waiting requests have `SHUTDOWN_GRACE` to finish.

    Args:
        app: The application.
        server_socket: The socket to listen on.
        settings: The server's settings.
        on_ready: Called once the server listens.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if not self.should_exit:
                watchdog = threading.Timer(SHUTDOWN_LIMIT, os._exit, (0,))
                watchdog.daemon = True
                watchdog.start()
            super().handle_exit(sig, frame)

    server = Server(uvicorn_config(app, settings))
    # uvicorn handles signals only while it runs, and raises them again after it has shut down.
    previous = {number: signal.signal(number, server.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[server_socket])
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
