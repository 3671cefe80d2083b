"""Standard output and standard error: JSON, errors, notes and notices. Imports nothing heavy.

Standard output holds results only; messages go to standard error, one line each.
"""

import errno
import json
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from geochat.errors import GeoChatError

if TYPE_CHECKING:
    from geochat.assistant.notices import Notice

_OPTIONS = {"max_new_tokens": "--max-new-tokens", "(a window)": "(--window)", "(a search)": "(geochat find, count)"}
"""Parameters in notices of the core, and their options on the command line."""


def print_json(value: Mapping[str, Any] | Sequence[Any], *, indent: int | None = 2) -> None:
    """Print one JSON object or array, on one line if `indent` is None."""
    print(json_text(value, indent=indent))


def json_text(value: Mapping[str, Any] | Sequence[Any], *, indent: int | None = None) -> str:
    """Return a JSON object or array in characters that standard output can encode."""
    legible = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not legible, indent=indent, allow_nan=False)


def print_error(text: str) -> None:
    """Print an error."""
    print(f"geochat: error: {text}", file=sys.stderr)


def note(text: str) -> None:
    """Print a note for the user."""
    print(f"geochat: note: {text}", file=sys.stderr)


def report(problem: Exception, *, debug: bool) -> int:
    """Print an exception as one line, after its traceback if `debug` is set.

    Returns:
        The exit status of an error.
    """
    if debug:
        traceback.print_exception(problem)
    message = " ".join(str(problem).split())
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        message = f"the output cannot be written: {problem.strerror}; make room or choose another place"
    elif isinstance(problem, OSError) and problem.strerror and problem.filename is not None:
        message = f"{problem.filename}: {problem.strerror}; check the name, its folder and the permissions"
    elif not isinstance(problem, GeoChatError):
        message = f"unexpected {type(problem).__name__}: {message}; run again with --debug and report what it shows"
    print_error(message)
    return 1


def print_notice(text: str, about: str = "") -> None:
    """Print a notice of an answer.

    Args:
        text: The notice's text.
        about: The answer it belongs to, where there are several.
    """
    note(f"{about}: {_with_options(text)}" if about else _with_options(text))


class NoticeLog:
    """Prints the notices of many answers: each text once, and at the end the number of further answers with it.

    Args:
        what: The subject of an answer, in the singular.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._repeated: dict[str, int] = {}

    def add(self, about: str, notices: Iterable["Notice"]) -> None:
        """Print the notices of an answer that are new."""
        for notice in notices:
            if notice.text not in self._repeated:
                print_notice(notice.text, about)
            self._repeated[notice.text] = self._repeated.get(notice.text, -1) + 1

    def close(self) -> None:
        """Print the count of each repeated notice."""
        for text, count in self._repeated.items():
            if count:
                note(f"{count} more {self._what}{'s' if count > 1 else ''}: {_with_options(text)}")


def _with_options(text: str) -> str:
    """Return a notice of the core in terms of the command line."""
    for name, option in _OPTIONS.items():
        text = text.replace(name, option)
    return text
