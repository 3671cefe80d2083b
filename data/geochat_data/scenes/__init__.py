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

__all__ = ["KINDS", "MORE_KINDS", "SCENE_CATEGORIES", "render_scene"]

SCENE_CATEGORIES = frozenset(
    {"airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship"}
)
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
}


MORE_KINDS: dict[str, tuple[Painter, str | None, float]] = {  # what the second version adds
    "junction": (junction, "building", 0.08),
    "solar farm": (solar_farm, "solar panel", 0.06),
    "works": (works, "building", 0.07),
    "runway": (runway, None, 0.04),
}
_SPARSE = frozenset(
    {"tanks", "tennis", "baseball", "river", "runway", "solar farm"}
)  # with room for more to stand about


def render_scene(seed: int, size: int = 256, kind: str | None = None, version: int = 1) -> LabelledImage:
    """One scene, the same for the same arguments.

    Args:
        seed: Any non-negative integer.
        size: Side of the image in pixels.
        kind: One of `KINDS` or, in version 2, `MORE_KINDS`; drawn by its frequency when None.
        version: 1 gives what the first model was trained on; 2 has more kinds, worn ground, more standing about, and
            photographs of fuller contrast.

    Raises:
        SettingsError: There is no such kind or version.
    """
    if version not in (1, 2):
        raise SettingsError(f"scenes have no version {version!r}; choose 1 or 2")
    kinds = KINDS if version == 1 else KINDS | MORE_KINDS
    rng = np.random.default_rng(seed if version == 1 else [seed, version])
    if kind is None:
        names, shares = list(kinds), np.array([share for _, _, share in kinds.values()])
        kind = names[rng.choice(len(names), p=shares / shares.sum())]
    elif kind not in kinds:
        raise SettingsError(f"no scene is called {kind!r}; choose one of {', '.join(kinds)}")
    canvas = Canvas(size, size / 256 / rng.uniform(0.22, 0.42), rng, worn=version > 1)
    painter, subject, _ = kinds[kind]
    scene = painter(canvas)
    if version > 1 and kind in _SPARSE:
        clutter(canvas)
    grain = rng.uniform(0.02, 0.05)
    if version == 1:
        canvas.grain(grain)
    modern = None if version == 1 else canvas.gain(grain)
    return LabelledImage(
        path=None,
        width=size,
        height=size,
        objects=tuple(canvas.objects),
        ignore=tuple(canvas.doubtful),
        scene=scene if subject is None or subject in {item.category for item in canvas.objects} else None,
        split="train",
        labelled=SCENE_CATEGORIES if version == 1 else SCENE_CATEGORIES | {"solar panel"},
        pixels=photograph(canvas.image, size, rng, modern=modern),
        name=f"{kind.replace(' ', '_')}_{seed}",
    )
