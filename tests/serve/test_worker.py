"""Slots, time limits, and an orderly shutdown."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.serve.conftest import error_of, running, small_classifier

from seewhy.errors import OptionError
from seewhy.serve.settings import Settings

SECONDS_PER_IMAGE = 0.02  # of the 4,000 images of RISE, more than a minute


@pytest.fixture
def slow():
    return [("slow", small_classifier(seconds=SECONDS_PER_IMAGE))]


def post(address, cat, **fields):
    return httpx.post(f"{address}api/explain", files={"image": ("cat.png", cat)}, data=fields, timeout=60)


def slots_taken(address):
    return httpx.get(f"{address}healthz").json()["slots_taken"]


def wait_until(condition, seconds=60):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("the condition did not become true")


def test_when_all_slots_are_taken_requests_are_refused(slow, cat):
    with running(slow, Settings(slots=2)) as address, ThreadPoolExecutor(8) as clients:
        responses = list(clients.map(lambda _: post(address, cat, methods="smoothgrad"), range(8)))
        statuses = [response.status_code for response in responses]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 2
        for response in responses:
            if response.status_code == 503:
                assert error_of(response)[1] == "busy"
                assert "All 2 slots are taken. Try again in about " in error_of(response)[2]
                assert 1 <= int(response.headers["Retry-After"]) <= 120
        assert post(address, cat).status_code == 200  # then slots are free again
        wait_until(lambda: slots_taken(address) == 0)


def test_health_responds_while_a_model_runs(slow, cat):
    with running(slow, Settings()) as address, ThreadPoolExecutor(1) as clients:
        response = clients.submit(post, address, cat, methods="smoothgrad")
        wait_until(lambda: slots_taken(address) == 1)
        start = time.monotonic()
        assert httpx.get(f"{address}healthz").json() == {"status": "ok", "slots_taken": 1, "slots": 16}
        assert time.monotonic() - start < 2
        assert response.result().status_code == 200


@pytest.mark.parametrize("progress", [False, True])
def test_the_time_limit_stops_a_slow_method_between_two_runs(slow, cat, progress):
    """RISE would take more than a minute; after the time limit the error names its progress, and the thread is free."""
    with running(slow, Settings(time_limit=1)) as address:
        post(address, cat)  # starts TensorFlow, which may take as long
        wait_until(lambda: slots_taken(address) == 0)
        start = time.monotonic()
        response = post(address, cat, methods="rise", progress=str(progress).lower())
        assert 0.8 < time.monotonic() - start < 30  # a run takes seconds on a busy machine
        if progress:
            lines = list(map(json.loads, response.text.splitlines()))
            error = lines[-1]["error"]
            assert any(line.get("progress") and line["progress"]["run_count"] == 4000 for line in lines)
        else:
            assert response.status_code == 504
            error = response.json()["error"]
        assert (error["code"], error["status"]) == ("time_limit", 504)
        assert error["message"].startswith("The request took longer than 1 s. It was stopped at RISE (")
        assert "of 4,000 runs). Choose a faster method" in error["message"]
        wait_until(lambda: slots_taken(address) == 0)
        assert post(address, cat, targets="top-5").status_code == 200


def test_waiting_counts_towards_the_time_limit(slow, cat):
    with running(slow, Settings(time_limit=1)) as address, ThreadPoolExecutor(2) as clients:
        first = clients.submit(post, address, cat, methods="rise")
        wait_until(lambda: slots_taken(address) == 1)
        second = post(address, cat, methods="rise")
        assert first.result().status_code == second.status_code == 504
        assert "longer than 1 s" in second.json()["error"]["message"]
        wait_until(lambda: slots_taken(address) == 0)


def test_a_job_is_stopped_when_its_client_disconnects(slow, cat):
    """The client disconnects; long before RISE would finish, the slot is free."""
    with running(slow, Settings()) as address:
        for fields in ({}, {"progress": "true"}):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    f"{address}api/explain",
                    files={"image": cat},
                    data={"methods": "rise", **fields},
                    timeout=httpx.Timeout(20, read=0.3 if not fields else 0.05),
                )
            wait_until(lambda: slots_taken(address) == 0)


def test_responses_do_not_mix(lite0, cat, examples):
    """Concurrent requests with different images and targets each get their own response."""
    coffee = (examples / "coffee.png").read_bytes()
    with running([("lite0", lite0)], Settings(slots=32)) as address, ThreadPoolExecutor(8) as clients:
        requests = [(cat, "282", "tiger cat"), (coffee, "967", "espresso")] * 8
        responses = list(clients.map(lambda row: post(address, row[0], targets=row[1]).json(), requests))
    for (_, index, name), response in zip(requests, responses, strict=True):
        assert response["explanations"][0]["targets"][0]["index"] == int(index)
        assert response["predictions"][0]["name"] == name


def test_running_and_waiting_jobs_are_finished_at_shutdown(slow, cat):
    with ThreadPoolExecutor(2) as clients:
        with running(slow, Settings()) as address:
            responses = [clients.submit(post, address, cat, methods="smoothgrad") for _ in range(2)]
            wait_until(lambda: slots_taken(address) == 2)
        assert [response.result().status_code for response in responses] == [200, 200]


def worker_threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("seewhy-worker")}


def test_the_thread_ends_with_the_server(slow, cat):
    before = worker_threads()
    with running(slow, Settings()) as address:
        post(address, cat)  # an upload that is no image never reaches the thread
        assert worker_threads() > before
    assert worker_threads() <= before


@pytest.mark.parametrize(
    "name", ["max_bytes", "max_pixels", "slots", "time_limit", "upload_time_limit", "send_time_limit"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_must_be_positive(name, value):
    with pytest.raises(OptionError, match=f"{name} is .*; expected a number greater than 0"):
        Settings(**{name: value})
