"""Values and messages for the page, and what the page sent."""

import html
import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from geochat.errors import GeoChatError

Result = TypeVar("Result")

log = logging.getLogger(__name__)


def to_page(value: Any) -> str:  # noqa: ANN401 - JSON-ready
    """JSON in which no markup stands, wherever it may end up."""
    return clean(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def clean(text: str) -> str:
    """A text with a question mark for each half of a character, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def sent(event: gr.EventData) -> dict[str, Any]:
    """What the page sent with an event.

    Raises:
        GeoChatError: It is not what a page sends.
    """
    if not isinstance(event._data, dict):
        raise GeoChatError("the page sent what cannot be read; reload it")
    return event._data


def attempt(action: Callable[[], Result]) -> Result | None:
    """What an action gives; None where it failed, and then the user is told why."""
    try:
        return action()
    except GeoChatError as error:
        warn(str(error))
    except Exception:
        log.exception("an event of the page failed")
        warn("that did not work, for a reason that is the server's; its log says more")
    return None


def warn(message: str) -> None:
    """Tell the user; Gradio shows messages as HTML, so this one is escaped."""
    gr.Warning(html.escape(clean(f"{message[:1].upper()}{message[1:]}")), duration=8)


_counted = 0


def serial() -> int:
    """A number not given before: two equal things told one after the other are told twice."""
    global _counted  # noqa: PLW0603 - a counter
    _counted += 1
    return _counted
