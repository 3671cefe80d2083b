"""Results of a scene: its part of the dataset, layer, thumbnail, STAC item and journal entry; and the collection."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import shapely
from PIL import ImageDraw

from geochat import __version__
from geochat.archive.folder import Archive, made
from geochat.errors import DataError, ImageError
from geochat.exports import EXPORTERS, NOT_LOOKED_AT, PALETTE, Feature, Layer, write_layer
from geochat.exports.tables import map_shapes
from geochat.files import atomic_draft
from geochat.find import Finding, Survey
from geochat.geometry import transform_points
from geochat.geometry.geographic import WGS84
from geochat.journal import Entry

_THUMBNAIL = 256  # pixels of its longer side
_DECODED = 2**26  # pixels for a thumbnail at most
_DRAWN = 500  # objects on a thumbnail
_OWN = {"image": str, "scene_crs": str, "datetime": str}  # columns before those of the work


class SceneWriter:
    """Writes the results of scenes, each file atomically.

    Args:
        archive: The archive.
        format: A name of `EXPORTERS`: each scene gets a layer in its own CRS, too; None writes none.

    Raises:
        SettingsError: No exporter has that name.
    """

    def __init__(self, archive: Archive, format: str | None = None) -> None:
        self._archive, self._format = archive, format
        self._suffix = "" if format is None else EXPORTERS[format].suffixes[0]

    def write(self, number: int, work: Finding | Survey) -> Entry:
        """Write the files of a finished scene.

        Returns:
            What is recorded of the scene; with an "error" where windows of it failed.

        Raises:
            DataError: A file cannot be written.
            ExportError: A layer cannot be written.
        """
        try:
            return self._write(number, work)
        except OSError as error:
            raise cannot_be_written(error, self._archive.folder.path) from error

    def _write(self, number: int, work: Finding | Survey) -> Entry:
        manifest, folder = self._archive.manifest, self._archive.folder
        name, scene, progress = manifest.id(number), manifest.scenes[number], work.asking.progress()
        counts = self._write_rows(folder.part(name), work, scene.datetime)
        if self._format is not None:
            work.save(made(folder.layer(name, self._suffix)), self._format)
        unknown, failure = self._write_unknown(folder.not_looked_at(name), work)
        outline = map_shapes([work.look.feature(work.look.scene.window, {})], WGS84)[0]
        entry: Entry = {
            "windows": progress.done,
            "windows_failed": progress.failed,
            "windows_unknown": unknown,
            "rows": counts.total(),
            "counts": {phrase: count for phrase, count in counts.items() if phrase is not None},
            "image": work.look.name,
            "size": list(work.look.scene.size),
            "crs": work.look.place.map_crs,
            "bbox": None if outline is None else list(outline.bounds),
            "thumbnail": self._draw(work, folder.thumbnail(name)),
        }
        geometry = None if outline is None else shapely.geometry.mapping(outline)
        write_json(made(folder.item(name)), scene_item(name, scene.datetime, work.layer.provenance, entry, geometry))
        if failure is not None:
            entry["error"] = f"{progress.failed} of {progress.done} windows {failure}"
        return entry

    @staticmethod
    def _write_rows(path: Path, work: Finding | Survey, datetime: str | None) -> "Counter[str | None]":
        """Write a scene's part of the dataset; returns its rows by phrase."""
        layer, counts = work.layer, Counter[str | None]()
        own = {"image": layer.image, "scene_crs": work.look.place.map_crs, "datetime": datetime}

        def rows() -> Iterator[Feature]:
            for each in work.features():
                counts[each.phrase] += 1
                yield replace(each, properties={**own, **each.properties})

        together = Layer(None, {**_OWN, **layer.columns}, layer.provenance, layer.image, layer.name, crs=WGS84)
        write_layer(made(path), together, rows(), format="geoparquet")
        return counts

    @staticmethod
    def _write_unknown(path: Path, work: Finding | Survey) -> tuple[int, str | None]:
        """Write the windows with missing or incomplete results; returns their number and the first failure."""
        count, failure, windows = 0, None, work.not_looked_at()
        first = next(windows, None)
        if first is None:
            path.unlink(missing_ok=True)  # of an earlier try
            return 0, None

        def rows() -> Iterator[Feature]:
            nonlocal count, failure
            for each in chain([first], windows):
                count += 1
                reason = str(each.properties["reason"])
                failure = failure or (reason if reason.startswith("failed") else None)
                yield each

        unseen = replace(work.layer, columns=NOT_LOOKED_AT, name="not_looked_at")
        EXPORTERS["geojson"].write(made(path), unseen, rows(), None)
        return count, failure

    @staticmethod
    def _draw(work: Finding | Survey, path: Path) -> bool:
        """Draw a small image of the scene with its objects; returns whether that was possible."""
        look = work.look
        try:
            view = look.scene.read(
                max_side=_THUMBNAIL, bands=look.bands, stretch=look.stretch, max_pixels=_DECODED, allow_blank=True
            )
        except ImageError:
            return False
        picture, to_view = view.pil().convert("RGB"), ~view.frame.view_to_image
        pen, colours = ImageDraw.Draw(picture), dict[str | None, str]()
        for each in islice(work.features(), _DRAWN) if isinstance(work, Finding) else ():
            colour = colours.setdefault(each.phrase, PALETTE[len(colours) % len(PALETTE)])
            pen.polygon([(float(x), float(y)) for x, y in transform_points(each.pixels, to_view)], outline=colour)
        with atomic_draft(made(path), ".jpg") as draft:
            picture.save(draft, "JPEG", quality=80)
        return True


