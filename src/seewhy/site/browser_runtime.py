"""ONNX Runtime Web, as far as it is here: wheels carry it, and a clone of the repository gets it by a command."""

import importlib.util
from pathlib import Path

from seewhy.errors import OutputError

RUNTIME = Path(__file__).parent / "runtime"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
VERSION_FILE = "VERSION"
"""Written last by `hatch_build.py`, which says where the files come from."""

CLONE = Path(__file__).parents[3]
"""The clone of the repository, if this is one."""

NOTICES = "ThirdPartyNotices.txt"


def check_runtime() -> None:
    """Raise OutputError, which says how to get them, if the files of ONNX Runtime Web are not here."""
    if all((RUNTIME / name).is_file() for name in (SCRIPT, WASM, VERSION_FILE)):
        return
    if (CLONE / "hatch_build.py").is_file():
        remedy = f"Bring it with: make -C {CLONE} browser-runtime"
    else:
        remedy = (
            "SeeWhy was built where the npm registry could not be reached; install a wheel that has it, or build again "
            "where it can: pip install --force-reinstall --no-deps --no-cache-dir seewhy"
        )
    raise OutputError(f"A site needs ONNX Runtime Web, which is not in this installation of SeeWhy. {remedy}")


def third_party_notices() -> bytes | None:
    """Return the notices of the software in ONNX Runtime, which the Python package has; None where it does not."""
    spec = importlib.util.find_spec("onnxruntime")
    path = None if spec is None or spec.origin is None else Path(spec.origin).with_name(NOTICES)
    return path.read_bytes() if path is not None and path.is_file() else None
