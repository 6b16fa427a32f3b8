"""Static sites: the viewer with a model that runs in the visitor's browser, as a folder for any static host.

`write_site` exports the model with its explanation, and puts it beside the page in `page`, the viewer's own files, and
ONNX Runtime Web, which `hatch_build.py` brings into `runtime`.
"""
