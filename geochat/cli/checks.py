"""What an installation is checked for."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pillow", "shapely", "rasterio", "pyogrio", "gradio")
_RASTER_DRIVERS = ("GTiff", "PNG", "JPEG", "WEBP", "JP2OpenJPEG")
_VECTOR_DRIVERS = ("GPKG", "GeoJSON")


def all_checks() -> Iterator[tuple[str, Callable[[], str]]]:
    """Name and check of everything that has to work; a check gives its finding or raises."""
    yield "python", lambda: f"{platform.python_version()} on {platform.platform()}"
    for package in _PACKAGES:
        yield package, partial(_version, package)
    yield "device", _device
    yield "memory", _memory
    yield "rasters", _rasters
    yield "vectors", _vectors
    yield "captions", _captions
    yield "write access", _write_access
    yield "model", _model


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise RuntimeError(f"not installed; run {sys.executable} -m pip install {package}") from None


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return ", ".join(f"cuda:{index} {name}" for index, name in enumerate(names))
    return "mps" if torch.backends.mps.is_available() else f"cpu, {torch.get_num_threads()} threads"


def _memory() -> str:
    import torch

    sizes = []
    if hasattr(os, "sysconf"):
        sizes.append(f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        sizes.append(f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free on the GPU")
    return ", ".join(sizes) or "unknown"


def _rasters() -> str:
    import rasterio.drivers
    import rasterio.env

    with rasterio.env.Env() as env:
        missing = set(_RASTER_DRIVERS) - set(env.drivers())
    if missing:
        raise RuntimeError(f"rasterio's GDAL cannot read {', '.join(sorted(missing))}; install rasterio's wheel")
    return f"GDAL {rasterio.__gdal_version__} reads {', '.join(_RASTER_DRIVERS)}"


def _vectors() -> str:
    import pyogrio

    missing = set(_VECTOR_DRIVERS) - set(pyogrio.list_drivers(write=True))
    if missing:
        raise RuntimeError(f"pyogrio's GDAL cannot write {', '.join(sorted(missing))}; install pyogrio's wheel")
    return f"GDAL {'.'.join(map(str, pyogrio.__gdal_version__))} writes {', '.join(_VECTOR_DRIVERS)}"


def _captions() -> str:
    """Which caption metrics can be computed; they are an extra, so a missing one is no failure."""
    from geochat_eval.scorers.caption_tools import finding

    return finding()


def _write_access() -> str:
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        with tempfile.TemporaryFile(dir=folder):
            pass
    return f"{Path.cwd()}, {tempfile.gettempdir()}"


def _model() -> str:
    from geochat.checkpoints import load

    checkpoint = load(device="cpu")
    return f"{checkpoint.name} loads from {checkpoint.path}"
