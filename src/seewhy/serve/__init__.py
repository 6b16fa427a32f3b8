"""The web page and its JSON API: `seewhy serve`, the extra `web`.

Read `api.py` first: it follows one request from the upload to the response. `security.py`, `uploads.py` and `worker.py`
make it safe to accept requests from strangers.
"""
