"""Explain chunks by workers of Ray; see `docs/decisions/0014-ray.md` for why its actors, and not Ray Data.

A chunk is sent to a worker that has none. If the worker ends before it reports the part, the chunk is sent to another
one, which overwrites what the first one wrote.
"""

import logging
import os
import pickle
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, final

from seewhy.datasets.decoding import Decode
from seewhy.datasets.part import PartWriter
from seewhy.datasets.progress import Progress, ProgressCallback
from seewhy.datasets.ray_cluster import RayOptions, cluster, ray_module
from seewhy.datasets.ray_worker import SENDABLE, SHARED, Place, Refusal, Worker, WorkerPlan, WrittenPart, run_hash
from seewhy.datasets.records import Chunk
from seewhy.datasets.run_folder import RunFolder
from seewhy.errors import ImageError, OptionError, OutputError, SeewhyError, warn
from seewhy.explainer import Explainer

MAX_ATTEMPTS = 3
"""How many workers a chunk, or loading the model, may end."""

PLACE_SECONDS = 300.0
"""How long a run waits for its first worker to get what it needs of the cluster, which may have to start a machine."""

VISIBLE_SECONDS = 90.0
"""How long a part may be invisible that another machine wrote: NFS remembers for a minute that a file was not there."""

POLL_SECONDS = 0.2

_logger = logging.getLogger("seewhy.datasets")


@final
@dataclass(frozen=True)
class RayExecutor:
    """Explains chunks by workers of Ray.

    Attributes:
        make: Makes the explainer, in each worker.
        options: The workers.
        time_limit: Seconds for decoding an image in a process of its own; None decodes in the worker.
    """

    make: Callable[[], Explainer]
    options: RayOptions
    time_limit: float | None

    def explain_chunks(
        self,
        writer: PartWriter,
        chunks: Sequence[Chunk],
        state: Progress,
        progress: ProgressCallback | None,
        should_stop: Callable[[], bool],
    ) -> None:
        """Explain chunks and write their parts, as `local_executor.explain_chunks` does.

        Args:
            writer: Writes the part of a chunk: each worker makes its own, with the same settings.
            chunks: Those that are not done.
            state: How far the run is; it is updated.
            progress: Is called with it after each part.
            should_stop: Is called several times a second; True ends the run after the parts in hand.

        Raises:
            OptionError: The workers cannot run; or something cannot be sent to them.
            OutputError: A part cannot be written, or is not visible here.
            SeewhyError: The model cannot be explained in this way, or workers end again and again.
        """
        if not chunks or should_stop():
            return
        plan = _pickled(self._plan(writer, chunks[0]))
        with cluster(self.options) as ray:
            pool = _Pool(ray, self.options, ray.put(plan), deque(chunks), state, progress)
            try:
                pool.run(should_stop)
            finally:
                pool.close()
        await_parts(RunFolder(writer.folder), pool.written)
        pool.check_all_written()

    def _plan(self, writer: PartWriter, chunk: Chunk) -> WorkerPlan:
        folder = Path(os.path.abspath(writer.folder))
        return WorkerPlan(
            make=self.make,
            target=writer.target,
            folder=folder,
            run_hash=run_hash(folder) or "",
            settings=dict(writer.metadata["run"]),
            working_folder=os.getcwd(),
            time_limit=self.time_limit,
            sample=_sample(chunk, writer.decode),
        )


class _Task(NamedTuple):
    """What a worker is doing: being placed, loading the model, or explaining a chunk."""

    worker: Any
    name: str
    chunk: Chunk | None = None


