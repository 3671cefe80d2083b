"""The regions of an answer on their image: found, asked about, and as JSON."""

from typing import Any

from geochat.exports import GroundedRegion, box_numbers
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage
from geochat.prompts import Task
from geochat.prompts.phrases import same_thing

_LONGEST_NAME = 80  # of a region asked about, taken from the answer


def asked_region(box: OrientedBox, image: GeoImage, task: Task, words: str) -> GroundedRegion:
    """A region that was asked about, with the answer; it is named by that where the question was what it is.

    Args:
        box: In pixels of the whole image.
        image: The view that was asked about, with the model's frame.
        task: The kind of question.
        words: The answer without markup.
    """
    named = task is Task.IDENTIFY and 0 < len(words) <= _LONGEST_NAME
    in_model = box.transform(image.frame.between("image", "model"))
    return GroundedRegion(words if named else None, box, image.place, in_model, role="asked", answer=words)


def as_asked(asked: str | None, named: str | None) -> bool | None:
    """Return whether a region's phrase names what was asked for; None where nothing was, or it has no phrase."""
    return None if asked is None or not named else same_thing(asked, named)


def region_dict(region: GroundedRegion) -> dict[str, Any]:
    """A region as JSON-ready values; `Answer.to_dict` says what they mean."""
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
