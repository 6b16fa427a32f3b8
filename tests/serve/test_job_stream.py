"""A stream of a job, of which parts are finished before the whole."""

import asyncio
import json
import threading

import pytest

from seewhy.errors import MethodError
from seewhy.serve.job_stream import stream_job
from seewhy.serve.worker import Worker


def streamed(run, listener=None):
    """Return the lines of a job, as JSON; `listener` gets each when it arrives."""

    async def read():
        worker = Worker(slots=1, time_limit=60)
        with worker.slot() as slot:
            job = slot.start(lambda: asyncio.sleep(0), run)
        lines = []
        async for line in stream_job(job, 60):
            lines.append(json.loads(line))
            if listener is not None:
                listener(lines[-1])
        worker.close()
        return [line for line in lines if "progress" not in line]

    return asyncio.run(read())


def test_parts_are_sent_while_the_rest_runs():
    part_arrived = threading.Event()

    def run(job, _):
        job.add_partial_result(lambda: b'"one"')
        assert part_arrived.wait(30)
        return b'"all"'

    lines = streamed(run, lambda line: part_arrived.set() if "partial" in line else None)
    assert lines == [{"partial": "one"}, {"result": "all"}]


def test_parts_are_not_sent_beside_the_whole():
    def run(job, _):
        job.add_partial_result(lambda: pytest.fail("nobody needs this part"))
        return b'"all"'

    assert streamed(run) == [{"result": "all"}]


def test_parts_are_sent_before_an_error():
    def run(job, _):
        job.add_partial_result(lambda: b'"one"')
        job.add_partial_result(lambda: b'"two"')
        raise MethodError("The third is not possible.")

    *parts, error = streamed(run)
    assert parts == [{"partial": "one"}, {"partial": "two"}]
    assert error["error"]["message"] == "The third is not possible."
