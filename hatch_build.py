"""The build hook, which brings ONNX Runtime Web for `seewhy site`; run as a script, it does only that.

The files are those of a pinned npm package, checked against its SHA-512. They are not committed: wheels and sdists
carry them, so that nobody who installs one needs npm, and a wheel is built from an sdist without a network. `npm pack`
fetches the package, with the user's settings, where npm is installed. Otherwise it is a plain download from the
registry that `NPM_CONFIG_REGISTRY` names, or from npm's own.
"""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package, as the registry states it (`npm view onnxruntime-web dist.integrity`)."""

FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""The loader, an ES module, and what it loads; both from the package's folder `dist`."""

STAMP = "VERSION"
"""Written last, so that files of another version, or half a set of them, are brought anew."""

FOLDER = Path(__file__).parent / "src/seewhy/site/runtime"
PUBLIC_REGISTRY = "https://registry.npmjs.org"
REQUIRED = "SEEWHY_BROWSER_RUNTIME"
"""An environment variable: "required" lets the build fail where the files cannot be had."""

TIMEOUT = 300


class RuntimeUnavailableError(Exception):
    """The package cannot be fetched, or is another one."""


def is_here() -> bool:
    """Whether the files of this version are in the source tree."""
    stamp = FOLDER / STAMP
    return stamp.is_file() and stamp.read_text() == VERSION and all((FOLDER / name).is_file() for name in FILES)


def bring() -> None:
    """Fetch the package and take the files out of it, unless they are here.

    Raises:
        RuntimeUnavailableError: The package cannot be fetched, or is another one.
    """
    if is_here():
        return
    package = _npm_pack() if shutil.which("npm") else _download()
    if base64.b64encode(hashlib.sha512(package).digest()).decode() != SHA512:
        raise RuntimeUnavailableError(f"the package {PACKAGE} {VERSION} has another SHA-512 than the one pinned here")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / STAMP).unlink(missing_ok=True)
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        for name in FILES:
            file = archive.extractfile(f"package/dist/{name}")
            assert file is not None  # the hash says what is in the package
            (FOLDER / name).write_bytes(file.read())
    (FOLDER / STAMP).write_text(VERSION)


def _npm_pack() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
        command = ["npm", "pack", "--ignore-scripts", "--loglevel=error", *patience, f"{PACKAGE}@{VERSION}"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=TIMEOUT)
        except subprocess.CalledProcessError as error:
            said = " ".join(error.stderr.split())[:300]
            raise RuntimeUnavailableError(f"npm failed: {said}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuntimeUnavailableError(f"npm failed: {error}") from error
        return (Path(folder) / f"{PACKAGE}-{VERSION}.tgz").read_bytes()


def _download() -> bytes:
    registry = os.environ.get("NPM_CONFIG_REGISTRY", PUBLIC_REGISTRY)
    url = f"{registry.rstrip('/')}/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz"
    if not url.startswith(("https://", "http://")):
        raise RuntimeUnavailableError(f"the registry {registry} is not an address of the web")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310  # checked above
            return response.read()
    except (urllib.error.URLError, OSError) as error:
        raise RuntimeUnavailableError(f"{url} cannot be read: {error}") from error


def _advice(error: RuntimeUnavailableError) -> str:
    return (
        f"ONNX Runtime Web was not brought: {error}. Without it everything works but 'seewhy site'. To bring it, name "
        "an npm registry that can be reached in NPM_CONFIG_REGISTRY, and build again."
    )


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run as a script, where hatchling need not be installed
    pass
else:

    class BrowserRuntimeHook(BuildHookInterface):  # type: ignore[type-arg,misc,no-any-unimported]
        """Brings the files before a wheel or an sdist is built; an editable install does not carry files."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, object]) -> None:
            """Bring the files, or warn that the build goes on without them."""
            if version == "editable":
                return
            try:
                bring()
            except RuntimeUnavailableError as error:
                if os.environ.get(REQUIRED) == "required":
                    raise
                self.app.display_warning(_advice(error))


if __name__ == "__main__":
    try:
        bring()
    except RuntimeUnavailableError as error:
        sys.exit(_advice(error))
