"""Images on servers: cloud-optimised GeoTIFFs behind https://, s3:// and gs://.

GDAL reads only the needed parts with range requests, and uses its own settings from the environment: GDAL_HTTP_*
(proxies, headers, time limits), AWS_* and GS_* (credentials, endpoints). It sees only the one file: neither side files
nor referenced files are requested. Plain http:// is allowed only for servers on this machine, because its content could
be read or changed in transit.

An address is opened only if a user typed it, on the command line or in Python: a string, never a `Path`, so that no
file, data set or request to the server of this project can name one.
"""

import ipaddress
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import IO, Any, Self, TypeGuard
from urllib.parse import urlsplit, urlunsplit

from geochat.errors import ImageError
from geochat.imagery.files import DECODING_ERRORS, FORMATS, Format

TIMEOUT = 30  # seconds
_TIFF = FORMATS[0]
_PREFIXES = {"http": "/vsicurl/", "https": "/vsicurl/", "s3": "/vsis3/", "gs": "/vsigs/"}
_DEFAULTS = {  # which the environment may replace
    "GDAL_HTTP_TIMEOUT": str(TIMEOUT),
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
}
_STATUS = re.compile(r"(?:HTTP response code|response_code)\D{0,3}(\d{3})")


@dataclass(frozen=True)
class RemoteFile:
    """A GeoTIFF on a server, as a `RasterFile`.

    Attributes:
        url: Its address without user, password, query and fragment, which may hold secrets.
        dataset: GDAL's name of it, with all of these.
        name: Name in messages.
        page: Number of the image in the file, from 1.
    """

    url: str
    dataset: str = field(repr=False)
    name: str
    page: int = 1
    kind: Format = _TIFF
    path: None = None

    @classmethod
    def find(cls, address: str, name: str | None = None, page: int = 1) -> Self:
        """Check an address, without contacting the server.

        Args:
            address: As typed.
            name: Name in messages; the address by default.
            page: Number of the image in the file, from 1.

        Raises:
            ImageError: It is of no known kind, names no file, or is plain http to another machine.
        """
        url = require_address(address)
        parts = urlsplit(address)
        name = name or url
        if not parts.path.strip("/"):
            raise ImageError(f"{name} names no file; give the address of a GeoTIFF")
        if page < 1:
            raise ImageError(f"{name} has no page {page}; pages count from 1")
        bare = urlunsplit(parts._replace(fragment=""))
        place = bare.split("://", 1)[1] if parts.scheme in ("s3", "gs") else bare
        return cls(url, _PREFIXES[parts.scheme] + place, name, page)

    @property
    def options(self) -> Mapping[str, Any]:
        """GDAL's settings: only this file exists on the server, and nothing is kept after closing."""
        return {
            **{key: value for key, value in _DEFAULTS.items() if key not in os.environ},
            "CPL_VSIL_CURL_ALLOWED_FILENAME": self.dataset,
            "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": None,
            "CPL_VSIL_CURL_NON_CACHED": self.dataset,
        }

    def require_unchanged(self) -> None:
        """Do nothing, because the server is not contacted again."""

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Turn GDAL's errors into an `ImageError` with the server's response and a remedy."""
        try:
            yield
        except DECODING_ERRORS as error:
            raise self._explained(str(error.__cause__ or error) or type(error).__name__) from error

    def _explained(self, reason: str) -> ImageError:
        reason = reason.replace(self.dataset, self.name)
        if found := _STATUS.search(reason):
            return status_error(self.name, int(found[1]))
        if "CURL error" in reason:
            return ImageError(f"{self.name} cannot be reached ({reason}); check the address and the network")
        if "not defined" in reason or "credentials" in reason.lower():
            return ImageError(
                f"{self.name} needs credentials ({reason}); set them as GDAL reads them (AWS_*, GS_*), or"
                " AWS_NO_SIGN_REQUEST=YES or GS_NO_SIGN_REQUEST=YES for public files"
            )
        if "not recognized" in reason:
            return self._unlike_a_tiff()
        return ImageError(
            f"{self.name} cannot be read ({reason}); it may be damaged, or the connection broke: ask again, or"
            " download it"
        )

    def _unlike_a_tiff(self) -> ImageError:
        """Request a few bytes, to distinguish a file of another type from a server without range requests."""
        if self.dataset.startswith("/vsicurl/"):
            asked = urllib.request.Request(self.dataset.removeprefix("/vsicurl/"), headers={"Range": "bytes=0-15"})
            try:
                with open_address(asked) as reply:
                    if reply.status != 206:
                        return ImageError(
                            f"{self.name} is on a server that sends whole files only (it does not answer range"
                            " requests); download it and give its path"
                        )
            except ImageError:
                pass
        return ImageError(
            f"{self.name} is not a TIFF, the one format that is read from a server; download it and give its path"
        )


def is_address(source: object) -> TypeGuard[str]:
    """Return whether a source is a string that is a remote address."""
    return isinstance(source, str) and "://" in source


def require_address(address: str) -> str:
    """Check that an address may be requested; returns it without secrets.

    Raises:
        ImageError: It is of no known kind, or plain http to another machine.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ImageError(f"{address!r} is no address ({error}); check it") from error
    if parts.scheme not in _PREFIXES or not host or re.search(r"[\s\x00-\x1f]", address):
        raise ImageError(
            f"{address!r} is not opened; give the path of a local image, or an https://, s3:// or gs:// address"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ImageError(f"{address!r} is plain http, which others can read and change on the way; use https://")
    place = parts.netloc if port is None and "@" not in parts.netloc else host + (f":{port}" if port else "")
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def status_error(name: str, status: int) -> ImageError:
    """Return the error for an HTTP status."""
    if status in (401, 403):
        return ImageError(
            f"{name} may not be read (HTTP {status}); set the credentials as GDAL reads them (AWS_*, GS_*,"
            " GDAL_HTTP_*), or download it"
        )
    if status in (404, 410):
        return ImageError(f"{name} is not there (HTTP {status}); check the address")
    return ImageError(f"{name} cannot be read (HTTP {status}); try again later, or download it")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to permitted addresses, and never from another machine to this one."""

    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        require_address(newurl)
        if is_loopback(urlsplit(newurl).hostname or "") and not is_loopback(urlsplit(req.full_url).hostname or ""):
            raise ImageError(f"{req.full_url} leads to {newurl} on this machine, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_address(request: urllib.request.Request) -> Any:  # noqa: ANN401 - urllib's reply, which has no public type
    """Request an https:// address, or http:// on this machine.

    Raises:
        ImageError: It cannot be reached, or the server refuses.
    """
    name = require_address(request.full_url)
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            raise status_error(name, error.code) from error
    except OSError as error:  # URLError, time-outs
        reason = getattr(error, "reason", error)
        raise ImageError(f"{name} cannot be reached ({reason}); check the address and the network") from error
