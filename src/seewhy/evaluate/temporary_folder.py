"""A folder that is deleted when it is no longer in use."""

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import final


@final
class TemporaryFolder:
    """A new folder, which is deleted together with this object, or when Python ends.

    Attributes:
        path: Where it is.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="seewhy-study-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
