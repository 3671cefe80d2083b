"""Entry point of the `geochat` command and of `python -m geochat`.

While modules are imported, Ctrl-C ends the process at once, without a traceback; `geochat.cli.main` then lets it raise
`KeyboardInterrupt`. An interrupt during the start of Python itself still prints Python's own traceback.
"""

import signal
import sys


def run() -> int:
    """Load the command line and run it; returns the exit status."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from geochat.cli import main  # noqa: PLC0415 - after the handler is set

    return main()


if __name__ == "__main__":
    sys.exit(run())
