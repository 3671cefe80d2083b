"""Telling the page something: values, and what went wrong."""

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
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


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
    gr.Warning(html.escape(f"{message[:1].upper()}{message[1:]}"), duration=8)


_counted = 0


def serial() -> int:
    """A number not given before: two equal things told one after the other are told twice."""
    global _counted  # noqa: PLW0603 - a counter
    _counted += 1
    return _counted
