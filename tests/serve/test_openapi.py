"""The API asked what its own description says, by schemathesis."""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
"""What every answer is held to: its status, its type and its form are among those described, and none is a failure."""

OPERATIONS = (
    ("POST", "/api/explain"),
    ("GET", "/api/methods"),
    ("GET", "/api/models"),
    ("GET", "/api/models/{name}/classes"),
    ("GET", "/api/models/{name}/layers"),
    ("GET", "/healthz"),
)


@pytest.fixture(scope="module")
def description(address):
    return schemathesis.openapi.from_url(f"{address}openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_is_sent_gets_an_answer_that_is_described(description, address, method, path, mode):
    operation = description[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        return  # it takes nothing that could be wrong

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case):
        answer = case.call(base_url=address, timeout=60)
        case.validate_response(answer, checks=list(CHECKS))

    ask()


@pytest.mark.parametrize("path", ["/api/models/{name}/classes", "/api/models/{name}/layers"])
def test_what_is_right_is_answered(description, address, path):
    operation = description[path]["GET"]

    @given(case=operation.as_strategy(path_parameters={"name": "efficientnet-lite0"}))
    @settings(max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    def ask(case):
        answer = case.call(base_url=address, timeout=60)
        assert answer.status_code == 200
        case.validate_response(answer, checks=list(CHECKS))

    ask()


@pytest.mark.parametrize("format_", ["json", "document"])
def test_an_explanation_has_the_form_that_is_described(description, address, cat, format_):
    form = {"image": cat, "format": format_, "targets": "top-2", "methods": "gradcam,hirescam"}
    case = description["/api/explain"]["POST"].Case(body=form, media_type="multipart/form-data")
    answer = case.call(base_url=address, timeout=60)
    assert answer.status_code == 200
    case.validate_response(answer, checks=list(CHECKS))


def test_the_description_says_what_can_be_sent_and_answered(client):
    paths = client.get("openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, each in paths.items() for method in each} == set(OPERATIONS)
    post = paths["/api/explain"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    assert form["additionalProperties"] is False
    assert form["properties"]["format"]["enum"] == ["json", "document", "html", "png"]
    assert set(post["responses"]) == {"200", *map(str, (400, 403, 404, 408, 413, 415, 421, 422, 500, 503, 504))}


def test_no_page_of_the_description_loads_scripts_from_elsewhere(address):
    for path in ("docs", "redoc"):
        assert httpx.get(address + path).status_code == 404
