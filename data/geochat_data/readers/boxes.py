"""The project's own label format, `boxes`: JSON lines of labelled images.

A line has `image` and `objects`, and optionally `ignore`, `scene`, `captions`, `width`, `height`. An object has a
`category`, a `polygon` of corners in pixels, and may be `difficult`. `labelled` may list the categories of which every
object is labelled; without it these are the categories of the file. A line may name its `split`. Lines about one image
are joined; if none of them lists `objects`, nothing is known of the image.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat_data.readers.alignment import Size
from geochat_data.readers.json_files import read_jsonl
from geochat_data.readers.layout import choose_split, find_image, require_no_split
from geochat_data.readers.report import Report
from geochat_data.readers.source import DataSource, Label, UnreadableLabel, labelled_image
from geochat_data.readers.values import category_name, declared_size, flag, named, number
from geochat_data.records import LabelledImage, LabelledObject

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
Line = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Part:
    """Content of one line about its image."""

    labels: list[Label | UnreadableLabel]
    declared: Size | None
    scene: str | None
    captions: tuple[str, ...]
    labelled: frozenset[str] | None
    has_objects: bool  # or says which categories are labelled


def read_boxes(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of a file, or of `<split>.jsonl` or `boxes.jsonl` in a folder; names are relative to its folder.

    Raises:
        DataError: The file cannot be read, or the split does not exist.
    """
    path = _find_file(source)
    folder = source.images or path.parent
    names, counts, split = _survey(path, source)
    for lines in _by_image(_of_split(read_jsonl(path, source.report), split), counts, source.report):
        if parts := [part for where, row in lines if (part := _read(row, where, source)) is not None]:
            yield from _record(source, folder, lines, parts, names)


def write_boxes(folder: Path, records: Iterable[LabelledImage]) -> int:
    """Write records as PNG files and a `boxes.jsonl`; returns their number.

    Raises:
        DataError: The folder cannot be written to.
    """
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_draft(folder / "boxes.jsonl") as draft, draft.open("w", encoding="utf-8") as lines:
            for count, record in enumerate(records, start=1):
                name = f"{record.name or 'image'}-{count:06d}.png"
                record.open().save(folder / name)
                row: dict[str, Any] = {"image": name, "objects": _rows(record.objects), "ignore": _rows(record.ignore)}
                row |= {"scene": record.scene, "captions": record.captions, "labelled": sorted(record.labelled)}
                lines.write(json.dumps(row) + "\n")
    except OSError as error:
        raise DataError(f"{folder} cannot be written to: {error.strerror}; choose another") from error
    return count


def _rows(objects: Iterable[LabelledObject]) -> list[dict[str, Any]]:
    return [
        {"category": item.category, "polygon": [[round(v, 2) for v in corner] for corner in item.polygon]}
        for item in objects
    ]


def _find_file(source: DataSource) -> Path:
    if not source.path.is_dir():
        return source.path
    part = choose_split(source, {path.stem: path for path in sorted(source.path.glob("*.jsonl"))})
    return part or source.path / "boxes.jsonl"


def _survey(path: Path, source: DataSource) -> tuple[frozenset[str], Counter[str], str | None]:
    """Scan a file for the categories of all objects, the number of lines about each image of the split, and its name.

    Raises:
        DataError: The lines name other splits only.
    """
    names: set[str] = set()
    counts: dict[str | None, Counter[str]] = {}
    for where, row in read_jsonl(path, Report()):
        counts.setdefault(_split(row), Counter())[_name(row)] += 1
        for item in [*_listed(row.get("objects")), *_listed(row.get("ignore"))]:
            if isinstance(item, dict) and (name := named(item.get("category"), source.names, where)):
                names.add(name)
    parts = {name: name for name in counts if name is not None}
    split = choose_split(source, parts)
    if split is None and parts:
        raise DataError(f"{path} has no split {source.split!r}; name one of {', '.join(parts)} with --split")
    if split is None and path.stem.lower() != source.split.lower():
        require_no_split(replace(source, path=path))
    return frozenset(names), counts.get(None, Counter()) + (counts[split] if split else Counter()), split


