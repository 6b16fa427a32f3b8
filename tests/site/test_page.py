"""The page of a site in the system's Chromium, without a network but for the host of its files."""

import base64
import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import onnxruntime
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageOps
from playwright.sync_api import expect
from tests.site.conftest import serving
from tests.site.handmade_model import CLASSES, SIZE, handmade_model

from seewhy import Preprocessing
from seewhy.images.normalization import normalize
from seewhy.images.overlay import overlay
from seewhy.images.style import Style
from seewhy.site.site_folder import Samples, write_folder

pytestmark = [
    pytest.mark.slow(reason="starts Chromium, and ONNX Runtime in it"),
    pytest.mark.usefixtures("browser_runtime"),
]


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A PNG of noise in large squares, which is not square."""
    pixels = np.random.default_rng(3).integers(0, 256, (6, 10, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    path = tmp_path_factory.mktemp("photos") / "squares.png"
    Image.fromarray(pixels).save(path)
    return path


def choose(page, path):
    page.set_input_files("#file", path)
    expect(page.locator("#facts")).to_contain_text(path.name)
    expect(page.locator("#progress")).to_be_hidden()
    page.wait_for_selector("#viewer canvas")


def outputs_of(model, pixels):
    """Run a model in Python on an image; return its outputs by name, and the placement of the input."""
    inputs = model.preprocessing([pixels])
    session = onnxruntime.InferenceSession(model.content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {"image": np.asarray(inputs.values, np.uint8)})
    return dict(zip(names, values, strict=True)), inputs.placements[0]


def canvas_pixels(page):
    url = page.locator("#viewer canvas").first.evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def check_overlay(page, pixels, heatmap, placement, peak_quantile=1.0):
    """Check that the page draws a heatmap (u, v) on an image as Python does, within 2 of 255."""
    normalized = placement.place(normalize(heatmap[None], peak_quantile))[0]
    expected = overlay(pixels, normalized, placement.covered, Style()).astype(int)
    assert np.abs(canvas_pixels(page) - expected).max() <= 2
    assert np.abs(expected - pixels).max() > 60


def shown_targets(page):
    """Return the names of the classes in the list, and their probabilities in percent."""
    rows = page.locator("#viewer .side ol:visible li")
    return [
        (row.locator(".name").inner_text(), float(row.locator(".probability").inner_text().removesuffix("%")))
        for row in rows.all()
    ]


def alert_after(page, path):
    page.set_input_files("#file", path)
    expect(page.locator("#alert")).to_be_visible()
    return page.locator("#alert-text").inner_text()


def test_a_photo_is_explained_as_python_explains_it(open_site, site_url, photo):
    """The class, its probability and every pixel of the overlay; a PNG is decoded to the same pixels everywhere."""
    page, model = open_site(site_url), handmade_model()
    choose(page, photo)
    pixels = np.asarray(Image.open(photo))
    outputs, placement = outputs_of(model, pixels)
    best = np.argsort(-outputs["probabilities"][0])[:5]
    expected = [(model.class_names.unique_name(i), 100 * outputs["probabilities"][0, i]) for i in best]
    shown = shown_targets(page)
    assert [name for name, _ in shown] == [name for name, _ in expected]
    np.testing.assert_allclose([value for _, value in shown], [value for _, value in expected], atol=0.06)
    check_overlay(page, pixels, outputs["heatmaps"][0, best[0]], placement)


def test_classes_are_found_by_name_and_explained_without_another_run(open_site, site_url, photo):
    page = open_site(site_url)
    choose(page, photo)
    facts = page.locator("#facts").inner_text()
    field = page.get_by_role("combobox", name="Classes")
    field.focus()
    page.keyboard.type("crane")
    options = page.locator(".choices:visible [role=option]")
    expect(options).to_have_count(2)
    assert [text.split("\n")[0] for text in options.all_inner_texts()] == ["crane (4)", "crane (5)"]
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Remove The 5 most probable").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer .side ol:visible button")).to_have_count(1)
    assert page.locator("#viewer .side ol:visible button .name").inner_text() == "crane (4)"
    assert page.locator("#facts").inner_text() == facts


def test_a_model_with_heatmaps_of_its_most_probable_classes_has_no_choice(open_site, tmp_path, photo):
    """Its heatmaps show a part of the input, and are scaled by a quantile, as those of the input are."""
    preprocessing = Preprocessing(SIZE, resize=18, resample="bilinear")
    part = {"input_box": (0.125, 0.0, 0.75, 1.25), "peak_quantile": 0.7}
    model = handmade_model(top=2, class_names=None, preprocessing=preprocessing, **part)
    write_folder(model, tmp_path / "site", Samples({}, {}))
    with serving(tmp_path / "site") as url:
        page = open_site(url)
        choose(page, photo)
        assert page.get_by_role("combobox").count() == 1  # of the viewer: the colours
        pixels = np.asarray(Image.open(photo))
        outputs, placement = outputs_of(model, pixels)
        check_overlay(page, pixels, outputs["heatmaps"][0, 0], placement.with_input_box(model.input_box), 0.7)
        names = page.locator("#viewer .side ol:visible button .name").all_inner_texts()
        assert names == [f"class {index}" for index in outputs["classes"][0]]
        assert len(shown_targets(page)) == min(5, CLASSES)
        assert page.locator("#samples button").count() == 0


def test_photos_are_upright_and_transparent_ones_on_white(open_site, site_url, photo, tmp_path):
    """One rotated by its EXIF data is drawn as Python reads it, and one with holes has white in them."""
    page = open_site(site_url)
    pixels = np.asarray(Image.open(photo))
    sideways, exif = Image.fromarray(pixels).rotate(90, expand=True), Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    sideways.save(tmp_path / "sideways.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "sideways.png"))), pixels)
    choose(page, photo)
    upright = shown_targets(page)
    choose(page, tmp_path / "sideways.png")
    assert shown_targets(page) == upright
    assert canvas_pixels(page).shape == pixels.shape
    hole = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)
    hole[:, :80, 3] = 0
    Image.fromarray(hole, "RGBA").save(tmp_path / "hole.png")
    white = pixels.copy()
    white[:, :80] = 255
    Image.fromarray(white).save(tmp_path / "white.png")
    choose(page, tmp_path / "white.png")
    expected, drawn = shown_targets(page), canvas_pixels(page)
    choose(page, tmp_path / "hole.png")
    assert shown_targets(page) == expected
    np.testing.assert_array_equal(canvas_pixels(page), drawn)


def test_a_photo_is_dropped_pasted_or_a_sample(open_site, site_url, photo):
    page = open_site(site_url)
    content = base64.b64encode(photo.read_bytes()).decode()
    give = """([content, name, kind]) => {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], name, { type: "image/png" }));
        const event = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        page.evaluate(give, [content, f"{kind}.png", kind])
        expect(page.locator("#facts")).to_contain_text(f"{kind}.png")
    page.get_by_role("button", name="A cup of coffee").press("Enter")
    expect(page.locator("#facts")).to_contain_text("coffee.jpg")
    assert "Stéfan van der Walt (CC0)" in page.locator(".credits").inner_text()


