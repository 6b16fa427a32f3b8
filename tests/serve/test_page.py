"""The page in Debian's Chromium: what a reader does, and what is seen."""

import re
import time

import keras
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from tests.serve.conftest import running

from seewhy import Classifier
from seewhy.serve.settings import Settings


@pytest.fixture
def open_page(chromium, address):
    """Open the page; at the end see that nothing was said on the console, and nothing asked of anyone else."""
    contexts, own, said, asked = [], [], [], []

    def open_page(path="", at=address, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        own.append(at)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(at + path)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [each for each in said if "Failed to load resource" not in each] == []
    assert [each for each in asked if not each.startswith((*own, "data:", "blob:"))] == []


def choose(page, path):
    page.set_input_files("#file", path)
    expect(page.locator("#bar")).to_be_visible(timeout=30_000)
    expect(page.locator("#progress")).to_be_hidden(timeout=30_000)


def pixels(page, pane=0):
    """Return what the canvas shows, as a string."""
    return page.locator("#viewer canvas").nth(pane).evaluate("canvas => canvas.toDataURL()")


def predictions(page):
    return page.locator("#viewer .side ol:visible li").all_inner_texts()


def options(page):
    """Return the choices of the list that is open."""
    return page.locator(".choices:visible [role=option]")


def serious(page):
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


def test_a_photo_is_chosen_and_its_evidence_seen(open_page, examples):
    page = open_page()
    choose(page, examples / "cat.png")
    assert page.locator("#facts").inner_text().startswith("efficientnet-lite0 says tiger cat, 38.5 %. Explained in ")
    first = predictions(page)[0].split()
    assert (first[:2], first[-2:]) == (["tiger", "cat"], ["38.5", "%"])
    assert page.locator("#viewer h2").inner_text() == "cat.png"
    assert len(pixels(page)) > 10_000


def test_the_class_is_switched_by_keyboard_and_the_canvas_changes(open_page, examples):
    page = open_page()
    choose(page, examples / "cat.png")
    before = pixels(page)
    page.locator("#viewer .side ol:visible button").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#viewer h3").first).to_contain_text("Egyptian cat")
    assert pixels(page) != before
    page.keyboard.press("ArrowUp")
    expect(page.locator("#viewer h3").first).to_contain_text("tiger cat")
    assert pixels(page) == before


def test_everything_is_done_by_keyboard(open_page):
    """A sample, a second method, another class, and one removed again: no mouse."""
    page = open_page()
    page.get_by_role("button", name="A cup of coffee").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#facts")).to_contain_text("says espresso", timeout=30_000)
    methods = page.get_by_role("combobox", name="MethodList")
    methods.focus()
    page.keyboard.type("layerc")
    expect(options(page)).to_have_count(1)
    assert methods.get_attribute("aria-activedescendant") == options(page).get_attribute("id")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer canvas:visible")).to_have_count(2, timeout=30_000)
    expect(page.locator("#viewer .detail").nth(1)).to_contain_text("LayerCAM")
    page.get_by_role("combobox", name="ClassList").focus()
    page.keyboard.type("tabb")
    expect(options(page).first).to_contain_text("tabby")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer .side ol:visible li")).to_have_count(6, timeout=30_000)
    assert "tabby" in predictions(page)[5]
    page.get_by_role("button", name="Remove LayerCAM").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer canvas:visible")).to_have_count(1, timeout=30_000)
    assert methods.evaluate("field => field === document.activeElement")


def test_the_list_of_choices_opens_moves_and_closes(open_page):
    page = open_page()
    layers = page.get_by_role("combobox", name="LayerList")
    layers.focus()
    page.keyboard.press("ArrowDown")
    found = options(page)
    expect(found.first).to_contain_text("top_relu6")  # the last comes first
    page.keyboard.press("ArrowUp")
    assert found.last.get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowDown")
    assert found.first.get_attribute("aria-selected") == "true"
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    assert layers.get_attribute("aria-expanded") == "false"
    page.keyboard.type("no such layer")
    expect(options(page)).to_have_text("Nothing found")


def test_another_layer_beside_the_default(open_page, examples):
    page = open_page()
    choose(page, examples / "cat.png")
    page.get_by_role("combobox", name="LayerList").fill("block4a_expand_relu6")
    options(page).click()
    expect(page.locator("#viewer canvas:visible")).to_have_count(2, timeout=30_000)
    first, second = page.locator("#viewer .detail").all_inner_texts()
    assert "layer top_relu6" in first
    assert "layer top_relu6" not in second
    assert pixels(page, 0) != pixels(page, 1)


def test_a_slow_method_says_how_far_it_is_and_can_be_stopped(open_page, client):
    page = open_page()
    page.get_by_role("button", name="Chelsea the cat").click()
    expect(page.locator("#bar")).to_be_visible(timeout=30_000)
    page.get_by_role("combobox", name="MethodList").fill("rise")
    expect(options(page).first).to_contain_text("RISE")  # before others of whose description it is a part
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text(re.compile(r"Map 2 of 2: RISE, [\d,]+ of 4,000 runs"), timeout=30_000)
    assert float(page.locator("#meter").get_attribute("value")) >= 0.5
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_contain_text("Stopped.")
    expect(page.locator("#progress")).to_be_hidden()
    ends = time.monotonic() + 20
    while client.get("healthz").json()["jobs"]:
        assert time.monotonic() < ends, "the model still runs"
        page.wait_for_timeout(100)


def test_a_image_is_pasted_and_one_is_dropped(open_page, examples):
    page = open_page()
    content = list((examples / "cat.png").read_bytes())
    page.evaluate(
        """content => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], "pasted.png"));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        content,
    )
    expect(page.locator("#viewer h2")).to_have_text("pasted.png", timeout=30_000)
    page.evaluate(
        """content => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], "dropped.png"));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        content,
    )
    expect(page.locator("#viewer h2")).to_have_text("dropped.png", timeout=30_000)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.png", b"no image", "notes.png is not an image in a format SeeWhy reads"),
        ("empty.png", b"", "empty.png is empty (0 bytes)"),
        ("large.png", bytes(20_000_001), "large.png has more than 20,000,000 bytes"),
    ],
)
def test_what_cannot_be_explained_is_said(open_page, examples, tmp_path, name, content, said):
    page = open_page()
    (tmp_path / name).write_bytes(content)
    page.set_input_files("#file", tmp_path / name)
    expect(page.get_by_role("alert")).to_contain_text(said)
    choose(page, examples / "cat.png")  # and the next image is as ever
    expect(page.get_by_role("alert")).to_be_hidden()


