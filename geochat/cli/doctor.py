"""`geochat doctor`: check the installation, or the folder of a model."""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from pathlib import Path

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pillow", "shapely", "rasterio", "pyogrio", "gradio")
_RASTER_DRIVERS = ("GTiff", "PNG", "JPEG", "WEBP", "JP2OpenJPEG")
_VECTOR_DRIVERS = ("GPKG", "GeoJSON")
_EXTENSION_GROUPS = tuple(
    f"geochat.{kind}" for kind in ("readers", "dialects", "engines", "exporters", "benchmarks", "scorers")
)
_VERDICTS = {"refused": "FAIL", "ignored": "LEFT", "note": "note"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Check versions, device, memory, file formats, extensions, write access and the bundled model; exit status 1 "
        "when a check fails. With --security, check the folder of a model instead."
    )
    parser.add_argument(
        "--security",
        metavar="MODEL",
        help="inspect a checkpoint directory, or a hub id in the local cache, without loading it: code, pickles, chat "
        "templates, references to the hub, quantised weights, links. FAIL: refused by loading; LEFT: ignored by "
        "loading, which takes the rest; note: harmless. Exit status 1 with FAIL or LEFT",
    )


def run(args: argparse.Namespace) -> int:
    """Run every check, also after one has failed."""
    if args.security is not None:
        return _audit(args.security)
    passed = True
    for name, check in CHECKS.items():
        try:
            verdict, detail = "ok", check()
        except Exception as error:  # any failure of a check is a finding
            passed, verdict, detail = False, "FAIL", " ".join(f"{error or type(error).__name__}".split())
        print(f"{verdict:<5}{name:<14}{detail}")
    return 0 if passed else 1


def _audit(model: str) -> int:
    """Print the findings in the folder of a model."""
    from geochat.checkpoints.auditing import audit

    findings = audit(model)
    for finding in findings:
        text = " ".join(f"{finding.file}: {finding.text}".split())
        legible = "".join(letter if letter.isprintable() else "?" for letter in text)  # file names may steer terminals
        print(f"{_VERDICTS[finding.verdict]:<5}{legible}")
    left = sum(finding.verdict != "note" for finding in findings)
    print(f"{model}: {left} of its parts would not be loaded" if left else f"{model}: everything would be loaded")
    return 1 if left else 0


def _python() -> str:
    return f"{platform.python_version()} on {platform.platform()}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
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


def _outer(target: str) -> str:
    """Run a check of an outer package, given as "module:function"."""
    module, function = target.split(":")
    finding: str = getattr(import_module(module), function)()
    return finding


def _extensions() -> str:
    """Load every member that installed packages offer to a registry."""
    names = []
    for group in _EXTENSION_GROUPS:
        for point in metadata.entry_points(group=group):
            try:
                point.load()
            except Exception as error:  # an installed package may fail in any way
                raise RuntimeError(f"{group} {point.name} ({point.value}): {error}; repair its package") from error
            names.append(f"{group.removeprefix('geochat.')} {point.name}")
    return ", ".join(names) or "none"


def _write_access() -> str:
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        with tempfile.TemporaryFile(dir=folder):
            pass
    return f"{Path.cwd()}, {tempfile.gettempdir()}"


def _model() -> str:
    from geochat.checkpoints import load

    checkpoint = load(device="cpu")
    return f"{checkpoint.name} loads from {checkpoint.path}"


CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    **{package: partial(_version, package) for package in _PACKAGES},
    "device": _device,
    "memory": _memory,
    "rasters": _rasters,
    "vectors": _vectors,
    "captions": partial(_outer, "geochat_eval.scorers.caption_metrics:summary"),
    "extensions": _extensions,
    "write access": _write_access,
    "model": _model,
}
"""The checks in order; each returns its finding, or raises."""
