"""The one thread that runs the models, and the places before it."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from seewhy.serve.failures import RefusedError


class StoppedError(Exception):
    """Raised within a job that nobody waits for any more, or whose time is over."""


@dataclass(frozen=True)
class ProgressEvent:
    """How far a job has come.

    Attributes:
        part: Which of its parts is worked on, counted from 1.
        parts: How many there are.
        title: What that part is called.
        done: How many runs of the model this part has done; 0 too where it does not count them.
        total: Of how many; 0 where it does not count them.
    """

    part: int = 0
    parts: int = 0
    title: str = ""
    done: int = 0
    total: int = 0


class Job:
    """A piece of work that gives bytes, tells how far it has come, and can be ended between two steps."""

    def __init__(self, ends: float) -> None:
        self.progress: ProgressEvent | None = None  # None while it waits
        self.future: Future[bytes] | None = None
        self.through = asyncio.Event()
        self._ends = ends
        self._is_stopped = threading.Event()

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit; below 0 after it."""
        return self._ends - time.monotonic()

    def tell(self, progress: ProgressEvent) -> None:
        """Note how far the job has come; the job calls this wherever it can be ended.

        Raises:
            StoppedError: Nobody waits for it any more, or its time is over.
        """
        if self._is_stopped.is_set() or self.seconds_left < 0:
            raise StoppedError
        self.progress = progress

    def stop(self) -> None:
        """End the job: at once if it still waits, else at its next step."""
        self._is_stopped.set()
        if self.future is not None:
            self.future.cancel()

    async def is_through(self, seconds: float) -> bool:
        """Wait for the job, and return whether it is through."""
        try:
            await asyncio.wait_for(self.through.wait(), min(seconds, max(0, self.seconds_left)))
        except TimeoutError:
            return False
        return True

    def result(self) -> bytes:
        """Return what a job that is through has given, or raise what it raised.

        Raises:
            StoppedError: It was ended before.
        """
        if self.future is None:
            raise StoppedError
        try:
            return self.future.result(timeout=0)
        except CancelledError as error:
            raise StoppedError from error


class Worker:
    """Runs jobs one after the other, in a thread of its own.

    Args:
        places: How many jobs may run or wait.
        time_limit: Seconds after which a job is over, counted from when it got its place.
    """

    def __init__(self, slots: int, time_limit: float) -> None:
        self.slots, self.time_limit = slots, time_limit
        self.taken = 0
        self._seconds = 1.0  # what a job took of late
        self._current: Job | None = None
        self._thread = ThreadPoolExecutor(1, "seewhy-worker")

    def slot(self) -> "Slot":
        """Take a place, to be left by `with`.

        Raises:
            RefusedError: All are taken.
        """
        if self.taken >= self.slots:
            wait = math.ceil(min(max(1, self.taken * self._seconds), self.time_limit))
            message = f"All {self.slots} slots are taken. Come again in about {wait} s."
            raise RefusedError(503, "busy", message, {"Retry-After": str(wait)})
        self.taken += 1
        return Slot(self, Job(time.monotonic() + self.time_limit))

    def run(self, job: Job, work: Callable[[Job], bytes]) -> bytes:
        """Run a job; the thread does this."""
        start, self._current = time.monotonic(), job
        try:
            job.tell(ProgressEvent())
            return work(job)
        finally:
            self._current = None
            self._seconds += 0.2 * (time.monotonic() - start - self._seconds)

    def submit(self, job: Job, work: Callable[[Job], bytes]) -> "Future[bytes]":
        """Have a job run when its turn comes."""
        return self._thread.submit(self.run, job, work)

    def tell(self, title: str, done: int, total: int) -> None:
        """Note how far the method has come that the running job is at: what explainers are given as `progress`."""
        job = self._current
        if job is not None and job.progress is not None:
            job.tell(ProgressEvent(job.progress.part, job.progress.parts, title, done, total))

    def close(self) -> None:
        """Let what runs and waits come to its end, and end the thread."""
        self._thread.shutdown(wait=True)


class Slot:
    """A place before the worker. It is free again when its job is through; at once if none was begun."""

    def __init__(self, worker: Worker, job: Job) -> None:
        self._worker, self.job = worker, job

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.job.future is None:
            self._worker.taken -= 1

    def begin(self, work: Callable[[Job], bytes]) -> Job:
        """Have the job run when its turn comes."""
        loop = asyncio.get_running_loop()

        def leave() -> None:
            self._worker.taken -= 1
            self.job.through.set()

        self.job.future = self._worker.submit(self.job, work)
        self.job.future.add_done_callback(lambda _: loop.call_soon_threadsafe(leave))
        return self.job
