"""Exit codes of the command line that are no error's."""

INTERRUPTED = 130
"""That of a command that was ended by Ctrl+C, as shells have it."""
