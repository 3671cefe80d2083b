"""Recipes: the settings of a training run, one class per method.

A recipe is made from a file of `train/configs`, or a user's own, and from overriding values
(`geochat_train.recipe_files`). This module imports nothing heavy: the command line makes its options from it.
"""

from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, get_args

from geochat.errors import SettingsError
from geochat_train.recipe_base import MOST, Recipe, setting

Part = Literal["language_model", "projector", "vision_tower"]
Attention = Literal["auto", "sdpa", "eager", "flash_attention_2"]
Weights = Literal["lora", "qlora", "full"]
Average = Literal["answer", "constant"]

LANGUAGE_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_LOW_RANK = ("rank", "alpha", "dropout", "targets", "answer_tokens", "added_tokens")


@dataclass(frozen=True, kw_only=True)
class TuningRecipe(Recipe):
    """Instruction tuning, independent of the method of adaptation."""

    adapt: tuple[Part, ...] = setting(
        ("language_model", "projector"), f"parts to train: some of {', '.join(get_args(Part))}"
    )
    projector_rate: float | None = setting(None, "learning rate of the projector (default: learning_rate)")
    tower_rate: float | None = setting(None, "learning rate of the vision tower (default: learning_rate)")
    max_length: int = setting(2048, "longest row in tokens, image included; longer samples are left out")
    share_images: bool = setting(False, "join questions about one image in a row, each as if it were asked alone")
    cache_features: bool = setting(False, "compute the frozen tower's features of each image once, for all steps")
    group_by_length: bool = setting(True, "batch rows of similar length, which reduces padding")
    attention: Attention = setting("auto", "auto is FlashAttention where it is installed, else PyTorch's own")
    show: int = setting(0, "validation samples to answer, with boxes drawn, at every evaluation")

    @property
    def low_rank(self) -> bool:
        """Whether adapters are trained, not the weights themselves."""
        return False

    @property
    def four_bit(self) -> bool:
        """Whether the language model is in 4 bits."""
        return False

    @property
    def packs(self) -> bool:
        """Whether a row holds several answers after one prefix, separated by a mask."""
        return self.share_images

    @property
    def sampled_tokens(self) -> int:
        """Most tokens of the answers that are sampled for a row and added to it."""
        return 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._between("max_length", 1, MOST["max_length"])
        self._between("show", 0, MOST["show"])
        if unknown := [part for part in self.adapt if part not in get_args(Part)]:
            raise SettingsError(f"adapt={unknown[0]!r} is no part of the model; use {', '.join(get_args(Part))}")
        if not self.adapt:
            raise SettingsError("adapt is empty, so nothing would be taught; name a part")
        if self.show and self.evaluate_every is None:
            raise SettingsError(f"show={self.show} needs evaluate_every; give how many steps apart to look")
        if self.share_images and self.attention == "flash_attention_2":
            raise SettingsError("share_images needs a mask that flash_attention_2 does not take; use sdpa")
        if self.cache_features and "vision_tower" in self.adapt:
            raise SettingsError("cache_features needs a frozen tower, and adapt holds vision_tower; leave out one")
        for name, part in (("projector_rate", "projector"), ("tower_rate", "vision_tower")):
            if getattr(self, name) is not None and part not in self.adapt:
                raise SettingsError(f"{name}={getattr(self, name)} has no effect: adapt does not hold {part}")


@dataclass(frozen=True, kw_only=True)
class LoraRecipe(TuningRecipe):
    """Low-rank adaptation: small matrices added to the frozen ones (Hu et al. 2021); the projector is fully tuned."""

    rank: int = setting(64, "rank of the adapters")
    alpha: int = setting(16, "their scale is alpha / rank")
    dropout: float = setting(0.05, "share of an adapter's input that is dropped in training")
    targets: tuple[str, ...] = setting(LANGUAGE_TARGETS, "matrices of the language model's layers that are adapted")
    answer_tokens: bool = setting(False, "also tune the embeddings of the answers' tokens, for names new to the model")
    added_tokens: bool = setting(False, "tune the embeddings of tokens added to the vocabulary, such as <0> to <100>")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._between("rank", 1, MOST["rank"])
        self._between("alpha", 1, MOST["alpha"])
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout={self.dropout} is no share; give a number from 0 to 1")
        if "language_model" in self.adapt and not self.targets:
            raise SettingsError("targets is empty; name matrices of the language model, such as q_proj")
        for name in ("answer_tokens", "added_tokens"):
            if getattr(self, name) and "language_model" not in self.adapt:
                raise SettingsError(f"{name} has no effect: adapt does not hold language_model")

    @property
    def low_rank(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, kw_only=True)
class QloraRecipe(LoraRecipe):
    """LoRA with a 4-bit language model: NF4 with quantised constants (Dettmers et al. 2023)."""

    @property
    def four_bit(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, kw_only=True)
class FullRecipe(TuningRecipe):
    """All weights of the adapted parts."""

    learning_rate: float = setting(2e-5, "peak learning rate")


@dataclass(frozen=True, kw_only=True)
class ProjectorRecipe(TuningRecipe):
    """Alignment: only the projector is trained (Liu et al. 2023, section 4.2)."""

    learning_rate: float = setting(1e-3, "peak learning rate")
    adapt: tuple[Part, ...] = field(default=("projector",), init=False)


