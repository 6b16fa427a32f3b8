"""The command line: parse the arguments, call the library, print the results."""

import errno
import os
import sys

from seewhy.cli.exit_codes import INTERRUPTED


def main() -> None:
    """Run the command line. Ctrl+C ends it without a traceback, also while the libraries are imported."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> None:
    """Run the command line. A `SeewhyError` becomes a message and an exit code, without a traceback."""
    from seewhy.cli.app import app
    from seewhy.cli.help_text import help_width
    from seewhy.cli.terminal import print_any_text, print_error, print_warnings_as_notes
    from seewhy.errors import OutputError, SeewhyError

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print_any_text()
    try:
        try:
            with print_warnings_as_notes():
                app(terminal_width=help_width())
        finally:
            sys.stdout.flush()
    except SeewhyError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except ImportError as error:
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        sys.exit(INTERRUPTED)  # Ctrl+C while a library in C was loading, which names the failure and not its cause
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print_error(OutputError(f"Cannot print the results: {error.strerror}."))
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes standard output again on exit
        sys.exit(OutputError.exit_code)
