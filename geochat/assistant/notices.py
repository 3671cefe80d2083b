"""What a user should know of a view or an answer, beside the answer itself."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from geochat.imagery import GeoImage
from geochat.models import ModelInfo

_SHRUNK = 2.0  # image pixels a pixel the model sees, from which on small objects are lost


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to know.

    Attributes:
        code: Its kind, for programs.
        text: One or two sentences, for people.
    """

    code: str
    text: str


def view_notices(image: GeoImage, info: ModelInfo) -> Iterator[Notice]:
    """What to know before anything is asked about a view.

    Args:
        image: The view.
        info: The model that is asked.
    """
    for remark in image.remarks:
        yield Notice(remark.code, remark.text)
    if text := resolution_text(image, info):
        yield Notice("ground-resolution", text)
    elif (times := shrinkage(image, info)) >= _SHRUNK:
        width, height = image.window.width, image.window.height
        yield Notice(
            "shrunk",
            f"The model sees these {width} x {height} pixels shrunk {times:.3g}-fold, to {info.image_size} a side: "
            f"what is under {math.ceil(times * 8)} pixels wide is hardly visible to it. Ask about a part (a window).",
        )


def shrinkage(image: GeoImage, info: ModelInfo) -> float:
    """Pixels of the whole image a pixel of the model's square; under 1 where it is enlarged."""
    return max(image.window.width, image.window.height) / info.image_size


def nothing_found(image: GeoImage, info: ModelInfo) -> Notice | None:
    """What to do where a search found nothing in a view in which objects may be too small."""
    times = shrinkage(image, info)
    if times < _SHRUNK:
        return None
    side = info.image_size * 2
    return Notice(
        "nothing-found",
        f"Nothing was found, which says little: the view was shrunk {times:.3g}-fold. "
        f"Ask about parts of some {side} x {side} pixels (a window).",
    )


def resolution_text(image: GeoImage, info: ModelInfo) -> str:
    """What to say of a view whose ground pixels are far from those the model was trained on; "" of any other."""
    known = info.settings.ground_resolution
    if image.gsd is None or known is None:
        return ""
    seen = image.gsd * shrinkage(image, info)
    finest, coarsest = known
    if finest / 2 <= seen <= coarsest * 2:
        return ""
    if seen < finest:
        remedy = "Ask about a larger part."
    elif image.gsd <= coarsest * 2:
        side = round(coarsest * info.image_size / image.gsd)
        remedy = f"Ask about a part of some {side} x {side} pixels (a window)."
    else:
        remedy = "Its answers are guesses here."
    return (
        f"The model sees this view at {metres(seen)} a pixel; it was trained on {metres(finest)} to {metres(coarsest)}."
        f" {remedy}"
    )


def metres(length: float) -> str:
    """A length on the ground in two digits."""
    if length < 0.995:
        return f"{length * 100:.2g} cm"
    digits = max(0, 1 - math.floor(math.log10(length)))
    return f"{length:.{digits}f} m" if length < 1000 else f"{length / 1000:.1f} km"
