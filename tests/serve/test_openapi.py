"""The API conforms to its own description, as schemathesis checks."""

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
"""Every response has a described status, media type and schema, and is not a server error."""

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
def test_every_request_gets_a_described_response(description, address, method, path, mode):
    operation = description[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        return  # there is nothing to make invalid

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case):
        response = case.call(base_url=address, timeout=60)
        case.validate_response(response, checks=list(CHECKS))

    send()


@pytest.mark.parametrize("path", ["/api/models/{name}/classes", "/api/models/{name}/layers"])
def test_valid_requests_succeed(description, address, path):
    operation = description[path]["GET"]

    @given(case=operation.as_strategy(path_parameters={"name": "efficientnet-lite0"}))
    @settings(max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    def send(case):
        response = case.call(base_url=address, timeout=60)
        assert response.status_code == 200
        case.validate_response(response, checks=list(CHECKS))

    send()


@pytest.mark.parametrize("format_", ["json", "viewer"])
def test_an_explanation_has_the_described_schema(description, address, cat, format_):
    form = {"image": cat, "format": format_, "targets": "top-2", "methods": "gradcam,hirescam"}
    case = description["/api/explain"]["POST"].Case(body=form, media_type="multipart/form-data")
    response = case.call(base_url=address, timeout=60)
    assert response.status_code == 200
    case.validate_response(response, checks=list(CHECKS))


def test_the_description_lists_fields_and_responses(client):
    paths = client.get("openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == set(OPERATIONS)
    post = paths["/api/explain"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    assert form["additionalProperties"] is False
    assert form["properties"]["format"]["enum"] == ["json", "viewer", "html", "png"]
    assert set(post["responses"]) == {"200", *map(str, (400, 403, 404, 408, 413, 415, 421, 422, 500, 503, 504))}


def test_pages_that_load_scripts_from_other_sites_are_off(address):
    for path in ("docs", "redoc"):
        assert httpx.get(address + path).status_code == 404