@dataclass
class _Pool:
    """The workers of a run, and what they are doing.

    Attributes:
        ray: Ray.
        options: The workers.
        plan: A reference to their plan.
        todo: The chunks that no worker has.
        state: How far the run is.
        progress: Is called with it.
        written: The chunks whose parts were reported.
        given_up: The chunks that ended too many workers.
    """

    ray: Any
    options: RayOptions
    plan: Any
    todo: deque[Chunk]
    state: Progress
    progress: ProgressCallback | None
    written: list[Chunk] = field(default_factory=list)
    given_up: list[Chunk] = field(default_factory=list)
    _tasks: dict[Any, _Task] = field(default_factory=dict)
    _places: dict[Any, Place] = field(default_factory=dict)
    _idle: list[Any] = field(default_factory=list)
    _ended: Counter[int] = field(default_factory=Counter)
    _failed_loads: int = 0
    _placed: float = field(default_factory=time.monotonic)

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Explain all chunks, or those that workers have when `should_stop` returns True."""
        count = min(self.options.count(self.ray.cluster_resources(), _memory()), len(self.todo))
        _logger.info("%d workers of Ray, each with %s", count, self.options.needed)
        while self.todo or self._busy():
            if should_stop():
                self._finish()
                return
            self._start_workers(count)
            self._send_chunks()
            self._receive()
            self._check_placed()

    def close(self) -> None:
        """End the workers."""
        for worker in {task.worker for task in self._tasks.values()} | set(self._idle):
            self.ray.kill(worker)

    def check_all_written(self) -> None:
        """Raise SeewhyError if chunks were given up."""
        if self.given_up:
            first = min(self.given_up, key=lambda chunk: chunk.number)
            raise SeewhyError(
                f"{len(self.given_up)} parts are missing: each ended {MAX_ATTEMPTS} workers; too little memory is the "
                f"usual reason. The first is part {first.number}, with the images {first.start:,} to "
                f"{first.start + first.count - 1:,} of the source. Go on with resume=True and fewer workers=."
            )

    def _busy(self) -> list[Any]:
        return [reference for reference, task in self._tasks.items() if task.chunk is not None]

    def _finish(self) -> None:
        """Wait for the parts that workers have in hand."""
        _logger.info("stopped; %d parts are in hand, and %d left", len(self._busy()), len(self.todo))
        while self._busy():
            self._receive()

    def _start_workers(self, count: int) -> None:
        """Start workers until there are so many, or one for each chunk that is not done."""
        working = len(self._tasks) + len(self._idle)
        for _ in range(min(count, len(self.todo) + len(self._busy())) - working):
            limits = {"num_cpus": self.options.cpus_per_worker, "num_gpus": self.options.gpus_per_worker}
            worker = self.ray.remote(Worker).options(**limits).remote(self.options.cpus_per_worker)
            self._tasks[worker.place.remote()] = _Task(worker, "place")

    def _send_chunks(self) -> None:
        while self._idle and self.todo:
            worker, chunk = self._idle.pop(), self.todo.popleft()
            self._tasks[worker.write.remote(chunk)] = _Task(worker, "write", chunk)

    def _receive(self) -> None:
        """Wait a moment for the answer of a worker."""
        if not self._tasks:
            return
        ready, _ = self.ray.wait(list(self._tasks), num_returns=1, timeout=POLL_SECONDS)
        for reference in ready:
            task = self._tasks.pop(reference)
            try:
                answer = self.ray.get(reference)
            except self.ray.exceptions.RayActorError as error:
                self._end(task, error)
            else:
                self._take(task, answer)

    def _take(self, task: _Task, answer: Any) -> None:
        """Take the answer of a worker, and give it what comes next."""
        if isinstance(answer, Refusal):
            self._idle.append(task.worker)
            part = "" if task.chunk is None else f", part {task.chunk.number}"
            raise answer.error(f"A worker on {self._places[task.worker].host}{part}: ")
        if isinstance(answer, Place):
            _logger.info("a worker runs on %s", answer)
            self._places[task.worker], self._placed = answer, time.monotonic()
            self._tasks[task.worker.load.remote(self.plan)] = _Task(task.worker, "load")
            return
        self._idle.append(task.worker)
        if task.chunk is not None:
            self._count(task.chunk, answer)
        elif not self.written:
            self.state.start()

    def _count(self, chunk: Chunk, part: WrittenPart) -> None:
        self.written.append(chunk)
        self._failed_loads = 0
        self.state.done += part.results + len(part.failed)
        self.state.errors += len(part.failed)
        for key, refusal in part.failed:
            _logger.warning("%s: %s", key, refusal.error())
        _logger.info("part %d: %d results, %d errors", chunk.number, part.results, len(part.failed))
        if self.progress is not None:
            self.progress(self.state)

    def _end(self, task: _Task, error: Exception) -> None:
        """Give the chunk of a worker that ended to another one; or raise SeewhyError if no worker can start."""
        place = self._places.pop(task.worker, None)
        where = "A worker" if place is None else f"A worker on {place}"
        self.ray.kill(task.worker)  # where only the connection to it was lost
        if task.chunk is None:
            self._failed_loads += 1
            if self._failed_loads >= MAX_ATTEMPTS:
                raise SeewhyError(f"{where} ended while it started, as {MAX_ATTEMPTS} did: {_reason(error)}") from error
            return
        number = task.chunk.number
        self._ended[number] += 1
        is_last = self._ended[number] >= MAX_ATTEMPTS
        (self.given_up.append if is_last else self.todo.appendleft)(task.chunk)
        result = "is left out" if is_last else "is explained again"
        warn(f"{where} ended before it reported part {number}, which {result}: {_reason(error)}")

    def _check_placed(self) -> None:
        """Raise OptionError if the cluster has had no place for a worker for too long."""
        if self._places or time.monotonic() - self._placed < PLACE_SECONDS:
            return
        resources = {name: self.ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU")}
        raise OptionError(
            f"The cluster has had no place for a worker for {PLACE_SECONDS:.0f} s. A worker needs "
            f"{self.options.needed} on one machine; the cluster has {resources['CPU']:g} CPU and {resources['GPU']:g} "
            "GPU in all, which others may use. Give other cpus_per_worker= or gpus_per_worker=, or wait."
        )


def _memory() -> int:
    """Return the most bytes that this process has held: it has loaded the model, as a worker does."""
    import resource  # Windows has none, and may import this module

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _reason(error: Exception) -> str:
    """Return why a worker ended, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "SYSTEM_ERROR" in lines[-1]:
        return "its process was killed or crashed; too little memory is the usual reason."
    advice = " Install the same packages on all machines of the cluster." if "ModuleNotFoundError" in lines[-1] else ""
    return f"{lines[-1][:300]}.{advice}"


