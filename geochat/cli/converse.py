"""The loop of a conversation, at the terminal or through a pipe.

Ctrl-C does what it does in a shell: it ends an answer that is being written, keeping the conversation, and clears the
line that is being typed. Lines that come through a pipe are all answered, whether or not an earlier one failed.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from geochat.assistant import AnswerStream
from geochat.cli import output
from geochat.cli.lines import read_lines
from geochat.cli.reporting import note, report
from geochat.cli.slash import obey
from geochat.cli.talk import Talk
from geochat.cli.text import print_stream


def converse(talk: Talk, *, as_json: bool, debug: bool) -> int:
    """Answer and obey line after line until there is no more, or `/quit`.

    Args:
        talk: The conversation.
        as_json: Print each answer as one line of JSON.
        debug: Show the traceback of an error.

    Returns:
        The exit status: 1 where a line that came through a pipe failed.
    """
    typed = sys.stdin.isatty()
    if typed:
        note(f"{talk.view}; /help says what can be done, Ctrl-D leaves")
    status = 0
    for line in read_lines(lambda: talk.prompt, typed=typed):
        try:
            if not line.startswith("/"):
                _answer(talk, line, as_json=as_json, typed=typed)
            elif not obey(talk, line):
                break
        except OSError:  # nobody reads the answers any more
            raise
        except KeyboardInterrupt:
            if not typed:
                raise
            note("interrupted; the conversation goes on")
        except Exception as error:  # whatever it is, the conversation goes on
            failed = report(error, debug=debug)
            status = status if typed else failed
    return status


def _answer(talk: Talk, question: str, *, as_json: bool, typed: bool) -> None:
    stream = talk.stream(question)
    with _interrupts(stream) if typed else nullcontext():
        if as_json:
            output.print_json(stream.wait().to_dict(), indent=None)
        else:
            print_stream(stream)
            print()
    sys.stdout.flush()  # another program may be waiting for it


@contextmanager
def _interrupts(stream: AnswerStream) -> Iterator[None]:
    """Let Ctrl-C end the answer after the present token, and a second one end it at once."""

    def cancel(_signal: int, _frame: object) -> None:
        stream.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
