"""`geochat serve`: run the web chat. Everything heavy is imported when the command runs."""

import argparse
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from geochat.cli import engines, options
from geochat.cli.output import note


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Run the web chat: draw a region, ask, see the answer on the image. Ctrl-C stops it."
    parser.add_argument(
        "images", metavar="IMAGE", type=Path, nargs="*", help="images that every user may open, of any size"
    )
    group = parser.add_argument_group("server")
    group.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="address to listen on (%(default)s)")
    group.add_argument("--port", metavar="N", type=int, default=7860, help="port to listen on (%(default)s)")
    group.add_argument("--share", action="store_true", help="create a public link through Gradio's relay")
    group.add_argument("--auth-file", metavar="FILE", type=Path, help="require a login by FILE, lines of name:password")
    group.add_argument(
        "--api-token-file",
        metavar="FILE",
        type=Path,
        help="require a token for the HTTP API; FILE has lines of name:token ($GEOCHAT_API_TOKEN: one token)",
    )
    group.add_argument(
        "--root-path", metavar="PATH", help="prefix under which a proxy serves the application, such as /geochat"
    )
    group.add_argument(
        "--allowed-hosts",
        metavar="NAME",
        nargs="+",
        default=[],
        help="host names under which the server may be reached, such as example.org (localhost and --host)",
    )
    group.add_argument("--metrics", action="store_true", help="answer /metrics in Prometheus' format")
    group.add_argument("--mcp", action="store_true", help="offer ask, find and classify as MCP tools")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-upload-mb", metavar="N", type=int, default=512, help="largest image file (%(default)s)")
    limits.add_argument(
        "--concurrency", metavar="N", type=int, default=16, help="answers computed at the same time (%(default)s)"
    )
    options.add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Load the model and serve until a signal arrives; returns the exit status."""
    try:
        with _handle_signals() as shutdown:
            return _serve(args, shutdown)
    except _ShutdownError as signalled:
        return 128 + int(signalled.args[0])


class _ShutdownError(KeyboardInterrupt):
    """A signal asked the command to end."""


class _Shutdown:
    """The signal that asked the command to end. It is kept because an import in progress may swallow the exception."""

    def __init__(self) -> None:
        self._number: int | None = None

    def handle(self, number: int, _frame: object) -> None:
        """Handle a signal; only the first one counts."""
        if self._number is None:
            self._number = number
            raise _ShutdownError(number)

    @property
    def requested(self) -> bool:
        """Return whether a signal has arrived."""
        return self._number is not None

    def check(self) -> None:
        """Raise `_ShutdownError` if a signal has arrived."""
        if self._number is not None:
            raise _ShutdownError(self._number)

    def wait(self) -> None:
        """Wait for a signal, waking up every second for one that arrived just before the wait began."""
        while True:
            self.check()
            time.sleep(1)


@contextmanager
def _handle_signals() -> Iterator[_Shutdown]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does: it cleans up, undisturbed by further signals.

    An ignored signal, as under nohup, stays ignored.
    """
    shutdown = _Shutdown()
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: found for number in numbers if (found := signal.getsignal(number)) != signal.SIG_IGN}
    with suppress(ValueError):  # only the main thread may set handlers
        for number in before:
            signal.signal(number, shutdown.handle)
    try:
        yield shutdown
    finally:
        if not shutdown.requested:
            with suppress(ValueError):
                for number, handler in before.items():
                    signal.signal(number, handler)


def _serve(args: argparse.Namespace, shutdown: _Shutdown) -> int:
    from geochat_serve.settings import ServeSettings, read_api_tokens, read_auth_file

    settings = ServeSettings(
        host=args.host,
        port=args.port,
        share=args.share,
        auth_file=args.auth_file,
        api_token_file=args.api_token_file,
        root_path=args.root_path,
        mcp=args.mcp,
        allowed_hosts=tuple(args.allowed_hosts),
        metrics=args.metrics,
        max_upload_mb=args.max_upload_mb,
        concurrency=args.concurrency,
        images=tuple(args.images),
    )
    engines.check_model(args)
    if args.auth_file is not None:
        read_auth_file(args.auth_file)
    read_api_tokens(args.api_token_file)
    from geochat_serve import check, serve

    check(settings)
    if args.host not in ("127.0.0.1", "localhost", "::1") and args.auth_file is None:
        note(f"anybody who can reach {args.host}:{args.port} can use this server; --auth-file requires a login")
    chat = options.load_model(args)
    shutdown.check()
    with serve(chat, settings) as server:
        print(f"GeoChat is at {server.url}", flush=True)
        if server.share_url:
            print(f"Public link: {server.share_url}", flush=True)
        elif args.share:
            note("there is no public link because Gradio's relay cannot be reached; use the address above")
        if args.mcp:
            print(f"MCP tools are at {server.url}gradio_api/mcp/", flush=True)
        shutdown.wait()
    return 0
