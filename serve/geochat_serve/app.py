"""The server: checking that it can start, starting it, and shutting it down."""

import io
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request

from geochat import GeoChat
from geochat.errors import SettingsError
from geochat.imagery import Scene
from geochat_serve.answering import AnswerService
from geochat_serve.api import ApiRoutes, build_api
from geochat_serve.jobs import Jobs
from geochat_serve.memory import trimmed_memory
from geochat_serve.metrics import Metrics
from geochat_serve.middleware import build_middleware
from geochat_serve.middleware.hosts import LOOPBACK_NAMES, AllowedHosts
from geochat_serve.middleware.http import USER
from geochat_serve.middleware.limits import GRADIO_THREADS, limit_connections
from geochat_serve.middleware.login import Authenticator
from geochat_serve.queue import FairQueue
from geochat_serve.sessions import SessionStore
from geochat_serve.settings import PasswordCheck, ServeSettings, TokenCheck, read_api_tokens, read_auth_file
from geochat_serve.storage import UploadStorage
from geochat_serve.tiles import TileServer
from geochat_serve.web import asset
from geochat_serve.web.api import Api
from geochat_serve.web.chat import ChatHandlers
from geochat_serve.web.exports import ExportHandlers
from geochat_serve.web.find import FindHandlers
from geochat_serve.web.image import ImageHandlers
from geochat_serve.web.layers import LayerHandlers
from geochat_serve.web.mcp import set_up_mcp
from geochat_serve.web.page import build_page
from geochat_serve.web.routes import PageRoutes

