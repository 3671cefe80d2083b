"""Regions of an answer: scored, numbered, and in image coordinates."""

import math
from collections.abc import Iterable
from typing import Any

from geochat.dialects import Region
from geochat.engines import TokenScore
from geochat.exports import GroundedRegion, box_numbers
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage, Window
from geochat.models import Settings
from geochat.prompts import Task
from geochat.prompts.phrases import category_of, head_noun, same_thing


def region_score(region: Region, tokens: Iterable[TokenScore]) -> float | None:
    """Return the geometric mean of the probabilities of the tokens of a region's coordinates and phrase.

    It lies between 0 and 1, and is comparable between regions of different length. A phrase counts for each of its
    boxes; the marks around it do not count. It is the model's confidence in its text, not a calibrated probability that
    the text is correct.

    Args:
        region: As the parser read it.
        tokens: Text added by each token.

    Returns:
        None where the engine gives no token scores.
    """
    spans = [span for span in (region.span, region.phrase_span) if span is not None]
    logprobs = [token.logprob for token in tokens if any(_writes(token, *span) for span in spans)]
    return math.exp(math.fsum(logprobs) / len(logprobs)) if logprobs else None


def confidence(region: GroundedRegion, window: Window, settings: Settings) -> float | None:
    """Return the probability that a region's box is right, if the checkpoint was calibrated, else its score.

    Args:
        region: The region, with the score of its text.
        window: What the model sees of the image.
        settings: The checkpoint's settings.
    """
    calibration = settings.box_confidence
    if region.score is None or calibration is None:
        return region.score
    side = max(region.geometry.width, region.geometry.height) / max(window.width, window.height)
    category = category_of(head_noun(region.phrase or ""), settings.categories)
    return calibration.probability(region.score, side, category)


def _writes(token: TokenScore, start: int, end: int) -> bool:
    """Return whether a token wrote any of the characters from `start` to `end`, or the first bytes of one."""
    return token.start < end and (token.end > start or token.start == token.end >= start)


SAME_OBJECT = 0.7
"""Intersection over union above which two boxes of one phrase are boxes of one object."""


class Numbering:
    """Numbers regions from 1 in order, so that streamed and complete answers are numbered alike.

    Attributes:
        regions: The region that each number stands for, the first of those that share it.
    """

    def __init__(self) -> None:
        self.regions: list[Region] = []

    def number(self, region: Region) -> int:
        """Return the number of a region: that of an earlier region on the same object, else a new one."""
        for number, other in enumerate(self.regions, 1):
            same = other.shape == region.shape or other.box.iou(region.box) > SAME_OBJECT
            if other.phrase == region.phrase and same:
                return number
        self.regions.append(region)
        return len(self.regions)


_LONGEST_NAME = 80  # of a region asked about, taken from the answer


def asked_region(box: OrientedBox, image: GeoImage, task: Task, words: str) -> GroundedRegion:
    """Return a region of a question with its answer, which names the region if the question asked for its name.

    Args:
        box: In pixels of the whole image.
        image: The view of the question, with the model's frame.
        task: The kind of question.
        words: The answer without markup.
    """
    named = task is Task.IDENTIFY and 0 < len(words) <= _LONGEST_NAME
    in_model = box.transform(image.frame.between("image", "model"))
    return GroundedRegion(words if named else None, box, image.place, in_model, role="asked", answer=words)


def as_asked(asked: str | None, named: str | None) -> bool | None:
    """Return whether a region's phrase names the requested object; None without a request or a phrase."""
    return None if asked is None or not named else same_thing(asked, named)


def region_dict(region: GroundedRegion) -> dict[str, Any]:
    """Return a region as JSON-ready values; `Answer.to_dict` documents them."""
    on_map, outline, map_outline = region.map, region.outline, region.map_outline
    width, height, area = region.ground_size or (None, None, None)
    return {
        "phrase": region.phrase,
        "box": None if region.box is None else box_numbers(region.box),
        "pixels": [list(point) for point in region.pixels],
        "map": None if on_map is None else [list(point) for point in on_map],
        "score": region.score,
        "outline": [list(point) for point in outline],
        "map_outline": None if map_outline is None else [list(point) for point in map_outline],
        "as_asked": region.as_asked,
        "width_m": width,
        "height_m": height,
        "area_m2": area,
    }
