"""The features of a vector layer, each asked about on its own: a line a feature, and the layer with the answers."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geochat.assistant import Answer, GeoChat, Question
from geochat.assistant.layers import Skipped, ask_features
from geochat.assistant.table import Row
from geochat.cli import output
from geochat.cli.reporting import Told, complain, note
from geochat.cli.rows import in_order, table_of
from geochat.errors import GeoChatError
from geochat.exports import (
    GroundedRegion,
    VectorLayer,
    draw,
    named_geojson,
    write_geojson,
    write_named_geopackage,
    write_picture,
)
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage


@dataclass(frozen=True)
class Features:
    """What is asked about.

    Attributes:
        chat: What answers.
        view: The view of the image.
        layer: The vector layer.
        boxes: Where each feature lies on the image, or why it cannot be asked about.
        question: What is asked of each.
    """

    chat: GeoChat
    view: GeoImage
    layer: VectorLayer
    boxes: Sequence[OrientedBox | Skipped]
    question: Question


@dataclass(frozen=True)
class _Done:
    """A feature that is through; the answer's pixels are not held."""

    row: Row
    line: str = ""
    region: GroundedRegion | None = None
    skipped: str | None = None
    failed: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)


def run(args: argparse.Namespace, image: Path, asked: Features) -> int:
    """Ask, print and write; exit status 1 where a feature failed."""
    done: list[_Done] = []
    told = Told("feature")
    with table_of(args.table) as write_row:
        for place, each in in_order(_results(args, image, asked)):
            done.append(each)
            _report(f"feature {place + 1}", each, told)
            write_row(each.row)
    told.close()
    _write(args, asked, done)
    return 1 if any(each.failed for each in done) else 0


def _results(args: argparse.Namespace, image: Path, asked: Features) -> Iterator[tuple[int, _Done]]:
    for place, result in ask_features(asked.chat, asked.view, asked.boxes, asked.question):
        yield place, _done(args, image, place + 1, result)


def _done(args: argparse.Namespace, image: Path, number: int, result: Answer | Skipped | GeoChatError) -> _Done:
    if isinstance(result, Skipped):
        return _Done(Row(str(image), number, error=f"skipped: {result.reason}"), skipped=result.reason)
    if isinstance(result, GeoChatError):
        return _Done(Row(str(image), number, error=str(result)), skipped=str(result), failed=True)
    row = Row.of(str(image), result, number)
    line = output.json_text({"feature": number, **result.to_dict()}) if args.json else f"{number}: {row.answer}"
    exported = args.geojson or args.geopackage or args.overlay
    return _Done(row, line, result.asked[0], provenance=result.provenance if exported else {})


def _report(name: str, done: _Done, told: Told) -> None:
    if done.failed:
        complain(f"{name}: {done.skipped}")
    elif done.skipped is not None:
        note(f"{name} was skipped: {done.skipped}")
    else:
        print(done.line, flush=True)
        told.tell(name, done.row.notices)


def _write(args: argparse.Namespace, asked: Features, done: Sequence[_Done]) -> None:
    provenance = next((each.provenance for each in done if each.provenance), {})
    provenance = {key: value for key, value in provenance.items() if key != "prompt"}  # it holds a feature's place
    added: dict[str, list[Any]] = {
        "phrase": [None if each.region is None else each.region.phrase for each in done],
        "answer": [each.row.answer for each in done],
        "probability": [each.row.probability for each in done],
        "score": [each.row.score for each in done],
        "skipped": [each.skipped for each in done],
    }
    if args.geojson:
        write_geojson(args.geojson, named_geojson(asked.layer, added, provenance))
    if args.geopackage:
        write_named_geopackage(args.geopackage, asked.layer, added, provenance)
    if args.overlay:
        numbers = [number for number, each in enumerate(done, 1) if each.region is not None]
        regions = [each.region for each in done if each.region is not None]
        write_picture(args.overlay, draw(asked.view.pil(), regions, asked.view.frame, numbers), provenance)