def _sample(chunk: Chunk, read: Decode) -> tuple[Chunk, int] | None:
    """Return the chunk and the position of the first image in it that can be read; None if there is none."""
    for record in chunk.records():
        try:
            read(record)
        except ImageError:
            continue
        return chunk, record.position
    return None


def _pickled(plan: WorkerPlan) -> bytes:
    """Return what is sent to each worker.

    Raises:
        OptionError: It cannot be pickled.
    """
    try:
        pickled: bytes = ray_module().cloudpickle.dumps(plan)
    except (TypeError, AttributeError, ValueError, ImportError, pickle.PicklingError) as error:
        raise OptionError(
            f"The function that makes the explainer, or a target, cannot be sent to workers: {error}. Give {SENDABLE}."
        ) from error
    return pickled


def await_parts(folder: RunFolder, chunks: Sequence[Chunk], seconds: float = VISIBLE_SECONDS) -> None:
    """Wait until the parts of chunks are visible here.

    Raises:
        OutputError: They are not after so many seconds.
    """
    end = time.monotonic() + seconds
    missing = [chunk for chunk in chunks if folder.counts_of(chunk) is None]
    while missing:
        if time.monotonic() > end:
            raise OutputError(
                f"Workers wrote {len(missing)} parts that are not in {folder.path}, such as part {missing[0].number}. "
                f"The output folder {SHARED}."
            )
        time.sleep(POLL_SECONDS)
        missing = [chunk for chunk in missing if folder.counts_of(chunk) is None]
