"""What was answered, and everything it can be turned into."""

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from PIL import Image

from geochat import __version__
from geochat.assistant.scoring import region_score
from geochat.engines import Completion, Engine, Finish, TokenScore, Usage
from geochat.exports import (
    GroundedRegion,
    draw,
    to_geojson,
    write_geojson,
    write_geopackage,
    write_picture,
)
from geochat.imagery import GeoImage
from geochat.regions import ParsedText, Unreadable, parse


@dataclass(frozen=True)
class Answer:
    """One grounded answer.

    Attributes:
        question: What was asked.
        prompt: The question as the model read it, with task token and regions.
        parsed: The text and what was read from it.
        regions: The boxes of the text, placed on the image and the map.
        image: The view that was asked about and how it was made.
        model: Name of the model.
        finish: Why the text ends: "stop", "length" (the budget was spent) or "cancelled".
        usage: Tokens read and written.
        seconds: From the question to the end of the answer, with the time it waited for others asked with it.
        tokens: What each token added to the text, with its log-probability.
    """

    question: str
    prompt: str
    parsed: ParsedText = field(repr=False)
    regions: tuple[GroundedRegion, ...]
    image: GeoImage = field(repr=False)
    model: str
    finish: Finish
    usage: Usage
    seconds: float
    tokens: tuple[TokenScore, ...] = field(repr=False)
    _engine: Engine = field(repr=False, compare=False)

    @classmethod
    def read(
        cls,
        completion: Completion,
        *,
        question: str,
        prompt: str,
        image: GeoImage,
        engine: Engine,
        seconds: float,
    ) -> Self:
        """Read and place what the engine wrote; never fails on what a model may write."""
        parsed = parse(completion.text, engine.settings.convention)
        regions = tuple(
            GroundedRegion.place(region, image.frame, region_score(region, completion.tokens))
            for region in parsed.regions
        )
        return cls(
            question,
            prompt,
            parsed,
            regions,
            image,
            engine.name,
            completion.finish,
            completion.usage,
            seconds,
            completion.tokens,
            engine,
        )

    @property
    def text(self) -> str:
        """What the model wrote, markup included."""
        return self.parsed.text

    @property
    def plain_text(self) -> str:
        """The words alone."""
        return self.parsed.plain_text

    @property
    def problems(self) -> tuple[Unreadable, ...]:
        """Markup the model wrote that could not be read."""
        return self.parsed.problems

    @property
    def crs(self) -> str | None:
        """The CRS of the regions' map coordinates; None for an image that is not georeferenced."""
        return self.image.frame.crs if self.image.frame.image_to_map is not None else None

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Where the answer came from, JSON-ready; hashes the weights when first asked for."""
        image = self.image
        return {
            "software": f"geochat {__version__}",
            "model": self.model,
            "model_sha256": self._engine.sha256,
            "question": self.question,
            "prompt": self.prompt,
            "image": None if image.path is None else str(image.path),
            "image_sha256": image.sha256,
            "image_size": [image.width, image.height],
            "crs": self.crs,
            "bands": list(image.bands),
            "stretch": dataclasses.asdict(image.stretch),
            "window": list(image.window),
        }

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON-ready values, the object `geochat ask --json` prints.

        A region's `box` is [x1, y1, x2, y2, θ] in the model's frame: percent of the square it sees, θ in degrees
        clockwise on screen. `pixels` are its corners on the whole image, `map` in the CRS `crs` or null. `score`
        is how sure the model was, the geometric mean of the probabilities of its coordinates' and phrase's tokens.
        `tokens` are the pieces of the text with the natural logarithms of their probabilities.
        """
        return {
            "text": self.text,
            "plain_text": self.plain_text,
            "regions": [
                {
                    "phrase": region.phrase,
                    "box": [region.box.x1, region.box.y1, region.box.x2, region.box.y2, region.box.angle],
                    "pixels": [list(point) for point in region.pixels],
                    "map": None if region.map is None else [list(point) for point in region.map],
                    "score": region.score,
                }
                for region in self.regions
            ],
            "crs": self.crs,
            "image": {"width": self.image.width, "height": self.image.height},
            "model": self.model,
            "usage": dataclasses.asdict(self.usage),
            "seconds": round(self.seconds, 3),
            "tokens": [{"text": self.text[token.start : token.end], "logprob": token.logprob} for token in self.tokens],
        }

    def draw(self) -> Image.Image:
        """The view with the regions drawn on it, numbered as in `regions`, at the view's size."""
        return draw(self.image.pil(), self.regions, self.image.frame)

    def to_geojson(self) -> dict[str, Any]:
        """A GeoJSON FeatureCollection: WGS 84 (RFC 7946), or marked pixels for an image without a CRS."""
        return to_geojson(self.regions, self.crs, self.provenance)

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
        """Write the regions as a GeoPackage in the image's CRS.

        Raises:
            ExportError: The file cannot be written.
        """
        return write_geopackage(path, self.regions, self.crs, self.provenance)
