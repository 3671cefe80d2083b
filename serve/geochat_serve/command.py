"""`geochat serve`: the web chat. The work is done in `geochat_serve`, imported when the command runs."""

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from geochat.cli import options
from geochat.cli.reporting import note


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="open the web chat",
        description="Serve the web chat: draw a region, ask, see the answer on the image. Ctrl-C ends it.",
    )
    group = parser.add_argument_group("server")
    group.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="address to listen on (%(default)s)")
    group.add_argument("--port", metavar="N", type=int, default=7860, help="port to listen on (%(default)s)")
    group.add_argument("--share", action="store_true", help="make a public link through Gradio's relay")
    group.add_argument("--auth-file", metavar="FILE", type=Path, help="let in who is in FILE, lines of name:password")
    group.add_argument("--root-path", metavar="PATH", help="where a proxy puts the application, such as /geochat")
    group.add_argument(
        "--allowed-hosts",
        metavar="NAME",
        nargs="+",
        default=[],
        help="names under which the server is reached, such as example.org (localhost and --host)",
    )
    group.add_argument("--metrics", action="store_true", help="answer /metrics in Prometheus' format")
    group.add_argument("--mcp", action="store_true", help="offer ask, find and classify as MCP tools too")
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-upload-mb", metavar="N", type=int, default=512, help="largest image file taken (%(default)s)"
    )
    limits.add_argument(
        "--concurrency", metavar="N", type=int, default=2, help="answers computed at the same time (%(default)s)"
    )
    options.add_model_options(parser)
    return parser


class _Ended(KeyboardInterrupt):
    """A signal ends the command."""


def run(args: argparse.Namespace) -> int:
    """Load the model and serve until interrupted, terminated or hung up."""
    try:
        with _signals_end() as signals:
            return _serve(args, signals)
    except _Ended as ended:
        return 128 + int(ended.args[0])


class _Signals:
    """The signal that asked the command to end, remembered: an import under way may swallow what a handler raises."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._came = threading.Event()

    def end(self, number: int, _frame: object) -> None:
        """Handle a signal; only the first one counts."""
        if self._number is None:
            self._number = number
            self._came.set()
            raise _Ended(number)

    @property
    def came(self) -> bool:
        """Whether there was one."""
        return self._number is not None

    def check(self) -> None:
        """End the command if a signal came."""
        if self._number is not None:
            raise _Ended(self._number)

    def wait(self) -> None:
        """Wait for a signal."""
        self._came.wait()
        self.check()


@contextmanager
def _signals_end() -> Iterator[_Signals]:
    """Have SIGTERM and SIGHUP end the command as Ctrl-C does: it cleans up, and further signals do not disturb it.

    A signal that is ignored, as by nohup, stays so.
    """
    signals = _Signals()

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: found for number in numbers if (found := signal.getsignal(number)) != signal.SIG_IGN}
    with suppress(ValueError):  # not in the main thread, which has the signals
        for number in before:
            signal.signal(number, signals.end)
    try:
        yield signals
    finally:
        if not signals.came:
            with suppress(ValueError):
                for number, handler in before.items():
                    signal.signal(number, handler)


def _serve(args: argparse.Namespace, signals: _Signals) -> int:
    from geochat.cli import output
    from geochat.models.finding import check_checkpoint
    from geochat_serve.auth import read_auth_file
    from geochat_serve.settings import ServeSettings

    settings = ServeSettings(
        host=args.host,
        port=args.port,
        share=args.share,
        auth_file=args.auth_file,
        root_path=args.root_path,
        mcp=args.mcp,
        allowed_hosts=tuple(args.allowed_hosts),
        metrics=args.metrics,
        max_upload_mb=args.max_upload_mb,
        concurrency=args.concurrency,
    )
    check_checkpoint(args.model, base=args.base)
    if args.auth_file is not None:
        read_auth_file(args.auth_file)
    from geochat_serve import check, serve

    check(settings)
    if args.host not in ("127.0.0.1", "localhost", "::1") and args.auth_file is None:
        note(f"everybody who reaches {args.host}:{args.port} may use this server; --auth-file asks for a password")
    chat = output.load(args)
    signals.check()
    with serve(chat, settings) as server:
        print(f"GeoChat is at {server.url}", flush=True)
        if server.share_url:
            print(f"and for everybody at {server.share_url}", flush=True)
        elif args.share:
            note("there is no public link: Gradio's relay cannot be reached; the address above is all")
        if args.mcp:
            print(f"MCP tools are at {server.url}gradio_api/mcp/", flush=True)
        signals.wait()
    return 0
