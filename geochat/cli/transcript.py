"""A conversation written down."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from geochat.assistant import Answer
from geochat.cli.text import as_words, region_lines
from geochat.errors import ExportError
from geochat.exports import check_target
from geochat.exports.files import write_atomically

KINDS = "the conversation (.json, .md), or the last answer's regions (.geojson, .gpkg, .png, .jpg)"

_ENDINGS = (".json", ".md", ".geojson", ".gpkg", ".png", ".jpg", ".jpeg")


def save(history: Sequence[Answer], path: Path) -> Path:
    """Write a conversation, or its last answer, as the file's ending says.

    Args:
        history: The answers, oldest first, all about one image.
        path: Ends in .json or .md for the conversation; in .geojson, .gpkg, .png or .jpg for the last answer's regions.

    Returns:
        The path written.

    Raises:
        ExportError: There is no answer yet, the ending is another one, or the file cannot be written.
    """
    check_target(path, _ENDINGS)
    if not history:
        raise ExportError(f"there is nothing to write to {path} yet; ask something first")
    match path.suffix.lower():
        case ".json":
            return write_atomically(path, json.dumps(as_json(history), ensure_ascii=False, indent=2).encode() + b"\n")
        case ".md":
            return write_atomically(path, as_markdown(history).encode())
        case ".geojson":
            return history[-1].save_geojson(path)
        case ".gpkg":
            return history[-1].to_geopackage(path)
        case _:
            return history[-1].save_overlay(path)


def as_json(history: Sequence[Answer]) -> dict[str, Any]:
    """Where the answers come from, and under "answers" each as `geochat ask --json` prints it."""
    return {
        **_source(history),
        "answers": [answer.to_dict() for answer in history],
    }


def as_markdown(history: Sequence[Answer]) -> str:
    """The conversation to read, with the corners of regions in pixels of the image."""
    source = _source(history)
    lines = [f"# {source['image'] or 'An image'}", "", *(f"- {name}: {value}" for name, value in source.items())]
    for answer in history:
        lines += ["", f"**`{' '.join(answer.prompt.split())}`**", "", escape(_words(answer), quote=False)]
        regions = [f"- {escape(line, quote=False)}" for line in region_lines(answer)]  # a second line is indented
        lines += ["", *regions] if regions else []
    return "\n".join(lines) + "\n"


def as_text(history: Sequence[Answer]) -> str:
    """The conversation as the terminal showed it."""
    turns = (["> " + answer.prompt.replace("\n", "\n> "), _words(answer), *region_lines(answer)] for answer in history)
    return "\n\n".join("\n".join(turn) for turn in turns) or "nothing has been asked yet"


def _words(answer: Answer) -> str:
    return "".join(as_words(answer.parsed.events)).strip() or "(no words)"


def _source(history: Sequence[Answer]) -> dict[str, Any]:
    """What the answers' provenance has in common."""
    return {name: value for name, value in history[0].provenance.items() if name not in ("question", "task", "prompt")}
