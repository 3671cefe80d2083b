"""A conversation as Markdown to read, and as JSON to load again."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from geochat import __version__
from geochat.assistant import GeoChat
from geochat.errors import DataError, GeoChatError
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
        if turn.note:
            lines += [f"*{_plain(turn.note)}*", ""]
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
    if session.scene is None or session.scene.image.sha256 != image["sha256"]:
        raise DataError(f"that conversation is about {image.get('name')!r}, which is not open; open it and load again")
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
    turn.answer = conversation.remember(question, prompt, text)
    turn.reread(turn.answer, session.colours)
    turn.status = "done"
    if isinstance(corrected := saved.get("corrected"), str):
        turn.correct(corrected, session.colours)
    session.turns.append(turn)


def _saved(turn: Turn) -> dict[str, Any]:
    answer = turn.answer
    return {
        "question": turn.question,
        "task": turn.task,
        "regions": [[box.x1, box.y1, box.x2, box.y2, box.angle] for box in turn.regions],
        "window": turn.window,
        "prompt": answer.prompt if answer else "",
        "text": answer.text if answer else "",
        "corrected": turn.corrected,
        "boxes": [{"phrase": box["phrase"], "pixels": box["points"], "score": box["score"]} for box in turn.boxes],
    }


def _words(turn: Turn) -> str:
    return "".join(f"[{part['number']}]" if part["kind"] == "box" else part["text"] for part in turn.parts).strip()


def _corners(points: Sequence[Sequence[float]] | tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _plain(text: str) -> str:
    """Words that Markdown shows as they are: what a model wrote formats nothing and injects no HTML."""
    return _SPECIAL.sub(r"\\\1", text.replace("\r", "")).replace("\n", "  \n")
