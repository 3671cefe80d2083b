"""The bundled scenes, and their thumbnails on the page."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from geochat.errors import ImageError
from geochat_serve.open_scene import OpenScene, data_url

_THUMBNAIL_SIDE = 300


def samples() -> list[dict[str, Any]]:
    """The bundled scenes: `file` and `title`."""
    listed: list[dict[str, Any]] = json.loads((_folder() / "samples.json").read_text(encoding="utf-8"))
    return listed


def open_sample(name: str) -> OpenScene:
    """Open a bundled scene.

    Raises:
        ImageError: There is none of that name.
    """
    if name not in [sample["file"] for sample in samples()]:
        raise ImageError(f"there is no bundled scene {name!r}; choose one of the gallery")
    return OpenScene.open(_folder() / name, name, owned=False)


def gallery() -> str:
    """What the page shows of the bundled scenes, as JSON."""
    return json.dumps([_shown(sample) for sample in samples()])


def _shown(sample: dict[str, Any]) -> dict[str, str]:
    with open_sample(sample["file"]) as scene:
        picture = scene.image.pil()
    picture.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    title = str(sample["title"]).split(",")[0]
    return {"file": sample["file"], "title": title, "thumbnail": data_url(picture)}


def _folder() -> Path:
    return Path(str(files("geochat") / "samples"))
