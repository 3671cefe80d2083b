"""Labels that keep out of each other's way."""

from collections.abc import Iterator, Sequence

from PIL import ImageDraw, ImageFont

from geochat.exports.grounded import Point

DARK = "#101010"

Rectangle = tuple[float, float, float, float]


class Labels:
    """Writes labels at outlines, black on a colour, and remembers where they are."""

    def __init__(self, pen: ImageDraw.ImageDraw, size: int) -> None:
        self._pen = pen
        self._font = ImageFont.load_default(size)
        self._taken: list[Rectangle] = []

    def write(self, texts: Sequence[str], outline: Sequence[Point], canvas: tuple[int, int], colour: str) -> None:
        """Write the first of `texts` that finds a free place at the outline; the last one even where none is free.

        Nothing is written for an outline outside the canvas.
        """
        left, top, right, bottom = _bounds(outline)
        if right < 0 or bottom < 0 or left >= canvas[0] or top >= canvas[1]:
            return
        places = [(text, place) for text in texts for place in self._places(text, outline, canvas)]
        crowded = next(pair for pair in places if pair[0] == texts[-1])
        text, place = next((pair for pair in places if self._is_free(pair[1])), crowded)
        self._taken.append(place)
        self._pen.rectangle(place, fill=colour, outline=DARK)
        self._pen.text((place[0] + 3, place[1] + 2), text, fill="black", font=self._font)

    def _places(self, text: str, outline: Sequence[Point], canvas: tuple[int, int]) -> Iterator[Rectangle]:
        """Rectangles above the topmost corner, below the lowest, beside and inside, moved onto the canvas."""
        left, top, right, bottom = _bounds(outline)
        _, _, text_right, text_bottom = self._pen.textbbox((0, 0), text, font=self._font)
        width, height = text_right + 6, text_bottom + 5
        highest, lowest = min(outline, key=lambda point: point[1]), max(outline, key=lambda point: point[1])
        for x, y in (
            (highest[0], top - height - 1),
            (lowest[0], bottom + 2),
            (right + 2, top),
            (left - width - 2, top),
            (left + 2, (top + bottom - height) / 2),
        ):
            x_inside = min(max(x, 0), max(canvas[0] - width - 1, 0))
            y_inside = min(max(y, 0), max(canvas[1] - height - 1, 0))
            yield x_inside, y_inside, x_inside + width, y_inside + height

    def _is_free(self, place: Rectangle) -> bool:
        return not any(
            place[0] < other[2] and other[0] < place[2] and place[1] < other[3] and other[1] < place[3]
            for other in self._taken
        )


def _bounds(outline: Sequence[Point]) -> Rectangle:
    xs, ys = zip(*outline, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
