"""Reading an object from a JSON file that may be anyone's."""

import json
from pathlib import Path
from typing import Any

from seewhy.errors import ModelError, WeightsError
from seewhy.models.config_check import check_size
from seewhy.regular_files import FileTooLargeError, NotRegularFileError, read_regular_file

SHOWN = 60
"""How many characters of a wrong value a message shows."""


def read_json_object(path: Path, max_bytes: int, expected: str = "an object") -> dict[str, Any]:
    """Read the object that a JSON file contains.

    Args:
        path: The file.
        max_bytes: The size of a file that is not read.
        expected: What the message for any other content expects.

    Raises:
        WeightsError: The file cannot be read.
        ModelError: The file is not a regular file, is too large, is not JSON, is nested too deeply or contains no
            object.
    """
    try:
        content = json.loads(read_regular_file(path, max_bytes))
        check_size(content)
    except (NotRegularFileError, FileTooLargeError) as error:
        raise ModelError(f"{path} is not read: {error}.") from error
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error
    except ModelError as error:
        raise ModelError(f"{path} is malicious: {error}.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} contains {shown_json(content)}; expected {expected}.")
    return content


def shown_json(value: Any) -> str:
    """Return a value as a message shows it: as JSON, and the beginning only of a long one."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
