"""The viewer of explanations: plain JavaScript and CSS in `assets`, and two of its hosts, the report and the notebook.

The other hosts, the web page and the static site, are in `serve/` and `site/`. The viewer reads explanations through
the Protocol in `explanation_like.py`, and does not know who makes them.
"""