_GRADIO_ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # sends nothing
    "GRADIO_ANALYTICS_MAX_EVENTS": "100",  # Gradio records every event regardless, and summarises after each one
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(2**31),
}
_FONT = ("ui-sans-serif", "system-ui", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: Address of its page.
        share_url: Public address, None unless shared.
        page: Gradio's application.
        sessions: Sessions of its users.
        storage: Its temporary files.
        answers: The service that answers questions.
        jobs: Searches of whole scenes.
    """

    url: str
    share_url: str | None
    page: gr.Blocks
    sessions: SessionStore
    storage: UploadStorage
    answers: AnswerService
    jobs: Jobs


def check(settings: ServeSettings) -> tuple[PasswordCheck | None, TokenCheck | None]:
    """Check that a server can start, before the model is loaded, which may take minutes.

    Returns:
        Check of names and passwords, None to admit everybody; and of API tokens, None if there are none.

    Raises:
        SettingsError: The auth file or an API token is invalid, the address is not available, or MCP is not installed.
        ImageError: An image cannot be opened.
    """
    password_check = None if settings.auth_file is None else read_auth_file(settings.auth_file)
    token_check = read_api_tokens(settings.api_token_file)
    for path in settings.images:
        Scene.open(path).close()
    if settings.mcp and find_spec("mcp") is None:
        raise SettingsError("MCP needs another package; pip install 'geochat[mcp]'")
    try:
        host = settings.host.strip("[]")
        family, kind, *_, address = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server may have ended moments ago
            listener.bind(address)
            listener.listen()
    except OSError as error:
        raise _address_error(settings, error) from error
    return password_check, token_check


@contextmanager
def serve(chat: GeoChat, settings: ServeSettings) -> Iterator[Server]:
    """Run a server while the context lasts; then delete all its files.

    Run one server per process: Gradio reads its settings from the environment of the process.

    Raises:
        SettingsError: As in `check`.
    """
    authenticator = Authenticator(*check(settings))
    storage = UploadStorage(settings.max_disk_mb * 2**20)
    metrics = Metrics()
    answers = AnswerService(chat, FairQueue(settings.concurrency, settings.max_queued), metrics)
    sessions = SessionStore(storage, settings.max_sessions, settings.session_timeout_s, settings.max_corrections)
    jobs = Jobs(answers, storage)
    sessions.on_end = lambda session: jobs.remove_all(session.key)
    try:
        with _environment({**_GRADIO_ENVIRONMENT, **_without_proxy(settings), "GRADIO_TEMP_DIR": str(storage.uploads)}):
            page = build_page(
                ChatHandlers(answers, sessions),
                ImageHandlers(answers, sessions, storage, images=settings.images),
                Api(answers, storage),
                max_upload_mb=settings.max_upload_mb,
            )
            page.queue(default_concurrency_limit=None)
            _add_gauges(metrics, answers, sessions, storage)
            tiles = TileServer()
            routes = [
                *FindHandlers(jobs, sessions).routes(),
                *LayerHandlers(sessions, tiles, storage, settings.images).routes(),
                *ExportHandlers(sessions).routes(),
            ]
            api = build_api(answers, jobs, storage, max_upload_mb=settings.max_upload_mb, root_path=settings.root_path)
            inner = [
                Middleware(PageRoutes, routes=routes, root_path=settings.root_path),
                Middleware(ApiRoutes, api=api, root_path=settings.root_path),
            ]
            url, share_url = _launch(page, settings, authenticator, storage, metrics=metrics, inner=inner)
            try:
                with trimmed_memory():
                    yield Server(url, share_url, page, sessions, storage, answers, jobs)
            finally:
                for session in sessions:
                    session.stop()
                jobs.close()
                tiles.close()
                answers.close()
                page.close(verbose=False)
    finally:
        jobs.close()
        answers.close()
        sessions.close()
        storage.close()


def _without_proxy(settings: ServeSettings) -> dict[str, str]:
    """Return environment variables that let Gradio call its own server, which it does while it starts."""
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = ",".join({*LOOPBACK_NAMES, settings.host, given} - {""})
    return {"no_proxy": names, "NO_PROXY": names}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _add_gauges(metrics: Metrics, answers: AnswerService, sessions: SessionStore, storage: UploadStorage) -> None:
    queue = answers.queue
    metrics.add_gauge("geochat_queue_length", "Questions waiting.", lambda: queue.length)
    metrics.add_gauge("geochat_computing", "Questions being answered.", lambda: queue.computing)
    metrics.add_gauge("geochat_sessions", "Sessions.", lambda: len(list(sessions)))
    metrics.add_gauge("geochat_disk_bytes", "Bytes of uploads and open images on disk.", storage.size)


def _launch(
    page: gr.Blocks,
    settings: ServeSettings,
    authenticator: Authenticator,
    storage: UploadStorage,
    *,
    metrics: Metrics,
    inner: Sequence[Middleware],
) -> tuple[str, str | None]:
    """Launch Gradio's server; returns the local and the public address."""
    hosts = AllowedHosts(settings.host, settings.allowed_hosts, settings.root_path)
    stack = build_middleware(
        settings, page, storage=storage, authenticator=authenticator, hosts=hosts, metrics=metrics, inner=inner
    )
    host = settings.host.strip("[]")
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):  # standard output belongs to the command line
            _, url, share_url = page.launch(
                server_name=f"[{host}]" if ":" in host else host,
                server_port=settings.port or None,
                share=settings.share,
                auth_dependency=_user if authenticator.required else None,
                max_threads=GRADIO_THREADS,
                root_path=settings.root_path,
                max_file_size=settings.max_upload_mb * 2**20,
                mcp_server=settings.mcp,
                app_kwargs={"middleware": stack},
                theme=_theme(),
                css=asset("page.css"),
                prevent_thread_lock=True,
                show_error=False,
                quiet=True,
                inbrowser=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
            )
    except OSError as error:
        raise _address_error(settings, error) from error
    authenticator.started = True
    limit_connections(page.server.config)
    if page.mcp_server_obj is not None:
        set_up_mcp(page.mcp_server_obj, storage, url, authenticator.loopback_headers())
    if share_url is not None:
        hosts.add(urlsplit(share_url).netloc)
    elif settings.share:
        log.info("no public link: %s", " ".join(printed.getvalue().split()))
    return url, share_url


def _user(request: Request) -> str | None:
    """Return the logged-in user, as the middleware determined."""
    user: str | None = request.scope.get(USER)
    return user


def _address_error(settings: ServeSettings, error: OSError) -> SettingsError:
    return SettingsError(
        f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error};"
        " choose another --port, or a --host of this machine"
    )


def _theme() -> gr.themes.Base:
    """Return Gradio's base theme with the colours of `page.css`, the same names in light and dark."""
    colours = {
        "body_background_fill": "bg",
        "body_text_color": "text",
        "body_text_color_subdued": "soft",
        "block_background_fill": "panel",
        "input_background_fill": "bg",
        "border_color_primary": "line",
        "button_primary_background_fill": "accent",
        "button_primary_background_fill_hover": "accent",
        "button_primary_text_color": "on-accent",
        "button_secondary_background_fill": "raised",
        "button_secondary_text_color": "text",
    }
    variables = {f"{name}{mode}": f"var(--gc-{colour})" for name, colour in colours.items() for mode in ("", "_dark")}
    base = gr.themes.Base(font=_FONT, font_mono=_MONO, text_size="md", radius_size="md")
    return base.set(color_accent="var(--gc-accent)", **variables)
