"""Synthetic aerial scenes with exact oriented boxes, each a function of its seed.

They give the four categories marked in UC Merced more sizes, directions and surroundings than its photographs
have, and add cars, ships, buildings and solar panels. Everything drawn is labelled, except service vehicles on aprons.
"""

from collections.abc import Callable

import numpy as np

from geochat.errors import SettingsError
from geochat_data.records import LabelledImage
from geochat_data.scenes.airport import apron
from geochat_data.scenes.camera import photograph
from geochat_data.scenes.canvas import Canvas
from geochat_data.scenes.harbour import harbour
from geochat_data.scenes.nature import fields, forest, river
from geochat_data.scenes.roads import junction, runway
from geochat_data.scenes.solar import solar_farm
from geochat_data.scenes.sports import diamond, tennis
from geochat_data.scenes.surroundings import clutter
from geochat_data.scenes.tanks import tank_farm
from geochat_data.scenes.town import car_park, residential
from geochat_data.scenes.works import works

__all__ = ["KINDS", "SCENE_CATEGORIES", "render_scene"]

SCENE_CATEGORIES = frozenset(
    {"airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship", "solar panel"}
)
_STREAM = 2  # with the seed it begins all chance: another number would give other scenes
Painter = Callable[[Canvas], str]
KINDS: dict[str, tuple[Painter, str | None, float]] = {  # painter, subject, how often
    "airport": (apron, "airplane", 0.26),
    "tanks": (tank_farm, "storage tank", 0.18),
    "tennis": (tennis, "tennis court", 0.16),
    "baseball": (diamond, "baseball diamond", 0.12),
    "residential": (residential, "building", 0.08),
    "car park": (car_park, "car", 0.05),
    "harbour": (harbour, "ship", 0.06),
    "fields": (fields, None, 0.03),
    "forest": (forest, None, 0.03),
    "river": (river, None, 0.03),
    "junction": (junction, "building", 0.08),
    "solar farm": (solar_farm, "solar panel", 0.06),
    "works": (works, "building", 0.07),
    "runway": (runway, None, 0.04),
}
_SPARSE = frozenset(
    {"tanks", "tennis", "baseball", "river", "runway", "solar farm"}
)  # with room for more to stand about


def render_scene(seed: int, size: int = 256, kind: str | None = None) -> LabelledImage:
    """One scene, the same for the same arguments.

    Args:
        seed: Any non-negative integer.
        size: Side of the image in pixels.
        kind: One of `KINDS`; drawn by its frequency when None.

    Raises:
        SettingsError: There is no such kind.
    """
    rng = np.random.default_rng([seed, _STREAM])
    if kind is None:
        names, shares = list(KINDS), np.array([share for _, _, share in KINDS.values()])
        kind = names[rng.choice(len(names), p=shares / shares.sum())]
    elif kind not in KINDS:
        raise SettingsError(f"no scene is called {kind!r}; choose one of {', '.join(KINDS)}")
    canvas = Canvas(size, size / 256 / rng.uniform(0.22, 0.42), rng)
    painter, subject, _ = KINDS[kind]
    scene = painter(canvas)
    if kind in _SPARSE:
        clutter(canvas)
    gain = canvas.gain(rng.uniform(0.02, 0.05))
    return LabelledImage(
        path=None,
        width=size,
        height=size,
        objects=tuple(canvas.objects),
        ignore=tuple(canvas.doubtful),
        scene=scene if subject is None or subject in {item.category for item in canvas.objects} else None,
        split="train",
        labelled=SCENE_CATEGORIES,
        pixels=photograph(canvas.image, size, rng, gain),
        name=f"{kind.replace(' ', '_')}_{seed}",
    )
