"""Small images of parts of a scene, as data URLs."""

import base64
import io
import math

from PIL import Image, ImageDraw

from geochat.geometry import OrientedBox
from geochat.imagery import BandChoice, Scene, Stretch, Window

_AROUND = 2.5  # sides of an object, that its thumbnail shows
_LEAST = 48  # pixels of the scene that a thumbnail shows at least
_LARGEST = 384  # pixels per side of a thumbnail
_OUTLINE = (255, 220, 0)


class Thumbnails:
    """Thumbnails of a scene.

    Args:
        scene: The scene, open.
        bands: The bands that are shown.
        stretch: Mapping of samples to brightness.
    """

    def __init__(self, scene: Scene, bands: BandChoice, stretch: Stretch) -> None:
        self._scene, self._bands, self._stretch = scene, bands, stretch

    def url(self, window: Window, box: OrientedBox | None = None) -> str:
        """Return the image of a window, with a box outlined on it."""
        view = self._scene.read(
            window, max_side=_LARGEST, bands=self._bands, stretch=self._stretch, allow_blank=True
        ).pil()
        scale = max(1, _LARGEST // max(view.size))
        picture = view.resize((view.width * scale, view.height * scale), Image.Resampling.NEAREST)
        if box is not None:
            across, down = picture.width / window.width, picture.height / window.height
            corners = [((x - window.column) * across, (y - window.row) * down) for x, y in box.corners()]
            ImageDraw.Draw(picture).polygon(corners, outline=_OUTLINE, width=2)
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=85)
        return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"

    def around(self, box: OrientedBox) -> Window:
        """Return the window that shows a box and its surroundings."""
        left, top, right, bottom = box.polygon().bounds
        side = max(_LEAST, math.ceil(_AROUND * float(max(right - left, bottom - top))))
        width, height = min(side, self._scene.width), min(side, self._scene.height)
        column, row = round((left + right - width) / 2), round((top + bottom - height) / 2)
        return Window(
            min(max(column, 0), self._scene.width - width), min(max(row, 0), self._scene.height - height), width, height
        )
