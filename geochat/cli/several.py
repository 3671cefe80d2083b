"""One question about each of several images: a line an image, one table, one layer."""

import argparse
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geochat.assistant import Answer, GeoChat, Question
from geochat.assistant.table import Row
from geochat.cli import options, output
from geochat.cli.images import none_opens
from geochat.cli.reporting import Told, complain, note
from geochat.cli.rows import in_order, table_of
from geochat.cli.targets import check_targets
from geochat.errors import ExportError, GeoChatError, ImageError, RegionError
from geochat.exports import Collection, GroundedRegion
from geochat.imagery import Scene

_NAMED = 5  # images without a place


@dataclass(frozen=True)
class _Done:
    """An image that is through; the answer's pixels are not held."""

    row: Row
    line: str = ""
    crs: str | None = None
    regions: tuple[GroundedRegion, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)


def run(args: argparse.Namespace, images: Sequence[Path], question: Question) -> int:
    """Ask about each image, print and write; exit status 1 where one failed."""
    check_targets(args, several=True)
    if args.region_file:
        raise RegionError(f"{args.region_file[0]} is asked about on one image; name one, not {len(images)}")
    if errors := none_opens(images):
        for error in errors:
            complain(str(error))
        return 1
    layer = Collection() if args.geojson or args.geopackage else None
    if layer is not None:
        _require_place(images)
    chat = output.load(args)
    told, failed, placeless = Told("image"), 0, list[str]()
    with table_of(args.table) as write_row:
        for _, done in in_order(_results(chat, args, images, replace(question, regions=args.region))):
            failed += done.row.error is not None
            _report(done, told)
            write_row(done.row)
            if layer is None or done.row.error is not None:
                continue
            if done.crs is None:
                placeless.append(done.row.image)
            else:
                layer.add(done.row.image, done.regions, done.provenance)
    told.close()
    if layer is not None:
        _write(layer, placeless, args)
    return 1 if failed else 0


def _results(
    chat: GeoChat, args: argparse.Namespace, images: Sequence[Path], question: Question
) -> Iterator[tuple[int, _Done]]:
    """Each image's place in `images` and what came of it; images are opened when their turn comes."""
    places: list[int] = []  # of those that could be opened
    unopened: deque[tuple[int, _Done]] = deque()
    pictures = _Pictures(args.overlay)

    def pairs() -> Iterator[tuple[Any, Question]]:
        for place, image in enumerate(images):
            try:
                view = options.open_view(args, image)
            except GeoChatError as error:
                unopened.append((place, _failed(image, error)))
                continue
            places.append(place)
            yield view, replace(question, id=f"{question.id}-{place}")

    for number, result in chat.ask_each(pairs()):
        while unopened:
            yield unopened.popleft()
        image = images[places[number]]
        if isinstance(result, GeoChatError):
            yield places[number], _failed(image, result)
        else:
            pictures.save(result, image)
            yield places[number], _done(result, image, args)
    yield from unopened


def _done(answer: Answer, image: Path, args: argparse.Namespace) -> _Done:
    row = Row.of(str(image), answer)
    line = output.json_text({"file": str(image), **answer.to_dict()}) if args.json else f"{image}: {row.answer}"
    if not (args.geojson or args.geopackage):
        return _Done(row, line)
    provenance = answer.provenance if answer.crs is not None else {}
    return _Done(row, line, answer.crs, answer.features, provenance)


def _failed(image: Path, error: GeoChatError) -> _Done:
    return _Done(Row(str(image), error=" ".join(str(error).split())))


class _Pictures:
    """Pictures of the answers in a folder, called as their images; None writes none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def save(self, answer: Answer, image: Path) -> None:
        """Write one.

        Raises:
            ExportError: It cannot be written.
        """
        if self._folder is None:
            return
        name, number = image.stem, 1
        while name in self._names:  # of images in different folders, or in different formats
            number += 1
            name = f"{image.stem}-{number}"
        self._names.add(name)
        answer.save_overlay(self._folder / f"{name}.png")


def _report(done: _Done, told: Told) -> None:
    if done.row.error is None:
        print(done.line, flush=True)
        told.tell(done.row.image, done.row.notices)
    else:
        named = Path(done.row.image).name in done.row.error
        complain(done.row.error if named else f"{done.row.image}: {done.row.error}")


def _write(layer: Collection, placeless: Sequence[str], args: argparse.Namespace) -> None:
    if placeless:
        named = ", ".join(placeless[:_NAMED]) + (", ..." if len(placeless) > _NAMED else "")
        note(f"left out of the layer, without a place on Earth: {len(placeless)} images ({named})")
    if not layer.crs_list:
        note("no layer was written: no image that was answered has a place on Earth")
        return
    if args.geojson:
        layer.save_geojson(args.geojson)
    if args.geopackage:
        if len(layer.crs_list) > 1:
            note(f"the images lie in {len(layer.crs_list)} CRSs; {args.geopackage} is written in {layer.crs}")
        layer.to_geopackage(args.geopackage)


def _require_place(images: Sequence[Path]) -> None:
    """Refuse a layer of images of which none has a place on Earth.

    Raises:
        ExportError: None has.
    """
    for image in images:
        try:
            with Scene.open(image) as scene:
                if scene.image_to_map is not None and scene.crs is not None:
                    return
        except ImageError:
            continue
    raise ExportError(
        f"none of the {len(images)} images has a place on Earth, so they make no layer; leave out --geojson and "
        "--geopackage, or name one image, whose layer is in pixels"
    )
