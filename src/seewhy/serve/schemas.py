"""The fields of requests and the JSON of responses, as `openapi.json` describes them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Format = Literal["json", "viewer", "html", "png"]


class ExplainFields(BaseModel):
    """The form fields besides the image."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="A model of GET api/models; the default is the first.")
    targets: str = Field(
        "top-1",
        description="The targets: such as top-3; or classes by index, name or id, separated by commas. A class of a "
        "detector is its surest detection, and of a segmenter the pixels predicted as it.",
        examples=["top-3", "tiger cat,285"],
    )
    methods: str = Field("auto", description="Names of methods, separated by commas.", examples=["gradcam,layercam"])
    layers: str = Field("auto", description="Paths of layers, separated by commas; auto is the model's default layer.")
    score: Literal["logit", "probability"] = Field(
        "logit", description="The score to explain: before the final softmax or sigmoid, or after it."
    )
    signed: bool = Field(False, description="Keep evidence against a target, as negative values.")
    check: bool = Field(
        False,
        description="Check each heatmap: the model runs about ten more times for each, and `check` of the target says "
        "in words whether its score falls when the brightest pixels are covered.",
    )
    format: Format = Field(
        "json",
        description="json: heatmaps and scores. viewer: the input of the viewer. html: a report in one file. png: the "
        "overlay, or a grid of all overlays.",
    )
    progress: bool = Field(
        False,
        description="Stream JSON lines (application/x-ndjson): progress events, {progress: ...}; of several "
        "explanations each that is finished before the last, {partial: ...}, as a response of its own; and finally "
        "{result: ...} or {error: ...}. For the formats json and viewer.",
    )

    @classmethod
    def form_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of the whole form, including the image."""
        schema = cls.model_json_schema()
        image = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM or AVIF."}
        properties = {"image": image, **schema["properties"]}
        properties["model"] = {**properties["model"], "type": "string"}
        del properties["model"]["anyOf"], properties["model"]["default"]
        return {**schema, "properties": properties, "required": ["image"]}


class ErrorInfo(BaseModel):
    """An error."""

    code: str = Field(description="A code for programs.")
    status: int = Field(description="The HTTP status.")
    message: str = Field(description="What was given, what was expected, and what to do.")


class ErrorResponse(BaseModel):
    """The response to a request that is refused or has failed."""

    error: ErrorInfo


class ModelInfo(BaseModel):
    """A served model."""

    name: str
    kind: Literal["classifier", "detector", "segmenter", "value"] = Field(
        description="What its targets are: classes of the image; detections, each with its box; the pixels predicted "
        "as a class; or the one value that it predicts. In an image with fewer than five detections, or predicted "
        "classes, top-5 is all of them."
    )
    input_size: tuple[int, int] = Field(description="(height, width) of its input, in pixels.")
    class_count: int = Field(description="The number of classes; 0 for a detector that does not say it.")
    has_class_names: bool
    default_layer: str = Field(
        description="The layer that 'auto' selects; empty for a detector, whose detections have layers of their own."
    )


class Limits(BaseModel):
    """The limits of a request."""

    max_bytes: int = Field(description="The maximum size of a request.")
    max_pixels: int = Field(description="The maximum number of pixels of an image.")
    time_limit: float = Field(description="In seconds.")


class ModelList(BaseModel):
    """The served models; the first is the default."""

    models: list[ModelInfo]
    limits: Limits


class LayerInfo(BaseModel):
    """A layer that can be explained."""

    path: str
    kind: str
    shape: list[int | None] = Field(description="(height, width, channels) of its output; null for a variable size.")
    is_default: bool


class LayerList(BaseModel):
    """The layers of a model, in the order in which they finish."""

    layers: list[LayerInfo]


class ClassInfo(BaseModel):
    """A class of a model."""

    index: int
    name: str
    id: str | None = Field(description="The ImageNet wnid, if there is one.")


class ClassList(BaseModel):
    """The classes that match a search, best match first."""

    classes: list[ClassInfo]


class MethodInfo(BaseModel):
    """A method."""

    name: str
    title: str
    family: str = Field(description="What the heatmaps are computed from.")
    level: str = Field(description="Whose resolution the heatmaps have: layer or input.")
    summary: str
    cost: str = Field(description="What it runs besides one forward pass.")
    paper: str
    reports_progress: bool = Field(description="Whether it runs the model many times, and reports how many.")


class MethodList(BaseModel):
    """All methods."""

    methods: list[MethodInfo]


class PredictionInfo(BaseModel):
    """A class and its probability, 0..1."""

    index: int
    name: str
    probability: float


class TargetInfo(BaseModel):
    """An explained class."""

    index: int
    name: str
    score: float
    probability: float | None
    has_evidence: bool = Field(description="False if the heatmap has no positive value.")
    check: str = Field("", description="What the check of the heatmap says, in words; empty without check=true.")
    box: tuple[float, float, float, float] | None = Field(
        None, description="(left, top, right, bottom) of a detection, in pixels of the image."
    )


class ArrayInfo(BaseModel):
    """An array."""

    shape: list[int]
    data: str = Field(description="Base64 of float32, little-endian.")


class ExplanationInfo(BaseModel):
    """The explanation of the image by one method at one layer."""

    method: str
    title: str
    layer: str
    box: list[float] = Field(description="(top, left, bottom, right) of the heatmaps, in pixels of the image.")
    targets: list[TargetInfo]
    heatmaps: ArrayInfo = Field(description="(targets, rows, columns), in the method's units.")


class FailureInfo(BaseModel):
    """An explanation that is not possible, although others of the same request are."""

    method: str
    title: str
    layer: str
    error: ErrorInfo


class ImageInfo(BaseModel):
    """The image as it was read."""

    name: str
    width: int
    height: int


class ExplainResponse(BaseModel):
    """The response for format=json; for format=viewer, `viewer_data` replaces image, predictions and explanations."""

    model: str
    seconds: float = Field(description="How long reading and explaining the image took, without waiting.")
    image: ImageInfo | None = None
    predictions: list[PredictionInfo] | None = Field(None, description="The five most probable classes.")
    explanations: list[ExplanationInfo] | None = Field(None, description="One for each method and layer.")
    errors: list[FailureInfo] = Field(
        [], description="The methods and layers that the model does not allow; if it allows none, the request fails."
    )
    viewer_data: dict[str, Any] | None = Field(None, description="The input of the viewer's mount().")


class Health(BaseModel):
    """The state of the server."""

    status: Literal["ok"] = "ok"
    slots_taken: int = Field(description="How many requests run or wait.")
    slots: int = Field(description="How many requests may run or wait.")
