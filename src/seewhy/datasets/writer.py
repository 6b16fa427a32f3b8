"""What each worker makes of the settings of a run: the writer of its parts."""

import json
from pathlib import Path
from typing import Any

from seewhy import methods
from seewhy.datasets.part import PartWriter
from seewhy.datasets.run_folder import Settings
from seewhy.explainer import Explainer
from seewhy.images.text import printable
from seewhy.targets import Target
from seewhy.version import __version__


def make_writer(explainer: Explainer, target: Target, folder: Path, settings: Settings) -> PartWriter:
    """Return what writes the parts of a run, with what was chosen for it: what each worker holds."""
    method = explainer.method
    if method.is_auto:
        method = methods.get(settings["method"], **settings["method_options"])
    return PartWriter(
        explainer=explainer.fix_choices(method, settings["layer"]),
        target=target,
        folder=folder,
        shape=tuple(settings["heatmap_shape"]),
        heatmap_type=settings["heatmaps"],
        batch_size=settings["batch_size"],
        constants={
            "layer": settings["layer"],
            "method": settings["method"],
            "model": settings["model"],
            "model_fingerprint": settings["model_fingerprint"],
            "seewhy_version": settings["seewhy_version"],
        },
        metadata={"run": dict(settings)},
        overlays=settings["overlays"],
    )


def settings_of(explainer: Explainer) -> dict[str, Any]:
    """Return those settings of a run that are its explainer's."""
    settings = {
        "model": printable(str(explainer.classifier.name)),
        "model_fingerprint": explainer.classifier.fingerprint(),
        "framework": explainer.framework.name,
        "requested_method": f"{explainer.method.name} {explainer.method.options_text}".strip(),
        "requested_layer": ", ".join(map(str, explainer.layer_choices)),
        "fuse": explainer.fuse,
        **{name: getattr(explainer, name) for name in ("score", "output", "signed", "precision")},
        "augmentations": [str(each) for each in explainer.augmentations],
        "tokens": None if explainer.tokens is None else repr(explainer.tokens),
        "seewhy_version": __version__,
    }
    return dict(json.loads(json.dumps(settings)))
