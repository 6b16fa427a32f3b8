"""The results of a study: its values and their statistics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from seewhy.evaluate.bootstrap import Values
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.study_images import StudyImage
from seewhy.evaluate.study_settings import StudySettings
from seewhy.evaluate.study_store import StudyStore
from seewhy.evaluate.study_table import StudyTable, study_table
from seewhy.evaluate.temporary_folder import TemporaryFolder
from seewhy.representation import counted, description, listed


@dataclass(frozen=True, eq=False, repr=False)
class StudyData:
    """The results of a study, and where they are stored.

    Attributes:
        folder: Where they are stored.
        settings: What they depend on.
        images: The names of the N images.
        methods: The names of the M methods, with the maps of other tools and the baselines.
        baselines: The names of the baselines among them.
        metrics: The K metrics, by name.
        problems: What was left out, and why: metrics without annotations, images without labels.
        is_complete: Whether all images were measured.
        has_omissions: Whether metrics were left out.
        sources: The images.
        temporary: The temporary folder, if that is where they are stored; it is deleted with this object.
    """

    folder: Path
    settings: StudySettings
    images: tuple[str, ...]
    methods: tuple[str, ...]
    baselines: tuple[str, ...]
    metrics: Mapping[str, Metric]
    problems: tuple[str, ...]
    is_complete: bool
    has_omissions: bool = False
    sources: tuple[StudyImage, ...] = field(repr=False, default=())
    temporary: TemporaryFolder | None = field(repr=False, default=None)

    def __repr__(self) -> str:
        state = "" if self.is_complete else ", not complete"
        return description(
            self,
            f"of {self.settings.model}: {counted(len(self.images), 'image')}, {listed(self.methods)}; "
            f"{listed(list(self.metrics))}{state}",
        )

    @property
    def store(self) -> StudyStore:
        """The stored results."""
        return StudyStore(self.folder)

    @cached_property
    def failed_images(self) -> int:
        """The number of images that could not be measured by any method."""
        records = [self.store.image(image) or {} for image in range(len(self.images))]
        return sum(record.get("error") is not None for record in records)

    @cached_property
    def values(self) -> Values:
        """float64 (N, M, K): the value of each image, method and metric; NaN where it is undefined."""
        values = np.full((len(self.images), len(self.methods), len(self.metrics)), np.nan)
        for image, method in np.ndindex(values.shape[:2]):
            found = (self.store.result(image, method) or {}).get("values", {})
            values[image, method] = [np.nan if found.get(name) is None else found[name] for name in self.metrics]
        return values

    @cached_property
    def table(self) -> StudyTable:
        """The statistics: means with intervals, paired differences, and verdicts."""
        metrics = list(self.metrics.values())
        return study_table(self.values, self.methods, self.baselines, metrics, self.settings.seed)
