"""Classification with learned prompts: CoOp and CoCoOp. The encoders are frozen; only the vectors are learned.

CoOp (Zhou et al. 2022, arXiv 2109.01134): p(y=i|x) = softmax_i cos(g(t_i), f) / τ, where t_i holds vectors in
place of words.
CoCoOp (Zhou et al. 2022, arXiv 2203.05557): the vectors depend on the image, v_m(x) = v_m + h(x), h a small network.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geochat.clip.encoder import DualEncoder
from geochat.clip.layout import PromptSettings, check_classes, encode_prompts, lay_out, word_ids
from geochat.errors import SettingsError

_STD = 0.02
_REDUCTION = 16


class CoOp(nn.Module):
    """Context vectors, the same for every image.

    Attributes:
        context: (M, W), or (K, M, W) where each class has vectors of its own; W is the text tower's width.
    """

    method = "coop"

    def __init__(
        self, encoder: DualEncoder, classes: Sequence[str], settings: PromptSettings, context: Tensor | None = None
    ) -> None:
        """Create prompts of `classes`.

        Args:
            encoder: Frozen.
            classes: Their names, K of them.
            settings: Layout of a prompt.
            context: The vectors; None begins with the settings' words, or at random, N(0, 0.02²).

        Raises:
            SettingsError: The classes or the settings cannot be used with this encoder.
        """
        super().__init__()
        self.encoder = encoder
        self.settings = settings
        self.classes = check_classes(classes)
        self.context = nn.Parameter(first_context(encoder, settings, len(self.classes)) if context is None else context)
        self.layout = lay_out(encoder, self.classes, settings)

    def text_features(self) -> Tensor:
        """Return class features that images are compared with: (K, D), of length 1."""
        vectors = self.context.reshape(1, -1, self.context.shape[-1])  # (1, V, W)
        return encode_prompts(self.encoder, self.layout, vectors)[0]

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits.

        Args:
            features: Features of images, (N, D), of length 1.

        Returns:
            (N, K).
        """
        return self.encoder.scale * features @ self.text_features().T


class CoCoOp(nn.Module):
    """Context vectors to which a meta-net adds a function of the image.

    Attributes:
        context: (M, W).
        meta_net: Linear D to D/16, ReLU, Linear D/16 to W.
    """

    method = "cocoop"

    def __init__(
        self, encoder: DualEncoder, classes: Sequence[str], settings: PromptSettings, context: Tensor | None = None
    ) -> None:
        """Create prompts of `classes`; arguments and errors are those of `CoOp`."""
        super().__init__()
        if settings.class_specific:
            raise SettingsError("CoCoOp has one set of vectors for all classes; leave class-specific vectors to CoOp")
        self.encoder = encoder
        self.settings = settings
        self.classes = check_classes(classes)
        self.context = nn.Parameter(first_context(encoder, settings, len(self.classes)) if context is None else context)
        self.layout = lay_out(encoder, self.classes, settings)
        inside = max(encoder.dimension // _REDUCTION, 1)
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(encoder.dimension, inside),
                relu=nn.ReLU(),
                linear2=nn.Linear(inside, self.context.shape[-1]),
            )
        ).to(encoder.device)

    def text_features(self, features: Tensor) -> Tensor:
        """Return the class features of each image: (N, K, D), of length 1.

        Args:
            features: Features of images, (N, D), of length 1.
        """
        shift = self.meta_net(features)  # (N, W)
        return encode_prompts(self.encoder, self.layout, self.context + shift[:, None])

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits (N, K) of image features (N, D) of length 1."""
        return self.encoder.scale * (self.text_features(features) @ features[:, :, None])[:, :, 0]


Prompts = CoOp | CoCoOp
METHODS: dict[str, type[CoOp] | type[CoCoOp]] = {CoOp.method: CoOp, CoCoOp.method: CoCoOp}


def with_classes(prompts: Prompts, classes: Sequence[str]) -> Prompts:
    """Apply learned prompts to other classes.

    Raises:
        SettingsError: Each class has vectors of its own, so that there are none for others.
    """
    if prompts.settings.class_specific:
        learned = ", ".join(prompts.classes)
        raise SettingsError(f"there are vectors for each of {learned}, and no other classes can be told apart by them")
    others = METHODS[prompts.method](prompts.encoder, classes, prompts.settings, prompts.context.detach())
    others.load_state_dict(prompts.state_dict())
    return others.eval()


def resolved(encoder: DualEncoder, settings: PromptSettings) -> PromptSettings:
    """Return the settings with as many vectors as their initial words have tokens, if there are words.

    Raises:
        SettingsError: The words have no tokens.
    """
    if not settings.words:
        return settings
    count = len(word_ids(encoder, settings.words))
    return PromptSettings(count, settings.words, settings.position, settings.class_specific)


def first_context(encoder: DualEncoder, settings: PromptSettings, classes: int) -> Tensor:
    """Return the initial vectors: the words' embeddings, or N(0, 0.02²) from torch's generator; float32.

    Raises:
        SettingsError: There are not as many vectors as words.
    """
    table = encoder.model.text_model.embeddings.token_embedding
    width = int(table.weight.shape[1])
    if not settings.words:
        shape = (classes, settings.vectors, width) if settings.class_specific else (settings.vectors, width)
        return (torch.randn(shape) * _STD).to(encoder.device)
    ids = word_ids(encoder, settings.words)
    if len(ids) != settings.vectors:
        raise SettingsError(f"{settings.words!r} makes {len(ids)} vectors and {settings.vectors} were asked for")
    with torch.no_grad():
        words: Tensor = table(torch.tensor(ids, device=encoder.device)).float()
    return words.repeat(classes, 1, 1) if settings.class_specific else words
