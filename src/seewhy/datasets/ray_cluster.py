"""A cluster of Ray: one that is running, or one on this machine for the length of a run."""

import contextlib
import importlib
import io
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, TextIO, final

from seewhy.errors import MissingExtraError, OptionError, short_repr
from seewhy.startup_log import quiet_start

MAX_WORKERS = 10_000

ANSWER_SECONDS = 10.0
"""How long a cluster may take to accept a connection."""

HTTP2_SETTINGS = 4
"""The type of the frame with which an HTTP/2 server begins, its fourth byte."""

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, HTTP2_SETTINGS, 0, 0, 0, 0, 0])
"""What an HTTP/2 client begins with; see RFC 9113, section 3.4."""

CONNECTION_ADVICE = (
    "If the cluster has tokens, set RAY_AUTH_MODE=token. Without address= a cluster on this machine starts."
)

OBJECT_STORE_BYTES = 100_000_000
"""Shared memory of a cluster on this machine: what is sent are paths, counts and messages."""

_logger = logging.getLogger("seewhy.datasets")


@final
@dataclass(frozen=True)
class RayOptions:
    """The workers and where they run.

    Attributes:
        workers: Their number; None for one for each processor, or GPU, as far as the memory suffices.
        cpus_per_worker: The processors of a worker, and its threads.
        gpus_per_worker: The GPUs of a worker; a fraction lets workers share one.
        address: That of a running cluster; None for a cluster on this machine.
    """

    workers: int | None = None
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0
    address: str | None = None

    def check(self) -> None:
        """Raise SeewhyError if an option is out of range, Ray is missing, or no cluster answers at the address."""
        for name, value in (("workers", self.workers), ("cpus_per_worker", self.cpus_per_worker)):
            if value is not None and (type(value) is not int or not 1 <= value <= MAX_WORKERS):
                raise OptionError(f"{name} is {short_repr(value)}; expected 1 to {MAX_WORKERS:,}.")
        gpus = self.gpus_per_worker
        is_number = isinstance(gpus, (int, float)) and not isinstance(gpus, bool)
        if not is_number or not (0 <= gpus < 1 or (1 <= gpus <= MAX_WORKERS and gpus == int(gpus))):
            raise OptionError(
                f"gpus_per_worker is {short_repr(gpus)}; expected a whole number, or a fraction below 1 for workers "
                "that share a GPU."
            )
        if self.address is not None and (not isinstance(self.address, str) or not self.address.strip()):
            raise OptionError(f"address is {short_repr(self.address)}; expected 'auto' or HOST:PORT.")
        ray_module()
        if self.address is not None:
            _check_answers(self.address)

    def count(self, resources: Mapping[str, float], worker_bytes: int) -> int:
        """Return the number of workers.

        Args:
            resources: Those of the cluster.
            worker_bytes: The memory that a worker needs.
        """
        if self.workers is not None:
            return self.workers
        limits = [resources.get("CPU", 1) / self.cpus_per_worker, resources.get("memory", 0) / worker_bytes]
        if self.gpus_per_worker:
            limits.append(resources.get("GPU", 0) / self.gpus_per_worker)
        return max(1, int(min(limits)))

    @property
    def needed(self) -> str:
        """What a worker needs, in words."""
        gpus = f" and {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        return f"{self.cpus_per_worker} CPU{gpus}"


def ray_module() -> Any:
    """Return Ray.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise MissingExtraError("For the executor 'ray', ray", "ray") from error


@contextlib.contextmanager
def cluster(options: RayOptions) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine, and return Ray; at the end the connection is closed.

    A connection that the program made before is used, and stays.

    Raises:
        OptionError: No cluster answers at the address; or this machine has not enough GPUs.
    """
    ray = ray_module()
    if ray.is_initialized():
        if options.address is not None:
            raise OptionError("This program is connected to a cluster of Ray already. Leave address= out.")
        yield ray
        return
    before = set(threading.enumerate())
    with _same_signal_handlers():
        _start(ray, options)
    with _without_output_of(set(threading.enumerate()) - before):
        try:
            _check_gpus(ray, options)
            yield ray
        finally:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints what it has held back of such messages
                ray.shutdown()


def _start(ray: Any, options: RayOptions) -> None:
    level = logging.INFO if _logger.isEnabledFor(logging.INFO) else logging.CRITICAL
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": level}
    if options.address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's bookkeeping of processors limits a cluster on this machine to no fewer workers than were requested.
        cpus = max(os.cpu_count() or 1, (options.workers or 1) * options.cpus_per_worker)
        settings |= {"num_cpus": cpus, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    with quiet_start():
        try:
            ray.init(address=options.address or "local", **settings)
        except (ConnectionError, RuntimeError, TimeoutError, ValueError, OSError, ImportError) as error:
            where = "on this machine" if options.address is None else f"at {options.address}"
            advice = "Try executor='local'." if options.address is None else CONNECTION_ADVICE
            raise OptionError(f"Ray cannot be used {where}: {_first_line(error)} {advice}") from error


def _check_answers(address: str) -> None:
    """Raise OptionError if nothing at HOST:PORT speaks HTTP/2, as a cluster does: Ray would try without end."""
    match = re.fullmatch(r"(?:ray://)?(\[.+\]|[^:/\[\]]+):(\d{1,5})", address.strip())
    if match is None:
        if address.strip() not in ("auto", "local"):
            raise OptionError(f"address is {address!r}; expected 'auto' or HOST:PORT, as 'ray start' prints it.")
        return
    try:
        with socket.create_connection((match[1].strip("[]"), int(match[2])), ANSWER_SECONDS) as connection:
            connection.sendall(HTTP2_PREFACE)
            answer = connection.recv(9)
        reason = "what listens there is something else"
    except (OSError, OverflowError, UnicodeError) as error:
        answer, reason = b"", str(getattr(error, "strerror", None) or error)
    has_settings = len(answer) >= 4 and answer[3] == HTTP2_SETTINGS
    if not has_settings and os.environ.get("RAY_USE_TLS", "0") == "0":
        raise OptionError(
            f"No cluster of Ray answers at {address}: {reason}. Start one with 'ray start --head', or leave address= "
            "out for a cluster on this machine."
        )


def _check_gpus(ray: Any, options: RayOptions) -> None:
    gpus = ray.cluster_resources().get("GPU", 0)
    if options.address is None and gpus < options.gpus_per_worker * (options.workers or 1):
        raise OptionError(
            f"This machine has {gpus:g} GPUs, and {options.workers or 1} workers with {options.gpus_per_worker:g} each "
            "were requested. Give another gpus_per_worker=."
        )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0] if lines else type(error).__name__
    return line if line.endswith((".", "!", "?")) else f"{line}."


@contextlib.contextmanager
def _same_signal_handlers() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces by one that ends the program."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _without_output_of(threads: Set[threading.Thread]) -> Iterator[None]:
    """Drop what these threads print: Ray prints each death of a worker on standard output, which is for results."""
    before = sys.stdout
    sys.stdout = filtered = _Filtered(before, threads)
    try:
        yield
    finally:
        if sys.stdout is filtered:
            sys.stdout = before


@final
class _Filtered:
    """A stream that drops what some threads write."""

    def __init__(self, stream: TextIO, threads: Set[threading.Thread]) -> None:
        self._stream, self._threads = stream, threads

    def write(self, text: str) -> int:
        return len(text) if threading.current_thread() in self._threads else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