def test_what_is_no_photo_is_refused_in_words(open_site, site_url, photo, tmp_path):
    page = open_site(site_url)
    choose(page, photo)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:60])
    Image.new("1", (16_400, 8)).save(tmp_path / "long.png")
    assert "notes.txt is not an image that this browser can show" in alert_after(page, tmp_path / "notes.txt")
    assert page.locator("#viewer").is_hidden()  # it has the heatmap of another photo
    assert "empty.png is empty" in alert_after(page, tmp_path / "empty.png")
    assert "half.png is not an image" in alert_after(page, tmp_path / "half.png")
    assert "long.png is too large (16400 x 8 pixels)" in alert_after(page, tmp_path / "long.png")
    choose(page, photo)
    assert page.locator("#alert").is_hidden()
    assert page.locator("#viewer").is_visible()


def test_a_photo_may_be_chosen_while_the_model_is_loaded(open_site, site_url, photo):
    page = open_site(site_url, ready=None, prepare=lambda page: page.route("**/model.onnx*", hold))
    expect(page.locator("#progress-text")).to_contain_text("Loading the model")
    page.set_input_files("#file", photo)
    held.pop().continue_()
    expect(page.locator("#facts")).to_contain_text(photo.name)


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


held = []


def hold(route):
    held.append(route)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "model/model.onnx").unlink(),
            "model/model.onnx is missing on this host (status 404)",
        ),
        (
            lambda folder: (folder / "model/model.onnx").write_text("version https://git-lfs"),
            "it has 23 bytes, and had",
        ),
        (lambda folder: flip_bit(folder / "model/model.onnx"), "its content is another"),
        (lambda folder: (folder / "site.json").write_text("<html>"), "site.json is not what"),
        (lambda folder: next((folder / "runtime").glob("*.js")).unlink(), "The file runtime/ort.wasm.bundle.min.js"),
    ],
    ids=["no model", "pointer instead of the model", "a model with a wrong bit", "another manifest", "no runtime"],
)
def test_a_folder_that_is_not_whole_is_said_in_words(open_site, tmp_path, damage, message):
    folder = write_folder(handmade_model(), tmp_path / "site", Samples({}, {}))
    damage(folder)
    with serving(folder) as url:
        page = open_site(url, ready="#alert:visible", expected="Failed to load resource")
        assert message in page.locator("#alert-text").inner_text()
        assert "Upload the whole folder" in page.locator("#alert-text").inner_text()


