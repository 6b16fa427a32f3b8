"""What only a built model tells, remembered from one run to the next: some models take ten seconds to build."""

import gc
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from seewhy.errors import OutputError
from seewhy.images.writing import write_atomically
from seewhy.models.keras_applications import Application, input_size


class Facts(NamedTuple):
    """What the table of models says of an architecture; `input_size` is (h, w) in pixels."""

    input_size: tuple[int, int]
    parameters: int


class FactsFile:
    """Facts of one version of Keras, in a file of the user's cache folder. One that is damaged is made anew."""

    def __init__(self) -> None:
        import keras

        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seewhy"
        self.path = folder / f"keras-applications-{keras.__version__}.json"

    def read(self) -> Mapping[str, Facts]:
        """Return what is known, by the architecture's name."""
        try:
            content = json.loads(self.path.read_bytes())
            return {name: Facts((int(h), int(w)), int(count)) for name, ((h, w), count) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):  # not there, or not ours
            return {}

    def write(self, facts: Mapping[str, Facts]) -> None:
        """Keep what is known.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot make the folder {self.path.parent}: {error.strerror or error}.") from error
        write_atomically(self.path, lambda file: file.write(json.dumps(facts, indent=1).encode()))


def look_up(application: Application) -> Facts:
    """Build the model, with random weights, and ask it."""
    model = application.build(pretrained=False)
    facts = Facts(input_size(model), model.count_params())
    del model
    gc.collect()  # models are full of cycles, and the largest holds 1.4 GB
    return facts
