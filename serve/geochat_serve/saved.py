"""A conversation as Markdown to read, and as JSON to load again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from geochat import __version__
from geochat.assistant import GeoChat
from geochat.assistant.notices import Notice
from geochat.dialects import Dialect
from geochat.errors import DataError, GeoChatError
from geochat.geometry import OrientedBox
from geochat_serve.correcting import read_correction
from geochat_serve.placing import read_boxes, read_window
from geochat_serve.sessions import Session
from geochat_serve.tasks import CHOICES
from geochat_serve.turns import Turn

_FORM = "geochat-conversation"
_MOST_TURNS = 1000
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def to_json(session: Session) -> str:
    """The conversation as JSON that `load` takes."""
    scene = session.scene
    turns = [turn for turn in session.turns if turn.answer is not None]
    return json.dumps(
        {
            "form": _FORM,
            "version": 1,
            "software": f"geochat {__version__}",
            "model": turns[0].answer.model if turns and turns[0].answer else None,
            "written": _reading(turns[0].answer.info.dialect) if turns and turns[0].answer else None,
            "image": None
            if scene is None
            else {
                "name": scene.name,
                "sha256": scene.image.sha256,
                "width": scene.image.width,
                "height": scene.image.height,
            },
            "turns": [_saved(turn) for turn in turns],
        },
        ensure_ascii=False,
        indent=2,
    )


def to_markdown(session: Session) -> str:
    """The conversation to read, with a table of boxes after each answer; what was said is shown as plain text."""
    scene = session.scene
    lines = [f"# {_plain(scene.name) if scene else 'Conversation'}", ""]
    for turn in session.turns:
        lines += [f"**{_plain(turn.question or turn.task)}** ({turn.task})", ""]
        if turn.regions:
            lines += [f"Asked about {'; '.join(_corners(box.corners()) for box in turn.regions)}", ""]
        lines += [_plain(_words(turn)) or "(no answer)", ""]
        if turn.choices:
            shares = (f"{_plain(choice['text'])} {choice['probability']:.0%}" for choice in turn.choices)
            lines += [", ".join(shares), ""]
        for told in [*(notice.text for notice in (*turn.notices, *turn.remarks)), turn.failure]:
            lines += [f"*{_plain(told)}*", ""] if told else []
        if turn.boxes:
            lines += ["| | phrase | corners in pixels |", "|---|---|---|"]
            for box in turn.boxes:
                lines.append(f"| {box['number']} | {_plain(box['phrase'] or '')} | {_corners(box['points'])} |")
            lines.append("")
    return "\n".join(lines)


def load(session: Session, text: str, chat: GeoChat) -> None:
    """Take up a saved conversation about the image that is open.

    Raises:
        DataError: The text is no saved conversation, or one about another image.
    """
    try:
        value = json.loads(text)
        if value["form"] != _FORM or len(value["turns"]) > _MOST_TURNS:
            raise DataError(f"it is no conversation of this program with up to {_MOST_TURNS} turns")
        image = value["image"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError("that file is no saved conversation; choose one that was exported here as JSON") from error
    try:
        if session.scene is None or session.scene.image.sha256 != image["sha256"]:
            raise DataError(f"that conversation is about {image['name']!r}, which is not open; open it and load again")
    except (TypeError, KeyError) as error:
        raise DataError("that conversation names no image; choose one that was exported here as JSON") from error
    if value.get("written") not in (None, _reading(chat.engine.info.dialect)):
        raise DataError(f"the model that is served reads boxes unlike {value.get('model')!r}, which wrote these")
    session.clear()
    try:
        for saved in value["turns"]:
            _load_turn(session, saved, chat)
    except (TypeError, KeyError, ValueError, GeoChatError) as error:
        session.clear()
        raise DataError(f"that conversation cannot be read: {error}") from error


def _load_turn(session: Session, saved: Mapping[str, Any], chat: GeoChat) -> None:
    question, task, prompt, text = (str(saved[name]) for name in ("question", "task", "prompt", "text"))
    if session.scene is None or task not in CHOICES:
        raise DataError(f"the task {task!r} is unknown")
    window = read_window(saved["window"], session.scene.image)
    conversation = session.conversation(chat, window)
    turn = Turn(
        session.next_number(), question, task, read_boxes(saved["regions"]), window, session.scene.id, conversation
    )
    turn.finish(conversation.remember(question, prompt, text, turn.regions), session.colours)
    turn.notices, turn.remarks = _notices(saved.get("notices", [])), _notices(saved.get("remarks", []))
    turn.choices = [
        {"text": str(choice["text"]), "probability": min(max(float(choice["probability"]), 0.0), 1.0)}
        for choice in saved.get("choices", [])
    ]
    turn.status = "done"
    if isinstance(corrected := saved.get("corrected"), str):
        boxes = read_boxes(saved.get("corrected_boxes", []))
        correction = read_correction(corrected, boxes, conversation.image.frame, conversation.info.dialect)
        turn.correct(correction, session.colours)
    session.turns.append(turn)


def _saved(turn: Turn) -> dict[str, Any]:
    answer, correction = turn.answer, turn.correction
    return {
        "question": turn.question,
        "task": turn.task,
        "regions": [_numbers(box) for box in turn.regions],
        "window": turn.window,
        "prompt": answer.prompt if answer else "",
        "text": answer.text if answer else "",
        "corrected": correction.text if correction else None,
        "corrected_boxes": [_numbers(box) for box in correction.boxes] if correction else [],
        "notices": [asdict(notice) for notice in turn.notices],
        "remarks": [asdict(notice) for notice in turn.remarks],
        "choices": turn.choices,
        "boxes": [{"phrase": box["phrase"], "pixels": box["points"], "score": box["score"]} for box in turn.boxes],
    }


def _reading(dialect: Dialect) -> dict[str, Any]:
    """What decides where boxes lie that were written in a dialect."""
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


def _words(turn: Turn) -> str:
    return "".join(f"[{part['number']}]" if part["kind"] == "box" else part["text"] for part in turn.parts).strip()


def _corners(points: Sequence[Sequence[float]] | tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _plain(text: str) -> str:
    """Words that Markdown shows as they are: what a model wrote formats nothing and injects no HTML."""
    return _SPECIAL.sub(r"\\\1", text.replace("\r", "")).replace("\n", "  \n")
