"""What commands print and write."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from geochat.assistant import Answer, AnswerStream, GeoChat
from geochat.cli.reporting import note
from geochat.errors import ExportError, RegionError
from geochat.exports import check_target
from geochat.regions import Event, Phrase, Region, Text


def load(args: argparse.Namespace) -> GeoChat:
    """The façade over the checkpoint that `options.add_model_options` lets name."""
    return GeoChat.from_pretrained(
        args.model, base=args.base, device=args.device, dtype=args.dtype, quantization=args.quantization
    )


def print_json(value: Mapping[str, Any], *, indent: int | None = 2) -> None:
    """Print one JSON object, in one line where `indent` is None."""
    legible = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(value, ensure_ascii=not legible, indent=indent, allow_nan=False))


def print_stream(stream: AnswerStream) -> Answer:
    """Print words as they come, and the regions below."""
    for piece in as_words(stream):
        print(piece, end="", flush=True)
    print()
    if stream.answer.regions:
        print("\nregions, corners x,y in pixels of the image:")
        print("\n".join(region_lines(stream.answer)))
    note_problems(stream.answer)
    return stream.answer


def as_words(events: Iterable[Event]) -> Iterator[str]:
    """The words of an answer, with `[1]` where the first region was written."""
    count = 0
    for event in events:
        match event:
            case Text() | Phrase():
                yield event.text
            case Region():
                count += 1
                yield f"[{count}]"


def region_lines(answer: Answer) -> list[str]:
    """A numbered line for each region, with its corners in pixels of the image."""
    return [
        f"[{number}] {region.phrase or 'region'}: {'  '.join(f'{x:.1f},{y:.1f}' for x, y in region.pixels)}"
        for number, region in enumerate(answer.regions, 1)
    ]


def note_problems(answer: Answer) -> None:
    """Tell what is wrong with an answer."""
    for problem in answer.problems:
        note(f"the model wrote {problem.text!r}, which could not be read: {problem.reason}")
    if not answer.text and answer.finish == "stop":
        note("the model had nothing to say; ask in other words")
    if answer.finish == "length":
        note(f"the answer was cut off after {answer.usage.completion_tokens} tokens; raise --max-new-tokens")
    if answer.finish == "cancelled":
        note("the answer was cancelled; what there is of it stays in the conversation")


def read_geojson(path: Path) -> dict[str, Any]:
    """Read the regions of a GeoJSON file.

    Raises:
        RegionError: The file cannot be read, is no JSON object or holds no region.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RegionError(f"the region file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RegionError(f"the region file {path} is not GeoJSON: {error}") from error
    if not isinstance(value, dict):
        raise RegionError(f"the region file {path} holds a {type(value).__name__}; give a GeoJSON object")
    if value.get("type") == "FeatureCollection" and not value.get("features"):
        raise RegionError(f"the region file {path} holds no feature; leave it out to ask about the whole image")
    return value


def check_targets(args: argparse.Namespace) -> None:
    """Find out before the model is loaded that a result could not be written.

    Raises:
        ExportError: A file is a folder, its folder is missing or read-only, or its ending is not one of its kind.
    """
    kinds = {"overlay": (".png", ".jpg", ".jpeg"), "geojson": (".geojson", ".json"), "geopackage": (".gpkg",)}
    for name, endings in kinds.items():
        if getattr(args, name) is not None:
            _check_writable(check_target(getattr(args, name), endings))


def _check_writable(path: Path) -> None:
    try:
        is_folder = path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise ExportError(f"{path} cannot be written: {error.strerror}; choose another name") from error
    if is_folder:
        raise ExportError(f"{path} cannot be written: it is a folder; name a file")
    if not os.access(path.parent, os.W_OK):
        raise ExportError(f"{path} cannot be written: the folder {path.parent} is read-only; choose another place")


def write_files(answer: Answer, args: argparse.Namespace) -> None:
    """Write what `--overlay`, `--geojson` and `--geopackage` ask for."""
    if args.overlay:
        answer.save_overlay(args.overlay)
    if args.geojson:
        answer.save_geojson(args.geojson)
    if args.geopackage:
        answer.to_geopackage(args.geopackage)
