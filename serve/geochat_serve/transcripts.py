"""Transcripts of a conversation: Markdown to read, and JSON to load again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from geochat import GeoChat, __version__
from geochat.assistant.notices import Notice
from geochat.dialects import Dialect
from geochat.errors import DataError, GeoChatError
from geochat.geometry import OrientedBox
from geochat_serve.corrections import read_correction
from geochat_serve.exchanges import Exchange
from geochat_serve.session import Session
from geochat_serve.tasks import TASKS
from geochat_serve.validation import read_boxes, read_window

_FORMAT = "geochat-conversation"
_MAX_EXCHANGES = 1000
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def to_json(session: Session) -> str:
    """Return the conversation as JSON that `load` reads."""
    scene = session.scene
    exchanges = [exchange for exchange in session.exchanges if exchange.answer is not None]
    first = exchanges[0].answer if exchanges else None
    image = None
    if scene is not None:
        overview = scene.overview
        image = {"name": scene.name, "sha256": overview.sha256, "width": overview.width, "height": overview.height}
        if scene.page != 1:
            image["page"] = scene.page
    document = {
        "form": _FORMAT,
        "version": 1,
        "software": f"geochat {__version__}",
        "model": None if first is None else first.model,
        "written": None if first is None else _box_format(first.info.dialect),
        "image": image,
        "turns": [_saved(exchange) for exchange in exchanges],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def to_markdown(session: Session) -> str:
    """Return the conversation as Markdown, with a table of boxes after each answer."""
    scene = session.scene
    lines = [f"# {_escaped(scene.name) if scene else 'Conversation'}", ""]
    for exchange in session.exchanges:
        lines += [f"**{_escaped(exchange.question or exchange.task)}** ({exchange.task})", ""]
        if exchange.regions:
            lines += [f"Asked about {'; '.join(_corners(box.corners()) for box in exchange.regions)}", ""]
        lines += [_escaped(_answer_text(exchange)) or "(no answer)", ""]
        if exchange.choices:
            choices = (f"{_escaped(choice['text'])} {choice['probability']:.0%}" for choice in exchange.choices)
            lines += [", ".join(choices), ""]
        notices = [notice.text for notice in (*exchange.notices, *exchange.answer_notices)]
        for text in [*notices, exchange.failure]:
            lines += [f"*{_escaped(text)}*", ""] if text else []
        if exchange.boxes:
            lines += ["| | phrase | corners in pixels |", "|---|---|---|"]
            for box in exchange.boxes:
                lines.append(f"| {box['number']} | {_escaped(box['phrase'] or '')} | {_corners(box['points'])} |")
            lines.append("")
    return "\n".join(lines)


def load(session: Session, text: str, chat: GeoChat) -> None:
    """Load a conversation about the image that is open, in place of the session's; if it fails, that stays.

    Raises:
        DataError: The text is not a saved conversation, or one about another image.
    """
    try:
        value = json.loads(text)
        if value["form"] != _FORMAT or len(value["turns"]) > _MAX_EXCHANGES:
            raise DataError(f"the file is not a GeoChat conversation of up to {_MAX_EXCHANGES} questions")
        image = value["image"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError("the file is not a saved conversation; choose one that was exported here as JSON") from error
    try:
        page = image.get("page", 1)
        scene = session.scene
        if scene is None or (scene.overview.sha256, scene.page) != (image["sha256"], page):
            where = f"{image['name']!r}" if page == 1 else f"page {page} of {image['name']!r}"
            raise DataError(f"that conversation is about {where}, which is not open; open it and load again")
    except (AttributeError, TypeError, KeyError) as error:
        raise DataError("the conversation names no image; choose one that was exported here as JSON") from error
    if value.get("written") not in (None, _box_format(chat.engine.info.dialect)):
        raise DataError(
            f"the conversation was written by {value.get('model')!r}, whose boxes this model reads differently"
        )
    had_any = bool(session.exchanges)
    session.clear()
    try:
        for saved in value["turns"]:
            _load_exchange(session, saved, chat)
    except (TypeError, KeyError, ValueError, GeoChatError) as error:
        session.exchanges = []
        if had_any:
            session.restore()
        raise DataError(f"the conversation cannot be read: {error}") from error


def _load_exchange(session: Session, saved: Mapping[str, Any], chat: GeoChat) -> None:
    question, task, prompt, text = (str(saved[name]) for name in ("question", "task", "prompt", "text"))
    scene = session.require_scene()
    if task not in TASKS:
        raise DataError(f"there is no task {task!r}")
    window = read_window(saved["window"], scene.overview)
    conversation = session.conversation(chat, window)
    exchange = Exchange(session.next_id(), question, task, read_boxes(saved["regions"]), window, scene.id, conversation)
    exchange.finish(conversation.remember(question, prompt, text, exchange.regions), session.colours)
    exchange.notices = _notices(saved.get("notices", []))
    exchange.answer_notices = _notices(saved.get("remarks", []))
    exchange.choices = [
        {"text": str(choice["text"]), "probability": min(max(float(choice["probability"]), 0.0), 1.0)}
        for choice in saved.get("choices", [])
    ]
    exchange.status = "done"
    if isinstance(corrected := saved.get("corrected"), str):
        boxes = read_boxes(saved.get("corrected_boxes", []))
        correction = read_correction(corrected, boxes, conversation.image.frame, conversation.info.dialect)
        exchange.correct(correction, session.colours)
    session.exchanges.append(exchange)


def _saved(exchange: Exchange) -> dict[str, Any]:
    answer, correction = exchange.answer, exchange.correction
    return {
        "question": exchange.question,
        "task": exchange.task,
        "regions": [_numbers(box) for box in exchange.regions],
        "window": exchange.window,
        "prompt": answer.prompt if answer else "",
        "text": answer.text if answer else "",
        "corrected": correction.text if correction else None,
        "corrected_boxes": [_numbers(box) for box in correction.boxes] if correction else [],
        "notices": [asdict(notice) for notice in exchange.notices],
        "remarks": [asdict(notice) for notice in exchange.answer_notices],
        "choices": exchange.choices,
        "boxes": [{"phrase": box["phrase"], "pixels": box["points"], "score": box["score"]} for box in exchange.boxes],
    }


def _box_format(dialect: Dialect) -> dict[str, Any]:
    """Return what determines where written boxes lie."""
    frame = dialect.model_frame
    size = frame.size if frame.fit == "crop" else None
    return {
        "dialect": dialect.name,
        "direction": dialect.angles.direction,
        "fit": frame.fit,
        "size": size,
        "scale": frame.scale,
    }


def _notices(values: Sequence[Mapping[str, Any]]) -> tuple[Notice, ...]:
    return tuple(Notice(str(value["code"]), str(value["text"])) for value in values)


def _numbers(box: OrientedBox) -> list[float]:
    return [box.x1, box.y1, box.x2, box.y2, box.angle]


def _answer_text(exchange: Exchange) -> str:
    """Return the answer shown, with `[n]` for box n."""
    return "".join(f"[{part['number']}]" if part["kind"] == "box" else part["text"] for part in exchange.parts).strip()


def _corners(points: Sequence[Sequence[float]] | tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _escaped(text: str) -> str:
    """Escape Markdown, so that a model's words neither format anything nor inject HTML."""
    return _MARKDOWN.sub(r"\\\1", text.replace("\r", "")).replace("\n", "  \n")
