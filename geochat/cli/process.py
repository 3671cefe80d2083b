"""The process of a command: arguments, signals, streams, and the logging of libraries."""

import argparse
import io
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

_NUMBERS = ("--region", "--window", "--stretch")  # options whose values may begin with a minus
_NEGATIVE = re.compile(r"-[\d.]")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse arguments, with two additions to argparse.

    argparse treats a value that begins with a minus as an option, and rejects words of a list that follow an option.
    """
    args, rest = parser.parse_known_args(_joined(argv))
    if rest and hasattr(args, "words") and not any(word.startswith("-") for word in rest):
        args.words, rest = [*args.words, *rest], []
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def _joined(argv: Sequence[str]) -> list[str]:
    """Rewrite `--region -5,0,9,9` as `--region=-5,0,9,9`."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] in _NUMBERS and _NEGATIVE.match(word):
            words[-1] = f"{words[-1]}={word}"
        else:
            words.append(word)
    return words


def enable_interrupts() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` where it would end the process (see `geochat.__main__`)."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def open_streams() -> None:
    """Escape characters that the terminal's encoding lacks, and replace closed streams with the null device."""
    sys.stdin = sys.stdin or Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for as long as the process
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def quiet_libraries(*, debug: bool) -> None:
    """Hide the progress bars, warnings and advice of libraries, unless `debug` is set."""
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR, format="geochat: %(message)s")
    if debug:
        return
    logging.captureWarnings(True)  # to a logger, which the level above silences
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
