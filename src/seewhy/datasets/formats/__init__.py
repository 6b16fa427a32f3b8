"""Formats of other programs that the output of a run is written in; a file for each, and `table.py`, their table."""
