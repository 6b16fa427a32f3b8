"""Record what a piece of code does to the machine and to Keras's settings."""

import contextlib
import os
import random
import sys
import tempfile

import keras
import numpy as np

ACTIONS = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.sendto",
    "urllib.Request",
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chdir",
    "os.putenv",
    "os.kill",
    "shutil.copyfile",
    "shutil.rmtree",
    "webbrowser.open",
    "ctypes.dlopen",
    "marshal.loads",
    "pickle.find_class",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
recorders: list[list[tuple]] = []


def _hook(event, arguments):
    if not recorders:
        return
    is_action = event in ACTIONS
    if event == "open":
        is_action = _is_writing(*arguments)
    elif event == "subprocess.Popen":
        is_action = list(arguments[1][:3]) != [sys.executable, "-I", "-c"]
    elif event == "marshal.loads":
        is_action = not sys._getframe(1).f_code.co_filename.startswith("<frozen importlib")
    if is_action and not str(arguments[0]).startswith(("/dev/null", str(sys.pycache_prefix))):
        for record in recorders:
            record.append((event, *map(repr, arguments)))


def _is_writing(path, mode, flags):
    """Descriptors are pipes to the process that inspects a file. TensorFlow traces functions by temporary files."""
    is_temporary = "__autograph_generated_file" in str(path) or path == tempfile.gettempdir()
    is_writing = bool(set(mode or "") & set("wax+") or (flags or 0) & WRITING)
    return is_writing and not isinstance(path, int) and not is_temporary


sys.addaudithook(_hook)  # it cannot be removed


def settings():
    """Everything in Keras and Python that a file could change for the whole process."""
    config = keras.config
    getters = (config.floatx, config.epsilon, config.image_data_format, config.backend, config.dtype_policy)
    flags = (
        config.is_flash_attention_enabled,
        config.is_interactive_logging_enabled,
        config.is_traceback_filtering_enabled,
        keras.src.saving.serialization_lib.in_safe_mode,
        keras.distribution.distribution,
    )
    return {
        **{getter.__name__: str(getter()) for getter in getters + flags},
        "registered": sorted(keras.saving.get_custom_objects()),
        "limits": (config.max_epochs(), config.max_steps_per_epoch()),
        "environment": dict(os.environ),
        "random": random.getstate(),
        "numpy random": str(np.random.get_state()),
    }


@contextlib.contextmanager
def nothing_happens(*folders, may_draw_seeds=False):
    """Check that a block writes, connects, starts and changes nothing, and leaves the files in some folders alone."""
    before, record = _state(folders), []
    recorders.append(record)
    try:
        yield
    finally:
        recorders.remove(record)
    assert not record, record
    after = _state(folders)
    changed = {name for name in before if after[name] != before[name]}
    assert changed <= ({"random", "numpy random"} if may_draw_seeds else set()), changed


def _state(folders):
    files = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return {**settings(), "files": [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files]}
