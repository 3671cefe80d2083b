"""The core's notices in the page's words: where they name a Python argument, the page names its own control."""

from collections.abc import Callable

from geochat.assistant.notices import Notice

_CLOSER = "(zoom in, tick “Look at this view”)"


def _in_view(text: str) -> str:
    return text.replace("(a window)", _CLOSER)


_WORDINGS: dict[str, Callable[[str], str]] = {
    "ground-resolution": _in_view,
    "shrunk": _in_view,
    "nothing-found": _in_view,
    "cut-off": lambda text: f"{text.split(';')[0].rstrip('.')}.",
    "cancelled": lambda _text: "Stopped; what there is of the answer stays in the conversation.",
}


def on_page(notice: Notice) -> dict[str, str]:
    """A notice as the browser shows it: its code, by which it is styled, and its text."""
    wording = _WORDINGS.get(notice.code)
    return {"code": notice.code, "text": notice.text if wording is None else wording(notice.text)}