def test_names_with_tags_are_shown_as_they_are(open_page, lite0, examples):
    tag = "<img src=x onerror=window.hacked=1>"
    renamed = Classifier(lite0.model, preprocess=lite0.preprocessing, class_names=[f"{tag} {i}" for i in range(1000)])
    file = {"name": f"{tag}.png", "mimeType": "image/png", "buffer": (examples / "cat.png").read_bytes()}
    with running([("lite0", renamed)], Settings()) as other:
        page = open_page(at=other)
        choose(page, file)
        page.get_by_role("combobox", name="ClassList").fill("281")
        expect(options(page).first).to_contain_text(f"{tag} 281")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Remove <img")).to_be_visible()
        expect(page.locator("#progress")).to_be_hidden(timeout=30_000)
        assert page.locator("#viewer h2").inner_text() == f"{tag}.png"
        assert f"{tag} 282" in page.locator("#facts").inner_text()
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x]").count() == 0
        page.context.close()


def test_a_model_of_two_classes_without_names(open_page, examples):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    with running([("two", Classifier(model))], Settings()) as other:
        page = open_page(at=other)
        choose(page, examples / "cat.png")
        assert sorted(line.split()[1] for line in predictions(page)) == ["0", "1"]
        page.get_by_role("combobox", name="ClassList").fill("class")
        expect(options(page)).to_have_text([re.compile("class 0"), re.compile("class 1")])


def test_the_report_that_is_downloaded_shows_the_same_without_a_model(open_page, chromium, examples, tmp_path):
    page = open_page()
    choose(page, examples / "cat.png")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download report").click()
    assert download.value.suggested_filename == "cat_report.html"
    download.value.save_as(tmp_path / "report.html")
    context = chromium.new_context(offline=True)
    said, asked = [], []
    report = context.new_page()
    report.on("console", lambda message: said.append(message.text))
    report.on("request", lambda request: asked.append(request.url))
    report.goto((tmp_path / "report.html").as_uri())
    expect(report).to_have_title("SeeWhy: cat.png")
    expect(report.locator("ol li").first).to_contain_text("tiger cat")
    assert report.locator("canvas").first.evaluate("canvas => canvas.toDataURL()") == pixels(page)
    assert said == []
    assert [each for each in asked if not each.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_anyone_can_use_it(open_page, examples, scheme, width):
    """Empty, with choices open, with a result: axe-core finds nothing serious, and nothing scrolls sideways."""
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    assert serious(page) == []
    page.locator("#question").evaluate("details => { details.open = true; }")
    page.get_by_role("combobox", name="MethodList").click()
    expect(options(page).first).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("Escape")
    choose(page, examples / "cat.png")
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_api_tells_what_there_is(open_page, address, scheme):
    page = open_page("page/api_docs.html", color_scheme=scheme, viewport={"width": 360, "height": 800})
    headings = page.locator("h2").all_inner_texts()
    assert "POST /api/explain" in headings
    assert "GET /api/models/{name}/classes" in headings
    assert f"{address}api/explain" in page.locator("#curl").inner_text()
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
