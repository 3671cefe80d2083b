"""Opening of a run, and error messages of a run that cannot continue: cause, saved state, and remedies."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from transformers import set_seed

from geochat.errors import DataError, GeoChatError, ImageError, TrainingError
from geochat_train.loop.arguments import needed
from geochat_train.loop.folder import TrainingFolder
from geochat_train.recipe import method_of
from geochat_train.recipe_base import Recipe
from geochat_train.recipe_files import to_yaml

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISK = ("no space left", "file too large", "disk quota", "pytorchstreamwriter", "file write failed")
_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc")


@contextmanager
def opened_run(recipe: Recipe, *, restart: bool) -> Iterator[tuple[TrainingFolder, PartialState]]:
    """Lock the folder of a run, resuming the run in it, and seed all random generators.

    Raises:
        SettingsError: The folder holds other things, or a run with another recipe; names the setting.
        TrainingError: It cannot be written, or memory or disk are exhausted inside.
        GeoChatError: As raised inside.
    """
    state = PartialState(cpu=not torch.cuda.is_available())
    folder = TrainingFolder(needed(recipe, "out"))
    with ExitStack() as held:
        if state.is_main_process:
            held.enter_context(folder.held(f"geochat train {method_of(recipe)}"))
            folder.open(to_yaml(recipe), restart=restart)
        state.wait_for_everyone()
        held.enter_context(explained(recipe, folder))
        set_seed(recipe.seed)
        yield folder, state


@contextmanager
def explained(recipe: Recipe, folder: TrainingFolder) -> Iterator[None]:
    """Turn out-of-memory and disk-full errors of torch and the system into a `TrainingError`.

    Raises:
        TrainingError: Memory or disk are exhausted.
        GeoChatError: As raised inside; one from a worker process without the worker's traceback.
    """
    try:
        yield
    except (DataError, ImageError) as error:
        raise type(error)(_last_line(error)) from error
    except GeoChatError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(_no_memory(recipe, folder)) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        text = str(error).lower()
        if getattr(error, "errno", None) in _NO_ROOM or any(sign in text for sign in _DISK):
            raise TrainingError(
                f"a checkpoint cannot be written to {folder.path}: no room is left; free space, lower "
                f"keep={recipe.keep} or choose another out. {folder.kept()}"
            ) from error
        if any(sign in text for sign in _MEMORY) or getattr(error, "errno", None) == errno.ENOMEM:
            raise TrainingError(_no_memory(recipe, folder)) from error
        raise


def _no_memory(recipe: Recipe, folder: TrainingFolder) -> str:
    ways = []
    if recipe.batch_size > 1:
        ways.append(f"lower batch_size={recipe.batch_size} (effective_batch keeps a step the same)")
    if not recipe.gradient_checkpointing:
        ways.append("set gradient_checkpointing=true")
    for name in ("max_length", "group_size", "max_new_tokens"):
        if (value := getattr(recipe, name, None)) is not None:
            ways.append(f"lower {name}={value}")
    ways.append("or adapt less: qlora, a lower rank, fewer parts")
    return f"memory ran out; {', '.join(ways)}; --dry-run estimates what is needed. {folder.kept()}"


def _last_line(error: GeoChatError) -> str:
    """Extract the message of an error raised in a worker process, which arrives after its traceback."""
    lines = str(error).strip().splitlines() or [""]
    return lines[-1].partition(f"{type(error).__name__}: ")[2] or lines[-1]
