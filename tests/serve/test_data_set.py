"""A data set on the server's page: rows a page at a time, and no file but those of the output."""

import httpx
import pytest
from playwright.sync_api import expect
from tests.datasets.handmade_output import handmade_output, random_maps
from tests.serve.conftest import error_of, running_app

from seewhy.serve.data_set_app import make_data_set_app
from seewhy.serve.security import SECURITY_HEADERS
from seewhy.serve.settings import Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    maps, numbers = random_maps(1, 60, 2, tagged=0.8)
    output = handmade_output(tmp_path_factory.mktemp("made"), maps[:, None], numbers, ["cat", "dog"])
    (output.path.parent / "images" / "secret.png").write_bytes(
        (output.path.parent / "images" / "0000.png").read_bytes()
    )
    settings = Settings()
    with running_app(make_data_set_app(output, settings), settings) as address:
        yield address


def test_rows_are_listed_a_page_at_a_time(made):
    page = httpx.get(f"{made}api/rows", params={"start": 50, "count": 48}).json()
    assert page["count"] == 60
    assert [image["row"] for image in page["images"]] == list(range(50, 60))
    cats = httpx.get(f"{made}api/rows", params={"predicted": "cat", "count": 2}).json()
    assert (cats["count"], [image["name"] for image in cats["images"]]) == (30, ["0000.png", "0002.png"])
    entry = httpx.get(f"{made}api/rows/2").json()
    assert entry["name"] == "0002.png"
    assert entry["photo"].startswith("data:image/")
    assert entry["explanations"][0]["rows"] == 7
    assert "notice" not in entry  # found by its key, though the folder has another file now


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("api/rows/60", 404, "unknown_row"),
        ("api/rows/-1", 404, "unknown_row"),
        ("api/rows/secret.png", 422, "invalid_field"),
        ("api/rows/..%2Fsecret.png", 404, "not_found"),
        ("api/rows?count=101", 422, "invalid_field"),
        ("api/rows?order=key", 422, "invalid_field"),
        ("api/rows?start=-1", 422, "invalid_field"),
        ("images/secret.png", 404, "not_found"),
        ("page/..%2Fapp.py", 404, "not_found"),
    ],
)
def test_what_is_not_in_the_output_is_refused(made, path, status, code):
    assert error_of(httpx.get(f"{made}{path}"))[:2] == (status, code)


def test_the_page_shows_rows_of_the_server(made, chromium):
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: problems.append(request.url) if not request.url.startswith(made) else None)
    page.goto(made)
    status = page.locator("#viewer > .note")
    expect(status).to_have_text("60 of 60 images, 1 to 48 here")
    page.get_by_text("Sort and filter").click()
    page.get_by_label("Predicted class").select_option("dog")
    expect(status).to_have_text("30 of 60 images")
    page.locator(".card button").first.click()
    page.wait_for_selector(".pane")
    expect(page.locator("#viewer h2")).to_have_text("0001.png")
    assert [problem for problem in problems if not problem.startswith("data:")] == []
    context.close()
    headers = httpx.get(made).headers
    assert all(headers[name] == value for name, value in SECURITY_HEADERS.items())
