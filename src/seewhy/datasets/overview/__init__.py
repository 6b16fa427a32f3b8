"""What a run found, seen as a whole: where a model looks in the images of each class, and suspected shortcuts.

Read `overview.py` first: it makes the `Overview` of which the page is written, by the report and by the server.
"""
