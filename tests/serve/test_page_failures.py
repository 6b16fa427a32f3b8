"""What the page says when something fails: what happened, and what to do."""

import json

import httpx
import pytest
from playwright.sync_api import expect
from tests.serve.test_page import choose, options, violations

UNREACHABLE = (
    "The server cannot be reached. Check that “seewhy serve” is still running and that this device is connected to it, "
    "then try again."
)
SCREENS = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]


def alert(page):
    return page.locator("#alert-text")


def disconnect(page, path):
    page.route(f"**/{path}", lambda route: route.abort())


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_without_a_server_the_page_says_what_to_do(open_page, examples, width, scheme):
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    disconnect(page, "api/explain")
    page.set_input_files("#file", examples / "cat.png")
    expect(alert(page)).to_have_text(UNREACHABLE)
    expect(page.locator("#progress")).to_be_hidden()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("button", name="Try again").is_visible()


def test_everything_else_that_is_fetched_says_so_too(open_page, examples):
    page = open_page()
    disconnect(page, "page/samples/coffee.jpg")
    page.get_by_role("button", name="A cup of coffee").click()
    expect(alert(page)).to_have_text(f"The sample coffee.jpg could not be loaded. {UNREACHABLE}")
    disconnect(page, "api/models/*/layers")
    page.get_by_role("combobox", name="Layers").click()
    expect(options(page)).to_have_text([UNREACHABLE])
    choose(page, examples / "cat.png")
    expect(page.get_by_role("alert")).to_be_hidden()  # the last failure is over
    disconnect(page, "report.html")
    page.get_by_role("button", name="Download report").click()
    expect(alert(page)).to_have_text(f"The report could not be created. {UNREACHABLE}")
    assert page.get_by_role("button", name="Try again").is_hidden()


def test_a_sample_whose_photo_is_missing_is_described(open_page):
    page = open_page(prepare=lambda page: disconnect(page, "page/samples/rocket.jpg"))
    expect(page.locator("#samples li").last).to_have_text("A rocket launch (not loaded)")
    assert page.locator("#samples img").count() == 2


def test_an_image_chosen_before_the_page_is_ready_is_explained(open_page, examples):
    page = open_page(prepare=lambda page: disconnect(page, "api/models"), ready="#alert:visible")
    expect(alert(page)).to_have_text(f"The models of the server could not be listed. {UNREACHABLE}")
    page.set_input_files("#file", examples / "cat.png")
    page.unroute("**/api/models")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#summary")).to_contain_text("tiger cat", timeout=30_000)


def test_a_file_that_was_changed_after_it_was_chosen(open_page, examples, tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes((examples / "cat.png").read_bytes())
    page = open_page()
    choose(page, path)
    path.write_bytes(b"something else")
    page.get_by_role("combobox", name="Methods").fill("hirescam")
    page.keyboard.press("Enter")
    expect(alert(page)).to_have_text(
        "cat.png cannot be read: it was changed, moved or deleted after it was chosen. Choose it again."
    )


@pytest.fixture(scope="module")
def two_of_three(address, cat):
    """What the server streams for three heatmaps until two are finished."""
    lines = [{"progress": {"explanation": 2, "explanation_count": 3, "title": "RISE", "runs": 8, "run_count": 4000}}]
    for method in ("gradcam", "layercam"):
        fields = {"methods": method, "format": "viewer"}
        response = httpx.post(f"{address}api/explain", files={"image": ("cat.png", cat)}, data=fields, timeout=60)
        lines.append({"partial": response.json()})
    return "".join(f"{json.dumps(line)}\n" for line in lines)


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("", "The server closed the connection before the result arrived. Its log says why. Then try again."),
        ('{"error":{"message":"The request took longer than 3 s."}}\n', "The request took longer than 3 s."),
    ],
)
def test_heatmaps_that_are_finished_are_kept_when_the_rest_fails(open_page, two_of_three, examples, ending, message):
    page = open_page()
    page.route("**/api/explain", lambda route: route.fulfill(body=two_of_three + ending))
    page.set_input_files("#file", examples / "cat.png")
    expect(alert(page)).to_have_text(message)
    expect(page.locator("#summary")).to_contain_text("tiger cat")
    expect(page.locator("#viewer .pane h3")).to_have_text(["Grad-CAM", "LayerCAM"])


def test_a_damaged_photo_leaves_no_other_result_and_no_button_that_cannot_help(open_page, examples, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes((examples / "cat.png").read_bytes()[:2000])
    page = open_page()
    choose(page, examples / "cat.png")
    page.set_input_files("#file", damaged)
    expect(alert(page)).to_contain_text("damaged.png")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#result-bar")).to_be_hidden()
    choose(page, examples / "cat.png")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 360])
def test_only_a_wide_window_offers_to_drop_a_photo(open_page, examples, width):
    page = open_page(viewport={"width": width, "height": 800})
    words = page.get_by_text("or drop it here, or paste it")
    expect(words).to_be_visible(visible=width == 1280)
    choose(page, examples / "cat.png")
    expect(words).to_be_visible(visible=width == 1280)


def test_after_a_proxy_s_error_the_request_is_sent_again(open_page, examples):
    page = open_page()
    page.route("**/api/explain", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.set_input_files("#file", examples / "cat.png")
    expect(alert(page)).to_contain_text("The server responded with status 502, and does not say why. Check that")
    page.unroute("**/api/explain")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#summary")).to_contain_text("tiger cat", timeout=30_000)
    expect(page.get_by_role("alert")).to_be_hidden()
