"""The result of a job: awaited as a whole, or streamed with progress events and finished parts before it."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from seewhy.errors import SeewhyError
from seewhy.serve.error_responses import RequestError, error_content, to_request_error
from seewhy.serve.worker import Job, JobStoppedError, ProgressEvent

POLL_INTERVAL = 0.2
"""Seconds between two checks of a job's progress."""


async def wait_for_result(job: Job, request: Request, time_limit: float) -> bytes:
    """Return a job's result when it is finished; a job that is no longer awaited is stopped.

    Raises:
        RequestError: The time limit, in seconds, was exceeded.
        ClientDisconnect: The client disconnected.
        SeewhyError: The job failed.
    """
    try:
        while not await job.wait(POLL_INTERVAL):
            if job.seconds_left <= 0:
                raise _timeout_error(job, time_limit)
            if await request.is_disconnected():
                raise ClientDisconnect
        return _result(job, time_limit)
    finally:
        job.stop()


async def stream_job(job: Job, time_limit: float) -> AsyncIterator[bytes]:
    """Yield JSON lines: each progress event and each finished part of the result, and finally the result or the error.

    Parts are not sent once the whole result is there; before an error they are, so that the client can keep them.
    """
    last_event: ProgressEvent | None = None
    try:
        while not await job.wait(POLL_INTERVAL) and job.seconds_left > 0:
            event = job.progress
            if event is None or event != last_event:
                last_event = event
                yield _progress_line(event)
            async for line in _partial_lines(job):
                yield line
        try:
            yield b'{"result":' + _result(job, time_limit) + b"}\n"
        except (SeewhyError, RequestError) as error:
            async for line in _partial_lines(job):
                yield line
            yield _json_line(error_content(to_request_error(error)))
    finally:
        job.stop()


async def _partial_lines(job: Job) -> AsyncIterator[bytes]:
    while (encode := job.next_partial_result()) is not None:
        yield b'{"partial":' + await asyncio.to_thread(encode) + b"}\n"


def _result(job: Job, time_limit: float) -> bytes:
    try:
        return job.result()
    except JobStoppedError as error:
        raise _timeout_error(job, time_limit) from error


def _timeout_error(job: Job, time_limit: float) -> RequestError:
    progress = job.progress
    if progress is None:
        detail = "The job was still waiting for other jobs. Try again later."
    else:
        runs = f" ({progress.runs:,} of {progress.run_count:,} runs)" if progress.run_count else ""
        detail = (
            f"It was stopped at {progress.title or 'the start'}{runs}. Choose a faster method, or fewer methods, "
            "layers or classes; the limit is set with --time-limit."
        )
    return RequestError(504, "time_limit", f"The request took longer than {time_limit:g} s. {detail}")


def _progress_line(event: ProgressEvent | None) -> bytes:
    return _json_line({"progress": None if event is None else dataclasses.asdict(event)})


def _json_line(content: dict[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
