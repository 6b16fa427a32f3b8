"""Writing the output of a run in the formats of other programs."""

import os
from pathlib import Path

from seewhy.datasets.formats.coco import write_coco
from seewhy.datasets.formats.fiftyone import write_fiftyone
from seewhy.datasets.formats.label_studio import write_label_studio
from seewhy.datasets.formats.mask_files import write_masks
from seewhy.datasets.formats.target_csv import write_csv
from seewhy.datasets.overlay_files import OVERLAYS
from seewhy.datasets.part import ERRORS, RESULTS
from seewhy.datasets.readable_output import Filter, ReadableOutput
from seewhy.datasets.run_folder import MANIFEST, RUN
from seewhy.errors import OptionError, short_repr
from seewhy.results.evidence_boxes import check_threshold

OWN_NAMES = (RUN, MANIFEST, RESULTS, ERRORS, OVERLAYS)
"""What an output folder consists of."""


class Conversions(ReadableOutput):
    """The methods of an output that write it in another format, reading it part by part."""

    def to_coco(self, path: str | os.PathLike[str], where: Filter = None) -> Path:
        """Write the boxes of the targets as COCO's JSON of a data set, which pycocotools reads.

        The `id` of an image is its position in the source, and its `file_name` its key. A category is a target that
        occurs; the `id` of a class is its index + 1. The `score` of a box is the probability of the target.

        Args:
            path: The file, `.json`.
            where: As for `table`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another, or the path is in the folders of the run.
            OutputError: The file cannot be written.
        """
        path = checked_path(self, path, ".json")
        write_coco(self, path, where)
        return path

    def to_masks(self, folder: str | os.PathLike[str], where: Filter = None, *, threshold: float | None = None) -> Path:
        """Write a mask for each target as a PNG file: 255 where its evidence is, else 0, at the size of the image.

        A mask has the path of its image's key, as far as that is a path in the folder, with `.png`; with the number of
        the target if there are several, and with the position of the image if the path is taken. `masks.csv` lists all.

        Args:
            folder: The new folder; it may exist, if it is empty.
            where: As for `table`.
            threshold: The share of the maximum, as for `Explanation.boxes`: the boxes are those of these masks.

        Returns:
            The folder.

        Raises:
            OptionError: The threshold is out of range, or the path is in the folders of the run.
            OutputError: The folder is not empty, or cannot be written.
        """
        if threshold is not None:
            check_threshold(threshold)
        folder = checked_path(self, folder, None)
        write_masks(self, folder, where, threshold)
        return folder

    def to_fiftyone(
        self, path: str | os.PathLike[str], where: Filter = None, *, images: str | os.PathLike[str] | None = None
    ) -> Path:
        """Write the results as JSON that `fiftyone.Dataset.from_json` reads.

        A sample has the fields `ground_truth` and `prediction` (classifications), `evidence` (detections, the boxes),
        `heatmap` (at most 64 pixels long, which FiftyOne enlarges; `heatmap_2` and so on for further targets),
        `position` and `key`.

        Args:
            path: The file, `.json`.
            where: As for `table`.
            images: The folder in which the images have their keys as their paths; None for where the source has them.

        Returns:
            The path.

        Raises:
            OptionError: The images are no files, as those of archives, and `images` was not given.
            ImageError: The source has changed since the run.
            OutputError: The file cannot be written.
        """
        path = checked_path(self, path, ".json")
        write_fiftyone(self, path, where, None if images is None else os.fspath(images))
        return path

    def to_label_studio(self, path: str | os.PathLike[str], where: Filter = None, *, images: str | None = None) -> Path:
        """Write the boxes as tasks with predictions, rectangles, that Label Studio imports.

        Beside it is written the labeling interface for the project, with the suffix `.interface.xml`.

        Args:
            path: The file, `.json`.
            where: As for `table`.
            images: The beginning of the URLs of the images, which their keys follow. None for URLs of the source, or
                for `/data/local-files/?d=`, by which Label Studio serves a folder of its own disk.

        Returns:
            The path.

        Raises:
            OptionError: The images are no files, as those of archives, and `images` was not given.
            ImageError: The source has changed since the run.
            OutputError: The file cannot be written.
        """
        path = checked_path(self, path, ".json")
        write_label_studio(self, path, where, images)
        return path

    def to_csv(self, path: str | os.PathLike[str], where: Filter = None) -> Path:
        """Write a row for each target of each image as CSV.

        Args:
            path: The file, `.csv`.
            where: As for `table`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another, or the path is in the folders of the run.
            OutputError: The file cannot be written.
        """
        path = checked_path(self, path, ".csv")
        write_csv(self, path, where)
        return path


def checked_path(output: Conversions, path: str | os.PathLike[str], suffix: str | None) -> Path:
    """Return a path that may be written to.

    Args:
        output: The output that is converted.
        path: The path of a file with this suffix, or of a folder.
        suffix: The suffix; None for a folder.

    Raises:
        OptionError: The suffix is another; or the path is the source, or belongs to the output.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise OptionError(f"The path is {short_repr(path)}; expected a path.")
    path = Path(path)
    if suffix is not None and path.suffix.lower() != suffix:
        raise OptionError(f"{path} has the suffix {path.suffix!r}; expected {suffix!r}.")
    real, folder = Path(os.path.realpath(path)), Path(os.path.realpath(output.path))
    own = [folder / name for name in OWN_NAMES]
    if real == folder or any(each == real or each in real.parents for each in own):
        raise OptionError(f"{path} belongs to the output of the run. Give another path.")
    if os.path.realpath(output.settings["source"]) == str(real):
        raise OptionError(f"{path} is the source of the run, and is not overwritten. Give another path.")
    return path
