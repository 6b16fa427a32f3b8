"""Volumes, videos and signals: a frame is drawn as in Python, on one scale for all frames, and pages are bounded."""

import base64
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.viewer.test_accessibility import violations

from seewhy import (
    GridPlacement,
    Prediction,
    Signal,
    SignalExplanation,
    TargetResult,
    Video,
    VideoExplanation,
    Volume,
    VolumeExplanation,
)
from seewhy.viewer.photos import PhotoLimits
from seewhy.viewer.recording_data import reduced
from seewhy.viewer.report import write_report
from seewhy.viewer.viewer_data import viewer_data

CLOSE = 2
"""Of 255, as in test_pixels.py."""

RANDOM = np.random.default_rng(0)
FLIPPED = np.array([[0, 0, -2.0, 5], [0, 1.0, 0, 0], [-1.5, 0, 0, 3], [0, 0, 0, 1]])
"""The affine of slices from head to feet, 1.5 mm apart, with rows of 1 mm from back to front, and columns of 2 mm."""


def targets_of(heatmaps):
    names = ["cyst", "scar"]
    return {
        "heatmaps": heatmaps,
        "targets": tuple(TargetResult(i, name, 2.0 - i, 0.6 - 0.2 * i, True) for i, name in enumerate(names)),
        "predictions": tuple(Prediction(i, name, 0.6 - 0.2 * i) for i, name in enumerate(names)),
        "layer": "conv",
        "method": "gradcam",
        "title": "Grad-CAM",
    }


def volume(**changes):
    """Return an explanation of 12 x 20 x 16 voxels, of which the model saw a part, with the peak in cell (2, 1, 3)."""
    heatmaps = RANDOM.random((2, 3, 4, 5), dtype=np.float32)
    heatmaps[0, 2, 1, 3] = 2
    values = {
        **targets_of(heatmaps),
        "volume": Volume(RANDOM.random((12, 20, 16), dtype=np.float32), affine=FLIPPED),
        "placement": GridPlacement((12, 20, 16), ((1.0, 12.0), (0.0, 20.0), (2.5, 16.0))),
    }
    return VolumeExplanation(**{**values, **changes})


@pytest.fixture(scope="module")
def scan():
    return volume()


@pytest.fixture(scope="module")
def scan_report(scan, tmp_path_factory):
    return scan.report(tmp_path_factory.mktemp("reports") / "scan.html")


@pytest.fixture(scope="module")
def film():
    frames = RANDOM.integers(0, 256, (6, 24, 32, 3), dtype=np.uint8)
    maps = RANDOM.random((2, 3, 4, 4), dtype=np.float32)
    maps[0, 2, 0, 0] = 3
    everything = GridPlacement((6, 24, 32), ((0.0, 6.0), (0.0, 24.0), (0.0, 32.0)))
    return VideoExplanation(**targets_of(maps), video=Video(frames, 20.0), placement=everything)


@pytest.fixture(scope="module")
def sound():
    """A signal of 400 samples in two channels; the first target has its peak at samples 200 to 220."""
    times = np.arange(400) / 100
    values = np.stack([np.sin(5 * times), np.cos(2 * times)], axis=1).astype(np.float32)
    maps = np.zeros((2, 20), np.float32)
    maps[0, 10], maps[1, 2] = 4, 1
    whole = GridPlacement((400,), ((0.0, 400.0),))
    return SignalExplanation(**targets_of(maps), signal=Signal(values, 100.0), placement=whole)


@pytest.fixture(scope="module")
def sound_report(sound, tmp_path_factory):
    return sound.report(tmp_path_factory.mktemp("reports") / "sound.html")


def go_to(page, frame):
    page.locator(".frame-choice input[type=range]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", str(frame)
    )


def label(page):
    return page.locator(".frame-choice output").inner_text()


def differences(one, other):
    return np.abs(one.astype(int) - other.astype(int))


