"""Starting and ending the server."""

import io
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

import gradio as gr
from gradio_client import Client
from starlette.requests import Request

from geochat.assistant import GeoChat
from geochat.errors import SettingsError
from geochat_serve.answering import Answerer
from geochat_serve.api import Api
from geochat_serve.auth import AuthCheck, read_auth_file
from geochat_serve.clients import USER
from geochat_serve.components import asset
from geochat_serve.connections import limit_connections
from geochat_serve.handlers import Handlers
from geochat_serve.hosts import LOOPBACK_NAMES, AllowedHosts
from geochat_serve.image_handlers import ImageHandlers
from geochat_serve.limits import PLACES
from geochat_serve.login import Logins
from geochat_serve.metrics import Metrics
from geochat_serve.middleware import guards
from geochat_serve.page import build_page
from geochat_serve.queueing import FairQueue
from geochat_serve.sessions import Sessions
from geochat_serve.settings import ServeSettings
from geochat_serve.workspace import Workspace

_ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # nothing is sent
    "GRADIO_ANALYTICS_MAX_EVENTS": "100",  # a record of every event is kept all the same, and summed up after each one
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(2**31),
}
_FONT = ("ui-sans-serif", "system-ui", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A server that is running.

    Attributes:
        url: Where its page is.
        share_url: Where it is for the world, None unless shared.
        page: Gradio's application.
        sessions: Who is here.
        workspace: Its temporary files.
        answerer: What computes.
    """

    url: str
    share_url: str | None
    page: gr.Blocks
    sessions: Sessions
    workspace: Workspace
    answerer: Answerer


def check(settings: ServeSettings) -> AuthCheck | None:
    """Whether a server can be started like this; before the model is loaded, which may take minutes.

    Returns:
        Who may come in, None for everybody.

    Raises:
        SettingsError: The auth file is wrong, the address cannot be listened on, or MCP is asked for and not installed.
    """
    auth = None if settings.auth_file is None else read_auth_file(settings.auth_file)
    if settings.mcp and find_spec("mcp") is None:
        raise SettingsError("MCP needs one more package; pip install 'geochat[mcp]'")
    try:
        host = settings.host.strip("[]")
        family, kind, *_, address = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just ended is no reason
            listener.bind(address)
            listener.listen()
    except OSError as error:
        raise _unlistenable(settings, error) from error
    return auth


@contextmanager
def serve(chat: GeoChat, settings: ServeSettings) -> Iterator[Server]:
    """Serve the web chat for as long as the context lasts; then everything on disk is gone.

    Gradio reads where uploads go, and that it may not call home, from the environment of the process: one server a
    process.

    Raises:
        SettingsError: As in `check`.
    """
    auth = check(settings)
    workspace = Workspace(settings.disk_mb * 2**20)
    metrics = Metrics()
    answerer = Answerer(chat, FairQueue(settings.concurrency, settings.waiting), metrics)
    sessions = Sessions(workspace, settings.sessions, settings.grace_s, settings.kept)
    past_proxies = ",".join(
        {*LOOPBACK_NAMES, settings.host, os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""} - {""}
    )
    environment = {
        "GRADIO_TEMP_DIR": str(workspace.uploads),
        **_ENVIRONMENT,
        **dict.fromkeys(("no_proxy", "NO_PROXY"), past_proxies),  # Gradio calls its own server as it starts
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        page = build_page(
            Handlers(answerer, sessions),
            ImageHandlers(answerer, sessions, workspace),
            Api(answerer, workspace),
            limit_mb=settings.max_upload_mb,
        )
        page.queue(default_concurrency_limit=None)
        _measure(metrics, answerer, sessions, workspace)
        _, url, share_url = _launch(page, settings, Logins(auth), workspace, metrics)
        try:
            yield Server(url, share_url, page, sessions, workspace, answerer)
        finally:
            for session in sessions:
                session.stop()
            answerer.close()
            page.close(verbose=False)
    finally:
        answerer.close()
        sessions.close()
        workspace.close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _measure(metrics: Metrics, answerer: Answerer, sessions: Sessions, workspace: Workspace) -> None:
    queue = answerer.queue
    metrics.gauge("geochat_queue_length", "Questions that wait.", lambda: queue.length)
    metrics.gauge("geochat_computing", "Questions that are being answered.", lambda: queue.computing)
    metrics.gauge("geochat_sessions", "Sessions kept.", lambda: len(list(sessions)))
    metrics.gauge("geochat_disk_bytes", "Uploads and open images on disk.", workspace.size)


def _launch(
    page: gr.Blocks, settings: ServeSettings, logins: Logins, workspace: Workspace, metrics: Metrics
) -> tuple[object, str, str | None]:
    hosts = AllowedHosts(settings.host, settings.allowed_hosts, settings.root_path)
    steps = guards(settings, page, workspace=workspace, logins=logins, hosts=hosts, metrics=metrics)
    told = io.StringIO()
    try:
        with redirect_stdout(told):  # standard output is for what the command line says
            launched: tuple[object, str, str | None] = page.launch(
                server_name=f"[{host}]" if ":" in (host := settings.host.strip("[]")) else host,
                server_port=settings.port or None,
                share=settings.share,
                auth_dependency=_user if logins.required else None,
                max_threads=PLACES,
                root_path=settings.root_path,
                max_file_size=settings.max_upload_mb * 2**20,
                mcp_server=settings.mcp,
                app_kwargs={"middleware": steps},
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
        raise _unlistenable(settings, error) from error
    logins.started = True
    limit_connections(page.server.config)
    if page.mcp_server_obj is not None:  # its tools call this server, as a client that is let in
        headers = {"x-gradio-user": "mcp", **logins.loopback_headers()}
        page.mcp_server_obj._client_instance = Client(
            launched[1], headers=headers, download_files=False, verbose=False, analytics_enabled=False, ssl_verify=False
        )
    if launched[2] is not None:
        hosts.add(urlsplit(launched[2]).netloc)
    elif settings.share:
        log.info("no public link: %s", " ".join(told.getvalue().split()))
    return launched


def _user(request: Request) -> str | None:
    """Who logged in, as the middleware found."""
    user: str | None = request.scope.get(USER)
    return user


def _unlistenable(settings: ServeSettings, error: OSError) -> SettingsError:
    return SettingsError(
        f"{settings.host}:{settings.port} cannot be listened on: {error.strerror or error};"
        " choose another --port, or a --host of this machine"
    )


def _theme() -> gr.themes.Base:
    return gr.themes.Base(font=_FONT, font_mono=_MONO, text_size="md", radius_size="md").set(
        body_background_fill="var(--gc-bg)",
        body_background_fill_dark="var(--gc-bg)",
        body_text_color="var(--gc-text)",
        body_text_color_dark="var(--gc-text)",
        body_text_color_subdued="var(--gc-soft)",
        body_text_color_subdued_dark="var(--gc-soft)",
        block_background_fill="var(--gc-panel)",
        block_background_fill_dark="var(--gc-panel)",
        input_background_fill="var(--gc-bg)",
        input_background_fill_dark="var(--gc-bg)",
        border_color_primary="var(--gc-line)",
        border_color_primary_dark="var(--gc-line)",
        color_accent="var(--gc-accent)",
        button_primary_background_fill="var(--gc-accent)",
        button_primary_background_fill_dark="var(--gc-accent)",
        button_primary_background_fill_hover="var(--gc-accent)",
        button_primary_background_fill_hover_dark="var(--gc-accent)",
        button_primary_text_color="var(--gc-on-accent)",
        button_primary_text_color_dark="var(--gc-on-accent)",
        button_secondary_background_fill="var(--gc-raised)",
        button_secondary_background_fill_dark="var(--gc-raised)",
        button_secondary_text_color="var(--gc-text)",
        button_secondary_text_color_dark="var(--gc-text)",
    )
