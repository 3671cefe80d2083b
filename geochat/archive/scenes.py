"""Lists of scenes: paths, globs, folders, text files, STAC items and collections; without duplicates, in a fixed order.

    listed = list_scenes(["2024/*.tif", "more.txt", "items.json"])
    listed.scenes, listed.duplicates

Nothing is opened here but lists, STAC files and copies of one file: a scene that is missing or damaged fails when its
turn comes.
"""

import glob
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from geochat.archive.areas import Area, read_areas
from geochat.errors import ImageError, RegionError
from geochat.files import sha256_of
from geochat.imagery import Scene
from geochat.imagery.remote import is_address
from geochat.imagery.stac import is_item, list_items

_IMAGES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".jp2", ".j2k")
_LISTS = (".txt", ".lst")
_GLOB = set("*?[")
_ENDS = 2**12  # bytes at either end of a file, which tell most files of one length apart


@dataclass(frozen=True, slots=True)
class SceneRef:
    """A scene of an archive, not opened.

    Attributes:
        source: A path or an address.
        found: Whether a program found it, in a folder or a STAC file, rather than a user typed it: then it is read in
            the formats that refer to no other file alone (see `Scene.open`).
        page: Number of the image in a TIFF with several.
        asset: Asset of a STAC item.
        datetime: When it was taken, in ISO 8601; None where that is not known.
    """

    source: str
    found: bool = False
    page: int = 1
    asset: str | None = None
    datetime: str | None = None

    def open(self) -> Scene:
        """Open the scene.

        Raises:
            ImageError: It cannot be read.
        """
        source = Path(self.source) if self.found and not is_address(self.source) else self.source
        return Scene.open(source, page=self.page, asset=self.asset)

    @property
    def name(self) -> str:
        """The scene's name without folder and suffix."""
        return Path(self.source.split("?", maxsplit=1)[0]).stem or "scene"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, JSON-ready."""
        usual = SceneRef("")
        told = {name: value for name, value in asdict(self).items() if value != getattr(usual, name)}
        return {"source": self.source, **told}


class Duplicate(NamedTuple):
    """A scene that is skipped because an earlier one is the same.

    Attributes:
        source: Its path or address.
        first: Name of the earlier one.
        same: The common property: the file, or the content of two files.
    """

    source: str
    first: str
    same: Literal["file", "content"]


class SceneList(NamedTuple):
    """Scenes without duplicates.

    Attributes:
        scenes: In the order in which they were named; those of a glob or a folder by name.
        duplicates: Scenes left out.
    """

    scenes: tuple[SceneRef, ...]
    duplicates: tuple[Duplicate, ...]


def list_scenes(
    words: Iterable[str],
    *,
    within: Path | None = None,
    without: Path | None = None,
    page: int = 1,
    asset: str | None = None,
) -> SceneList:
    """List the scenes that paths, globs and addresses name.

    A path to the same file as an earlier one, through a link or another spelling, is a duplicate. So is an image file
    with the same bytes as an earlier one, if both have the same georeference.

    Args:
        words: Images, addresses, globs, folders, text files (.txt) with a word a line, and STAC files.
        within: GeoJSON of areas in longitude and latitude, each with dates or without (`datetime`, as a day or an
            interval, or `start_datetime` and `end_datetime`); only STAC items that lie on one, and were taken in its
            time, are taken.
        without: A folder whose files globs do not match: that of the results.
        page: Page of every TIFF.
        asset: Asset of every STAC item.

    Raises:
        ImageError: A glob, a folder or a list names no image, or a list cannot be read.
        RegionError: The areas cannot be read, or there are scenes that they say nothing of.
    """
    areas = None if within is None else read_areas(within)
    scenes: dict[tuple[object, ...], SceneRef] = {}
    duplicates: list[Duplicate] = []
    for scene in _named(words, areas, page, asset, without=without):
        key = (*_identity(scene.source), scene.page, scene.asset)
        if key in scenes:
            duplicates.append(Duplicate(scene.source, scenes[key].source, "file"))
        else:
            scenes[key] = scene
    if not scenes:
        raise ImageError(f"no scene is named{'' if within is None else f', or none lies within {within}'}; name one")
    copies = _copies(scenes.values())
    duplicates += (Duplicate(copy.source, first.source, "content") for copy, first in copies.items())
    return SceneList(tuple(scene for scene in scenes.values() if scene not in copies), tuple(duplicates))


def names_many(word: str) -> bool:
    """Return whether a word names a list, a glob or a folder rather than one image."""
    if is_address(word):
        return False
    return word.lower().endswith(_LISTS) or os.path.isdir(word) or _is_glob(word)  # noqa: PTH112 - any text


def _named(
    words: Iterable[str],
    areas: Sequence[Area] | None,
    page: int,
    asset: str | None,
    folder: Path | None = None,
    *,
    without: Path | None,
) -> Iterator[SceneRef]:
    """Expand words to scenes; relative paths start at the folder of their list."""
    for word in words:
        here = word if folder is None or is_address(word) else str(folder / word)
        if is_item(here) and (is_address(here) or Path(here).is_file()):
            for item in list_items(here, asset):
                if areas is None or any(area.holds(item) for area in areas):
                    yield SceneRef(str(item.image), found=True, datetime=item.datetime)
            continue
        if here.lower().endswith(_LISTS) and not is_address(here):
            yield from _named(_lines(Path(here)), areas, page, asset, Path(here).parent, without=without)
            continue
        if areas is not None:
            raise RegionError(f"{here} does not say where and when it was taken; areas choose among STAC items only")
        if not is_address(here) and os.path.isdir(here):  # noqa: PTH112 - any text
            yield from (SceneRef(path, found=True, page=page) for path in _inside(Path(here)))
        elif not is_address(here) and _is_glob(here):
            paths = _matched(here, without)
            if not paths:
                raise ImageError(f"no file matches {here}; check the pattern")
            yield from (SceneRef(path, page=page) for path in paths)
        else:
            yield SceneRef(here, page=page, asset=asset if is_item(here) else None)


def _is_glob(word: str) -> bool:
    return bool(_GLOB & set(word)) and not os.path.exists(word)  # noqa: PTH110 - any text


def _matched(pattern: str, without: Path | None) -> list[str]:
    """The files that match a glob, without those in a folder."""
    paths = (path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())  # noqa: PTH207 - any text
    return sorted(path for path in paths if without is None or without.resolve() not in Path(path).resolve().parents)


def _inside(folder: Path) -> list[str]:
    """Return the images of a folder, without its sub-folders."""
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
    """Return a key that is equal for two names of the same file."""
    try:
        if is_address(source):
            return (source,)
        state = Path(source).stat()
    except (OSError, ValueError):
        return (os.path.normpath(source),)
    return state.st_dev, state.st_ino


def _copies(scenes: Iterable[SceneRef]) -> dict[SceneRef, SceneRef]:
    """Pair the scenes that are copies of earlier ones with those.

    Only files that agree in length and in both ends are read completely. Images without a georeference are never
    copies, because tiles of empty sea are equal, too.
    """
    groups = [list(scenes)]
    for key in (_length, _ends, _digest, _place):
        groups = [together for group in groups for together in _agreeing(group, key)]
    return {copy: first for first, *others in groups for copy in others}


def _agreeing(scenes: Iterable[SceneRef], key: Callable[[SceneRef], Hashable]) -> Iterator[list[SceneRef]]:
    """Group scenes with equal keys, in order; scenes without a key and groups of one are omitted."""
    groups: defaultdict[Hashable, list[SceneRef]] = defaultdict(list)
    for scene in scenes:
        with suppress(OSError, ValueError, ImageError):
            groups[key(scene)].append(scene)
    groups.pop(None, None)
    return (group for group in groups.values() if len(group) > 1)


def _length(scene: SceneRef) -> Hashable:
    """Length of an image file; None for a file such as a VRT, whose content may be in other files."""
    if is_address(scene.source) or not scene.source.lower().endswith(_IMAGES):
        return None
    return Path(scene.source).stat().st_size, scene.page


def _ends(scene: SceneRef) -> Hashable:
    with Path(scene.source).open("rb") as file:
        head = file.read(_ENDS)
        file.seek(-min(_ENDS, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return head, file.read()


def _digest(scene: SceneRef) -> Hashable:
    return sha256_of(Path(scene.source))


def _place(scene: SceneRef) -> Hashable:
    with scene.open() as opened:
        return None if opened.crs is None or opened.image_to_map is None else (opened.crs, tuple(opened.image_to_map))
