"""Waiting for a job, while the client does."""

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from seewhy.errors import SeewhyError
from seewhy.serve.failures import RefusedError, body_of, refusal_of
from seewhy.serve.worker import Job, StoppedError

POLL = 0.2
"""Seconds between two looks at how far a job has come."""


async def result_of(job: Job, request: Request, limit: float) -> bytes:
    """Wait for a job's result.

    Raises:
        RefusedError: The time limit, `limit` seconds, is over.
        ClientDisconnect: The client has gone.
        SeewhyError: The job failed.
    """
    try:
        while not await job.is_through(POLL):
            if job.seconds_left <= 0:
                raise _over(job, limit)
            if await request.is_disconnected():
                raise ClientDisconnect
        return _result(job, limit)
    finally:
        job.stop()


async def lines_of(job: Job, limit: float) -> AsyncIterator[bytes]:
    """Yield how far a job has come, whenever that has changed, and at last its result or what was wrong, as lines."""
    said: dict[str, Any] | None = None
    try:
        while not await job.is_through(POLL) and job.seconds_left > 0:
            progress = None if job.progress is None else dataclasses.asdict(job.progress)
            if progress != said or said is None:
                said = progress
                yield _line({"progress": progress})
        try:
            yield b'{"result":' + _result(job, limit) + b"}\n"
        except (SeewhyError, RefusedError) as error:
            yield _line(body_of(refusal_of(error)))
    finally:
        job.stop()


def _result(job: Job, limit: float) -> bytes:
    try:
        if not job.through.is_set():
            raise StoppedError
        return job.result()
    except StoppedError as error:
        raise _over(job, limit) from error


def _over(job: Job, limit: float) -> RefusedError:
    progress = job.progress
    if progress is None:
        came = "It was still waiting for its turn: come again later."
    else:
        counted = f" ({progress.done:,} of {progress.total:,} runs)" if progress.total else ""
        came = (
            f"It was at {progress.title or 'its beginning'}{counted}. Ask for a quicker method, or for less at once; "
            "the limit is set with --time-limit."
        )
    return RefusedError(504, "time_limit", f"The answer took longer than {limit:g} s. {came}")


def _line(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
