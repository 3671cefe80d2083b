"""Notifications and updates sent to the page.

JSON for the page has no `<`, and Gradio shows notifications as HTML, so they are escaped: neither can carry markup.
"""

import html
import json
import logging
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import gradio as gr

from geochat import GeoChat
from geochat.errors import GeoChatError
from geochat_serve.corrections import editable_text
from geochat_serve.session import Session
from geochat_serve.validation import clean

Update = Any  # what Gradio accepts for a component: a value, or a component with its changed properties
Result = TypeVar("Result")

_serial_numbers = count(1)

log = logging.getLogger(__name__)


def attempt(action: Callable[[], Result]) -> Result | None:
    """Run an action. If it fails, notify the user and return None."""
    try:
        return action()
    except GeoChatError as error:
        warn(str(error))
    except Exception:
        log.exception("an event of the page failed")
        warn("that failed because of an error on the server; its log has the details")
    return None


def warn(message: str) -> None:
    """Show a notification; it begins with a capital, unless that is a file's name."""
    begins_with_name = "." in message.split(maxsplit=1)[0] if message.strip() else True
    text = message if begins_with_name else f"{message[:1].upper()}{message[1:]}"
    gr.Warning(html.escape(clean(text)), duration=8)


def page_json(value: Any) -> str:  # noqa: ANN401 - JSON-ready
    """Return JSON for the page, without any `<`."""
    return clean(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def serial() -> int:
    """Return a new number, which makes an update differ from the one before even if all else is equal."""
    return next(_serial_numbers)


def unchanged(count: int) -> tuple[Update, ...]:
    """Return updates that leave `count` components as they are."""
    return (gr.skip(),) * count


def scene_update(session: Session) -> str:
    """Return the open scene for the viewer."""
    return "" if session.scene is None else page_json(session.scene.payload)


def conversation_update(session: Session, chat: GeoChat) -> str:
    """Return the conversation for the page."""
    remembered = session.remembered()
    exchanges = []
    for exchange in session.exchanges:
        text = "" if exchange.parsed is None else editable_text(exchange.parsed)
        exchanges.append({**exchange.to_dict(), "editable": text, "remembered": exchange.id in remembered})
    memory = "" if session.busy else _memory(session, len(remembered), chat)
    return page_json({"exchanges": exchanges, "busy": session.busy, "memory": memory})


def _memory(session: Session, remembered: int, chat: GeoChat) -> str:
    """Say how much of the conversation the model sees with the next question about the same view."""
    total = sum(exchange.answer is not None and not exchange.being_edited for exchange in session.exchanges)
    settings = chat.engine.info.settings
    if not total:
        return ""
    if settings.earlier_turns == 0:
        follow_ups = " Short follow-ups, such as “and the ships?”, still work." if settings.trained_wordings else ""
        return f"This model answers each question on its own and does not remember earlier ones.{follow_ups}"
    if remembered == total:
        return "The model remembers all of this conversation when you ask about the same view again."
    if remembered == 0:
        return "The model remembers none of this conversation."
    return f"The model remembers only the last {remembered} of these {total} exchanges."
