"""A Llama-2 `tokenizer.model` as a fast tokenizer with the ids that the published model was trained and run with.

Transformers' own conversion does not: it puts the merge of two spaces before all others and drops the space piece that
follows the image. Here

- merges are ranked by the SentencePiece score of what they make;
- a space is put before the text, and before what follows `<s>` and `<image>`, but not before what follows `</s>`, as
  `legacy=False` of the original's tokenizer does. Special tokens cut the text before it is normalised, except those
  declared `normalized`, which are looked for afterwards: `</s>` is such a one, and so opens no text of its own;
- `USER` after `</s>` is cut into `US` and `ER`, as the original does by tokenising it with a space and taking that off
  again. In the conversation format nothing else follows `</s>`;
- tokens that fine-tuning added, such as `[PAD]`, have the ids that `added_tokens.json` or `tokenizer_config.json` says.

It is saved as a plain `tokenizers` file, which every engine reads alike.
"""

from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from geochat.checkpoints.guards import guarded
from geochat.errors import CheckpointError
from geochat.models.objects import read_object
from geochat.prompts import IMAGE_TOKEN

_SPACE = "▁"


def llama_tokenizer(file: Path, model_max_length: int) -> PreTrainedTokenizerFast:
    """Load the tokenizer of a SentencePiece file with its added tokens, and `<image>` as the id after the last.

    Args:
        file: A Llama-2 `tokenizer.model`.
        model_max_length: The context of the model, in tokens.

    Raises:
        CheckpointError: The file is missing or not a Llama SentencePiece model, or what is added leaves ids out.
    """
    pieces = _pieces(file)
    with guarded(file, remedy="copy the tokenizer again"):
        return _built(pieces, file.parent, model_max_length)


def _built(pieces: SentencePieceProcessor, folder: Path, model_max_length: int) -> PreTrainedTokenizerFast:
    vocabulary = {pieces.IdToPiece(i): i for i in range(pieces.GetPieceSize())}
    model = models.BPE(vocabulary, _merges(pieces, vocabulary), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    raw = Tokenizer(model)
    raw.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(r"\A(?!</s>)"), _SPACE), normalizers.Replace(" ", _SPACE)]
    )
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"\AUS(?=ER:)"), "isolated")
    raw.add_special_tokens(
        [
            AddedToken("<unk>", special=True, normalized=False),
            AddedToken("<s>", special=True, normalized=False),
            AddedToken("</s>", special=True, normalized=True),
            *(AddedToken(token, special=True, normalized=False) for token in _added(folder, len(vocabulary))),
            AddedToken(IMAGE_TOKEN, special=True, normalized=False),
        ]
    )
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])])
    raw.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token=_padding(folder, raw),
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        model_max_length=model_max_length,
        clean_up_tokenization_spaces=False,
    )


def _pieces(file: Path) -> SentencePieceProcessor:
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; copy the tokenizer.model of the checkpoint or its base there")
    with guarded(f"{file} is not a SentencePiece model and", remedy="copy it again"):
        pieces = SentencePieceProcessor(model_file=str(file))
        first = [pieces.IdToPiece(i) for i in range(min(3, pieces.GetPieceSize()))]
    if first != ["<unk>", "<s>", "</s>"]:
        raise CheckpointError(f"{file} is not a Llama-2 tokenizer: its first pieces are not <unk>, <s> and </s>")
    return pieces


def _added(folder: Path, first: int) -> list[str]:
    """Return the tokens of the ids after the last piece, from the files next to it.

    Args:
        folder: Folder of the checkpoint.
        first: The id after the last piece.

    Raises:
        CheckpointError: An id is left out, or `<image>` is among them.
    """
    listed = folder / "added_tokens.json"
    pairs = [(number, token) for token, number in (read_object(listed) if listed.is_file() else {}).items()]
    decoder = _tokenizer_config(folder).get("added_tokens_decoder", {})
    for number, token in decoder.items() if isinstance(decoder, dict) else ():
        if number.isdecimal() and isinstance(token, dict):
            pairs.append((int(number), str(token.get("content"))))
    found = {(number, token) for number, token in pairs if isinstance(number, int) and number >= first}
    named = dict(sorted(found))
    if list(named) != list(range(first, first + len(found))) or len(set(named.values())) != len(found):
        raise CheckpointError(
            f"the tokens added in {folder} have the ids {sorted(number for number, _ in found)[:5]}, expected all from "
            f"{first} on, each once; copy added_tokens.json and tokenizer_config.json again"
        )
    if IMAGE_TOKEN in named.values():
        raise CheckpointError(
            f"{folder} adds {IMAGE_TOKEN} itself, which the original's layout never does; remove it there"
        )
    return list(named.values())


def _padding(folder: Path, raw: Tokenizer) -> str:
    """Return the padding token stated by the checkpoint if it is a token; else `<unk>`, because Llama has none."""
    stated = _tokenizer_config(folder).get("pad_token")
    token = stated.get("content") if isinstance(stated, dict) else stated
    return token if isinstance(token, str) and raw.token_to_id(token) is not None else "<unk>"


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    return read_object(file) if file.is_file() else {}


def _merges(pieces: SentencePieceProcessor, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Return every way to make an ordinary piece from two, best score first; never a special token or a byte."""
    ordinary = [i for i in vocabulary.values() if not (pieces.IsControl(i) or pieces.IsUnknown(i) or pieces.IsByte(i))]
    ranked = [pieces.IdToPiece(i) for i in sorted(ordinary, key=pieces.GetScore, reverse=True)]
    halves = ((piece[:cut], piece[cut:]) for piece in ranked for cut in range(1, len(piece)))
    return [(left, right) for left, right in halves if left in vocabulary and right in vocabulary]
