"""The loop of a conversation, at a terminal or through a pipe.

Ctrl-C works as in a shell: it ends an answer in progress, keeping the conversation, and clears a partly typed line.
Lines from a pipe are all answered, even after one has failed.

At a terminal, line editing and a persistent history are available if Python has readline. A history that cannot be
stored is not an error.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from geochat.assistant import AnswerStream
from geochat.cli import output
from geochat.cli.chat_commands import Session, run_command
from geochat.cli.output import note, report
from geochat.cli.text import print_stream

_HISTORY_LINES = 1000


def converse(session: Session, *, as_json: bool, debug: bool) -> int:
    """Answer questions and run commands, line by line, until the end of input or `/quit`.

    Args:
        session: The conversation.
        as_json: Print each answer as one line of JSON.
        debug: Show the traceback of an error.

    Returns:
        The exit status: 1 where a line from a pipe failed.
    """
    typed = sys.stdin.isatty()
    if typed:
        note(f"{session.view}; /help lists the commands, Ctrl-D quits")
    status = 0
    for line in _read_lines(lambda: session.prompt, typed=typed):
        try:
            if not line.startswith("/"):
                _answer(session, line, as_json=as_json, typed=typed)
            elif not run_command(session, line):
                break
        except OSError:  # the output is closed or full
            raise
        except KeyboardInterrupt:
            if not typed:
                raise
            note("interrupted; the conversation goes on")
        except Exception as error:  # the conversation goes on after any error
            failed = report(error, debug=debug)
            status = status if typed else failed
    return status


def _answer(session: Session, question: str, *, as_json: bool, typed: bool) -> None:
    stream = session.stream(question)
    with _cancels(stream) if typed else nullcontext():
        if as_json:
            output.print_json(stream.wait().to_dict(), indent=None)
        else:
            print_stream(stream)
            print()
    sys.stdout.flush()  # another program may be waiting for it


@contextmanager
def _cancels(stream: AnswerStream) -> Iterator[None]:
    """Let a first Ctrl-C end the answer after the current token, and a second one immediately."""

    def cancel(_signal: int, _frame: object) -> None:
        stream.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _read_lines(prompt: Callable[[], str], *, typed: bool) -> Iterator[str]:
    """Yield stripped lines until the end of input, without empty ones.

    Args:
        prompt: Returns the prompt of the next line.
        typed: Whether the lines are typed at a terminal. Ctrl-C then clears the line, and a second one ends the input.
    """
    if typed:
        with _line_editing() as typed_so_far:
            yield from _typed_lines(prompt, typed_so_far)
    else:
        decoded = (line.decode("utf-8-sig", "replace") for line in sys.stdin.buffer)
        yield from filter(None, map(str.strip, decoded))


def _typed_lines(prompt: Callable[[], str], typed_so_far: Callable[[], str]) -> Iterator[str]:
    interrupted = False
    while True:
        try:
            line = _input(prompt()).strip()
        except EOFError:
            print(file=sys.stderr)
            return
        except KeyboardInterrupt:
            print(file=sys.stderr)
            if interrupted and not typed_so_far():
                return
            interrupted = True
            continue
        interrupted = False
        if line:
            yield line


def _input(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    print(prompt, end="", file=sys.stderr, flush=True)  # standard output is for answers
    return input()


@contextmanager
def _line_editing() -> Iterator[Callable[[], str]]:
    """Enable line editing and history; yields a function that returns the line typed so far."""
    try:
        import readline
    except ImportError:
        yield str
        return
    readline.parse_and_bind("tab: complete")  # file names
    readline.set_history_length(_HISTORY_LINES)
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
    """Return the history file in the user's state folder (XDG Base Directory Specification).

    Raises:
        RuntimeError: The user has no home.
    """
    stated = Path(os.environ.get("XDG_STATE_HOME", ""))
    folder = stated if stated.is_absolute() else Path.home() / ".local" / "state"
    return folder / "geochat" / "chat_history"
