"""The format of the viewer's input, a dict that is ready for JSON.

Bytes are base64; sizes and boxes are in pixels of the image, and edges are counted from its top left corner;
probabilities are in 0..1; None stands for an unknown value.
"""

from typing import NotRequired, TypedDict


class PredictionData(TypedDict):
    """A class and its probability."""

    index: int
    name: str
    probability: float


class TargetData(TypedDict):
    """One target and its heatmap.

    Attributes:
        index: The class, or -1.
        name: The class name, or a description of the target.
        score: The explained score.
        probability: None for a target that is not a class.
        has_evidence: Whether the heatmap has a positive value.
        peak: The value that is drawn as 1.
        signed_peak: The absolute value that is drawn as 1 where evidence against the target is shown too.
        heatmap: Base64 of float32 (rows, columns), little-endian, in the method's units.
        check: What the check of the heatmap says, in words; empty without one.
        box: [top, left, bottom, right] of a detection on the image; None for any other target.
    """

    index: int
    name: str
    score: float
    probability: float | None
    has_evidence: bool
    peak: float
    signed_peak: float
    heatmap: str
    check: str
    box: list[float] | None


class AxisHeatmaps(TypedDict):
    """Where the heatmaps of a recording lie across one of its axes.

    Attributes:
        depth: Of the cells along the axis.
        rows: Of the cells on each frame.
        columns: Of the cells on each frame.
        box: [top, left, bottom, right] of the heatmaps on a frame.
        extent: [start, stop] of the heatmaps along the axis, in frames.
    """

    depth: int
    rows: int
    columns: int
    box: list[float]
    extent: list[float]


class ExplanationData(TypedDict):
    """The explanation of an image by one model, method and layer.

    Attributes:
        model: The name of the model, or None.
        method: The name of the method.
        title: The name of the method as it is shown.
        layer: The path of the layer.
        predictions: The most probable classes of this model, best first.
        rows: Of each heatmap.
        columns: Of each heatmap.
        box: [top, left, bottom, right] of the heatmaps on the image.
        input: The same of the model's input. It differs where the model itself crops or pads its input; the model saw
            only what is in both.
        signed: Whether a heatmap has negative values: evidence against a target.
        speckled: Whether the heatmaps are smoothed before boxes are drawn, as in `Explanation.boxes`.
        targets: One for each heatmap.
        others: The explanations of the other images of a sample, in the order of the entry's `inputs`, with the same
            targets; left out for a sample of one image.
        axes: Of a volume or a video, for each of its axes; a heatmap is the cells (depth, rows, columns) across the
            first axis, then those across the next. Rows, columns and box are those of the first axis. Left out for
            images.
        extent: Of a signal, [start, stop] of the heatmaps in samples; a heatmap is one row, and box is not used. Left
            out for images.
    """

    model: str | None
    method: str
    title: str
    layer: str
    predictions: list[PredictionData]
    rows: int
    columns: int
    box: list[float]
    input: list[float]
    signed: bool
    speckled: bool
    targets: list[TargetData]
    others: NotRequired[list["ExplanationData"]]
    axes: NotRequired[list[AxisHeatmaps]]
    extent: NotRequired[list[float]]


class InputData(TypedDict):
    """One of several images that a model received together.

    Attributes:
        name: The name of the model's input.
        width: Of the image.
        height: Of the image.
        photo: As in `ImageEntry`.
    """

    name: str
    width: int
    height: int
    photo: str


class FrameData(TypedDict):
    """A frame of a recording.

    Attributes:
        position: Its number among all frames across the axis, from 0.
        label: Such as "axial slice 12 of 40".
        photo: As in `ImageEntry`.
    """

    position: int
    label: str
    photo: str


class AxisData(TypedDict):
    """The frames of a recording across one of its axes.

    Attributes:
        name: Of the axis, such as "axial".
        width: Of a frame, in pixels that the boxes refer to; its photo may be smaller.
        height: Of a frame.
        side: The longer side of the photos.
        count: The number of all frames.
        frames: Those that are shown, in order.
    """

    name: str
    width: int
    height: int
    side: int
    count: int
    frames: list[FrameData]


class RecordingData(TypedDict):
    """A volume or a video.

    Attributes:
        kind: "volume" or "video".
        seconds: How long a frame is shown when it is played.
        axes: Those that the frames can be across.
    """

    kind: str
    seconds: float
    axes: list[AxisData]


class SignalData(TypedDict):
    """A signal.

    Attributes:
        samples: The number of all samples.
        rate: The number of samples in a second, or None.
        channels: The number of channels.
        points: The number of equal parts that the signal is drawn as.
        lows: Base64 of float32 (channels, points), little-endian: the lowest value of each part.
        highs: The same of the highest.
    """

    samples: int
    rate: float | None
    channels: int
    points: int
    lows: str
    highs: str


class ImageSummary(TypedDict):
    """What a gallery needs to know of an image before it is shown.

    An image may be given as its summary alone: the viewer then loads the full entry from its host when it is needed
    (`options.load`), so that a report of a thousand images opens at once.

    Attributes:
        name: The file name, or such as "image 3".
        label: The name of the true class, or None.
        correct: Whether the first prediction is the true class, or None.
        width: Of the image.
        height: Of the image.
        predictions: The most probable classes, best first.
        detections: The classes of the explained detections, the surest first; left out if there are none.
    """

    name: str
    label: str | None
    correct: bool | None
    width: int
    height: int
    predictions: list[PredictionData]
    detections: NotRequired[list[PredictionData]]


class ImageEntry(ImageSummary):
    """One image, or one sample of several images, with all explanations.

    Width, height and photo are those of the first image.

    Attributes:
        photo: The URL of a copy of the image, data: or any that the host serves; it may be smaller than width x height.
        explanations: One for each model, method and layer.
        notice: What the reader must know of the image, such as that it is missing; left out if there is nothing.
        note: What else the reader may want to know, such as the model's inputs that are no images; left out likewise.
        inputs: Every image of a sample of several; left out for one image.
        recording: The volume or the video that this is an entry of, whose photo is one of its frames; left out for
            images.
        signal: The signal that this is an entry of, whose photo is empty; left out for images.
    """

    photo: str
    explanations: list[ExplanationData]
    notice: NotRequired[str]
    note: NotRequired[str]
    inputs: NotRequired[list[InputData]]
    recording: NotRequired[RecordingData]
    signal: NotRequired[SignalData]


class StyleData(TypedDict):
    """How overlays are drawn until the reader changes it: the defaults of `seewhy.images.style.Style`.

    Attributes:
        alpha: The weight of the colours, 0..1.
        colormap: A name in the header's `colormaps`.
    """

    alpha: float
    colormap: str


class ViewerHeader(TypedDict):
    """The viewer's input without its images.

    Attributes:
        format: "seewhy-viewer".
        version: 1.
        colormaps: Name to base64 of uint8 (256, 3). "coolwarm" is for signed heatmaps.
        style: How overlays are drawn at first.
    """

    format: str
    version: int
    colormaps: dict[str, str]
    style: StyleData


class ViewerData(ViewerHeader):
    """The viewer's input.

    Attributes:
        images: In the order given.
    """

    images: list[ImageEntry]
