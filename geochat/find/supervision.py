"""Found objects as `supervision.Detections`; needs the extra "supervision"."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from geochat.errors import SettingsError
from geochat.exports import GroundedRegion
from geochat.find.objects import FoundObject
from geochat.geometry import OrientedBox

if TYPE_CHECKING:
    import supervision


def to_supervision(
    objects: Iterable[FoundObject | GroundedRegion], phrases: Sequence[str] | None = None
) -> "supervision.Detections":
    """Convert objects of `GeoChat.find`, or regions of an answer, to detections in pixels of the whole image.

    >>> detections = to_supervision(chat.find("scene.tif", ["ships"]))
    >>> picture = sv.OrientedBoxAnnotator().annotate(picture, detections)

    Args:
        objects: Objects or regions.
        phrases: Names by class number; None numbers the phrases as they come.

    Returns:
        `xyxy` are the upright rectangles around the boxes, `class_id` the numbers of the phrases, and `data` holds
        "class_name" and the corners of the boxes (N, 4, 2) as `supervision.config.ORIENTED_BOX_COORDINATES`.
        `confidence` is NaN for an object without a score, and None where none has one.

    Raises:
        SettingsError: supervision is not installed, or an object has a phrase that is not among `phrases`.
    """
    try:
        import supervision  # noqa: PLC0415 - an extra
        from supervision.config import CLASS_NAME_DATA_FIELD, ORIENTED_BOX_COORDINATES  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError("supervision is not installed; pip install 'geochat[supervision]'") from error
    listed = list(objects)
    names = list(dict.fromkeys(each.phrase or "" for each in listed)) if phrases is None else list(phrases)
    numbers = {name: number for number, name in enumerate(names)}
    if unknown := {each.phrase or "" for each in listed} - numbers.keys():
        raise SettingsError(f"{sorted(unknown)[0]!r} is not among the phrases {names}; name all phrases of the objects")
    corners = np.array([_box(each).corners() for each in listed], np.float32).reshape(-1, 4, 2)
    scores = [each.score for each in listed]
    is_scored = any(score is not None for score in scores)
    confidence = np.array([np.nan if score is None else score for score in scores], np.float32)
    return supervision.Detections(
        xyxy=np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1),
        confidence=confidence if is_scored else None,
        class_id=np.array([numbers[each.phrase or ""] for each in listed], int),
        data={
            CLASS_NAME_DATA_FIELD: np.array([each.phrase or "" for each in listed], str),
            ORIENTED_BOX_COORDINATES: corners,
        },
    )


def _box(each: FoundObject | GroundedRegion) -> OrientedBox:
    """Return the box of an object, or the smallest one around a region."""
    shape = each.box if isinstance(each, FoundObject) else each.geometry
    return shape if isinstance(shape, OrientedBox) else OrientedBox.from_polygon(shape)
