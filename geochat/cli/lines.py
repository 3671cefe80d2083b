"""Reading a conversation's lines, typed or through a pipe.

At a terminal there is line editing and a history that outlives the session, where Python has readline; without it,
plain lines. The history is a convenience: where it cannot be kept, nothing is said.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_REMEMBERED = 1000


def read_lines(prompt: Callable[[], str], *, typed: bool) -> Iterator[str]:
    """Lines without the blanks around them, empty ones left out, until the end of input.

    Args:
        prompt: What to show before the next line.
        typed: Somebody sits at a terminal. Ctrl-C then drops the line, and once more ends the input.
    """
    if typed:
        with _editing() as begun:
            yield from _typed(prompt, begun)
    else:
        decoded = (line.decode("utf-8-sig", "replace") for line in sys.stdin.buffer)
        yield from filter(None, map(str.strip, decoded))


def _typed(prompt: Callable[[], str], begun: Callable[[], str]) -> Iterator[str]:
    interrupted = False
    while True:
        try:
            line = _ask(prompt()).strip()
        except EOFError:
            print(file=sys.stderr)
            return
        except KeyboardInterrupt:
            print(file=sys.stderr)
            if interrupted and not begun():
                return
            interrupted = True
            continue
        interrupted = False
        if line:
            yield line


def _ask(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    print(prompt, end="", file=sys.stderr, flush=True)  # standard output is for answers
    return input()


@contextmanager
def _editing() -> Iterator[Callable[[], str]]:
    """Line editing and history; gives what tells how far a line was typed when it was interrupted."""
    try:
        import readline
    except ImportError:
        yield str
        return
    readline.parse_and_bind("tab: complete")  # file names
    readline.set_history_length(_REMEMBERED)
    with suppress(OSError, RuntimeError):
        readline.read_history_file(_history_file())
    try:
        yield readline.get_line_buffer
    finally:
        with suppress(OSError, RuntimeError):
            file = _history_file()
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(file)


def _history_file() -> Path:
    """In the user's state folder (XDG Base Directory Specification).

    Raises:
        RuntimeError: The user has no home.
    """
    stated = Path(os.environ.get("XDG_STATE_HOME", ""))
    folder = stated if stated.is_absolute() else Path.home() / ".local" / "state"
    return folder / "geochat" / "chat_history"
