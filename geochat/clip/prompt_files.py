"""Learned prompts in a file: only the vectors, in safetensors, with their encoder, classes and training data."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from geochat.clip.encoder import DualEncoder
from geochat.clip.layout import PromptSettings
from geochat.clip.learned import METHODS, Prompts, with_classes
from geochat.errors import CheckpointError, SettingsError
from geochat.files import atomic_draft

_KEY = "geochat_prompts"


@dataclass(frozen=True)
class LearnedPrompts:
    """Contents of a prompt file.

    Attributes:
        method: "coop" or "cocoop".
        classes: Classes of the training.
        settings: Layout of a prompt.
        encoder: Name of the encoder they were learned for.
        encoder_sha256: Of its weights.
        training: Settings and data of the training.
        tensors: The vectors, and the meta-net's weights.
        file: File from which they were read.
    """

    method: str
    classes: tuple[str, ...]
    settings: PromptSettings
    encoder: str
    encoder_sha256: str
    training: dict[str, Any]
    tensors: dict[str, Tensor] = field(repr=False)
    file: Path

    def attach(self, encoder: DualEncoder, classes: tuple[str, ...] | None = None) -> Prompts:
        """Return the prompts with their encoder, frozen.

        Args:
            encoder: The one they were learned for.
            classes: Others than those learned from, which shared vectors allow; None takes those.

        Raises:
            CheckpointError: They were learned for another encoder, or their tensors are not those of the method.
            SettingsError: Each class has vectors of its own and another class is asked for.
        """
        if encoder.sha256 != self.encoder_sha256:
            raise CheckpointError(
                f"{self.file} was learned for {self.encoder} (weights {self.encoder_sha256[:12]}), not for "
                f"{encoder.name} (weights {encoder.sha256[:12]}); load that model"
            )
        if "context" not in self.tensors:
            raise CheckpointError(f"{self.file} holds no context vectors; learn the prompts again")
        context = self.tensors["context"].to(encoder.device)
        try:
            prompts: Prompts = METHODS[self.method](encoder, self.classes, self.settings, context)
            prompts.load_state_dict(self.tensors)
        except RuntimeError as error:
            raise CheckpointError(f"{self.file} does not hold what {self.method} learns: {error}") from error
        asked = prompts.eval() if classes in {None, self.classes} else with_classes(prompts, tuple(classes or ()))
        return asked.requires_grad_(requires_grad=False)


def save_prompts(prompts: Prompts, file: Path, training: Mapping[str, Any]) -> None:
    """Write learned prompts; the file appears under its name only when it is complete.

    Args:
        prompts: The learned prompts.
        file: A `.safetensors` file.
        training: Settings and data of the training, as JSON values.

    Raises:
        SettingsError: The file's ending is another, or its folder is missing.
        OSError: It cannot be written.
    """
    check_prompt_file(file)
    described = {
        "method": prompts.method,
        "classes": prompts.classes,
        "settings": asdict(prompts.settings),
        "encoder": prompts.encoder.name,
        "encoder_sha256": prompts.encoder.sha256,
        "training": dict(training),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in prompts.state_dict().items()}
    with atomic_draft(file) as draft:
        save_file(tensors, draft, {_KEY: json.dumps(described, ensure_ascii=False)})


def check_prompt_file(file: Path) -> None:
    """Check before training that prompts can be written.

    Raises:
        SettingsError: The file's ending is not .safetensors, or its folder is missing.
    """
    if file.suffix != ".safetensors":
        raise SettingsError(f"{file} cannot be written: learned prompts are .safetensors files; name one")
    if not file.parent.is_dir():
        raise SettingsError(f"{file} cannot be written: there is no folder {file.parent}; make it first")


def read_prompts(file: str | Path) -> LearnedPrompts:
    """Read learned prompts.

    Raises:
        CheckpointError: The file is missing, damaged or holds something else.
    """
    path = Path(file)
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}; name the .safetensors file that `geochat train` wrote")
    try:
        with safe_open(path, framework="pt") as opened:
            described = json.loads((opened.metadata() or {})[_KEY])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
        return LearnedPrompts(
            method=str(described["method"]),
            classes=tuple(map(str, described["classes"])),
            settings=PromptSettings(**described["settings"]),
            encoder=str(described["encoder"]),
            encoder_sha256=str(described["encoder_sha256"]),
            training=dict(described["training"]),
            tensors=tensors,
            file=path,
        )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not hold learned prompts ({error!r}); learn them again") from error
