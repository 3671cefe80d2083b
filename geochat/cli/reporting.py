"""What is told beside the results, on standard error, each in one line."""

import errno
import sys
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING

from geochat.errors import GeoChatError

if TYPE_CHECKING:
    from geochat.assistant.notices import Notice

_OPTIONS = {"max_new_tokens": "--max-new-tokens", "(a window)": "(--window)"}
"""What notices of the core call options, and their names here."""


def report(error: Exception, *, debug: bool) -> int:
    """Tell an error, with its traceback where `debug` is set.

    Returns:
        The exit status of an error.
    """
    if debug:
        traceback.print_exception(error)
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        message = f"the output cannot be written: {error.strerror}; make room or choose another place"
    elif isinstance(error, OSError) and error.strerror and error.filename is not None:
        message = f"{error.filename}: {error.strerror}; check the name, its folder and the permissions"
    elif not isinstance(error, GeoChatError):
        message = f"unexpected {type(error).__name__}: {message}; run again with --debug and report what it shows"
    complain(message)
    return 1


def complain(text: str) -> None:
    """Tell what went wrong, where the rest goes on."""
    print(f"geochat: error: {text}", file=sys.stderr)


def note(text: str) -> None:
    """Tell what the user should know."""
    print(f"geochat: note: {text}", file=sys.stderr)


def tell(notice: "Notice", about: str = "") -> None:
    """Tell a notice of an answer.

    Args:
        notice: What to know.
        about: Which of several answers it belongs to.
    """
    note(f"{about}: {in_options(notice.text)}" if about else in_options(notice.text))


class Told:
    """Tells the notices of many answers: each text once, and at the end of how many more answers it holds.

    Args:
        what: What an answer is about, in the singular.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._repeated: dict[str, int] = {}

    def tell(self, about: str, notices: Iterable["Notice"]) -> None:
        """Tell what is new of the notices of an answer."""
        for notice in notices:
            if notice.text not in self._repeated:
                tell(notice, about)
            self._repeated[notice.text] = self._repeated.get(notice.text, -1) + 1

    def close(self) -> None:
        """Tell how often what was told was so again."""
        for text, count in self._repeated.items():
            if count:
                note(f"{count} more {self._what}{'s' if count > 1 else ''}: {in_options(text)}")


def in_options(text: str) -> str:
    """A notice of the core in the words of the command line."""
    for name, option in _OPTIONS.items():
        text = text.replace(name, option)
    return text
