"""A closer view for regions that are too small in the view of the question."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import shapely

from geochat.assistant.notices import Notice
from geochat.errors import RegionError
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage, Window
from geochat.models import ModelInfo

_SHARE = 3  # of the window's side to the regions' extent
_USUAL_PATCHES = 24  # a side, of a model that does not say


def closer_view(
    image: GeoImage, boxes: Sequence[OrientedBox], info: ModelInfo
) -> tuple[GeoImage | None, tuple[Notice, ...]]:
    """Return a window around regions if one of them is smaller than a patch of the model, and a notice about it.

    Args:
        image: The view of the question, with the model's frame.
        boxes: The regions, in pixels of the whole image.
        info: The model.

    Returns:
        None where the view does as it is, or no closer one shows all the regions.
    """
    small = [box for box in boxes if _is_too_small(box, image, info)]
    if not small:
        return None, ()
    told = f"A region of {small[0].width:.3g} x {small[0].height:.3g} pixels is smaller than what the model can see"
    told += f" in a view of {image.window.width} x {image.window.height}"
    window = _around(boxes, image, info)
    if image.scene is None or max(window.size) >= max(image.window.size):
        return None, (Notice("region-too-small", f"{told}; the answer may be about its surroundings."),)
    view = image.look(window)
    view = replace(view, frame=replace(view.frame, model=image.frame.model))
    return view, (Notice("region-window", f"{told}; a window of {window.width} x {window.height} was shown to it."),)


def _is_too_small(box: OrientedBox, image: GeoImage, info: ModelInfo) -> bool:
    """Return whether a region is smaller than a patch in both directions, or loses its area when it is written."""
    written = box.transform(image.frame.between("image", "model"))
    patch = info.patch_size or info.image_size / _USUAL_PATCHES
    across, down = info.frame.extent(image.frame.view_size)
    seen = max(written.width / across, written.height / down) * info.image_size
    try:
        return seen < patch or not info.dialect.keeps_area(written)
    except RegionError:  # too large to be written: not too small
        return False


def _around(boxes: Iterable[OrientedBox], image: GeoImage, info: ModelInfo) -> Window:
    """Return the window that shows all the regions with a margin."""
    left, top, right, bottom = shapely.union_all([box.polygon() for box in boxes]).bounds
    extent = max(right - left, bottom - top)
    side = max(info.image_size, round(_SHARE * extent))
    center = (left + right) / 2, (top + bottom) / 2
    return Window.around(center, side).move_into((image.width, image.height))
