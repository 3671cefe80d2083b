"""Writing boxes and phrases in the text a model is trained on and asked with.

What is written reads back: a box whose numbers need no rounding and whose angle lies in the written range
comes back equal, and a phrase that holds markup is refused, because cleaning it silently would change what is asked.
"""

from collections.abc import Sequence
from dataclasses import replace

from geochat.dialects.braces import MARK, MAX_HELD, Kind, next_token
from geochat.errors import RegionError
from geochat.geometry import AngleConvention, OrientedBox


def _write_box(box: OrientedBox, angles: AngleConvention, decimals: int = 0) -> str:
    """Write a box as `{<x1><y1><x2><y2>|<θ>}`.

    Args:
        box: In the frame the text speaks of, for GeoChat percent of the square the model sees. Its angle is brought
            into the written range, sides swapped about the centre as that needs.
        angles: How angles are written.
        decimals: Digits kept after the point, trailing zeros dropped. With none, as GeoChat writes, a box less
            than half a percent wide may be left without area.

    Raises:
        RegionError: The numbers are too large or `decimals` is out of range to be read back.
    """
    if not 0 <= decimals <= 15:
        raise RegionError(f"decimals={decimals} cannot be written; use 0 to 15")
    written = replace(box, angle=angles.sign * box.angle).normalized(angles.angle_range)
    # Rounding may carry the angle out of the range, 0.3 to 0 in (0, 90]; the sides are then swapped before they too
    # are rounded.
    written = replace(written, angle=round(written.angle, decimals)).normalized(angles.angle_range)
    x1, y1, x2, y2, angle = (
        _decimal(number, decimals) for number in (written.x1, written.y1, written.x2, written.y2, written.angle)
    )
    text = f"{{<{x1}><{y1}><{x2}><{y2}>|<{angle}>}}"
    token = next_token(text, 0, final=True)
    if token is None or token.kind is not Kind.BOX:
        raise RegionError(f"{box} is too large to be written; coordinates of text are percent, near 0 to 100")
    return text


def write_regions(
    phrase: str | None,
    boxes: Sequence[OrientedBox],
    angles: AngleConvention,
    decimals: int = 0,
) -> str:
    """Write a phrase and its boxes as `<p>phrase</p> {…}<delim>{…}`; without a phrase, the boxes alone.

    Raises:
        RegionError: The phrase holds markup or is too long to be read back, or a box cannot be written.
    """
    written = "<delim>".join(_write_box(box, angles, decimals) for box in boxes)
    if phrase is None:
        return written
    phrase = phrase.strip()
    if found := MARK.search(phrase):
        raise RegionError(f"phrase {phrase!r} holds the markup {found.group()!r}; take it out")
    if len(phrase) > MAX_HELD:
        raise RegionError(f"phrase of {len(phrase)} characters cannot be read back; use {MAX_HELD} at most")
    return f"<p>{phrase}</p> {written}".rstrip()


def _decimal(number: float, decimals: int) -> str:
    text = f"{number:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
