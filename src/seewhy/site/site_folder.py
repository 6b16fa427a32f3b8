"""Writing the folder of a site."""

import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from seewhy.errors import OutputError
from seewhy.images.writing import image_writer, write_atomically
from seewhy.site.browser_runtime import NOTICES, RUNTIME, SCRIPT, WASM, third_party_notices
from seewhy.site.manifest import FORMAT, SiteModel, file_data, site_manifest
from seewhy.types import ImageArray
from seewhy.viewer.assets import ASSETS
from seewhy.viewer.report import report_template

HERE = Path(__file__).parent
OWN_PAGE = HERE / "page"
SERVED_PAGE = HERE.parent / "serve" / "page"
"""The web page of `seewhy serve`, whose parts this page shares."""

SHARED = (
    "icon.svg",
    "image_inputs.js",
    "messages.js",
    "multiselect.js",
    "page.css",
    "report_download.js",
    "text_search.js",
)
MANIFEST, MODEL, LICENSES = "site.json", "model/model.onnx", "LICENSES.txt"
RUNTIME_SCRIPT = f"runtime/{Path(SCRIPT).stem}.js"
"""With a suffix that every static host serves as JavaScript; ".mjs" is unknown to some."""

RUNTIME_WASM = f"runtime/{WASM}"

SAMPLE_SIDE = 1024
SAMPLES = {
    "cat.jpg": "Chelsea the cat",
    "coffee.jpg": "A cup of coffee",
    "rocket.jpg": "A rocket launch",
}
CREDITS = "Photos: Stéfan van der Walt (CC0), Rachel Michetti (CC0), SpaceX (public domain)"


class Samples:
    """The sample photos of a site, by file name, with their alternative texts, and a line that names their authors."""

    def __init__(self, photos: Mapping[str, bytes], texts: Mapping[str, str], authors: str = "") -> None:
        self.photos, self.texts, self.authors = photos, texts, authors

    @classmethod
    def of_seewhy(cls) -> "Samples":
        """Return the three photos of `seewhy serve`."""
        return cls({name: (SERVED_PAGE / "samples" / name).read_bytes() for name in SAMPLES}, SAMPLES, CREDITS)

    @classmethod
    def of_images(cls, images: Sequence[ImageArray], names: Sequence[str]) -> "Samples":
        """Return the caller's images, scaled down; `names` are their alternative texts."""
        files = {f"sample_{number}.jpg": _small_jpeg(image) for number, image in enumerate(images, 1)}
        return cls(files, dict(zip(files, names, strict=True)))


def write_folder(model: SiteModel, folder: Path, samples: Samples) -> Path:
    """Write the folder of a site, and return its path.

    Raises:
        OutputError: The folder has other files than a site's, or cannot be written.
    """
    check_folder(folder)
    former, contents = _former_files(folder), _contents(model, samples)
    wasm = file_data(RUNTIME_WASM, contents[RUNTIME_WASM])
    manifest = site_manifest(model, file_data(MODEL, model.content), {"script": RUNTIME_SCRIPT, "wasm": wasm}, contents)
    contents[MANIFEST] = json.dumps(manifest, ensure_ascii=False, allow_nan=False).encode()  # last: all is there
    for name, content in contents.items():
        write_atomically(folder / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
    for path in former - {folder / name for name in contents}:
        path.unlink(missing_ok=True)
    return folder


def _contents(model: SiteModel, samples: Samples) -> dict[str, bytes]:
    """Return the content of every file but the manifest, by its path."""
    notices = third_party_notices()
    return {
        **_read_all("viewer", ASSETS, lambda name: name not in ("report.js", "report.css", "widget.js")),
        **_read_all("page", SERVED_PAGE, lambda name: name in SHARED),
        **_read_all("page", OWN_PAGE, lambda name: name != "index.html"),
        **{f"samples/{name}": content for name, content in samples.photos.items()},
        **({} if notices is None else {f"runtime/{NOTICES}": notices}),
        "runtime/LICENSES.md": (HERE / "LICENSES.md").read_bytes(),
        RUNTIME_SCRIPT: (RUNTIME / SCRIPT).read_bytes(),
        RUNTIME_WASM: (RUNTIME / WASM).read_bytes(),
        MODEL: model.content,
        LICENSES: _licenses(model.name, samples).encode("utf-8-sig"),  # hosts do not say how it is encoded
        "report.html": report_template().encode(),
        "index.html": _index(model.name, samples).encode(),
    }


def _former_files(folder: Path) -> set[Path]:
    """Return the files of the site that is replaced, inside of its folder, whatever its manifest says."""
    files = (_manifest_of(folder) or {}).get("files", [])
    paths = [folder / name for name in files if isinstance(name, str) and "\0" not in name]
    return {path for path in paths if path.is_file() and path.resolve().is_relative_to(folder.resolve())}


def check_folder(folder: Path) -> None:
    """Raise OutputError unless the folder is missing, empty or that of a site; hidden files, as Git's, do not count."""
    try:
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"Cannot write a site to {folder}: {error.strerror}. Give a new folder.") from error
    if others and _manifest_of(folder) is None:
        raise OutputError(
            f"{folder} has files that are not of a site, such as {sorted(others)[0]!r}. Give a new or an empty folder."
        )


def _manifest_of(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder; None if it is not that of a site."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None


def _read_all(prefix: str, folder: Path, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and is_wanted(path.name))
    return {f"{prefix}/{path.name}": path.read_bytes() for path in files}


def _index(model_name: str, samples: Samples) -> str:
    template = Template((OWN_PAGE / "index.html").read_text("utf-8"))
    return template.substitute(model=html.escape(model_name), samples=_sample_list(samples))


def _sample_list(samples: Samples) -> str:
    """Return the HTML of the samples, in which `image_inputs.js` finds them."""
    buttons = "\n        ".join(
        f'<li><button type="button" data-sample="{html.escape(name)}"><img src="samples/{html.escape(name)}" '
        f'alt="{html.escape(samples.texts[name])}" width="96" height="64"></button></li>'
        for name in samples.photos
    )
    heading = "<h3>Or try a sample</h3>" if samples.photos else ""
    return (
        f'<div class="samples">\n      {heading}\n      <ul id="samples">\n        {buttons}\n      </ul>\n'
        f'      <p class="credits">{html.escape(samples.authors)}</p>\n    </div>'
    )


def _licenses(model_name: str, samples: Samples) -> str:
    parts = [
        "This site was written by SeeWhy, which is under the Apache License 2.0:\n"
        "https://www.apache.org/licenses/LICENSE-2.0",
        f"The model {model_name} (model/model.onnx) is under the licence of its authors.",
        "runtime/LICENSES.md and runtime/ThirdPartyNotices.txt are the licences of ONNX Runtime Web.",
    ]
    if samples.authors:
        parts.append((SERVED_PAGE / "samples" / "LICENSES.md").read_text("utf-8").strip())
    return "\n\n".join(parts) + "\n"


def _small_jpeg(image: ImageArray) -> bytes:
    photo = Image.fromarray(image)
    photo.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image_writer(np.asarray(photo), ".jpg")(file)
    return file.getvalue()
