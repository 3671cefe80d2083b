"""JSON lines of labelled images: `image`, `objects`, and optionally `ignore`, `scene`, `captions`, `width`, `height`.

An object has a `category`, a `polygon` of corners in pixels, and may be `difficult`. `labelled` may list the categories
all of whose objects are marked; where it is missing these are the file's. A line may name the `split` it is of. Lines
about one image are taken together; of an image of which none lists `objects`, nothing is known.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat_data.readers.categories import category_name, named
from geochat_data.readers.finding import find_image
from geochat_data.readers.jsonl import read_jsonl
from geochat_data.readers.placing import Size
from geochat_data.readers.report import Report
from geochat_data.readers.source import Label, Source, Unread, labelled_image
from geochat_data.readers.splitting import choose, require_no_split
from geochat_data.readers.values import declared_size, flag, number
from geochat_data.records import LabelledImage, LabelledObject

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
Line = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one line says of its image."""

    labels: list[Label | Unread]
    declared: Size | None
    scene: str | None
    captions: tuple[str, ...]
    labelled: frozenset[str] | None
    looked: bool  # whether it says anything of objects


def read_boxes(source: Source) -> Iterator[LabelledImage]:
    """The images of a file, or of `<split>.jsonl` or `boxes.jsonl` in a folder; names are relative to its folder.

    Raises:
        DataError: The file cannot be read, or the split is not there.
    """
    path = _find_file(source)
    folder = source.images or path.parent
    names, counts, split = _survey(path, source)
    for lines in _by_image(_of_split(read_jsonl(path, source.report), split), counts, source.report):
        if parts := [part for where, row in lines if (part := _read(row, where, source)) is not None]:
            yield from _record(source, folder, lines, parts, names)


def write_boxes(folder: Path, records: Iterable[LabelledImage]) -> int:
    """Write records as PNG files beside a `boxes.jsonl`; returns how many.

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


def _find_file(source: Source) -> Path:
    if not source.path.is_dir():
        return source.path
    part = choose(source, {path.stem: path for path in sorted(source.path.glob("*.jsonl"))})
    return part or source.path / "boxes.jsonl"


def _survey(path: Path, source: Source) -> tuple[frozenset[str], Counter[str], str | None]:
    """The categories of all objects, how many lines of the split there are about each image, and its name.

    Raises:
        DataError: The lines name splits, and not that one.
    """
    names: set[str] = set()
    counts: dict[str | None, Counter[str]] = {}
    for where, row in read_jsonl(path, Report()):
        counts.setdefault(_split(row), Counter())[_name(row)] += 1
        for item in [*_listed(row.get("objects")), *_listed(row.get("ignore"))]:
            if isinstance(item, dict) and (name := named(item.get("category"), source.names, where)):
                names.add(name)
    parts = {name: name for name in counts if name is not None}
    split = choose(source, parts)
    if split is None and parts:
        raise DataError(f"{path} has no split {source.split!r}; name one of {', '.join(parts)} with --split")
    if split is None and path.stem.lower() != source.split.lower():
        require_no_split(replace(source, path=path))
    return frozenset(names), counts.get(None, Counter()) + (counts[split] if split else Counter()), split


def _split(row: dict[str, Any]) -> str | None:
    return None if row.get("split") is None else str(row["split"])


def _of_split(lines: Iterable[Line], split: str | None) -> Iterator[Line]:
    """The lines of a split, and those that name none."""
    return (line for line in lines if _split(line[1]) in (None, split))


def _by_image(lines: Iterable[Line], counts: Counter[str], report: Report) -> Iterator[list[Line]]:
    """The lines about each image, at the place of the last of them."""
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
            report.note("image that is listed more than once: its lines taken together", line[0])
        yield together


def _name(row: dict[str, Any]) -> str:
    """The name of a row's image, written in one way; empty where it has none."""
    name = row.get("image")
    return PurePosixPath(name.replace("\\", "/")).as_posix() if isinstance(name, str) and name.strip() else ""


def _read(row: dict[str, Any], where: str, source: Source) -> _Part | None:
    """What a line says; None, counted, where it cannot be read."""
    try:
        labels = [*_labels(row.get("objects", ()), where), *_labels(row.get("ignore") or (), where, doubtful=True)]
        said = row.get("labelled")
        if not (said is None or isinstance(said, list)):
            raise TypeError("`labelled` is no list")
        labelled = None if said is None else frozenset(filter(None, (named(c, source.names, where) for c in said)))
        return _Part(
            labels,
            declared_size(row.get("width"), row.get("height")),
            None if row.get("scene") is None else category_name(str(row["scene"])),
            tuple(str(caption) for caption in row.get("captions") or ()),
            labelled,
            looked="objects" in row or labelled is not None,
        )
    except _MALFORMED as error:
        source.report.skip(f"malformed row ({type(error).__name__})", where)
        return None


def _record(
    source: Source, folder: Path, lines: list[Line], parts: list[_Part], names: frozenset[str]
) -> Iterator[LabelledImage]:
    """The record of one image, from what its lines say together."""
    sizes, scenes = ({getattr(part, what) for part in parts} - {None} for what in ("declared", "scene"))
    where = lines[0][0]
    if len(sizes) > 1:
        source.report.skip("image whose lines declare different sizes", where)
        return
    if len(scenes) > 1:
        source.report.note("image whose lines name different scenes: none is taken", where)
    said = [part.labelled for part in parts if part.labelled is not None]
    lost = len(parts) < len(lines) or not any(part.looked for part in parts)
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


def _labels(rows: Any, where: str, *, doubtful: bool = False) -> Iterator[Label | Unread]:  # noqa: ANN401
    for count, row in enumerate(rows, start=1):
        place = f"{where}: object {count}"
        category = row.get("category") if isinstance(row, dict) else None
        try:
            points = [(number(x), number(y)) for x, y in row["polygon"]]
            yield Label(category, points, place, doubtful or flag(row.get("difficult")))
        except _MALFORMED as error:
            yield Unread(f"malformed object ({type(error).__name__})", place, category)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - decoded JSON
    return value if isinstance(value, list) else []