def test_a_sample_that_is_missing_is_said_in_words(open_site, tmp_path):
    folder = write_folder(handmade_model(), tmp_path / "site", Samples.of_seewhy())
    (folder / "samples/coffee.jpg").unlink()
    with serving(folder) as url:
        page = open_site(url, expected="Failed to load resource")
        page.locator("#samples button").nth(1).click()
        expect(page.locator("#alert-text")).to_have_text(
            "The sample coffee.jpg could not be loaded. It is missing on this host (status 404)."
        )


def test_a_damaged_model_is_said_in_words(open_site, tmp_path):
    folder = write_folder(handmade_model(content=b"no model"), tmp_path / "site", Samples({}, {}))
    with serving(folder) as url:
        page = open_site(url, ready="#alert:visible")
        assert "The model cannot be started in this browser." in page.locator("#alert-text").inner_text()


def test_a_browser_without_webassembly_is_told_so(open_site, site_url):
    scripts = {
        "delete globalThis.WebAssembly;": "This browser does not run WebAssembly",
        "WebAssembly.validate = () => false;": "This browser is too old to run the model",
    }
    for script, message in scripts.items():
        page = open_site(
            site_url, ready="#alert:visible", prepare=lambda page, script=script: page.add_init_script(script)
        )
        assert message in page.locator("#alert-text").inner_text()
        assert page.locator("#retry").is_hidden()


def test_a_browser_that_changes_the_pixels_that_pages_read_is_told_so(open_site, site_url, photo):
    noise = """const read = CanvasRenderingContext2D.prototype.getImageData;
        CanvasRenderingContext2D.prototype.getImageData = function (...box) {
            const image = read.apply(this, box);
            image.data[0] ^= 1;
            return image;
        };"""
    page = open_site(site_url, prepare=lambda page: page.add_init_script(noise))
    assert "a protection against fingerprinting" in alert_after(page, photo)


def test_from_the_disk_the_page_says_that_it_needs_a_host(chromium, site_folder):
    page = chromium.new_page()
    page.goto((site_folder / "index.html").as_uri())
    expect(page.locator("#not-started")).to_contain_text("python -m http.server")
    assert page.locator("#layout").is_hidden()
    page.close()


def test_where_no_script_runs_the_page_says_why_after_a_while(open_site, site_url):
    """As in a browser that refuses the scripts of a page from the disk."""
    page = open_site(site_url, ready=None, prepare=lambda page: page.route("**/*.js", lambda route: route.abort()),
                     expected="Failed to load resource")  # fmt: skip
    expect(page.get_by_text("If this text stays, the page was opened from the disk")).to_be_visible()


def test_nothing_can_be_sent_elsewhere_and_no_other_script_runs(open_site, site_url):
    """The policy of the page forbids it, also to a script that got into it."""
    arrived = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self):
            arrived.append(self.path)

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    elsewhere = f"http://127.0.0.1:{server.server_port}/"
    try:
        page = open_site(site_url, expected="Content Security Policy")
        send = "url => fetch(url, { method: 'POST', body: 'pixels' }).then(() => 'sent', () => 'refused')"
        assert page.evaluate(send, elsewhere) == "refused"
        assert page.evaluate("url => navigator.sendBeacon(url, 'pixels')", elsewhere) in (True, False)
        page.evaluate(
            "() => document.body.append(Object.assign(document.createElement('script'), {text: 'stained = 1'}))"
        )
        assert page.evaluate("typeof stained") == "undefined"
        # Out of the call of the debugger, which the policy does not bind.
        evaluated = page.evaluate(
            """() => new Promise((resolve) => setTimeout(() => {
                try { resolve(new Function("return 1")()); } catch { resolve("refused"); }
            }))"""
        )
        assert evaluated == "refused"
        page.wait_for_timeout(100)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)
    assert arrived == []


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (360, "light")])
def test_the_page_is_accessible_and_fits(open_site, site_url, photo, width, scheme):
    """Before and after a result: no serious fault by axe's rules, and nothing to scroll sideways."""
    page = open_site(site_url, viewport={"width": width, "height": 800}, color_scheme=scheme)
    for path in (None, photo):
        if path is not None:
            choose(page, path)
        rules = Axe().run(page).response["violations"]
        assert [
            (rule["id"], rule["nodes"][0]["html"]) for rule in rules if rule["impact"] in ("serious", "critical")
        ] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("[role=status]:visible").count() >= 1


def test_the_result_is_saved_as_a_report(open_site, chromium, site_url, photo, tmp_path):
    page = open_site(site_url)
    choose(page, photo)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download report").click()
    download.value.save_as(tmp_path / "report.html")
    report = chromium.new_page()
    report.goto((tmp_path / "report.html").as_uri())
    expect(report.locator(".pane canvas")).to_be_visible()
    assert report.title() == "SeeWhy: squares.png"
    assert report.locator(".side ol:visible button .name").all_inner_texts() == [
        name for name, _ in shown_targets(page)
    ]
    report.close()
