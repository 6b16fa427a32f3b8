"""The web page and its JSON API: `seewhy serve`, the extra `web`.

Read `api.py` first: what can be asked, and how an answer comes about. `guards.py`, `forms.py` and `worker.py` are what
makes it safe to let strangers ask.
"""