@pytest.mark.parametrize(("axis", "name"), [(0, "Axial"), (1, "Coronal"), (2, "Sagittal")])
def test_a_slice_is_python_s_with_one_scale_for_all(open_page, canvas_pixels, scan, scan_report, axis, name):
    page = open_page(scan_report)
    page.get_by_role("radio", name=name).check()
    page.locator("ol button").nth(1).focus()
    for position in (0, 5, scan.frame_count(axis) - 1):
        go_to(page, position)
        expected = scan.overlay(1, position=position, axis=axis)
        page.wait_for_function("size => document.querySelector('.pane canvas').height === size", arg=expected.shape[0])
        assert label(page) == scan.frame_label(position, axis)
        drawn = canvas_pixels(page.locator(".pane canvas"))
        assert drawn.shape == expected.shape
        assert (differences(drawn, expected) > CLOSE).mean() < 0.002
    assert page.locator(".legend").inner_text().split() == ["0", f"{scan.heatmaps[1].max():.3g}"]
    assert "scaled to its peak in all of this volume" in page.locator(".caption:visible").inner_text()


def test_a_volume_opens_at_its_peak_and_returns_to_it(open_page, scan, scan_report):
    page = open_page(scan_report)
    strongest = scan.frame_label(scan.strongest_frame(0))
    assert label(page) == strongest
    slider = page.get_by_label("Slice", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    assert label(page) == "axial slice 1 of 12"
    assert slider.get_attribute("aria-valuetext") == "axial slice 1 of 12"
    page.locator(".pane canvas").hover()
    assert page.locator(".value").inner_text().startswith("At ")
    assert page.locator(".value").inner_text().endswith(": 0, 0% of the peak")  # before the first slice that it saw
    page.get_by_role("button", name="Go to the peak").click()
    assert label(page) == strongest


@pytest.mark.parametrize("width", [1280, 360])
def test_the_slider_keeps_its_width_whatever_frame_it_shows(open_page, tmp_path, width):
    """Also beside the longest label, and within the page."""
    deep = volume(
        volume=Volume(np.zeros((1200, 4, 4), np.float32), affine=np.eye(4)),
        placement=GridPlacement((1200, 4, 4), ((0.0, 1200.0), (0.0, 4.0), (0.0, 4.0))),
    )
    page = open_page(deep.report(tmp_path / "deep.html"), width=width)
    widths = set()
    for position in (0, 9, 99):
        go_to(page, position)
        widths.add(page.locator(".frame-choice input[type=range]").bounding_box()["width"])
    assert len(widths) == 1
    assert widths.pop() >= 40
    assert label(page).startswith("sagittal slice ")
    assert label(page).endswith(" of 1200")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_times_on_a_long_signal_tell_its_parts_apart(open_page, tmp_path):
    """Three hours at 250 Hz: 10,804 s was shown as 10,800 s."""
    long = Signal(np.zeros(2_701_000, np.float32), 250.0)
    heatmaps = np.zeros((2, 100), np.float32)
    heatmaps[0, -1] = 1
    whole = GridPlacement((2_701_000,), ((0.0, 2_701_000.0),))
    page = open_page(
        SignalExplanation(**targets_of(heatmaps), signal=long, placement=whole).report(tmp_path / "s.html")
    )
    times = [text.replace("\u00a0", " ") for text in page.locator(".times span").all_inner_texts()]
    assert times == ["0 s", "2701 s", "5402 s", "8103 s", "10804 s"]
    assert page.locator("canvas.signal").get_attribute("aria-label").endswith("strongest at 10750\u00a0s")


def test_the_threshold_is_a_share_of_the_peak_of_the_volume(open_page, canvas_pixels, slide, scan, scan_report):
    page = open_page(scan_report)
    slide(page, "Threshold", 60)
    go_to(page, 3)  # the first cell has no value of 60% of the peak
    drawn = canvas_pixels(page.locator(".pane canvas"))
    assert differences(drawn, scan.frame(3)).max() == 0


def test_two_targets_are_compared_on_the_same_slice(open_page, scan_report):
    page = open_page(scan_report, width=1280)
    page.locator("ol button").nth(0).click()
    page.locator("ol button").nth(1).click()
    go_to(page, 2)
    names = page.locator(".pane canvas").evaluate_all("all => all.map((canvas) => canvas.getAttribute('aria-label'))")
    assert len(names) == 2
    assert all("volume 1, axial slice 3 of 12: " in name for name in names)
    page.get_by_role("radio", name="Difference").check()
    assert page.locator(".pane").count() == 1
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as PNG").click()
    assert waiting.value.suggested_filename == "volume_1_axial_slice_3_of_12_gradcam_cyst_minus_scar.png"


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_video_is_played_and_paused(open_page, film, tmp_path, motion):
    page = open_page(film.report(tmp_path / "film.html"))
    page.emulate_media(reduced_motion=motion)
    assert label(page) == film.frame_label(film.strongest_frame(0))
    first = label(page)
    page.get_by_role("button", name="Play").click()
    if motion == "reduce":
        page.wait_for_timeout(200)  # four frames, but then each is shown for a second
        assert label(page) == first
    else:
        is_other = "first => document.querySelector('.frame-choice output').textContent !== first"
        page.wait_for_function(is_other, arg=first)
    page.get_by_role("button", name="Pause").click()
    paused = label(page)
    page.wait_for_timeout(120)
    assert label(page) == paused


def test_a_signal_is_a_line_in_the_colours_of_the_evidence(open_page, canvas_pixels, slide, sound, sound_report):
    page = open_page(sound_report)
    canvas = page.locator(".pane canvas")
    pixels = canvas_pixels(canvas).astype(int)
    yellow = (pixels[..., 0] > 200) & (pixels[..., 1] > 200) & (pixels[..., 2] < 100)
    columns = np.nonzero(yellow.any(axis=0))[0] / pixels.shape[1]
    assert 0.5 < columns.min() < 210 / 400 < columns.max() < 0.56  # around the centre of the cell with the peak
    bounds = canvas.bounding_box()
    page.mouse.move(bounds["x"] + bounds["width"] * 210.5 / 400, bounds["y"] + 20)
    text = page.locator(".value").inner_text()
    match = re.fullmatch(r"At (\S+)\ss: (\S+), (\S+); evidence (\S+), (\d+)% of the peak", text)
    assert float(match[1]) == pytest.approx(2.105, abs=0.01)
    shown = [float(match[number].replace("\N{MINUS SIGN}", "-")) for number in (2, 3)]
    assert shown == pytest.approx(sound.signal.samples[210], abs=0.02)
    assert float(match[4]) == pytest.approx(4, rel=0.1)
    slide(page, "Threshold", 50)
    grey = canvas_pixels(canvas)[:, : pixels.shape[1] // 3].astype(int)
    assert np.ptp(grey, axis=2).max() < 30
    page.locator("ol button").nth(1).hover()
    assert canvas.get_attribute("aria-label").endswith("strongest at 0.5\N{NO-BREAK SPACE}s")


def test_a_signal_is_zoomed_along_its_time_and_read_with_the_keyboard(open_page, sound_report):
    page = open_page(sound_report, width=390)
    canvas = page.locator(".pane canvas")
    before = canvas.bounding_box()
    page.get_by_role("button", name="Zoom in").click()
    after = canvas.bounding_box()
    assert after["width"] == pytest.approx(2 * before["width"], rel=0.01)
    assert after["height"] == before["height"]
    assert page.locator(".times span").count() == 9
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".value").inner_text().startswith("At 2.02")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_gallery_of_recordings(open_page, canvas_pixels, scan, film, sound, tmp_path):
    page = open_page(write_report([scan, film, sound], tmp_path / "many.html"))
    page.wait_for_selector(".card[data-drawn] >> nth=2")
    assert page.locator(".card .name").all_inner_texts() == ["volume 1", "video 2", "signal 3"]
    drawn = canvas_pixels(page.locator(".card canvas").first)
    assert differences(drawn, scan.overlay(0)).max() <= CLOSE
    page.locator(".card button").nth(1).click()
    page.wait_for_selector(".frame-choice")
    page.get_by_role("button", name="Play").click()
    page.keyboard.press("Escape")  # the frames are not played any more
    page.locator(".card button").nth(2).click()
    page.wait_for_selector(".signal-pane")


def test_a_notebook_shows_a_small_recording_in_the_viewer(open_page, film, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>A notebook</title>{film._repr_html_()}", "utf-8")
    page = open_page(path, ready="iframe", expected="srcdoc")
    frame = page.frame_locator("iframe")
    frame.get_by_role("slider", name="Frame").press("Home")
    assert frame.locator(".frame-choice output").inner_text() == film.frame_label(0)
    large = volume(volume=Volume(RANDOM.random((12, 200, 160), dtype=np.float32)))
    html = replace(large, placement=GridPlacement((12, 200, 160), ((0, 12), (0, 200), (0, 160))))._repr_html_()
    assert "<iframe" not in html
    assert "too large for the viewer in a notebook" in html
    assert 'in the volume"' in html


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_recordings_are_accessible(open_page, scan_report, sound_report, width, scheme):
    for report in (scan_report, sound_report):
        page = open_page(report, width=width, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page) == []


def test_large_recordings_are_reduced_and_the_page_says_so(film):
    large = volume(
        volume=Volume(RANDOM.random((60, 60, 60), dtype=np.float32)),
        heatmaps=RANDOM.random((2, 40, 40, 40), dtype=np.float32),
        placement=GridPlacement((60, 60, 60), ((0.0, 60.0),) * 3),
    )
    limits = PhotoLimits(400, 0)
    (entry,) = viewer_data([large], limits=limits)["images"]
    axes = entry["recording"]["axes"]
    assert [len(axis["frames"]) for axis in axes] == [24, 24, 24]
    assert [axis["side"] for axis in axes] == [47, 47, 47]  # 24 frames of 47 x 47 pixels are a third of 400 x 400
    assert [frame["position"] for frame in axes[0]["frames"]][:3] == [1, 3, 6]
    (where, *_) = entry["explanations"][0]["axes"]
    assert (where["depth"], where["rows"], where["columns"]) == (11, 11, 11)
    assert entry["note"] == (
        "This page has 24 of 60 slices (axis 0), 24 of 60 slices (axis 1), 24 of 60 slices (axis 2), at equal "
        "distances. "
        "The slices (axis 0 and axis 1 and axis 2) are scaled down to at most 47 pixels. "
        "The 40 x 40 x 40 cells of each heatmap are averaged to 11 x 11 x 11; saved files have all."
    )
    assert "note" not in viewer_data([film])["images"][0]


def test_cells_are_averaged_by_their_overlap():
    maps = np.array([[1, 2, 3, 4, 5]], np.float32)
    np.testing.assert_allclose(reduced(maps, 2), [[(1 + 2 + 1.5) / 2.5, (1.5 + 4 + 5) / 2.5]])
    assert reduced(maps, 5) is maps


def test_a_long_signal_keeps_its_range_and_its_strongest_evidence(sound):
    values, maps = np.zeros(50_000, np.float32), np.zeros((2, 50_000), np.float32)
    values[12_345], maps[0, 777], maps[1, 5] = 1, 3, -2
    whole = GridPlacement((50_000,), ((0.0, 50_000.0),))
    long = SignalExplanation(**targets_of(maps), signal=Signal(values), placement=whole)
    (entry,) = viewer_data([long])["images"]
    assert entry["signal"]["points"] == 2000
    assert len(entry["signal"]["highs"]) < 11_000
    shown = entry["explanations"][0]
    assert shown["columns"] == 2000
    kept = [np.frombuffer(base64.b64decode(target["heatmap"]), "<f4") for target in shown["targets"]]
    assert kept[0].argmax() == 777 // 25
    assert kept[0].max() == 3
    assert kept[1].min() == -2
    assert entry["note"].startswith("Of 50,000 samples, the range of the values and the strongest evidence")
    assert "note" not in viewer_data([sound])["images"][0]
