"""What is told beside the results, on standard error, each in one line."""

import errno
import sys
import traceback

from geochat.errors import GeoChatError


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
    elif not isinstance(error, GeoChatError):
        message = f"unexpected {type(error).__name__}: {message}; run again with --debug and report what it shows"
    print(f"geochat: error: {message}", file=sys.stderr)
    return 1


def note(text: str) -> None:
    """Tell what the user should know."""
    print(f"geochat: note: {text}", file=sys.stderr)
