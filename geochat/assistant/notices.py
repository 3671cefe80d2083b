"""Notices: facts about a view or an answer that a user should know."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from geochat.imagery import GeoImage
from geochat.models import ModelInfo
from geochat.prompts import Task

if TYPE_CHECKING:
    from geochat.assistant.answer import Answer

_TAIL = 0.1  # of the probabilities on either side of a count's range
_NAMED = 3  # boxes that a notice names by their numbers
_SHRUNK = 2.0  # image pixels a pixel the model sees, from which on small objects are lost


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice for the user.

    Attributes:
        code: Its kind, for programs.
        text: One or two sentences, for people.
    """

    code: str
    text: str


def view_notices(image: GeoImage, info: ModelInfo) -> Iterator[Notice]:
    """Yield notices about a view, before a question is asked.

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
            f"what is under {math.ceil(times * 8)} pixels wide is hardly visible to it. Ask about a part (a window), "
            "or have all of it searched part by part (a search).",
        )


def shrinkage(image: GeoImage, info: ModelInfo) -> float:
    """Number of pixels of the whole image per pixel of the model's square; under 1 if the image is enlarged."""
    return max(image.window.width, image.window.height) / info.image_size


def nothing_found(image: GeoImage, info: ModelInfo) -> Notice | None:
    """Return advice for a search that found nothing in a view whose objects may be too small."""
    times = shrinkage(image, info)
    if times < _SHRUNK:
        return None
    side = info.image_size * 2
    return Notice(
        "nothing-found",
        f"Nothing was found, which says little: the view was shrunk {times:.3g}-fold. "
        f"Ask about parts of some {side} x {side} pixels (a window), or have all of it searched (a search).",
    )


def resolution_text(image: GeoImage, info: ModelInfo) -> str:
    """Return a notice about a ground resolution far from the training resolutions; "" for any other."""
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
    """Format a length on the ground with two digits."""
    if length < 0.995:
        return f"{length * 100:.2g} cm"
    digits = max(0, 1 - math.floor(math.log10(length)))
    return f"{length:.{digits}f} m" if length < 1000 else f"{length / 1000:.1f} km"


def answer_notices(answer: "Answer") -> Iterator[Notice]:
    """Yield notices about an answer."""
    phrase = answer.interpretation.phrase
    others = dict.fromkeys(region.phrase for region in answer.regions if region.as_asked is False)
    if others:
        named = ", ".join(f'"{other}"' for other in others)
        yield Notice("not-as-asked", f'"{phrase}" was asked for; what the model boxed it calls {named}.')
    if answer.choice_method == "unmatched":
        yield Notice("no-choice", f"The model answered {answer.parsed.plain_text!r}, which is none of those offered.")
    searched = answer.task in (Task.REFER, Task.GROUNDING) and answer.interpretation.reply is None
    if searched and not answer.regions and (notice := nothing_found(answer.image, answer.info)):
        yield notice
    for problem in answer.problems:
        yield Notice("unreadable", f"The model wrote {problem.text!r}, which could not be read: {problem.reason}.")
    if merged := len(answer.parsed.regions) - len(answer.regions):
        boxes = f"{merged} boxes are" if merged > 1 else "One box is"
        yield Notice("merged", f"{boxes} left out: the same phrase had boxed the same object.")
    if notice := _counted(answer):
        yield notice
    if notice := _improbable(answer):
        yield notice
    if notice := _ending(answer):
        yield notice


def _counted(answer: "Answer") -> Notice | None:
    """Return a notice about a number in doubt: the range without a tenth of the probability on either side."""
    scores = answer.completion.choices
    if not answer.interpretation.ordered or not scores:
        return None
    sums = list(accumulate(score.probability for score in scores))
    low = next(n for n, below in enumerate(sums) if below > _TAIL)
    high = next((n for n, below in enumerate(sums) if below >= 1 - _TAIL), len(sums) - 1)
    if low == high:
        return None
    return Notice("count", f"The model is not sure of the number: probably {scores[low].text} to {scores[high].text}.")


def _improbable(answer: "Answer") -> Notice | None:
    """Return a notice about boxes that a calibrated checkpoint holds for wrong."""
    calibration = answer.info.settings.box_confidence
    if calibration is None:
        return None
    least = calibration.minimum
    found = [f"[{n}]" for n, each in enumerate(answer.regions, 1) if each.score is not None and each.score < least]
    if not found:
        return None
    named = f"{len(found)} of {len(answer.regions)} boxes" if len(found) > _NAMED else " and ".join(found)
    verb = "is" if len(found) == 1 else "are"
    return Notice(
        "improbable", f"{named} {verb} probably wrong: under {least:.0%} of the model's boxes like this are right."
    )


def _ending(answer: "Answer") -> Notice | None:
    """Return a notice about the end of an answer."""
    match answer.finish:
        case "stop" if not answer.text:
            return Notice("empty", "The model had nothing to say; ask in other words.")
        case "length":
            count = answer.usage.completion_tokens
            return Notice("cut-off", f"The answer was cut off after {count} tokens; raise max_new_tokens.")
        case "repetition":
            return Notice("repetition", "The model began to repeat itself and was stopped; ask in other words.")
        case "cancelled":
            return Notice("cancelled", "The answer was cancelled; what there is of it stays in the conversation.")
    return None
