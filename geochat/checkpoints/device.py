"""Device, dtype and logging of a loaded model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers.utils import logging as transformers_logging

from geochat.checkpoints.layout import DTYPES
from geochat.errors import SettingsError


def choose_device(name: str | None) -> torch.device:
    """The device of that name; None takes CUDA, then MPS, then the CPU.

    Raises:
        SettingsError: It cannot be used here.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(f"the device {name!r} cannot be used here; leave it out or use 'cpu'") from error
    return device


def choose_dtype(name: str | None, usual: torch.dtype) -> torch.dtype:
    """The precision of that name; None takes the `usual` one.

    Raises:
        SettingsError: There is none of that name.
    """
    if name is None:
        return usual
    if name not in DTYPES:
        raise SettingsError(f"unknown dtype {name!r}; use {', '.join(DTYPES)}")
    return DTYPES[name]


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no load report: what they would say has been checked, and stderr is the user's."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
