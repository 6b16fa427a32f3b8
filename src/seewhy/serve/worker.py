"""The worker: one thread that runs the jobs, and a limited number of slots for jobs that run or wait.

A job has two steps. It is prepared outside the thread, which then runs the model on what was prepared: its image is
decoded while the model runs for another job.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from seewhy.serve.error_responses import RequestError

Prepared = TypeVar("Prepared")

MAX_PREPARED = 3
"""How many jobs may be prepared or run at a time: the memory of their images is bounded, and one is always ready."""

DURATION_SMOOTHING = 0.2
"""The weight of the last job in the moving average of how long jobs take."""


class JobStoppedError(Exception):
    """Raised within a job when its client has disconnected or its time limit is exceeded."""


@dataclass(frozen=True)
class ProgressEvent:
    """The progress of a job.

    Attributes:
        explanation: The number of the explanation in progress, from 1; 0 before the first.
        explanation_count: The number of explanations of the job.
        title: The method of that explanation.
        runs: How many times this method has run the model so far; 0 if it does not report this.
        run_count: How many times it will run the model; 0 if it does not report this.
    """

    explanation: int = 0
    explanation_count: int = 0
    title: str = ""
    runs: int = 0
    run_count: int = 0


class Job:
    """A function that the worker runs, which returns bytes, reports its progress, and can be stopped when it does.

    Args:
        deadline: When its time limit is exceeded, in seconds of the monotonic clock.
    """

    def __init__(self, deadline: float) -> None:
        self.progress: ProgressEvent | None = None  # None while it waits for other jobs
        self.task: asyncio.Task[bytes] | None = None
        self.future: Future[bytes] | None = None  # once it is prepared
        self.finished = asyncio.Event()
        self._partial_results: deque[Callable[[], bytes]] = deque()
        self._deadline = deadline
        self._is_stopped = threading.Event()

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit; negative after it."""
        return self._deadline - time.monotonic()

    def report(self, event: ProgressEvent) -> None:
        """Update the progress; the job calls this wherever it can be stopped.

        Raises:
            JobStoppedError: The client has disconnected, or the time limit is exceeded.
        """
        if self._is_stopped.is_set() or self.seconds_left < 0:
            raise JobStoppedError
        self.progress = event

    def add_partial_result(self, encode: Callable[[], bytes]) -> None:
        """Keep a part of the result that is finished, as a function that encodes it: few clients ask for parts."""
        self._partial_results.append(encode)

    def next_partial_result(self) -> Callable[[], bytes] | None:
        """Return the oldest part of the result that was not returned yet, or None."""
        return self._partial_results.popleft() if self._partial_results else None

    def stop(self) -> None:
        """Stop the job: at once if it does not run yet, otherwise when it next reports its progress."""
        self._is_stopped.set()
        if self.future is not None:
            self.future.cancel()
        elif self.task is not None:
            self.task.cancel()

    async def wait(self, seconds: float) -> bool:
        """Wait until the job is finished, at most this long; return whether it is."""
        try:
            await asyncio.wait_for(self.finished.wait(), min(seconds, max(0, self.seconds_left)))
        except TimeoutError:
            return False
        return True

    def result(self) -> bytes:
        """Return what the job returned, or raise what it raised.

        Raises:
            JobStoppedError: The job was stopped, or is not finished.
        """
        if self.task is None or not self.finished.is_set() or self.task.cancelled():
            raise JobStoppedError
        return self.task.result()


class Worker:
    """Runs one job at a time, in a thread of its own.

    Args:
        slots: How many jobs may run or wait.
        time_limit: The time limit of a job in seconds, counted from when it takes its slot.
    """

    def __init__(self, slots: int, time_limit: float) -> None:
        self.slots, self.time_limit = slots, time_limit
        self.slots_taken = 0
        self._mean_seconds = 1.0
        self._current: Job | None = None
        self.jobs: set[Job] = set()
        self._thread = ThreadPoolExecutor(1, "seewhy-worker")
        self.prepared = asyncio.Semaphore(MAX_PREPARED)

    def slot(self) -> "WorkerSlot":
        """Take a slot, as a context manager.

        Raises:
            RequestError: All slots are taken.
        """
        if self.slots_taken >= self.slots:
            wait = math.ceil(min(max(1, self.slots_taken * self._mean_seconds), self.time_limit))
            message = f"All {self.slots} slots are taken. Try again in about {wait} s."
            raise RequestError(503, "busy", message, {"Retry-After": str(wait)})
        self.slots_taken += 1
        return WorkerSlot(self, Job(time.monotonic() + self.time_limit))

    def submit(self, job: Job, function: Callable[[Job], bytes]) -> "Future[bytes]":
        """Queue a job."""
        return self._thread.submit(self._run, job, function)

    def report_progress(self, title: str, done: int, total: int) -> None:
        """Update the progress of the running job; explainers get this function as their `progress`."""
        job = self._current
        if job is not None and job.progress is not None:
            job.report(ProgressEvent(job.progress.explanation, job.progress.explanation_count, title, done, total))

    def close(self) -> None:
        """Stop the running and the waiting jobs, then end the thread."""
        for job in tuple(self.jobs):
            job.stop()
        self._thread.shutdown(wait=True)

    def _run(self, job: Job, function: Callable[[Job], bytes]) -> bytes:
        start, self._current = time.monotonic(), job
        try:
            job.report(ProgressEvent())
            return function(job)
        finally:
            self._current = None
            self._mean_seconds += DURATION_SMOOTHING * (time.monotonic() - start - self._mean_seconds)


class WorkerSlot:
    """A slot of the worker, which is freed when its job is finished, or on exit if no job was started."""

    def __init__(self, worker: Worker, job: Job) -> None:
        self._worker, self.job = worker, job

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.job.task is None:
            self._worker.slots_taken -= 1

    def start(self, prepare: Callable[[], Awaitable[Prepared]], run: Callable[[Job, Prepared], bytes]) -> Job:
        """Start the slot's job.

        Args:
            prepare: Called in the event loop; what it returns is passed to `run`.
            run: Called in the worker's thread.
        """
        self.job.task = asyncio.create_task(self._perform(prepare, run))
        self.job.task.add_done_callback(self._release)
        self._worker.jobs.add(self.job)
        return self.job

    async def _perform(
        self, prepare: Callable[[], Awaitable[Prepared]], run: Callable[[Job, Prepared], bytes]
    ) -> bytes:
        job = self.job
        async with self._worker.prepared:
            prepared = await prepare()
            job.future = self._worker.submit(job, partial(_run_prepared, run, prepared))
            del prepared  # the thread has it, and frees it with the job
            return await asyncio.wrap_future(job.future)

    def _release(self, task: "asyncio.Task[bytes]") -> None:
        if not task.cancelled():
            task.exception()  # of a job that nobody awaits any more, asyncio would print it
        self._worker.slots_taken -= 1
        self._worker.jobs.discard(self.job)
        self.job.finished.set()


def _run_prepared(run: Callable[[Job, Prepared], bytes], prepared: Prepared, job: Job) -> bytes:
    return run(job, prepared)
