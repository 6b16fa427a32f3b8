"""Places, time limits, and an end in good order."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.serve.conftest import refused, running

from seewhy.errors import OptionError
from seewhy.serve.settings import Settings


def post(address, cat, **fields):
    return httpx.post(f"{address}api/explain", files={"image": ("cat.png", cat)}, data=fields, timeout=60)


def jobs(address):
    return httpx.get(f"{address}healthz").json()["jobs"]


def wait_until(condition, seconds=60):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to that")


def test_when_all_places_are_taken_the_rest_are_told_to_come_again(lite0, cat):
    with running([("lite0", lite0)], Settings(slots=2)) as address, ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: post(address, cat, methods="ablationcam"), range(8)))
        statuses = [each.status_code for each in answers]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 2
        for each in answers:
            if each.status_code == 503:
                assert refused(each)[1:] == ("busy", each.json()["error"]["message"])
                assert "All 2 slots are taken" in each.json()["error"]["message"]
                assert 1 <= int(each.headers["Retry-After"]) <= 120
        assert post(address, cat).status_code == 200  # and then there is room again
        wait_until(lambda: jobs(address) == 0)


def test_health_is_told_while_a_model_runs(lite0, cat):
    with running([("lite0", lite0)], Settings()) as address, ThreadPoolExecutor(1) as clients:
        answer = clients.submit(post, address, cat, methods="smoothgrad")
        wait_until(lambda: jobs(address) == 1)
        start = time.monotonic()
        assert httpx.get(f"{address}healthz").json() == {"status": "ok", "jobs": 1, "slots": 16}
        assert time.monotonic() - start < 2
        assert answer.result().status_code == 200


@pytest.mark.parametrize("progress", [False, True])
def test_the_time_limit_ends_a_slow_method_between_two_runs(lite0, cat, progress):
    """RISE would take a minute; when the time is over the answer says how far it came, and the thread is free."""
    with running([("lite0", lite0)], Settings(time_limit=3)) as address:
        start = time.monotonic()
        answer = post(address, cat, methods="rise", progress=str(progress).lower())
        assert 2.5 < time.monotonic() - start < 30  # a run takes seconds where the machine is busy
        if progress:
            lines = list(map(json.loads, answer.text.splitlines()))
            error = lines[-1]["error"]
            assert any(each.get("progress") and each["progress"]["total"] == 4000 for each in lines)
        else:
            assert answer.status_code == 504
            error = answer.json()["error"]
        assert (error["code"], error["status"]) == ("time_limit", 504)
        assert error["message"].startswith("The answer took longer than 3 s. It was at RISE (")
        assert "of 4,000 runs). Ask for a quicker method" in error["message"]
        wait_until(lambda: jobs(address) == 0)
        assert post(address, cat, targets="top-5").json()["predictions"][0]["index"] == 282


def test_waiting_counts_towards_the_time_limit(lite0, cat):
    with running([("lite0", lite0)], Settings(time_limit=2)) as address, ThreadPoolExecutor(2) as clients:
        first = clients.submit(post, address, cat, methods="rise")
        wait_until(lambda: jobs(address) == 1)
        second = post(address, cat, methods="rise")
        assert first.result().status_code == second.status_code == 504
        assert "longer than 2 s" in second.json()["error"]["message"]
        wait_until(lambda: jobs(address) == 0)


def test_what_nobody_waits_for_any_more_is_ended(lite0, cat):
    """The client goes away; long before RISE would be through the place is free."""
    with running([("lite0", lite0)], Settings()) as address:
        for fields in ({}, {"progress": "true"}):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    f"{address}api/explain",
                    files={"image": cat},
                    data={"methods": "rise", **fields},
                    timeout=httpx.Timeout(20, read=1.0 if not fields else 0.05),
                )
            wait_until(lambda: jobs(address) == 0)


def test_answers_do_not_mix(lite0, cat, examples):
    """Many at once with different images and questions: each gets its own."""
    coffee = (examples / "coffee.png").read_bytes()
    with running([("lite0", lite0)], Settings(slots=32)) as address, ThreadPoolExecutor(8) as clients:
        asked = [(cat, "282", "tiger cat"), (coffee, "967", "espresso")] * 8
        answers = list(clients.map(lambda each: post(address, each[0], targets=each[1]).json(), asked))
    for (_, index, name), answer in zip(asked, answers, strict=True):
        assert answer["maps"][0]["targets"][0]["index"] == int(index)
        assert answer["predictions"][0]["name"] == name


def test_what_runs_when_the_server_ends_is_answered(lite0, cat):
    with ThreadPoolExecutor(2) as clients:
        with running([("lite0", lite0)], Settings()) as address:
            answers = [clients.submit(post, address, cat, methods="ablationcam") for _ in range(2)]
            wait_until(lambda: jobs(address) == 2)
        assert [each.result().status_code for each in answers] == [200, 200]


def test_the_thread_ends_with_the_server(lite0):
    before = {each for each in threading.enumerate() if each.name.startswith("seewhy-worker")}
    with running([("lite0", lite0)], Settings()) as address:
        post(address, b"")
        assert {each for each in threading.enumerate() if each.name.startswith("seewhy-worker")} > before
    assert {each for each in threading.enumerate() if each.name.startswith("seewhy-worker")} <= before


@pytest.mark.parametrize("name", ["max_bytes", "max_pixels", "slots", "time_limit", "upload_time"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_that_nothing_could_keep_to(name, value):
    with pytest.raises(OptionError, match=f"{name} is .*; expected more than 0"):
        Settings(**{name: value})
