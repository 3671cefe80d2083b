"""Requests and responses of the HTTP API, as they stand in its OpenAPI schema.

Fields of lists and objects also take text, as a form sends it: JSON, or names separated by commas. The response models
describe `Answer.to_dict` and `Job.to_dict` for readers of the schema; responses are these values unchanged.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from geochat.imagery import Stretch
from geochat.prompts import TASK_NAMES

_MAX_CHOICES = 1000
_MAX_STOPS = 16
_MAX_TOKENS = 4096
_MAX_WINDOW = 2**24  # pixels


def _listed(value: object) -> object:
    """Read a list that is text: JSON, or names separated by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _parsed(value)
    return [name.strip() for name in value.replace("\n", ",").split(",") if name.strip()]


def _parsed(value: object) -> object:
    """Read a value that is JSON text."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


Names = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=_MAX_CHOICES), BeforeValidator(_listed)]
Numbers = Annotated[list[int], Field(min_length=4, max_length=4), BeforeValidator(_listed)]


class StretchFields(BaseModel):
    """Mapping of samples to brightness."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    method: Literal["auto", "none", "percentile", "limits"] = "auto"
    percentiles: tuple[float, float] = Field((2.0, 98.0), description="low and high, in percent")
    limits: list[tuple[float, float]] = Field([], max_length=64, description="low and high, one pair or one a band")

    def stretch(self) -> Stretch:
        """Return the core's stretch.

        Raises:
            SettingsError: It is impossible.
        """
        return Stretch(self.method, self.percentiles, tuple(self.limits))


