"""The page in the system's Chromium: what the user does, and what the page then shows."""

import re
import time

import keras
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from tests.serve.conftest import running, small_classifier

from seewhy import Classifier
from seewhy.serve.settings import Settings


def choose(page, path):
    page.set_input_files("#file", path)
    expect(page.locator("#result-bar")).to_be_visible(timeout=30_000)
    expect(page.locator("#progress")).to_be_hidden(timeout=30_000)


def pixels(page, pane=0):
    """Return the pixels of a canvas, as a string."""
    return page.locator("#viewer canvas").nth(pane).evaluate("canvas => canvas.toDataURL()")


def predictions(page):
    return page.locator("#viewer .side ol:visible li").all_inner_texts()


def options(page):
    """Return the options of the open list."""
    return page.locator(".choices:visible [role=option]")


def violations(page):
    rules = Axe().run(page).response["violations"]
    return [(rule["id"], rule["nodes"][0]["html"]) for rule in rules if rule["impact"] in ("serious", "critical")]


def test_an_image_is_chosen_and_explained(open_page, examples):
    page = open_page()
    choose(page, examples / "cat.png")
    assert page.locator("#summary").inner_text() == "efficientnet-lite0 predicts tiger cat, 38.5%"
    assert re.fullmatch(r"cat\.png · explained in \d+\.\d\d\ss", page.locator("#facts").inner_text())
    assert page.locator(".result h2").count() == 1  # one headline
    first = predictions(page)[0].split()
    assert (first[:2], first[-1]) == (["tiger", "cat"], "38.5%")
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


def test_everything_works_with_the_keyboard(open_page):
    """Choose a sample, add a method and a class, and remove the method, without a mouse."""
    page = open_page()
    page.get_by_role("button", name="A cup of coffee").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("predicts espresso", timeout=30_000)
    methods = page.get_by_role("combobox", name="Methods")
    methods.focus()
    page.keyboard.type("layerc")
    expect(options(page)).to_have_count(1)
    assert methods.get_attribute("aria-activedescendant") == options(page).get_attribute("id")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer canvas:visible")).to_have_count(2, timeout=30_000)
    expect(page.locator("#viewer .pane h3").nth(1)).to_contain_text("LayerCAM")
    page.get_by_role("combobox", name="Classes").focus()
    page.keyboard.type("tabb")
    expect(options(page).first).to_contain_text("tabby")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer .side ol:visible li")).to_have_count(6, timeout=30_000)
    assert "tabby" in predictions(page)[5]
    page.get_by_role("button", name="Remove LayerCAM").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer canvas:visible")).to_have_count(1, timeout=30_000)
    assert methods.evaluate("field => field === document.activeElement")


def test_the_list_of_options_opens_moves_and_closes(open_page):
    page = open_page()
    layers = page.get_by_role("combobox", name="Layers")
    layers.focus()
    page.keyboard.press("ArrowDown")
    choices = options(page)
    expect(choices.first).to_contain_text("top_relu6")  # the last layer comes first
    page.keyboard.press("ArrowUp")
    assert choices.last.get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowDown")
    assert choices.first.get_attribute("aria-selected") == "true"
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    assert layers.get_attribute("aria-expanded") == "false"
    page.keyboard.type("no such layer")
    expect(options(page)).to_have_text(["No matches"], timeout=30_000)  # a list: waits while there are more


def test_another_layer_beside_the_default(open_page, examples):
    page = open_page()
    choose(page, examples / "cat.png")
    page.get_by_role("combobox", name="Layers").fill("block4a_expand_relu6")
    options(page).click()
    expect(page.locator("#viewer canvas:visible")).to_have_count(2, timeout=30_000)
    first, second = page.locator("#viewer .pane h3").all_inner_texts()
    assert first.startswith("layer top_relu6 · 7")
    assert second.startswith("layer block4a_expand_relu6 · 28")
    assert pixels(page, 0) != pixels(page, 1)


