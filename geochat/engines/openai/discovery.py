"""Facts about a served model, from the server, the checkpoint and the user.

The dialect of a model is never guessed: it is stated by the user or by the checkpoint's settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geochat.dialects import find_dialect
from geochat.engines.openai.connection import Connection
from geochat.engines.openai.questions import OPTIONS, hello
from geochat.engines.openai.refusals import NoSuchModelError, UnknownOptionError
from geochat.errors import CheckpointError, SettingsError
from geochat.models import SETTINGS_FILE, ModelInfo, Settings
from geochat.models.objects import read_object
from geochat.models.settings import read_settings

_ATTEMPTS = 3  # at first contact, where a wrong address should be reported soon
_SQUARE, _FLEXIBLE = 504, 1024  # pixels of a side that are presumed where nobody says them; the former is GeoChat-7B's


@dataclass(frozen=True, slots=True)
class Found:
    """A model at a server.

    Attributes:
        model: Its name there.
        info: The facts about it.
        refused: Options that the server refuses.
    """

    model: str
    info: ModelInfo
    refused: frozenset[str]


async def discover(
    connection: Connection, model: str | None, dialect: str | None, settings: str | Path | None
) -> Found:
    """Find a model at a server and its properties; see `OpenAIEngine.connect`."""
    listed = await connection.retried(connection.models, _ATTEMPTS)
    about = _chosen(connection, listed, model)
    info = _info(connection, about, dialect, settings)
    refused: set[str] = set()
    while True:
        body = {name: value for name, value in hello(about["id"]).items() if name not in refused}
        if "max_tokens" in refused:
            body["max_completion_tokens"] = 1
        try:
            answer = await connection.retried(lambda: connection.completion(body, OPTIONS), _ATTEMPTS)  # noqa: B023
            break
        except UnknownOptionError as error:
            refused.add(error.option)
    able = replace(info.capabilities, logprobs=_has_logprobs(answer), choices=bool(answer.get("prompt_logprobs")))
    return Found(about["id"], replace(info, capabilities=able), frozenset(refused))


def _chosen(connection: Connection, listed: list[dict[str, Any]], model: str | None) -> dict[str, Any]:
    """Return the server's entry for the requested model, or for its only one."""
    named = [about for about in listed if model in (None, about["id"])]
    if len(named) == 1:
        return named[0]
    names = connection.clean(", ".join(about["id"] for about in listed))
    if model is None:
        raise SettingsError(f"{connection.where} has {'several models' if listed else 'no list of models'}; "
                            f"name one with --model{f': {names}' if names else ''}")  # fmt: skip
    if listed:
        raise NoSuchModelError(f"{connection.where} has no model {model!r}; it has {names}: name one with --model")
    return {"id": model}


def _info(
    connection: Connection, about: Mapping[str, Any], dialect: str | None, settings: str | Path | None
) -> ModelInfo:
    folder = Path(settings) if settings is not None and Path(settings).is_dir() else _folder(connection, about)
    stated = _settings(settings) if settings is not None else None
    if stated is None and folder is not None and (folder / SETTINGS_FILE).is_file():
        stated = read_settings(folder)
    if stated is None and dialect is None:
        raise SettingsError(
            f"nothing says how {about['id']} writes regions; name its dialect with --dialect, or its geochat.json with "
            "--settings"
        )
    if stated is None:
        stated = Settings(name=about["id"])
    if dialect is not None:
        stated = stated.in_dialect(dialect)
    context = about.get("max_model_len")
    known = folder is not None and (folder / "config.json").is_file()
    info = described(folder, stated) if folder and known else ModelInfo(stated, _image_size(stated))
    return replace(info, context=context) if isinstance(context, int) else info


def described(folder: Path, settings: Settings) -> ModelInfo:
    """Return the facts about a checkpoint in the native layout that another process loads.

    Args:
        folder: Its folder.
        settings: Its settings.

    Raises:
        CheckpointError: Its config is damaged.
    """
    config = read_object(folder / "config.json")
    vision, text = (
        value if isinstance(value := config.get(name), dict) else {} for name in ("vision_config", "text_config")
    )
    size, patch, context = vision.get("image_size"), vision.get("patch_size"), text.get("max_position_embeddings")
    return ModelInfo(
        settings,
        image_size=size if isinstance(size, int) else _image_size(settings),
        patch_size=patch if isinstance(patch, int) else None,
        context=context if isinstance(context, int) else None,
        weights=tuple(sorted(folder.glob("*.safetensors"))),
    )


def _folder(connection: Connection, about: Mapping[str, Any]) -> Path | None:
    """Return the folder from which a server on this machine loaded a model."""
    root = about.get("root")
    if not connection.is_here or not isinstance(root, str) or not Path(root).is_absolute():
        return None
    return Path(root) if (Path(root) / "config.json").is_file() else None


def _settings(path: str | Path) -> Settings:
    path = Path(path)
    if path.is_dir():
        if not (path / SETTINGS_FILE).is_file():
            raise CheckpointError(f"{path} holds no {SETTINGS_FILE}; name one, or the dialect instead")
        return read_settings(path)
    return Settings.from_dict(read_object(path))


def _image_size(settings: Settings) -> int:
    """Return the input size of a model without its config, from its dialect's fit."""
    frame = find_dialect(settings.dialect).model_frame
    return frame.size or (_SQUARE if (settings.fit or frame.fit) in ("pad", "crop") else _FLEXIBLE)


def _has_logprobs(answer: Mapping[str, Any]) -> bool:
    try:
        return bool(answer["choices"][0]["logprobs"]["content"])
    except (KeyError, IndexError, TypeError):
        return False