class ViewFields(BaseModel):
    """Bands, stretch and page of an image."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=2**16)

    bands: Annotated[str | Annotated[list[int], Field(max_length=3)], BeforeValidator(_parsed)] = Field(
        "auto", description="band numbers from 1, as [4, 3, 2], or rgb, nir, swir, or as landsat8:nir"
    )
    stretch: Annotated[str | StretchFields, BeforeValidator(_parsed)] = Field(
        "auto", description="auto, none, percentile, or an object with method, percentiles and limits"
    )
    page: int = Field(1, ge=1, description="image of a file that holds several")

    def chosen_stretch(self) -> Stretch | str:
        """Return the stretch as the core takes it."""
        return self.stretch if isinstance(self.stretch, str) else self.stretch.stretch()


class WindowFields(ViewFields):
    """A view of an image, and what is returned beside the answer."""

    window: Numbers | None = Field(
        None, description="part to look at: column, row, width, height in pixels of the image"
    )
    geojson: bool = Field(False, description="add the regions as a GeoJSON FeatureCollection, with provenance")


class DescribeFields(WindowFields):
    """Describe an image."""


class ClassifyFields(WindowFields):
    """Classify an image as one of several scene classes."""

    classes: Names = Field([], description="classes to choose from; empty for those that the model knows")


class AskFields(WindowFields):
    """Ask a question about an image."""

    question: str = Field("", description="may be empty for the tasks caption, grounding, identify and scene")
    task: str = Field(
        "auto",
        description="kind of question; auto goes by its words and regions",
        json_schema_extra={"enum": list(TASK_NAMES)},
    )
    regions: Annotated[list[Any] | dict[str, Any], BeforeValidator(_parsed)] = Field(
        [],
        description="what is asked about: boxes [x1, y1, x2, y2] or [x1, y1, x2, y2, angle] in pixels of the image, the"
        " angle in degrees clockwise; or a GeoJSON object. Used by the tasks auto, chat and identify",
    )
    choices: Names = Field([], description="closed set of answers, one of which is given")
    raw: bool = Field(False, description="send the words unchanged, also to a model with trained wordings")
    max_new_tokens: int = Field(512, ge=1, le=_MAX_TOKENS, description="token budget")
    temperature: float = Field(0.0, description="sampling temperature; 0 is greedy")
    top_p: float = Field(1.0, description="nucleus sampling: tokens of this total probability")
    seed: int | None = Field(None, description="makes sampling repeatable")
    stop: Annotated[list[str], Field(max_length=_MAX_STOPS), BeforeValidator(_listed)] = Field(
        [], description="texts that end the answer"
    )


class FindFields(ViewFields):
    """Find things in a whole scene, window by window."""

    phrases: Names = Field(description="what to find")
    window: int | None = Field(
        None, ge=16, le=_MAX_WINDOW, description="side of a window in pixels; by ground resolution if missing"
    )
    overlap: float | None = Field(None, ge=0, description="of windows, in pixels, or below 1 as a share of their side")
    scales: Annotated[list[float], BeforeValidator(_listed)] = Field([1.0], description="factors of the window's side")
    whole: bool = Field(False, description="look at the whole image at once, too")
    area: Annotated[dict[str, Any] | None, BeforeValidator(_parsed)] = Field(
        None, description="GeoJSON object outside of which nothing is looked at"
    )
    min_score: float | None = Field(
        None, ge=0, le=1, description="leave out objects of a lower score; null: the model's minimum"
    )
    limit: int | None = Field(None, ge=1, description="objects that are enough")


EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    AskFields: {"question": "where are the planes?", "task": "auto", "max_new_tokens": 256},
    DescribeFields: {},
    ClassifyFields: {"classes": ["airport", "harbor", "forest"]},
    FindFields: {"phrases": ["ships", "storage tanks"], "min_score": 0.5},
}
"""An example of each request, without its image."""


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RegionBody(_Response):
    """A region of an answer."""

    phrase: str | None = Field(description="name of the region in the answer")
    box: list[float] | None = Field(description="x1, y1, x2, y2 and the angle, in the model's own numbers")
    pixels: list[list[float]] = Field(description="corners x, y in pixels of the whole image")
    map: list[list[float]] | None = Field(description="corners in the image's CRS; null without one")
    score: float | None = Field(description="0 to 1; null if the engine gives no probabilities")
    outline: list[list[float]] = Field(description="corners of the part on the image, in pixels")
    map_outline: list[list[float]] | None
    as_asked: bool | None = Field(description="whether the phrase names what was asked for; null if unknown")
    width_m: float | None
    height_m: float | None
    area_m2: float | None


class AskedRegionBody(RegionBody):
    """A region that was asked about."""

    attributes: dict[str, Any]


class ImageBody(_Response):
    """The view that was asked about."""

    width: int
    height: int
    path: str | None = Field(description="name of the file as it was sent")
    window: list[int]
    bands: list[int]
    stretch: dict[str, Any]
    metres_a_pixel: float | None
    image_to_map: list[float] | None = Field(description="affine map a, b, c, d, e, f from pixels to `crs`")


class TokenBody(_Response):
    """A piece of the text."""

    text: str
    logprob: float


class ChoiceBody(_Response):
    """An answer that was offered."""

    text: str
    probability: float | None
    logprob: float | None


class NoticeBody(_Response):
    """A fact about the view or the answer."""

    code: str
    text: str


class AnswerBody(_Response):
    """An answer: the object that `geochat ask --json` prints."""

    text: str = Field(description="the model's text, with markup")
    plain_text: str = Field(description="the words alone")
    regions: list[RegionBody]
    crs: str | None = Field(description="CRS of the map coordinates")
    image: ImageBody
    model: str
    usage: dict[str, int]
    seconds: float
    tokens: list[TokenBody]
    question: str
    task: str
    prompt: str = Field(description="the question as the model read it")
    asked: list[AskedRegionBody]
    choice: str | None
    choice_method: str | None
    choices: list[ChoiceBody]
    in_scope: bool
    finish: Literal["stop", "length", "cancelled", "repetition"]
    notices: list[NoticeBody]
    geojson: dict[str, Any] | None = Field(None, description="present if it was asked for")


class WindowsBody(_Response):
    """Windows of a search."""

    done: int
    total: int
    failed: int


class JobBody(_Response):
    """A search of a scene."""

    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    phrases: list[str]
    image: str
    windows: WindowsBody
    found: int
    left_out: int = Field(description="objects left out, because their score is below the minimum")
    run: int
    resumable: bool
    error: str | None
    url: str = Field(description="address of the job on this server")


class ServerBody(_Response):
    """The server and its model."""

    software: str
    model: str
    tasks: list[str]
    scene_classes: list[str]
    categories: list[str]
    formats: list[str] = Field(description="formats of the result of a search")
    max_upload_mb: int


class ProblemBody(BaseModel):
    """An error, in the format of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="the bad value and the next step")
    error: str | None = Field(None, description="class of the error in `geochat.errors`")


def body_schema(fields: type[BaseModel], *, form: bool) -> dict[str, Any]:
    """Return the JSON schema of a request body: the fields and the image.

    Args:
        fields: Model of the fields.
        form: Whether the image is a file of a form rather than base64 text.
    """
    image: Any = Field(
        description="the image file" if form else "the image file in base64, or as a data URL",
        json_schema_extra={"format": "binary"} if form else {"contentEncoding": "base64"},
    )
    model = create_model(fields.__name__, __base__=fields, image=(str, image))
    return model.model_json_schema(ref_template="#/components/schemas/{model}")