@dataclass(frozen=True, kw_only=True)
class GrpoRecipe(LoraRecipe):
    """Reinforcement by rewards of sampled answers, relative to those of the same question (Shao et al. 2024)."""

    train: Weights = setting("lora", "weights to train, as by the method of that name: lora, qlora or full")
    share_images: bool = field(default=False, init=False)
    learning_rate: float = setting(1e-5, "peak learning rate")
    dropout: float = setting(0.0, "share of an adapter's input that is dropped in training")

    group_size: int = setting(8, "answers sampled for each question, which are compared with one another")
    temperature: float = setting(1.0, "temperature of sampling")
    max_new_tokens: int = setting(128, "longest answer in tokens")
    rewards: tuple[str, ...] = setting(("boxes", "exact", "format"), "rewards of an answer, by name")
    reward_weights: tuple[float, ...] = setting((), "weight of each reward (default: all equal)")
    scale_rewards: bool = setting(True, "divide advantages by the rewards' standard deviation; Dr. GRPO does not")
    average: Average = setting(
        "answer", "answer: mean over an answer's tokens; constant: their sum over max_new_tokens, as Dr. GRPO"
    )
    kl: float = setting(0.04, "coefficient of the divergence from the starting model; 0 needs no reference")
    clip: float = setting(0.2, "largest change of a token's probability ratio that is rewarded")
    iterations: int = setting(1, "optimizer steps on the same sampled answers")

    def __post_init__(self) -> None:
        super().__post_init__()
        from geochat_train.reinforcement.rewards import REWARDS  # noqa: PLC0415 - with NumPy and shapely

        self._between("group_size", 1, MOST["group_size"])
        self._between("max_new_tokens", 1, MOST["max_new_tokens"])
        self._between("iterations", 1, MOST["iterations"])
        if self.group_size == 1:
            raise SettingsError("group_size=1 leaves an answer nothing to be compared with; give 2 or more, 8 is usual")
        for name, most in (("temperature", 10), ("clip", 1)):
            if not 0 < getattr(self, name) <= most:
                raise SettingsError(f"{name}={getattr(self, name)} is not above 0 and at most {most}; change it")
        if not 0 <= self.kl <= 100:
            raise SettingsError(f"kl={self.kl} is not between 0 and 100; 0.04 is usual")
        if unknown := [name for name in self.rewards if name not in REWARDS]:
            raise SettingsError(f"rewards={unknown[0]!r} is no reward; use some of {', '.join(REWARDS)}")
        if not self.rewards:
            raise SettingsError(f"rewards is empty, so no answer is better than another; use {', '.join(REWARDS)}")
        if self.reward_weights and len(self.reward_weights) != len(self.rewards):
            raise SettingsError(
                f"reward_weights has {len(self.reward_weights)} numbers for {len(self.rewards)} rewards; give one each"
            )
        if not all(0 < weight < float("inf") for weight in self.reward_weights):
            raise SettingsError(f"reward_weights={self.reward_weights} are not all above 0; leave out such rewards")
        if self.save_every % self.iterations:
            raise SettingsError(
                f"save_every={self.save_every} is no multiple of iterations={self.iterations}, between which sampled "
                "answers would have to be saved; change one"
            )
        if self.attention == "flash_attention_2":
            raise SettingsError("grpo needs a mask that flash_attention_2 does not take; use sdpa")
        for name in _LOW_RANK if self.train == "full" else ():
            default = next(setting.default for setting in fields(type(self)) if setting.name == name)
            if getattr(self, name) != default:
                raise SettingsError(f"{name}={getattr(self, name)} has no effect on train=full; leave it out")

    @property
    def low_rank(self) -> bool:
        """Unless all weights are trained."""
        return self.train != "full"

    @property
    def four_bit(self) -> bool:
        """Whether the adapters stand beside a 4-bit model."""
        return self.train == "qlora"

    @property
    def packs(self) -> bool:
        """Always: the answers of a group share a prefix."""
        return True

    @property
    def sampled_tokens(self) -> int:
        """Those of a group."""
        return self.group_size * self.max_new_tokens

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each of `rewards`."""
        return dict(zip(self.rewards, self.reward_weights or (1.0,) * len(self.rewards), strict=True))


@dataclass(frozen=True, kw_only=True)
class ClipRecipe(Recipe):
    """Contrastive training of a dual encoder (Radford et al. 2021)."""

    model: str | None = setting(None, "dual encoder to start from: directory or hub id (default: the bundled one)")
    scratch: bool = setting(False, "take the model's shape and vocabulary, and begin with random weights")
    split: str = setting("train", "rows of the data to use, if they have a `split`")
    validation_split: str = setting("val", "rows of the validation data to use, if they have a `split`")
    batch_size: int = setting(64, "pairs per batch in one process; contrasted with those of all processes")
    learning_rate: float = setting(1e-5, "peak learning rate")
    weight_decay: float = setting(0.2, "weight decay of matrices; vectors have none")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._between("batch_size", 2, MOST["batch_size"])

    def accumulation(self, processes: int) -> int:
        """Always one batch per step: accumulated batches would not serve as negatives for one another.

        Raises:
            SettingsError: More is asked for.
        """
        if (count := super().accumulation(processes)) > 1:
            raise SettingsError(
                f"effective_batch={self.effective_batch} would take {count} batches a step, which does not widen a "
                "contrastive batch; raise batch_size or the number of processes"
            )
        return count


METHODS: dict[str, type[Recipe]] = {
    "lora": LoraRecipe,
    "qlora": QloraRecipe,
    "full": FullRecipe,
    "projector": ProjectorRecipe,
    "grpo": GrpoRecipe,
    "clip": ClipRecipe,
}


def method_of(recipe: Recipe) -> str:
    """The method's name."""
    return next(name for name, kind in METHODS.items() if kind is type(recipe))


def settings_of(kind: type[Recipe]) -> list[Field[Any]]:
    """Return the settings of a method that a user can set."""
    return [field for field in fields(kind) if field.init]
