"""The stages of the training: their images and settings.

Each stage saves a state that the next one reads, and resumes after an interruption.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, LlavaProcessor, TokenizersBackend

from geochat.checkpoints import Checkpoint
from geochat.prompts import SYSTEM_PROMPT, chat_template
from geochat.vision import build_processor, interpolate_positions
from geochat_data.augment import Augmentation
from geochat_data.questions.subject import MAX_COUNT
from geochat_data.records import LabelledImage
from geochat_mini import shape
from geochat_mini.auxiliary_heads import AuxiliaryHeads, head_targets
from geochat_mini.caption_choice import agreed
from geochat_mini.classes import NAMES, classes_of, present
from geochat_mini.contrast import PHRASE_LENGTH, UNSEEN, phrases, text_of, text_tokens, train_text_tokenizer
from geochat_mini.material import Material
from geochat_mini.number_tokens import NUMBERS
from geochat_mini.questions import ask, spoken_names
from geochat_mini.rows import RowMaker
from geochat_mini.stages import Instruction, Pairing, Perception
from geochat_mini.teacher_cache import TeacherFeatures, pixels
from geochat_mini.text_teacher import common_words, prepare_phrases
from geochat_mini.training import run_stage
from geochat_mini.views import FixedViews, Pool, Views

GRID = shape.CHAT_SIZE // shape.PATCH
DUAL_GRID = shape.PRETRAINING_SIZE // shape.PATCH
_PHRASES = 3  # beside each view
_VOCABULARY = 2400  # tokens
_CONVERSATIONS = 4000  # that the vocabulary is learnt from
_SMALL = 2  # views at half the resolution beside each at the whole
_SCENE = Augmentation(zoom=(0.55, 1.0), tilt=10)
_WHOLE = Augmentation(zoom=(0.8, 1.1), tilt=10)
_OBJECTS = Augmentation(zoom=(0.5, 1.0), tilt=45)
_UPRIGHT = Augmentation(zoom=(0.5, 1.0), tilt=8)  # of objects whose boxes are upright and would not turn with them
_GROUNDS = {"overpass", "ground track field"}
_COMPOSED = Augmentation(zoom=(0.75, 1.0))
_MOSAIC = Augmentation(zoom=(0.6, 1.0))
_RENDERED = Augmentation(zoom=(0.5, 1.05))


def scene_pools(material: Material, share: float) -> list[Pool]:
    """Return pools of photographs with a scene class; small sources are oversampled."""
    weights = {"ucm": 0.35, "more/aid-rsicd": 0.4, "more/nwpu-resisc": 0.13, "more/rsscn7": 0.12}
    return [Pool(material.of(name), share * weight, _SCENE) for name, weight in weights.items()]


def object_pools(material: Material, share: float) -> list[Pool]:
    """Return pools of photographs with objects; most views centre on one object, which then has any size."""
    boxed = [image for image in material.of("ucm") if image.objects]
    rsod = material.of("more/rsod")
    rows = (
        (boxed, 0.2, _SCENE, 0.3),
        ([image for image in rsod if not image.labelled & _GROUNDS], 0.29, _OBJECTS, 0.75),
        ([image for image in rsod if image.labelled & _GROUNDS], 0.05, _UPRIGHT, 0.5),
        (material.of("more/ships-google-earth"), 0.2, _OBJECTS, 0.7),
        (material.of("more/pools-cannes"), 0.07, _UPRIGHT, 0.7),
        (material.of("more/drone-vehicles"), 0.05, _OBJECTS, 0.5),
        (material.of("more/aerial-cars"), 0.08, _OBJECTS, 0.7),
        (material.of("more/lakes-bhuvan"), 0.02, _UPRIGHT, 0.5),
        (material.of("more/solar-drone"), 0.03, _OBJECTS, 0.6),
        (material.of("more/solar-roofs"), 0.02, _WHOLE, 0.0),
    )
    return [Pool(images, share * weight, how, focus) for images, weight, how, focus in rows]


def made_pools(material: Material, share: float) -> list[Pool]:
    """Return pools of composites, mosaics and rendered scenes."""
    return [
        Pool(material.composites, 0.25 * share, _COMPOSED, 0.4),
        Pool(material.mosaics, 0.15 * share, _MOSAIC, 0.4),
        Pool(material.rendered, 0.6 * share, _RENDERED, 0.4),
    ]


def fixed_views(material: Material, count: int, seed: int) -> FixedViews:
    """Return the views that the teacher encodes: photographs only."""
    pools = [*scene_pools(material, 0.7), *object_pools(material, 0.3)]
    return FixedViews([pool for pool in pools if pool.images], seed, count, weight=0.7)


class _Paired(Dataset[dict[str, Tensor]]):
    """An item of each view with some smaller views of it, whose names begin with "small_"."""

    def __init__(self, views: Views[dict[str, Tensor]], small: Views[dict[str, Tensor]]) -> None:
        self.views, self.small = views, small

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        beside = [self.small[index * _SMALL + number] for number in range(_SMALL)]
        return {**self.views[index], **{f"small_{name}": torch.stack([b[name] for b in beside]) for name in beside[0]}}


def perceive(
    material: Material,
    fixed: FixedViews,
    taught: TeacherFeatures,
    out: Path,
    *,
    start: CLIPVisionModel | None,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> CLIPVisionModel:
    """Train the tower, that of `start` or a new one, with the auxiliary heads."""
    torch.manual_seed(seed)
    tower = shape.build_tower(shape.CHAT_SIZE)
    if start is not None:
        weights = shape.deepened(start.state_dict(), shape.LAYERS)
        tower.load_state_dict(_at_resolution(weights, GRID))

    def make(view: LabelledImage, _: random.Random, number: int | None) -> dict[str, Tensor]:
        grid = view.width // shape.PATCH
        return {"views": pixels(view), **head_targets(view, grid), **taught.targets(number, grid)}

    sights = [*scene_pools(material, 0.12), *object_pools(material, 0.55), *made_pools(material, 0.33)]
    small = [*scene_pools(material, 0.55), *object_pools(material, 0.3), *made_pools(material, 0.15)]
    model = Perception(tower, AuxiliaryHeads(shape.WIDTH))
    count = steps * batch
    data = _Paired(
        Views(sights, make, size=shape.CHAT_SIZE, length=count, seed=f"{seed}/perceive", fixed=fixed),
        Views(small, make, size=shape.CHAT_SIZE // 2, length=_SMALL * count, seed=f"{seed}/small", fixed=fixed),
    )
    run_stage(model, data, out / "perceive", steps=steps, batch=batch, rate=rate * batch**0.5, seed=seed)
    return model.tower


def instruct(
    material: Material,
    tower: CLIPVisionModel,
    out: Path,
    *,
    start: Checkpoint | None,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """Train projector and language model, new or those of `start`, on all kinds of questions; the tower is frozen."""
    photographs = {image.name or "": image for image in material.photographs}
    known = {name: present(image.scene, image.captions) for name, image in photographs.items()}
    pools = instruction_pools(material)
    tokenizer = _tokenizer(pools, out / "tokenizer", min(_CONVERSATIONS, 20 * steps), seed)
    processor = build_processor(tokenizer, shape.CHAT_SIZE, shape.PATCH, chat_template(SYSTEM_PROMPT))
    torch.manual_seed(seed)
    chat = shape.build_model(tokenizer)
    if start is not None:
        shape.take_over(chat, tokenizer, start.model, start.processor.tokenizer)
    chat.model.vision_tower.load_state_dict(tower.state_dict())
    model = Instruction(chat, [tokenizer.get_vocab()[number] for number in NUMBERS], len(NAMES))
    rows = RowMaker(processor, GRID, known)
    views = Views(pools, rows.make, size=shape.CHAT_SIZE, length=steps * batch, seed=f"{seed}/instruct")
    peak = rate * batch**0.5
    run_stage(model, views, out / "instruct", steps=steps, batch=batch, rate=peak, seed=seed, collate=rows.collate)
    return model.chat, processor


def encode(
    material: Material,
    fixed: FixedViews,
    taught: TeacherFeatures,
    out: Path,
    *,
    start: Path | None,
    text_teacher: Path,
    steps: int,
    batch: int,
    seed: int,
) -> None:
    """Train the dual encoder, that in the folder `start` or a new one, and save it in `out / "clip"`."""
    captions = [text for image in material.photographs if not UNSEEN & _classes(image) for text in image.captions]
    spoken = phrases(captions, common_words(text_teacher))
    known = prepare_phrases(spoken, text_teacher, out / "phrases.npz")
    tokenizer = train_text_tokenizer(known.texts)
    torch.manual_seed(seed)
    clip = shape.build_dual_encoder(tokenizer)
    if start is not None:
        shape.take_over_dual(clip, tokenizer, start)

    def make(view: LabelledImage, rng: random.Random, number: int | None) -> dict[str, Tensor] | None:
        text = text_of(view, rng)
        if text is None:
            return None
        some = [rng.randrange(len(known.texts)) for _ in range(_PHRASES)]
        read = [text_tokens(tokenizer, known.texts[place], PHRASE_LENGTH) for place in some]
        return {
            "views": pixels(view),
            **text_tokens(tokenizer, text),
            "phrase_ids": torch.stack([each["input_ids"] for each in read]),
            "phrase_mask": torch.stack([each["attention_mask"] for each in read]),
            "phrase_vectors": known.vectors[some],
            **head_targets(view, DUAL_GRID),
            **taught.targets(number, DUAL_GRID),
        }

    pools = [*scene_pools(material, 0.7), *object_pools(material, 0.15), *made_pools(material, 0.15)]
    views = Views(pools, make, size=shape.PRETRAINING_SIZE, length=steps * batch, seed=f"{seed}/encode", fixed=fixed)
    model = Pairing(clip, AuxiliaryHeads(shape.WIDTH))
    run_stage(model, views, out / "encode", steps=steps, batch=batch, rate=1e-3, seed=seed)
    shape.save_dual_encoder(clip, tokenizer, out / "clip")


def _classes(image: LabelledImage) -> set[str]:
    return set(classes_of(image.scene)) if image.scene else set()


def instruction_pools(material: Material) -> list[Pool]:
    """Return the pools for instruction tuning; images with several objects of a category are oversampled.

    Captions are those of scenes: "There are solar panels on a roof.", of all roofs, was soon said of any blurred image.
    """
    scenes = [image if image.scene else replace(image, captions=()) for image in material.photographs]
    spoken = replace(material, photographs=tuple(agreed(scenes)))
    several = Pool([image for image in material.rendered if _several(image)], 0.18, _RENDERED, 0.3)
    return [*scene_pools(spoken, 0.36), *object_pools(spoken, 0.32), *made_pools(spoken, 0.14), several]


def _several(image: LabelledImage) -> bool:
    """Return whether the image holds several objects of a category, one of which can be asked for."""
    counts = Counter(item.category for item in image.objects)
    return any(1 < count <= MAX_COUNT for count in counts.values())


def _tokenizer(pools: Sequence[Pool], folder: Path, count: int, seed: int) -> TokenizersBackend:
    """Return the tokenizer in `folder`, trained there on `count` conversations if there is none."""
    if not (folder / "tokenizer.json").is_file():
        shape.train_tokenizer(_texts(pools, count, seed), _VOCABULARY).save_pretrained(folder)
    tokenizer: TokenizersBackend = TokenizersBackend.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return tokenizer


def _texts(pools: Sequence[Pool], count: int, seed: int) -> list[str]:
    """Return texts for training the vocabulary: conversations, names, and the system prompt at its later frequency."""

    def say(view: LabelledImage, rng: random.Random, _: int | None) -> list[str] | None:
        return [message.text for turn in ask(view, rng) for message in turn] or None

    views = Views(pools, say, size=64, length=count, seed=f"{seed}/vocabulary")
    names = [f" {name}" for name in spoken_names() for _ in range(20)]
    return [SYSTEM_PROMPT, *names, *(f" {text}" for index in range(count) for text in views[index])]


def _at_resolution(weights: dict[str, Tensor], grid: int) -> dict[str, Tensor]:
    """Return a tower's weights with position embeddings interpolated to `grid` x `grid` patches."""
    name = next(name for name in weights if name.endswith("position_embedding.weight"))
    return {**weights, name: interpolate_positions(weights[name], grid)}
