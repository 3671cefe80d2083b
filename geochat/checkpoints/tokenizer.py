"""A Llama-2 `tokenizer.model` as a fast tokenizer that gives the ids the published model was trained and run with.

Transformers' own conversion does not: it puts the merge of two spaces before all others and drops the space piece that
follows the image. Here

- merges are ranked by the SentencePiece score of what they make;
- a space is put before the text, and before what follows `<s>` and `<image>`, but not before what follows `</s>`, as
  `legacy=False` of the original's tokenizer does. Special tokens cut the text before it is normalised, except those
  declared `normalized`, which are looked for afterwards: `</s>` is such a one, and so opens no text of its own;
- `USER` after `</s>` is cut into `US` and `ER`, as the original does by tokenising it with a space and taking that off
  again. In the conversation format nothing else follows `</s>`.

It is saved as a plain `tokenizers` file, which every engine reads alike.
"""

from pathlib import Path

from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from geochat.errors import CheckpointError
from geochat.prompts import IMAGE_TOKEN

_SPACE = "▁"


def llama_tokenizer(file: Path, model_max_length: int) -> PreTrainedTokenizerFast:
    """The tokenizer of a SentencePiece file, with `<image>` added as the id after its last piece.

    Args:
        file: A Llama-2 `tokenizer.model`.
        model_max_length: The context of the model, in tokens.

    Raises:
        CheckpointError: The file is missing or not a Llama SentencePiece model.
    """
    pieces = _pieces(file)
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
        pad_token="<unk>",
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        model_max_length=model_max_length,
        clean_up_tokenization_spaces=False,
    )


def _pieces(file: Path) -> SentencePieceProcessor:
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; copy the tokenizer.model of the checkpoint or its base there")
    try:
        pieces = SentencePieceProcessor(model_file=str(file))
    except (RuntimeError, OSError) as error:
        raise CheckpointError(f"{file} is not a SentencePiece model; copy it again") from error
    if [pieces.IdToPiece(i) for i in range(3)] != ["<unk>", "<s>", "</s>"]:
        raise CheckpointError(f"{file} is not a Llama-2 tokenizer: its first pieces are not <unk>, <s> and </s>")
    return pieces


def _merges(pieces: SentencePieceProcessor, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to make an ordinary piece from two, best score first; never a special token or a byte."""
    ordinary = [i for i in vocabulary.values() if not (pieces.IsControl(i) or pieces.IsUnknown(i) or pieces.IsByte(i))]
    ranked = [pieces.IdToPiece(i) for i in sorted(ordinary, key=pieces.GetScore, reverse=True)]
    halves = ((piece[:cut], piece[cut:]) for piece in ranked for cut in range(1, len(piece)))
    return [(left, right) for left, right in halves if left in vocabulary and right in vocabulary]
