"""CLIP's tokenizer, for weights that come without one.

All of OpenAI's and open_clip's CLIPs, including RemoteCLIP and GeoRSCLIP, have the same vocabulary of 49,408 tokens. It
is searched for in transformers' format next to the weights, as open_clip's list of merges next to them or in an
installed open_clip, and then as the hub's copy, in the local cache or downloaded if allowed.
"""

import gzip
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, CLIPTokenizer, PreTrainedTokenizerBase

from geochat.checkpoints.guards import guarded
from geochat.checkpoints.hub import find
from geochat.errors import CheckpointError

HUB = "openai/clip-vit-base-patch32"
MERGES = "bpe_simple_vocab_16e6.txt.gz"
_SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def find_tokenizer(
    source: str | Path | None, beside: Path, vocabulary: int, *, allow_download: bool = False
) -> PreTrainedTokenizerBase:
    """Find CLIP's tokenizer.

    Args:
        source: A directory, a hub id or a file of merges; None looks for one.
        beside: The folder of the weights.
        vocabulary: Number of tokens that the model knows.
        allow_download: Whether the hub's copy may be downloaded where none was given.

    Raises:
        CheckpointError: None is found, or it is another model's.
    """
    tokenizer = _given(source) if source is not None else _looked_for(beside, allow_download=allow_download)
    return check_vocabulary(tokenizer, vocabulary)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer in a folder.

    Raises:
        CheckpointError: There is none, or it cannot be read.
    """
    with guarded(f"the tokenizer in {folder}"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        tokenizer(["a", "a longer text"], padding=True)
    return tokenizer


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> PreTrainedTokenizerBase:
    """Return the tokenizer after checking that the model knows its tokens.

    Raises:
        CheckpointError: It has more tokens than the model knows.
    """
    if len(tokenizer) > vocabulary:
        raise CheckpointError(
            f"the tokenizer has {len(tokenizer)} tokens and the model knows {vocabulary}; they do not belong together"
        )
    return tokenizer


def read_merges(file: Path) -> CLIPTokenizer:
    """Build open_clip's tokenizer from a list of merges: a comment line, then one pair per line.

    Tokens are the 256 bytes, the same at a word's end, the merges in their order, and two special ones.

    Raises:
        CheckpointError: The file cannot be read or is no such list.
    """
    try:
        packed = file.read_bytes()
        text = (gzip.decompress(packed) if file.suffix == ".gz" else packed).decode("utf-8")
        pairs = [(left, right) for left, right in (line.split() for line in text.splitlines()[1:] if line.strip())]
    except (OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{file} is not a list of merges ({error}); copy it again") from error
    bytes_ = list(_byte_letters().values())
    tokens = [*bytes_, *(f"{letter}</w>" for letter in bytes_), *map("".join, pairs[:_MERGES]), *_SPECIAL]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges: Any = pairs[:_MERGES]  # tokenizers takes pairs, which transformers' annotation does not say
    return CLIPTokenizer(vocabulary, merges)


_MERGES = 49152 - 256 - 2  # those of the published list that are used; its file has more


def _byte_letters() -> dict[int, str]:
    """Return GPT-2's letters for bytes, in its order: a printable byte is itself, the others start at U+0100."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def _given(source: str | Path) -> PreTrainedTokenizerBase:
    if Path(source).is_file():
        return read_merges(Path(source))
    return load_tokenizer(find(source))


def _looked_for(beside: Path, *, allow_download: bool) -> PreTrainedTokenizerBase:
    if (beside / "tokenizer.json").is_file() or (beside / "vocab.json").is_file():
        return load_tokenizer(beside)
    for file in (beside / MERGES, _installed_merges()):
        if file is not None and file.is_file():
            return read_merges(file)
    try:
        return load_tokenizer(find(HUB, allow_download=allow_download))
    except CheckpointError as error:
        raise CheckpointError(
            f"the weights come without a tokenizer and CLIP's is not found here ({error}); put {MERGES} or CLIP's "
            f"tokenizer.json beside them, or run `pip install --no-deps open_clip_torch`, which brings it"
        ) from error


def _installed_merges() -> Path | None:
    """Return the merges of an installed open_clip, without importing it."""
    try:
        files = distribution("open_clip_torch").files or []
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == MERGES), None)
