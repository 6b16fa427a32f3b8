"""The command line: parse, call the library, print."""

import errno
import os
import sys

from seewhy.cli.app import app
from seewhy.cli.terminal import print_error, showing_hints
from seewhy.errors import OutputError, SeewhyError


def main() -> None:
    """Run the command line. What SeeWhy raises becomes a message and an exit code, never a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        try:
            with showing_hints():
                app()
        finally:
            sys.stdout.flush()
    except SeewhyError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print_error(OutputError(f"Cannot print what was found: {error.strerror}."))
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still prints when it ends
        sys.exit(OutputError.exit_code)
