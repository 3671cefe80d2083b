"""What commands print and write."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochat.assistant import Answer, AnswerStream, GeoChat
from geochat.errors import RegionError
from geochat.exports import check_target
from geochat.regions import Phrase, Region, Text


def load(args: argparse.Namespace) -> GeoChat:
    """The façade over the checkpoint that `--model`, `--device` and `--dtype` name."""
    return GeoChat.from_pretrained(args.model, device=args.device, dtype=args.dtype)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def print_stream(stream: AnswerStream) -> Answer:
    """Print words as they come, `[1]` where the first region was written, and the regions below."""
    count = 0
    for event in stream:
        match event:
            case Text() | Phrase():
                print(event.text, end="", flush=True)
            case Region():
                count += 1
                print(f"[{count}]", end="", flush=True)
    print()
    print_regions(stream.answer)
    return stream.answer


def print_regions(answer: Answer) -> None:
    """Print where the regions are, and on standard error what is wrong with the answer."""
    if answer.regions:
        print("\nregions, corners x,y in pixels of the image:")
    for number, region in enumerate(answer.regions, 1):
        corners = "  ".join(f"{x:.1f},{y:.1f}" for x, y in region.pixels)
        print(f"[{number}] {region.phrase or 'region'}: {corners}")
    for problem in answer.problems:
        _note(f"the model wrote {problem.text!r}, which could not be read: {problem.reason}")
    if answer.finish == "length":
        _note(f"the answer was cut off after {answer.usage.completion_tokens} tokens; raise --max-new-tokens")


def read_geojson(path: Path) -> dict[str, Any]:
    """Read the regions of a GeoJSON file.

    Raises:
        RegionError: The file cannot be read or is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RegionError(f"the region file {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RegionError(f"the region file {path} is not GeoJSON: {error}") from error
    if not isinstance(value, dict):
        raise RegionError(f"the region file {path} holds a {type(value).__name__}; give a GeoJSON object")
    return value


def check_targets(args: argparse.Namespace) -> None:
    """Find out before the model is loaded that a result could not be written.

    Raises:
        ExportError: A file's folder is missing, or its ending is not one of its kind.
    """
    kinds = {"overlay": (".png", ".jpg", ".jpeg"), "geojson": (".geojson", ".json"), "geopackage": (".gpkg",)}
    for name, endings in kinds.items():
        if getattr(args, name) is not None:
            check_target(getattr(args, name), endings)


def write_files(answer: Answer, args: argparse.Namespace) -> None:
    """Write what `--overlay`, `--geojson` and `--geopackage` ask for."""
    if args.overlay:
        answer.save_overlay(args.overlay)
    if args.geojson:
        answer.save_geojson(args.geojson)
    if args.geopackage:
        answer.to_geopackage(args.geopackage)


def _note(text: str) -> None:
    print(f"geochat: note: {text}", file=sys.stderr)
