"""The input size and parameter count of each `keras.applications` architecture, cached in a file.

Only a built model knows them, and some take ten seconds to build.
"""

import gc
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from seewhy.errors import OutputError
from seewhy.images.writing import write_atomically
from seewhy.models.keras_applications import Application, input_size

_logger = logging.getLogger("seewhy.models")


class ApplicationSize(NamedTuple):
    """What `seewhy models` lists for an architecture; `input_size` is (h, w) in pixels."""

    input_size: tuple[int, int]
    parameters: int


class SizeCache:
    """A file in the user's cache folder, for one version of Keras. A damaged file is replaced."""

    def __init__(self) -> None:
        import keras

        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seewhy"
        self.path = folder / f"keras-applications-{keras.__version__}.json"

    def read(self) -> Mapping[str, ApplicationSize]:
        """Return the cached facts by the architecture's name."""
        try:
            content = json.loads(self.path.read_bytes())
            return {name: ApplicationSize((int(h), int(w)), int(count)) for name, ((h, w), count) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):  # the file is missing or has other content
            return {}

    def write(self, facts: Mapping[str, ApplicationSize]) -> None:
        """Replace the cached facts.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot create the folder {self.path.parent}: {error.strerror or error}.") from error
        write_atomically(self.path, lambda file: file.write(json.dumps(facts, indent=1).encode()))
        _logger.info("cached the sizes of %d models in %s", len(facts), self.path)


def read_sizes(application: Application) -> ApplicationSize:
    """Build the model, with random weights, and return its facts."""
    model = application.build(pretrained=False)
    facts = ApplicationSize(input_size(model), model.count_params())
    del model
    gc.collect()  # models are full of reference cycles, and the largest takes 1.4 GB
    return facts
