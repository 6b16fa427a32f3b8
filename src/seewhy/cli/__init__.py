"""The command line: parse, call the library, print."""

import os
import sys

from seewhy.cli.app import app
from seewhy.cli.terminal import print_error, showing_hints
from seewhy.errors import SeewhyError


def main() -> None:
    """Run the command line. What SeeWhy raises becomes a message and an exit code, never a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with showing_hints():
            app()
    except SeewhyError as error:
        print_error(error)
        sys.exit(error.exit_code)
