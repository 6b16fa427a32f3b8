"""The results of a study, with its files and its report."""

import os
from pathlib import Path
from typing import final

from seewhy.evaluate.report import write_study_report
from seewhy.evaluate.study_data import StudyData
from seewhy.evaluate.study_values import write_values


@final
class Study(StudyData):
    """The results of a study.

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
        values: float64 (N, M, K): the value of each image, method and metric; NaN where it is undefined.
        table: The statistics: means with intervals, paired differences, and verdicts.
    """

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the value of each image, method and metric, a row for each.

        Args:
            path: `.csv`, `.json`, or `.parquet`, which needs the extra `parquet`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another.
            OutputError: The file cannot be written.
        """
        return write_values(self, Path(path))

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a report: one HTML file with the tables, the curves, and the best and worst images in the viewer.

        Args:
            path: `.html` or `.htm`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another.
            OutputError: The file cannot be written.
        """
        return write_study_report(self, path)
