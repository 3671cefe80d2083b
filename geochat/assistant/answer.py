"""An answer, and its conversions to images, layers and JSON."""

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from PIL import Image

from geochat import __version__
from geochat.assistant.choosing import ChoiceMethod, choose
from geochat.assistant.interpretation import Interpretation
from geochat.assistant.notices import Notice, answer_notices
from geochat.assistant.regions import Numbering, as_asked, asked_region, confidence, region_dict, region_score
from geochat.dialects import ParsedText, Unreadable
from geochat.engines import Completion, Finish, TokenScore, Usage
from geochat.exports import (
    GroundedRegion,
    draw,
    to_geojson,
    write_geojson,
    write_geopackage,
    write_picture,
)
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage
from geochat.models import ModelInfo
from geochat.prompts import Task


@dataclass(frozen=True)
class Answer:
    """One grounded answer.

    Attributes:
        question: The question.
        interpretation: Interpretation of the question: task, prompt, offered answers.
        parsed: The text and what was read from it, nothing merged or left out.
        regions: The boxes of the text, placed on the image and the map; two of one phrase on one object are one.
        asked: The regions the question was about.
        image: The view of the question, with its provenance.
        info: The model.
        completion: The engine's completion.
        seconds: From the question to the end of the answer, with the time it waited for others asked with it.
        notices: Notices that accompany the answer.
    """

    question: str
    interpretation: Interpretation
    parsed: ParsedText = field(repr=False)
    regions: tuple[GroundedRegion, ...]
    asked: tuple[GroundedRegion, ...]
    image: GeoImage = field(repr=False)
    info: ModelInfo = field(repr=False)
    completion: Completion = field(repr=False)
    seconds: float
    notices: tuple[Notice, ...]

    @classmethod
    def read(
        cls,
        completion: Completion,
        *,
        question: str,
        interpretation: Interpretation,
        boxes: tuple[OrientedBox, ...],
        image: GeoImage,
        info: ModelInfo,
        seconds: float,
        notices: tuple[Notice, ...] = (),
    ) -> Self:
        """Parse the engine's text and locate its regions; never raises because of the text.

        Args:
            completion: The engine's completion.
            question: The question.
            interpretation: Interpretation of the question.
            boxes: The regions it was about, in pixels of the whole image.
            image: The view, with the model's frame.
            info: The model.
            seconds: Since the question.
            notices: Notices known before the answer.
        """
        parsed, numbering = info.dialect.parse(completion.text), Numbering()
        for region in parsed.regions:
            numbering.number(region)
        regions = []
        for region in numbering.regions:
            placed = GroundedRegion.placed(region, image.frame, image.place, region_score(region, completion.tokens))
            score = confidence(placed, image.window, info.settings)
            asked = as_asked(interpretation.phrase, region.phrase)
            regions.append(dataclasses.replace(placed, score=score, as_asked=asked))
        answer = cls(
            question, interpretation, parsed, tuple(regions), (), image, info, completion, seconds, tuple(notices)
        )
        about = tuple(asked_region(box, image, interpretation.task, answer.plain_text) for box in boxes)
        return dataclasses.replace(answer, asked=about, notices=(*notices, *answer_notices(answer)))

    @property
    def prompt(self) -> str:
        """The question as the model reads it, with task token and regions."""
        return self.interpretation.prompt

    @property
    def task(self) -> Task:
        """The kind of question."""
        return self.interpretation.task

    @property
    def text(self) -> str:
        """The model's text with markup; with offered choices, the chosen one."""
        return self.parsed.text

    @property
    def choice(self) -> str | None:
        """The offered answer that was given; None if nothing was offered, or none was given."""
        return self._chosen[0]

    @property
    def choice_method(self) -> ChoiceMethod | None:
        """Method by which `choice` was found; None if nothing was offered."""
        return self._chosen[1]

    @property
    def plain_text(self) -> str:
        """The text without markup; with offered choices, the chosen one."""
        return self.choice or self.parsed.plain_text

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.info.name

    @property
    def finish(self) -> Finish:
        """Reason why the text ends: "stop", "length" (token limit reached), "repetition" or "cancelled"."""
        return self.completion.finish

    @property
    def usage(self) -> Usage:
        """Numbers of prompt and generated tokens."""
        return self.completion.usage

    @property
    def tokens(self) -> tuple[TokenScore, ...]:
        """The text that each token added, with its log-probability."""
        return self.completion.tokens

    @property
    def problems(self) -> tuple[Unreadable, ...]:
        """Markup in the model's text that could not be parsed."""
        return self.parsed.problems

    @property
    def crs(self) -> str | None:
        """The CRS of the regions' map coordinates; None for an image that is not georeferenced."""
        return self.image.place.map_crs

    @property
    def features(self) -> tuple[GroundedRegion, ...]:
        """Regions to draw and export: those found, then those of the question with the answer as attribute."""
        return (*self.regions, *self.asked)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the answer, JSON-ready; the weights are hashed on first use."""
        image = self.image
        return {
            "software": f"geochat {__version__}",
            "model": self.model,
            "model_sha256": self.info.sha256,
            "question": self.question,
            "task": self.task.value,
            "prompt": self.prompt,
            "image": image.source,
            "image_sha256": image.sha256,
            "image_size": [image.width, image.height],
            "crs": self.crs,
            "bands": list(image.bands),
            "stretch": dataclasses.asdict(image.stretch),
            "window": list(image.window),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the answer and its inputs as JSON-ready values, the object that `geochat ask --json` prints.

        A region's `box` is [x1, y1, x2, y2, θ] in the model's own numbers: for GeoChat percent of the square it sees, θ
        in degrees clockwise on screen. `pixels` are its corners on the whole image, `map` in the CRS `crs` or null;
        `outline` and `map_outline` are those of the part inside the image. `score` is the probability that the
        box is right, if the checkpoint was calibrated, else the model's confidence in its text, the geometric mean of
        the probabilities of its coordinates' and phrase's tokens. `as_asked` states whether the
        phrase names the requested object, null if unknown. `choices` are the offered answers, each with its probability
        and the mean log-probability of its tokens if the engine scores them. `tokens` are the pieces of the text with
        the natural logarithms of their probabilities. `image_to_map` is the affine map [a, b, c, d, e, f] from pixels
        to the CRS `crs`, or null.
        """
        image, affine = self.image, self.image.place.image_to_map
        return {
            "text": self.text,
            "plain_text": self.plain_text,
            "regions": [region_dict(region) for region in self.regions],
            "crs": self.crs,
            "image": {
                "width": image.width,
                "height": image.height,
                "path": image.source,
                "window": list(image.window),
                "bands": list(image.bands),
                "stretch": dataclasses.asdict(image.stretch),
                "metres_a_pixel": image.gsd,
                "image_to_map": None if affine is None or image.crs is None else list(affine[:6]),
            },
            "model": self.model,
            "usage": dataclasses.asdict(self.usage),
            "seconds": round(self.seconds, 3),
            "tokens": [{"text": self.text[token.start : token.end], "logprob": token.logprob} for token in self.tokens],
            "question": self.question,
            "task": self.task.value,
            "prompt": self.prompt,
            "asked": [{**region_dict(region), "attributes": dict(region.attributes)} for region in self.asked],
            "choice": self.choice,
            "choice_method": self.choice_method,
            "choices": self._choices(),
            "in_scope": self.interpretation.reply is None,
            "finish": self.finish,
            "notices": [dataclasses.asdict(notice) for notice in self.notices],
        }

    def draw(self) -> Image.Image:
        """Draw the features on the view, numbered as in `features`, at the view's size."""
        return draw(self.image.pil(), self.features, self.image.frame)

    def to_geojson(self) -> dict[str, Any]:
        """Return a GeoJSON FeatureCollection: WGS 84 (RFC 7946), or marked pixels for an image without a CRS."""
        return to_geojson(self.features, self.crs, self.provenance)

    def save_overlay(self, path: str | Path) -> Path:
        """Write `draw()` as .png or .jpg.

        Raises:
            ExportError: The file cannot be written.
        """
        return write_picture(path, self.draw(), self.provenance)

    def save_geojson(self, path: str | Path) -> Path:
        """Write `to_geojson()`.

        Raises:
            ExportError: The file cannot be written.
        """
        return write_geojson(path, self.to_geojson())

    def to_geopackage(self, path: str | Path) -> Path:
        """Write the features as a GeoPackage in the image's CRS.

        Raises:
            ExportError: The file cannot be written.
        """
        return write_geopackage(path, self.features, self.crs, self.provenance)

    @cached_property
    def _chosen(self) -> tuple[str | None, ChoiceMethod | None]:
        return choose(self.text, self.completion.choices, self.interpretation.choices)

    def _choices(self) -> list[dict[str, Any]]:
        scores = {score.text: score for score in self.completion.choices}
        return [
            {
                "text": choice,
                "probability": scores[choice].probability if choice in scores else None,
                "logprob": scores[choice].logprob if choice in scores else None,
            }
            for choice in self.interpretation.choices
        ]
