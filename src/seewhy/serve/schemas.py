"""What goes in and out as JSON, which is also what `openapi.json` says."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ExplainFields(BaseModel):
    """The fields beside the image."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="One of GET api/models; the first by default.")
    targets: str = Field(
        "top-1",
        description="What to ask: top-3; or classes by index, name or id, with commas between.",
        examples=["top-3", "tiger cat,285"],
    )
    methods: str = Field("gradcam", description="Names of methods, with commas between.", examples=["gradcam,layercam"])
    layers: str = Field("auto", description="Paths of layers, with commas between; auto is the model's default.")
    score: Literal["logit", "probability"] = Field(
        "logit", description="Explain what stands before a final softmax or sigmoid, or after it."
    )
    signed: bool = Field(False, description="Keep what speaks against a target, as negative values.")
    format: Literal["json", "document", "html", "png"] = Field(
        "json",
        description="json: the numbers. document: what the viewer is given. html: a report in one file. png: the "
        "overlay, or all of them in a grid.",
    )
    progress: bool = Field(
        False,
        description="Answer line by line (application/x-ndjson): {progress: ...} while it runs, and at last "
        "{result: ...} or {error: ...}. For json and document.",
    )

    @classmethod
    def form_schema(cls) -> dict[str, Any]:
        """Return the schema of the whole form, the image included."""
        schema = cls.model_json_schema()
        image = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, GIF, BMP, TIFF, PPM or AVIF."}
        properties = {"image": image, **schema["properties"]}
        properties["model"] = {**properties["model"], "type": "string"}
        del properties["model"]["anyOf"], properties["model"]["default"]
        return {**schema, "properties": properties, "required": ["image"]}


class ErrorInfo(BaseModel):
    """What was wrong."""

    code: str = Field(description="One word for programs.")
    status: int
    message: str = Field(description="What was given, what was expected, and what to do.")


class ErrorResponse(BaseModel):
    """The answer where a request is not carried out."""

    error: ErrorInfo


class ModelInfo(BaseModel):
    """A model that is served."""

    name: str
    input_size: tuple[int, int] = Field(description="(height, width) of its input, in pixels.")
    classes: int
    has_names: bool = Field(description="Whether its classes have names.")
    layer: str = Field(description="The layer that 'auto' explains.")


class Limits(BaseModel):
    """What is refused beyond."""

    max_bytes: int = Field(description="Of one request.")
    max_pixels: int = Field(description="Of an image.")
    time_limit: float = Field(description="Seconds.")


class ModelList(BaseModel):
    """All of them; the first is the default."""

    models: list[ModelInfo]
    limits: Limits


class LayerInfo(BaseModel):
    """A layer that can be explained."""

    path: str
    kind: str
    shape: list[int | None] = Field(description="(height, width, channels) of its output; null for what is not fixed.")
    is_default: bool


class LayerList(BaseModel):
    """The layers of a model, in the order in which they return."""

    layers: list[LayerInfo]


class ClassInfo(BaseModel):
    """A class of a model."""

    index: int
    name: str
    id: str | None = Field(description="ImageNet's wnid, where there is one.")


class ClassList(BaseModel):
    """Classes that were found, the best fit first."""

    classes: list[ClassInfo]


class MethodInfo(BaseModel):
    """A way from a model to a heatmap."""

    name: str
    title: str
    family: str = Field(description="What its evidence comes from.")
    summary: str
    cost: str = Field(description="What it runs, beside one forward pass.")
    resolution: str = Field(description="Whose resolution its maps have: layer or input.")
    paper: str
    reruns: bool = Field(description="Whether it runs the model again and again, and tells how far it has come.")


class MethodList(BaseModel):
    """All methods."""

    methods: list[MethodInfo]


class PredictionInfo(BaseModel):
    """A class and its probability, 0..1."""

    index: int
    name: str
    probability: float


class TargetInfo(BaseModel):
    """A class that was explained."""

    index: int
    name: str
    score: float
    probability: float | None
    has_evidence: bool = Field(description="False if nothing in the image speaks for it; its map is all 0.")


class ArrayInfo(BaseModel):
    """An array."""

    shape: list[int]
    data: str = Field(description="Base64 of float32, little-endian.")


class HeatmapInfo(BaseModel):
    """What one method says of one layer."""

    method: str
    title: str
    layer: str
    box: list[float] = Field(description="(top, left, bottom, right) of what the model saw, in pixels of the image.")
    targets: list[TargetInfo]
    heatmaps: ArrayInfo = Field(description="(targets, rows, columns), in the method's units.")


class ImageInfo(BaseModel):
    """The image as it was read."""

    name: str
    width: int
    height: int


class ExplainResponse(BaseModel):
    """The answer to format=json; of format=document, `document` stands in the place of the last three."""

    model: str
    seconds: float = Field(description="What reading and explaining took, without waiting.")
    image: ImageInfo | None = None
    predictions: list[PredictionInfo] | None = Field(None, description="The five most probable classes.")
    maps: list[HeatmapInfo] | None = Field(None, description="One for each method and layer.")
    document: dict[str, Any] | None = Field(None, description="What the viewer's mount() is given.")


class Health(BaseModel):
    """Whether the server is well."""

    status: Literal["ok"] = "ok"
    jobs: int = Field(description="How many requests run or wait.")
    slots: int = Field(description="How many may.")
