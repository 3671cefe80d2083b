"""Open handles of one file: each is used by one thread at a time, and more are opened on demand."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from geochat.errors import ImageError
from geochat.imagery.datasets import FileRaster
from geochat.imagery.files import RasterFile
from geochat.imagery.gdal import gdal_session, open_dataset


class Handles:
    """A pool of GDAL's handles of one file.

    The lock guards only the list: threads neither open nor read under it. A forked process opens its own handles,
    because inherited ones share their position in the file.

    Args:
        file: The file.
    """

    def __init__(self, file: RasterFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._idle: list[FileRaster] = []
        self._owner = os.getpid()
        self._closed = False

    @contextmanager
    def lease(self) -> Iterator[FileRaster]:
        """Yield a handle for exclusive use.

        Raises:
            ImageError: The pool is closed, the file is not what it was, or it cannot be opened.
        """
        self._require_open()
        self._file.require_unchanged()
        with gdal_session(self._file.options):
            raster = self._take() or self._open()
            try:
                yield raster
            except BaseException:
                raster.close()  # damage may have left it half-way through a block
                raise
            self._give_back(raster)

    def close(self) -> None:
        """Close idle handles now, and the others when their reads end; idempotent."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        if idle:
            with gdal_session():
                for raster in idle:
                    raster.close()

    def _require_open(self) -> None:
        if self._closed:
            raise ImageError(f"{self._file.name} was closed; open it again")

    def _open(self) -> FileRaster:
        dataset = open_dataset(self._file)
        with self._file.decoding():
            return FileRaster(dataset, self._file)

    def _take(self) -> FileRaster | None:
        with self._lock:
            self._require_open()
            if self._owner != os.getpid():
                self._owner, self._idle = os.getpid(), []
            return self._idle.pop() if self._idle else None

    def _give_back(self, raster: FileRaster) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(raster)
                return
        raster.close()