def _split(row: dict[str, Any]) -> str | None:
    return None if row.get("split") is None else str(row["split"])


def _of_split(lines: Iterable[Line], split: str | None) -> Iterator[Line]:
    """Lines of a split, and lines without one."""
    return (line for line in lines if _split(line[1]) in (None, split))


def _by_image(lines: Iterable[Line], counts: Counter[str], report: Report) -> Iterator[list[Line]]:
    """Group the lines about each image, at the position of its last line."""
    waiting: dict[str, list[Line]] = {}
    for line in lines:
        name = _name(line[1])
        if not name:
            report.skip("malformed row (no image)", line[0])
            continue
        counts[name] -= 1
        together = [*waiting.pop(name, []), line]
        if counts[name]:
            waiting[name] = together
            continue
        if len(together) > 1:
            report.note("image listed more than once: its lines are joined", line[0])
        yield together


def _name(row: dict[str, Any]) -> str:
    """Normalised name of a row's image; empty if it has none."""
    name = row.get("image")
    return PurePosixPath(name.replace("\\", "/")).as_posix() if isinstance(name, str) and name.strip() else ""


def _read(row: dict[str, Any], where: str, source: DataSource) -> _Part | None:
    """Read a line; None, counted, if it is malformed."""
    try:
        labels = [*_labels(row.get("objects", ()), where), *_labels(row.get("ignore") or (), where, ignore=True)]
        said = row.get("labelled")
        if not (said is None or isinstance(said, list)):
            raise TypeError("`labelled` is not a list")
        labelled = None if said is None else frozenset(filter(None, (named(c, source.names, where) for c in said)))
        return _Part(
            labels,
            declared_size(row.get("width"), row.get("height")),
            None if row.get("scene") is None else category_name(str(row["scene"])),
            tuple(str(caption) for caption in row.get("captions") or ()),
            labelled,
            has_objects="objects" in row or labelled is not None,
        )
    except _MALFORMED as error:
        source.report.skip(f"malformed row ({type(error).__name__})", where)
        return None


def _record(
    source: DataSource, folder: Path, lines: list[Line], parts: list[_Part], names: frozenset[str]
) -> Iterator[LabelledImage]:
    """Make the record of one image from all its lines."""
    sizes, scenes = ({getattr(part, what) for part in parts} - {None} for what in ("declared", "scene"))
    where = lines[0][0]
    if len(sizes) > 1:
        source.report.skip("image whose lines declare different sizes", where)
        return
    if len(scenes) > 1:
        source.report.note("image whose lines name different scenes: none is used", where)
    said = [part.labelled for part in parts if part.labelled is not None]
    lost = len(parts) < len(lines) or not any(part.has_objects for part in parts)
    yield from labelled_image(
        source,
        find_image(folder, lines[0][1]["image"]),
        [label for part in parts for label in part.labels],
        categories=frozenset[str]().union(*said) if said else names,
        unknown=(None,) if lost else (),
        declared=sizes.pop() if sizes else None,
        scene=scenes.pop() if len(scenes) == 1 else None,
        captions=tuple(dict.fromkeys(caption for part in parts for caption in part.captions)),
    )


def _labels(rows: Any, where: str, *, ignore: bool = False) -> Iterator[Label | UnreadableLabel]:  # noqa: ANN401
    for count, row in enumerate(rows, start=1):
        place = f"{where}: object {count}"
        category = row.get("category") if isinstance(row, dict) else None
        try:
            points = [(number(x), number(y)) for x, y in row["polygon"]]
            yield Label(category, points, place, ignore or flag(row.get("difficult")))
        except _MALFORMED as error:
            yield UnreadableLabel(f"malformed object ({type(error).__name__})", place, category)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - decoded JSON
    return value if isinstance(value, list) else []
