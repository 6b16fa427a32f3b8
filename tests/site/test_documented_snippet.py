"""The JavaScript of the documentation runs in a browser, and returns what Python does."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.site.conftest import serving
from tests.site.test_site_folder import explainer_of

import seewhy
from seewhy.site.browser_runtime import RUNTIME, SCRIPT, WASM

PAGE = Path(__file__).parents[2] / "docs/howto/ship-a-model.md"
HTML = f"""<!doctype html><title>Snippet</title><link rel="icon" href="data:,">
<script type="importmap">{{"imports": {{"onnxruntime-web": "./{Path(SCRIPT).stem}.js"}}}}</script>"""
DRAW = """async values => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [8, 8];
    const image = new ImageData(Uint8ClampedArray.from(values), 8, 8);
    canvas.getContext("2d").putImageData(image, 0, 0);
    const { explain } = await import("./snippet.js");
    return (await explain(canvas)).map((target) => ({ ...target, heatmap: Array.from(target.heatmap) }));
}"""


@pytest.mark.slow(reason="starts Chromium, and ONNX Runtime in it")
@pytest.mark.usefixtures("browser_runtime")
def test_the_javascript_of_the_documentation_runs(chromium, tmp_path):
    (snippet,) = re.findall(r"^```javascript\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "snippet.js").write_text(snippet, "utf-8")
    (tmp_path / "index.html").write_text(HTML)
    shutil.copy(RUNTIME / SCRIPT, tmp_path / f"{Path(SCRIPT).stem}.js")
    shutil.copy(RUNTIME / WASM, tmp_path)
    explainer = explainer_of(7)
    seewhy.export(explainer, tmp_path / "top.onnx", targets="top-3", preprocess=True)
    pixels = np.random.default_rng(5).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    with serving(tmp_path) as url:
        page = chromium.new_page()
        page.goto(url)
        found = page.evaluate(DRAW, pixels.ravel().tolist())
        page.close()
    (explanation,) = explainer.explain(pixels[..., :3].copy(), "top-3")
    assert [target["index"] for target in found] == [target.index for target in explanation.targets]
    expected = [target.probability for target in explanation.targets]
    np.testing.assert_allclose([target["probability"] for target in found], expected, rtol=1e-4)
    heatmaps = [np.reshape(target["heatmap"], (target["rows"], target["columns"])) for target in found]
    np.testing.assert_allclose(heatmaps, explanation.heatmaps, atol=1e-4 * explanation.heatmaps.max())
