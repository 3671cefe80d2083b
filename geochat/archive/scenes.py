"""Lists of scenes: paths, globs, folders, text files, STAC items and collections; each scene once, in one order.

    listed = list_scenes(["2024/*.tif", "more.txt", "items.json"])
    listed.scenes, listed.duplicates

Nothing is opened here but lists and STAC files: a scene that is missing or damaged fails when its turn comes.
"""

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from geochat.errors import ImageError, RegionError
from geochat.imagery import Scene
from geochat.imagery.remote import is_address
from geochat.imagery.stac import ListedItem, is_item, list_items

_IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jp2", ".j2k")
_LISTS = (".txt", ".lst")
_GLOB = set("*?[")


@dataclass(frozen=True, slots=True)
class SceneRef:
    """A scene of an archive, not opened.

    Attributes:
        source: A path or an address.
        found: Whether a program found it, in a folder or a STAC file, rather than a user typed it: then it is read in
            the formats that refer to no other file alone (see `Scene.open`).
        page: Which image of a TIFF that holds several.
        asset: Which asset of a STAC item.
        datetime: When it was taken, in ISO 8601; None where that is not known.
    """

    source: str
    found: bool = False
    page: int = 1
    asset: str | None = None
    datetime: str | None = None

    def open(self) -> Scene:
        """The scene.

        Raises:
            ImageError: It cannot be read.
        """
        source = Path(self.source) if self.found and not is_address(self.source) else self.source
        return Scene.open(source, page=self.page, asset=self.asset)

    @property
    def name(self) -> str:
        """The scene's name without folder and ending."""
        return Path(self.source.split("?", maxsplit=1)[0]).stem or "scene"

    def to_dict(self) -> dict[str, Any]:
        """The fields that are not as usual, JSON-ready."""
        usual = SceneRef("")
        told = {name: value for name, value in asdict(self).items() if value != getattr(usual, name)}
        return {"source": self.source, **told}


class SceneList(NamedTuple):
    """Scenes, each once.

    Attributes:
        scenes: In the order in which they were named; those of a glob or a folder by name.
        duplicates: Scenes left out, each with the one it equals.
    """

    scenes: tuple[SceneRef, ...]
    duplicates: tuple[tuple[str, str], ...]


def list_scenes(
    words: Iterable[str], *, within: Path | None = None, page: int = 1, asset: str | None = None
) -> SceneList:
    """List the scenes that words name.

    A path that is the same file as an earlier one, through a link or written otherwise, is a duplicate.

    Args:
        words: Images, addresses, globs, folders, text files (.txt) with a word a line, and STAC files.
        within: GeoJSON of areas in longitude and latitude, each with dates or without (`datetime`, as a day or an
            interval, or `start_datetime` and `end_datetime`); only STAC items that lie on one, and were taken in its
            time, are taken.
        page: Of every TIFF.
        asset: Of every STAC item.

    Raises:
        ImageError: A glob, a folder or a list names no image, or a list cannot be read.
        RegionError: The areas cannot be read, or there are scenes that they say nothing of.
    """
    areas = None if within is None else _areas(within)
    scenes: dict[tuple[object, ...], SceneRef] = {}
    duplicates: list[tuple[str, str]] = []
    for scene in _named(words, areas, page, asset):
        key = (*_identity(scene.source), scene.page, scene.asset)
        if key in scenes:
            duplicates.append((scene.source, scenes[key].source))
        else:
            scenes[key] = scene
    if not scenes:
        raise ImageError(f"no scene is named{'' if within is None else f', or none lies within {within}'}; name one")
    return SceneList(tuple(scenes.values()), tuple(duplicates))


def names_many(word: str) -> bool:
    """Return whether a word names a list, a glob or a folder, rather than one image."""
    if is_address(word):
        return False
    return word.lower().endswith(_LISTS) or os.path.isdir(word) or _is_glob(word)  # noqa: PTH112 - any text


