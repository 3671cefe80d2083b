"""`geochat ask` about several images: one question about each, one line per image, one table, one layer."""

import argparse
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from geochat.assistant import Question
from geochat.assistant.table import Row
from geochat.cli import options, output
from geochat.cli.images import ImageName, label_of, open_errors
from geochat.cli.output import NoticeLog, note, print_error
from geochat.cli.results import check_targets, in_order, table_writer
from geochat.errors import ExportError, GeoChatError, ImageError, RegionError
from geochat.exports import Collection, GroundedRegion
from geochat.imagery import Scene

if TYPE_CHECKING:
    from geochat.cli.images import AnyAnswer

Answered: TypeAlias = "tuple[int, AnyAnswer | GeoChatError]"
"""The place of an image among those named, and its answer or the error that kept it from one."""

_NAMED = 5  # images without georeferencing that a note names


@dataclass(frozen=True)
class _ImageResult:
    """The result of one image, without its pixels."""

    row: Row
    line: str = ""
    crs: str | None = None
    regions: tuple[GroundedRegion, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)


def run(args: argparse.Namespace, images: Sequence[ImageName], question: Question) -> int:
    """Ask about each image, print and write; exit status 1 if one failed.

    Raises:
        GeoChatError: An option is wrong, or a result cannot be written.
    """
    return report_answers(args, images, lambda: _answers(args, images, replace(question, regions=args.region)))


def report_answers(
    args: argparse.Namespace, images: Sequence[ImageName], answers: Callable[[], Iterator[Answered]]
) -> int:
    """Print and write answers in the order of the images; exit status 1 if one failed.

    Args:
        args: The arguments.
        images: The images.
        answers: Asks, once the arguments are checked; gives each answer as soon as it is there.

    Raises:
        GeoChatError: An option is wrong, or a result cannot be written.
    """
    check_targets(args, several=True)
    if args.region_file:
        raise RegionError(f"{args.region_file[0]} is asked about on one image; name one, not {len(images)}")
    if errors := open_errors(images):
        for error in errors:
            print_error(str(error))
        return 1
    layer = Collection() if args.geojson or args.geopackage else None
    if layer is not None:
        _require_georeference(images, args)
    answered, overlays = answers(), _Overlays(args.overlay)
    results = ((place, _result(answer, images[place], args, overlays)) for place, answer in answered)
    notices, failed, placeless = NoticeLog("image"), 0, list[str]()
    with table_writer(args.table) as write_row:
        for _, result in in_order(results):
            failed += result.row.error is not None
            _print_result(result, notices)
            write_row(result.row)
            if layer is None or result.row.error is not None:
                continue
            if result.crs is None:
                placeless.append(result.row.image)
            else:
                layer.add(result.row.image, result.regions, result.provenance)
    notices.close()
    if layer is not None:
        _write_layer(layer, placeless, args)
    return 1 if failed else 0


def _answers(args: argparse.Namespace, images: Sequence[ImageName], question: Question) -> Iterator[Answered]:
    """Ask a model about each image; images are opened one after another."""
    places: list[int] = []  # of the images that could be opened
    unopened: deque[tuple[int, GeoChatError]] = deque()

    def pairs() -> Iterator[tuple[Any, Question]]:
        for place, image in enumerate(images):
            try:
                view = options.open_view(args, image)
            except GeoChatError as error:
                unopened.append((place, error))
                continue
            places.append(place)
            yield view, replace(question, id=f"{question.id}-{place}")

    for number, answer in options.load_model(args).ask_each(pairs()):
        while unopened:
            yield unopened.popleft()
        yield places[number], answer
    yield from unopened


def _result(
    answer: "AnyAnswer | GeoChatError", image: ImageName, args: argparse.Namespace, overlays: "_Overlays"
) -> _ImageResult:
    if isinstance(answer, GeoChatError):
        return _ImageResult(Row(label_of(image), error=" ".join(str(answer).split())))
    overlays.save(answer, image)
    values = answer.to_dict()
    row = Row.of(label_of(image), values)
    line = output.json_text({"file": row.image, **values}) if args.json else f"{row.image}: {row.answer}"
    if not (args.geojson or args.geopackage):
        return _ImageResult(row, line)
    provenance = answer.provenance if answer.crs is not None else {}
    return _ImageResult(row, line, answer.crs, answer.features, provenance)


class _Overlays:
    """Writes overlays into a folder, each named after its image; None writes none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def save(self, answer: "AnyAnswer", image: ImageName) -> None:
        """Write one overlay.

        Raises:
            ExportError: It cannot be written.
        """
        if self._folder is None:
            return
        stem = Path(label_of(image)).stem
        name, number = stem, 1
        while name in self._names:  # of images in different folders, or in different formats
            number += 1
            name = f"{stem}-{number}"
        self._names.add(name)
        answer.save_overlay(self._folder / f"{name}.png")


def _print_result(result: _ImageResult, notices: NoticeLog) -> None:
    if result.row.error is None:
        print(result.line, flush=True)
        notices.add(result.row.image, result.row.notices)
    else:
        named = Path(result.row.image).name in result.row.error
        print_error(result.row.error if named else f"{result.row.image}: {result.row.error}")


def _write_layer(layer: Collection, placeless: Sequence[str], args: argparse.Namespace) -> None:
    if placeless:
        named = ", ".join(placeless[:_NAMED]) + (", ..." if len(placeless) > _NAMED else "")
        note(f"left out of the layer, without georeferencing: {len(placeless)} images ({named})")
    if not layer.crs_list:
        note("no layer was written: no answered image is georeferenced")
        return
    if args.geojson:
        layer.save_geojson(args.geojson)
    if args.geopackage:
        if len(layer.crs_list) > 1:
            note(f"the images lie in {len(layer.crs_list)} CRSs; {args.geopackage} is written in {layer.crs}")
        layer.to_geopackage(args.geopackage)


def _require_georeference(images: Sequence[ImageName], args: argparse.Namespace) -> None:
    """Check that at least one image is georeferenced.

    Raises:
        ExportError: None is, so there is no layer.
    """
    for image in images:
        try:
            with Scene.open(image, page=args.page, asset=args.asset) as scene:
                if scene.image_to_map is not None and scene.crs is not None:
                    return
        except ImageError:
            continue
    raise ExportError(
        f"none of the {len(images)} images is georeferenced, so there is no layer; leave out --geojson and "
        "--geopackage, or name one image, whose layer is in pixels"
    )
