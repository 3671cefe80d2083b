"""The client: calls with the signatures of `GeoChat`, with the options that a server supports."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from geochat.client.answer import RemoteAnswer, RemoteStream
from geochat.client.connection import Connection
from geochat.client.search import RemoteSearch, SearchProgress
from geochat.errors import ImageError, SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from geochat.engines import GenerationSettings
    from geochat.imagery import BandChoice, Stretch
    from geochat.imagery.stretch import Method
    from geochat.prompts import Task

    ImageLike = str | Path | bytes | Image.Image | NDArray[Any]


class RemoteView(TypedDict, total=False):
    """Options of a view; see `geochat.assistant.ViewOptions`.

    Attributes:
        window: The part to read, (column, row, width, height) in pixels of the whole image.
        bands: Bands shown as red, green and blue.
        stretch: Mapping of band values to brightness.
        page: Image of a file that holds several, from 1.
        geojson: Whether the answer comes with its regions as GeoJSON, which its files are made of.
    """

    window: Sequence[int] | None
    bands: "BandChoice"
    stretch: "Stretch | Method"
    page: int
    geojson: bool


class RemoteQuestion(RemoteView, total=False):
    """Options of a question; see `geochat.assistant.Question`.

    Attributes:
        regions: Boxes (x1, y1, x2, y2[, θ]) in pixels of the whole image, or a GeoJSON object.
        task: Kind of question; None goes by its words.
        choices: Closed set of answers.
        raw: Whether the words go to the model unchanged.
        generation: Generation settings.
    """

    regions: Sequence[Sequence[float]] | Mapping[str, Any]
    task: "Task | str | None"
    choices: Sequence[str]
    raw: bool
    generation: "GenerationSettings | None"


class RemoteFind(TypedDict, total=False):
    """Options of a search; see `geochat.find.FindOptions`, of which `area` is a GeoJSON object here."""

    window: int | None
    overlap: float
    scales: Sequence[float]
    whole: bool
    area: Mapping[str, Any] | None
    bands: "BandChoice"
    stretch: "Stretch | Method"
    page: int
    min_score: float | None
    limit: int | None


class Client:
    """Asks a running `geochat serve`. May be used from several threads; close it, or use it in a `with` statement.

    An image is a path, the bytes of a file, a Pillow image or an array. A file is streamed unchanged, without its side
    files, such as world files; addresses are not sent, because the server would not open them.

    Args:
        url: Address of the server's page; None takes the environment variable GEOCHAT_SERVER.
        token: API token; None takes GEOCHAT_API_TOKEN.
        timeout: Seconds of silence after which a request is aborted.

    Raises:
        SettingsError: The address, the token or the timeout is impossible.
    """

    def __init__(self, url: str | None = None, *, token: str | None = None, timeout: float = 300.0) -> None:
        self._connection = Connection(url, token, timeout)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def server(self) -> dict[str, Any]:
        """Return software, model, tasks, scene classes, categories and export formats of the server."""
        values: dict[str, Any] = self._connection.call("GET", "server")
        return values

    def ask(self, image: "ImageLike", question: str = "", **options: Unpack[RemoteQuestion]) -> RemoteAnswer:
        """Ask one question about an image.

        Raises:
            GeoChatError: As `GeoChat.ask`, or the server cannot be reached or refuses.
        """
        return self.stream(image, question, **options).wait()

    def stream(self, image: "ImageLike", question: str = "", **options: Unpack[RemoteQuestion]) -> RemoteStream:
        """Ask one question and read the answer while it is generated; errors as `ask`."""
        fields: dict[str, Any] = {"question": question, **options}
        if (generation := fields.pop("generation", None)) is not None:
            names = ("max_new_tokens", "temperature", "top_p", "seed", "stop")
            fields |= {name: getattr(generation, name) for name in names}
        return self._stream("ask", image, fields)

    def describe(self, image: "ImageLike", **view: Unpack[RemoteView]) -> RemoteAnswer:
        """Describe an image; errors as `ask`."""
        return self._stream("describe", image, dict(view)).wait()

    def classify(self, image: "ImageLike", classes: Sequence[str] = (), **view: Unpack[RemoteView]) -> RemoteAnswer:
        """Classify an image as one of some classes, by default those that the model knows; errors as `ask`."""
        return self._stream("classify", image, {"classes": list(classes), **view}).wait()

    def find(
        self,
        image: "ImageLike",
        phrases: str | Sequence[str],
        *,
        on_progress: Callable[[SearchProgress], object] | None = None,
        **options: Unpack[RemoteFind],
    ) -> RemoteSearch:
        """Start a search of a whole scene on the server.

        Args:
            image: The scene.
            phrases: Phrases of the objects to find.
            on_progress: Called by `RemoteSearch.wait` as the search advances.
            options: See `RemoteFind`.

        Raises:
            GeoChatError: As `GeoChat.find`, or the server cannot be reached or refuses.
        """
        fields = {"phrases": [phrases] if isinstance(phrases, str) else list(phrases), **options}
        with _form(image, fields) as form:
            return RemoteSearch(self._connection, self._connection.call("POST", "find", **form), on_progress)

    def search(self, job_id: str) -> RemoteSearch:
        """Return a search that was started earlier, with the same token or login.

        Raises:
            GeoChatError: There is none of that id, or it has expired.
        """
        return RemoteSearch(self._connection, self._connection.call("GET", f"jobs/{_checked(job_id)}"))

    def _stream(self, path: str, image: "ImageLike", fields: Mapping[str, Any]) -> RemoteStream:
        with _form(image, fields) as form:
            events = self._connection.events("POST", path, **form)
            source = Path(image).absolute() if isinstance(image, str | Path) else None
            return RemoteStream(events, source, fields.get("page", 1))


@contextmanager
def _form(image: "ImageLike", fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a form as arguments of httpx; the image's file stays open in the context and is read on sending.

    Raises:
        ImageError: The file cannot be read.
    """
    data = {name: _text(value) for name, value in fields.items() if value is not None}
    if not isinstance(image, str | Path):
        yield {"data": data, "files": {"image": ("image", _content(image))}}
        return
    if "://" in str(image):
        raise ImageError(f"{str(image)!r} is an address; a server opens none, download the image first")
    try:
        file = Path(image).open("rb")  # noqa: SIM115 - closed below
    except FileNotFoundError as error:
        raise ImageError(
            f"{str(image)!r} does not exist; check the path (URLs and GDAL dataset names are not opened)"
        ) from error
    except OSError as error:
        raise ImageError(f"{str(image)!r} cannot be read: {error.strerror}; check the path") from error
    with file:
        yield {"data": data, "files": {"image": (Path(image).name, file)}}


def _content(image: Any) -> bytes:  # noqa: ANN401 - bytes, a Pillow image or an array
    if isinstance(image, bytes):
        return image
    from PIL import Image  # noqa: PLC0415 - files do without

    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _text(value: Any) -> str:  # noqa: ANN401 - a field
    """Return a field as the server expects it: text unchanged, everything else as JSON."""
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "percentiles"):  # a stretch
        value = {"method": value.method, "percentiles": value.percentiles, "limits": value.limits}
    return json.dumps(value, allow_nan=False)


def _checked(job_id: str) -> str:
    if not job_id.replace("-", "").replace("_", "").isalnum():
        raise SettingsError(f"{job_id!r} is no id of a search; give RemoteSearch.id")
    return job_id