_VERSION = "1.0.0"
_PROCESSING = "https://stac-extensions.github.io/processing/v1.1.0/schema.json"
_PARQUET = "application/vnd.apache.parquet"
_OF_SCENE = ("windows", "windows_failed", "rows", "counts")


def scene_item(
    name: str, taken: str | None, provenance: Mapping[str, Any], entry: Entry, geometry: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The STAC item of a scene: its rows and their provenance.

    STAC requires a time. If the acquisition time of a scene is unknown, it is the time of processing, as the property
    `geochat:datetime` states.

    Args:
        name: The scene's id.
        taken: When it was taken, in ISO 8601.
        provenance: Provenance of its layer.
        entry: Its journal entry.
        geometry: Its outline as GeoJSON in longitude and latitude; None without a place on Earth.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    told = {**provenance, **{key: entry[key] for key in _OF_SCENE}}
    assets = {"objects": _asset(f"../../dataset/scene={name}/part-0.parquet", _PARQUET, "data")}
    if entry["thumbnail"]:
        assets["thumbnail"] = _asset(f"../../thumbnails/{name}.jpg", "image/jpeg", "thumbnail")
    return {
        "type": "Feature",
        "stac_version": _VERSION,
        "stac_extensions": [_PROCESSING],
        "id": name,
        "collection": "geochat",
        "geometry": geometry,
        **({} if geometry is None else {"bbox": entry["bbox"]}),
        "properties": {
            "datetime": taken or now,
            "geochat:datetime": "acquisition" if taken else "processing",
            "processing:datetime": now,
            "processing:software": {"geochat": __version__},
            **{f"geochat:{key}": value for key, value in told.items()},
        },
        "assets": assets,
        "links": [_link(rel, "../collection.json") for rel in ("root", "parent", "collection")],
    }


def write_collection(archive: Archive, entries: Iterable[tuple[int, Entry]]) -> Path:
    """Write the collection of the finished scenes.

    Args:
        archive: The archive.
        entries: The scenes recorded, and what is recorded of each.

    Raises:
        DataError: It cannot be written.
    """
    boxes, times, items = [], [], []
    for number, entry in entries:
        if "windows" in entry:
            items.append(_link("item", f"./items/{archive.manifest.id(number)}.json"))
            boxes += [entry["bbox"]] if entry["bbox"] else []
            times += [archive.manifest.scenes[number].datetime or ""]
    known = sorted(filter(None, times))
    work = archive.work.to_dict()
    around = [min(column) for column in list(zip(*boxes, strict=True))[:2]] + [
        max(column) for column in list(zip(*boxes, strict=True))[2:]
    ]
    path = archive.folder.stac / "collection.json"
    write_json(
        made(path),
        {
            "type": "Collection",
            "stac_version": _VERSION,
            "id": "geochat",
            "title": f"{work['kind']}: {', '.join(work['asked'])}",
            "description": f"Answers of {archive.info.name} about {len(items)} scenes, by GeoChat {__version__}.",
            "license": "other",
            "extent": {
                "spatial": {"bbox": [around or [-180.0, -90.0, 180.0, 90.0]]},
                "temporal": {"interval": [[known[0], known[-1]] if known else [None, None]]},
            },
            "summaries": {
                "geochat:model": [archive.info.name],
                "geochat:model_sha256": [archive.info.sha256],
                "geochat:software": [f"geochat {__version__}"],
            },
            "geochat:asked": work,
            "assets": {"dataset": _asset("../dataset/", _PARQUET, "data")},
            "links": [_link("root", "./collection.json"), *items],
        },
    )
    return path


def cannot_be_written(error: OSError, folder: Path) -> DataError:
    """The error of a folder that takes no more."""
    return DataError(
        f"{error.filename or folder} cannot be written: {error.strerror or error}; make room, and give the same "
        "command again: it goes on from here"
    )


def write_json(path: Path, value: object) -> None:
    """Write one JSON value atomically."""
    with atomic_draft(path) as draft:
        draft.write_bytes((json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def _link(rel: str, href: str) -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": "application/json"}


def _asset(href: str, media: str, role: str) -> dict[str, Any]:
    return {"href": href, "type": media, "roles": [role]}
