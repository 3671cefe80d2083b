"""The process of the `geochat` command; `python -m geochat` is the same.

Until the command itself is under way, Ctrl-C ends the process as it ends any other, without a traceback of imports.
"""

import signal
import sys


def run() -> int:
    """Load the command line and run it; returns the exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from geochat.cli import main  # noqa: PLC0415 - after Ctrl-C was seen to

    return main()


if __name__ == "__main__":
    sys.exit(run())
