"""Image features cached on disk, so that images are encoded once for any list of classes.

There is one SQLite file for each model and image processor, in the user's cache folder (XDG Base Directory
Specification). The key of an entry consists of the content of the image file and the view of it. An unusable cache is
not an error; features are then computed.
"""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geochat.clip.encoder import DualEncoder
from geochat.imagery import GeoImage

_BUSY_S = 5.0


class FeatureCache:
    """Features of one encoder's images, by key; usable from several threads and processes."""

    def __init__(self, encoder: DualEncoder, folder: Path | None = None) -> None:
        """Open the encoder's cache.

        Args:
            encoder: Whose features.
            folder: Folder of the caches; None is the user's cache folder.
        """
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        stated = f"{encoder.sha256}\n{encoder.model.dtype}\n{encoder.processing}"
        name = hashlib.sha256(stated.encode()).hexdigest()[:32]
        with suppress(OSError, RuntimeError, sqlite3.Error):
            target = folder or _cache_folder()
            target.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(target / f"{name}.sqlite", timeout=_BUSY_S, check_same_thread=False)
            connection.execute("CREATE TABLE IF NOT EXISTS features (key TEXT PRIMARY KEY, vector BLOB NOT NULL)")
            connection.commit()
            self._connection = connection

    def get(self, key: str) -> Tensor | None:
        """Return the features (D,) of a key, float32; None if there are none."""
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None:
                row = self._connection.execute("SELECT vector FROM features WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    return torch.from_numpy(np.frombuffer(row[0], "<f4").copy())
        return None

    def put(self, keys: Sequence[str], features: Tensor) -> None:
        """Store features (N, D) under their keys."""
        vectors = features.cpu().numpy().astype("<f4")
        rows = [(key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None:
                with self._connection:  # all or none
                    self._connection.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def image_key(image: GeoImage) -> str:
    """Return the cache key of a view: the image's content, window, bands and stretch."""
    stated = f"{image.sha256} {tuple(image.window)} {image.bands} {image.stretch}"
    return hashlib.sha256(stated.encode()).hexdigest()


def _cache_folder() -> Path:
    """Return the cache folder of the XDG Base Directory Specification.

    Raises:
        RuntimeError: The user has no home.
    """
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = stated if stated.is_absolute() else Path.home() / ".cache"
    return base / "geochat" / "clip"