def _named(
    words: Iterable[str], areas: "Sequence[_Area] | None", page: int, asset: str | None, folder: Path | None = None
) -> Iterator[SceneRef]:
    """The scenes of words; relative paths start in a folder, that of their list."""
    for word in words:
        here = word if folder is None or is_address(word) else str(folder / word)
        if is_item(here) and (is_address(here) or Path(here).is_file()):
            for item in list_items(here, asset):
                if areas is None or any(area.holds(item) for area in areas):
                    yield SceneRef(str(item.image), found=True, datetime=item.datetime)
            continue
        if here.lower().endswith(_LISTS) and not is_address(here):
            yield from _named(_lines(Path(here)), areas, page, asset, Path(here).parent)
            continue
        if areas is not None:
            raise RegionError(f"{here} does not say where and when it was taken; areas choose among STAC items only")
        if not is_address(here) and os.path.isdir(here):  # noqa: PTH112 - any text
            yield from (SceneRef(path, found=True, page=page) for path in _inside(Path(here)))
        elif not is_address(here) and _is_glob(here):
            paths = sorted(path for path in glob.glob(here, recursive=True) if Path(path).is_file())  # noqa: PTH207
            if not paths:
                raise ImageError(f"no file matches {here}; check the pattern")
            yield from (SceneRef(path, page=page) for path in paths)
        else:
            yield SceneRef(here, page=page, asset=asset if is_item(here) else None)


def _is_glob(word: str) -> bool:
    return bool(_GLOB & set(word)) and not os.path.exists(word)  # noqa: PTH110 - any text


def _inside(folder: Path) -> list[str]:
    """The images of a folder, without its sub-folders."""
    paths = [str(path) for path in folder.iterdir() if path.suffix.lower() in _IMAGES and path.is_file()]
    if not paths:
        raise ImageError(
            f"the folder {folder} itself holds no image; name another, or a glob such as {folder}/**/*.tif"
        )
    return sorted(paths)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"the list {path} cannot be read: {error}; give a text file with a scene a line") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _identity(source: str) -> tuple[object, ...]:
    """What tells whether two names are of one file."""
    try:
        if is_address(source):
            return (source,)
        state = Path(source).stat()
    except (OSError, ValueError):
        return (os.path.normpath(source),)
    return state.st_dev, state.st_ino


@dataclass(frozen=True, slots=True)
class _Area:
    """Ground and time that scenes are wanted of."""

    ground: shapely.Geometry
    begin: datetime
    end: datetime

    def holds(self, item: ListedItem) -> bool:
        """Return whether an item lies on the ground, and was taken in the time."""
        if item.geometry is None or not shapely.intersects(self.ground, shape(item.geometry)):
            return False
        unlimited = self.begin == _FIRST and self.end == _LAST
        return unlimited or (item.datetime is not None and self.begin <= _time(item.datetime) < self.end)


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_DAY = 10  # characters of a date
_OPEN = ("", "..")  # no end of an interval


def _areas(path: Path) -> list[_Area]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        features = document["features"] if document["type"] == "FeatureCollection" else [document]
        areas = [_Area(shape(each["geometry"]), *_interval(each.get("properties") or {})) for each in features]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ShapelyError) as error:
        raise RegionError(
            f"{path} cannot be read as GeoJSON of areas with dates ({error}); write dates as 2024-05-01, or "
            "2024-05-01/2024-06-30"
        ) from error
    if not areas:
        raise RegionError(f"{path} holds no area; leave it out to take every scene")
    return areas


def _interval(properties: dict[str, Any]) -> tuple[datetime, datetime]:
    """The time of an area, its end excluded; a day counts whole."""
    told = properties.get("datetime")
    begin, _, end = str(told or "").partition("/")
    if told:
        end = end or begin
    else:
        begin, end = str(properties.get("start_datetime") or ""), str(properties.get("end_datetime") or "")
    first = _FIRST if begin in _OPEN else _time(begin)
    last = _LAST if end in _OPEN else _time(end) + (timedelta(days=1) if len(end) == _DAY else timedelta.resolution)
    return first, last


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