def test_a_slow_method_shows_its_progress_and_can_be_stopped(open_page, client):
    page = open_page()
    page.get_by_role("button", name="Chelsea the cat").click()
    expect(page.locator("#result-bar")).to_be_visible(timeout=30_000)
    page.get_by_role("combobox", name="Methods").fill("rise")
    expect(options(page).first).to_contain_text("RISE")  # before methods that only mention it
    page.keyboard.press("Enter")
    expect(page.locator("#progress-text")).to_have_text(
        re.compile(r"Heatmap 2 of 2: RISE, [\d,]+ of 4,000 runs"), timeout=30_000
    )
    assert float(page.locator("#progress-bar").get_attribute("value")) >= 0.5
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#note")).to_have_text("Stopped: 1 of 2 heatmaps is finished, and shown here.")
    expect(page.get_by_role("alert")).to_be_hidden()  # it is no error
    expect(page.locator("#progress")).to_be_hidden()
    page.get_by_role("button", name="A cup of coffee").click()  # another image: its first heatmap does not wait
    expect(page.locator("#summary")).to_contain_text("espresso", timeout=30_000)
    expect(page.locator("#progress-text")).to_contain_text("Heatmap 2 of 2")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#note")).to_contain_text("1 of 2 heatmaps is finished")
    expect(page.locator("#viewer .pane")).to_have_count(1)
    ends = time.monotonic() + 20
    while client.get("healthz").json()["slots_taken"]:
        assert time.monotonic() < ends, "the model is still running"
        page.wait_for_timeout(100)


def test_images_are_pasted_and_dropped(open_page, examples):
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
    expect(page.locator("#facts")).to_contain_text("pasted.png", timeout=30_000)
    page.evaluate(
        """content => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(content)], "dropped.png"));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        content,
    )
    expect(page.locator("#facts")).to_contain_text("dropped.png", timeout=30_000)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.png", b"no image", "notes.png is not an image in a format SeeWhy reads"),
        ("empty.png", b"", "empty.png is empty (0 bytes)"),
        ("large.png", bytes(20_000_001), "large.png has more than 20,000,000 bytes"),
    ],
)
def test_invalid_images_are_reported(open_page, examples, tmp_path, name, content, message):
    page = open_page()
    (tmp_path / name).write_bytes(content)
    page.set_input_files("#file", tmp_path / name)
    expect(page.get_by_role("alert")).to_contain_text(message)
    choose(page, examples / "cat.png")  # and the next image works
    expect(page.get_by_role("alert")).to_be_hidden()


def test_names_with_tags_are_shown_as_text(open_page, examples):
    tag = "<img src=x onerror=window.hacked=1>"
    classifier = small_classifier(class_names=[f"{tag} {number}" for number in range(10)])
    predicted = [prediction.name for prediction in classifier.predict([examples / "cat.png"])[0]]
    file = {"name": f"{tag}.png", "mimeType": "image/png", "buffer": (examples / "cat.png").read_bytes()}
    with running([("small", classifier)], Settings()) as other:
        page = open_page(at=other)
        choose(page, file)
        page.get_by_role("combobox", name="Classes").fill(predicted[-1].split()[-1])
        expect(options(page).first).to_contain_text(predicted[-1])
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Remove <img")).to_be_visible()
        expect(page.locator("#progress")).to_be_hidden(timeout=30_000)
        assert page.locator("#facts").inner_text().startswith(f"{tag}.png · ")
        assert predicted[0] in page.locator("#summary").inner_text()
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
        assert page.locator("#viewer .detail:visible").inner_text().startswith("two · Grad-CAM")  # not Keras's name
        page.get_by_role("combobox", name="Classes").fill("class")
        expect(options(page)).to_have_text([re.compile("class 0"), re.compile("class 1")])


def test_the_downloaded_report_shows_the_same_without_a_server(open_page, chromium, examples, tmp_path):
    page = open_page()
    choose(page, examples / "cat.png")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download report").click()
    assert download.value.suggested_filename == "cat_report.html"
    download.value.save_as(tmp_path / "report.html")
    context = chromium.new_context(offline=True)
    messages, urls = [], []
    report = context.new_page()
    report.on("console", lambda message: messages.append(message.text))
    report.on("request", lambda request: urls.append(request.url))
    report.goto((tmp_path / "report.html").as_uri())
    expect(report).to_have_title("SeeWhy: cat.png")
    expect(report.locator("ol li").first).to_contain_text("tiger cat")
    assert report.locator("canvas").first.evaluate("canvas => canvas.toDataURL()") == pixels(page)
    assert messages == []
    assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_is_accessible(open_page, examples, scheme, width):
    """Empty, with an open list, with a result: axe-core finds no serious violation, and nothing scrolls sideways."""
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    assert violations(page) == []
    page.locator("#settings").evaluate("details => { details.open = true; }")
    page.get_by_role("combobox", name="Methods").click()
    expect(options(page).first).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    choose(page, examples / "cat.png")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_api_page_documents_every_route(open_page, address, scheme):
    page = open_page("page/api_docs.html", color_scheme=scheme, viewport={"width": 360, "height": 800})
    headings = page.locator("h2").all_inner_texts()
    assert "POST /api/explain" in headings
    assert "GET /api/models/{name}/classes" in headings
    assert f"{address}api/explain" in page.locator("#examples").inner_text()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
