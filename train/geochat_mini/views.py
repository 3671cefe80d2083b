"""Random views of pools of images.

An item is a function of the seed and its index alone, so an interrupted run resumes with identical data. A view may be
centred on an object, so that the object fills a chosen share of the frame: objects then have all sizes, independent of
the source. Haze, blur, compression and light are varied to imitate other sensors and servers.
"""

import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from affine import Affine
from PIL import Image, ImageFilter
from torch.utils.data import Dataset

from geochat_data.augment import CLIP_MEAN, Augmentation, recolour, transform_record
from geochat_data.records import LabelledImage, LabelledObject

T = TypeVar("T")
_STRETCH = 3.0  # most that a view is magnified
_MARGIN = 1.2  # longest side of a view, in sides of the image: beyond it the frame is padding
_INNER, _OUTER_TILT = 0.7, 10.0  # views wider than this share of the image turn by less: their corners would be padding


@dataclass(frozen=True)
class Pool:
    """A pool of images with its sampling frequency.

    Attributes:
        images: The images.
        weight: Share of the draws, relative to the other pools'.
        augmentation: Augmentation of their views.
        focus: Share of the views drawn about an object.
        extent: Share of the frame that this object fills, smallest and largest; drawn evenly in its logarithm.
        wear: Share of the views that are degraded.
    """

    images: Sequence[LabelledImage]
    weight: float
    augmentation: Augmentation
    focus: float = 0.0
    extent: tuple[float, float] = (0.035, 0.6)
    wear: float = 0.35


@dataclass(frozen=True)
class FixedViews:
    """`count` views that are drawn repeatedly, so that the teacher encodes them only once.

    Attributes:
        pools: Pools of images.
        seed: Seed of the views.
        count: Number of them.
        weight: Share of the draws, relative to the pools'.
    """

    pools: Sequence[Pool]
    seed: int
    count: int
    weight: float

    def view(self, number: int, size: int, wear: random.Random | None = None) -> LabelledImage:
        """Return view `number` at `size` pixels, degraded by `wear` if given."""
        return draw(self.pools, size, random.Random(f"{self.seed}/taught/{number}"), wear)


class Views(Dataset[T], Generic[T]):
    """`length` views at `size` pixels, each made into an item by `make(view, rng, number)`.

    `number` is the view's number among the fixed ones, None for others. `make` may return None for a view that
    offers nothing; another is drawn then.
    """

    def __init__(
        self,
        pools: Sequence[Pool],
        make: Callable[[LabelledImage, random.Random, int | None], T | None],
        *,
        size: int,
        length: int,
        seed: int | str,
        fixed: FixedViews | None = None,
    ) -> None:
        self.pools = [pool for pool in pools if pool.images]
        self.size = size
        self.length = length
        self.seed = seed
        self.make = make
        self.fixed = fixed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> T:
        rng = random.Random(f"{self.seed}/{index}")
        others = sum(pool.weight for pool in self.pools)
        while True:
            number = None
            if self.fixed and rng.random() < self.fixed.weight / (self.fixed.weight + others):
                number = rng.randrange(self.fixed.count)
                view = self.fixed.view(number, self.size, rng)
            else:
                view = draw(self.pools, self.size, rng, rng)
            item = self.make(view, rng, number)
            if item is not None:
                return item


def draw(pools: Sequence[Pool], size: int, rng: random.Random, wear: random.Random | None = None) -> LabelledImage:
    """Draw a random view of a random image, degraded by `wear` if given."""
    pool = rng.choices(pools, [pool.weight for pool in pools])[0]
    image = rng.choice(pool.images)
    if image.objects and rng.random() < pool.focus:
        part = _about(image, rng.choice(image.objects), size, pool.extent, rng)
    else:
        part = _part(image, pool, rng)
    view = _view(image, part, size, pool.augmentation, rng)
    if wear is None or wear.random() >= pool.wear:
        return view
    assert view.pixels is not None
    return replace(view, pixels=np.asarray(degraded(Image.fromarray(view.pixels), wear)))


def _part(image: LabelledImage, pool: Pool, rng: random.Random) -> tuple[float, float, float]:
    """Draw centre and side of a random square part of the image."""
    side = max(image.width, image.height) * rng.uniform(*pool.augmentation.zoom)
    x = image.width / 2 + rng.uniform(-1, 1) * max(0.0, (image.width - side) / 2)
    y = image.height / 2 + rng.uniform(-1, 1) * max(0.0, (image.height - side) / 2)
    return x, y, side


def _about(
    image: LabelledImage, thing: LabelledObject, size: int, extent: tuple[float, float], rng: random.Random
) -> tuple[float, float, float]:
    """Draw centre and side of a square part in which an object fills a share of the frame, anywhere in it."""
    xs, ys = zip(*thing.polygon, strict=True)
    long = max(max(xs) - min(xs), max(ys) - min(ys))
    side = long / math.exp(rng.uniform(math.log(extent[0]), math.log(extent[1])))
    side = min(max(side, size / _STRETCH), _MARGIN * max(image.width, image.height))
    side = max(side, 1.1 * long)
    slack = (side - long) / 2
    x = _placed((min(xs) + max(xs)) / 2, slack, side, image.width, rng)
    return x, _placed((min(ys) + max(ys)) / 2, slack, side, image.height, rng), side


def _view(
    image: LabelledImage,
    part: tuple[float, float, float],
    size: int,
    settings: Augmentation,
    rng: random.Random,
) -> LabelledImage:
    """Return a square part as `size` x `size` pixels, with random rotation, mirroring and recolouring."""
    x, y, side = part
    tilt = settings.tilt if side < _INNER * max(image.width, image.height) else min(settings.tilt, _OUTER_TILT)
    turn = 90 * rng.randrange(4) + rng.uniform(-tilt, tilt)
    to_view = (
        Affine.translation(size / 2, size / 2)
        @ Affine.rotation(turn)
        @ Affine.scale(rng.choice((1, -1)) * size / side, size / side)
        @ Affine.translation(-x, -y)
    )
    picture, source = image.open(), ~to_view
    if side > 1.15 * size:  # averaged first, as images are that a model is asked about; interpolation would skip pixels
        small = max(1, round(image.width * size / side)), max(1, round(image.height * size / side))
        picture = picture.resize(small, Image.Resampling.BICUBIC)
        source = Affine.scale(small[0] / image.width, small[1] / image.height) @ source
    coefficients = (source.a, source.b, source.c, source.d, source.e, source.f)
    pixels = picture.transform(
        (size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC, fillcolor=CLIP_MEAN
    )
    return transform_record(image, to_view, recolour(pixels, settings.colour, rng), settings.visible)


def _placed(center: float, slack: float, side: float, length: int, rng: random.Random) -> float:
    """Return a view's centre on one axis: the object stays inside the view, the view in the image if possible."""
    low, high = center - slack, center + slack
    inside = side / 2, length - side / 2
    if inside[0] <= inside[1]:
        low, high = max(low, min(inside[0], high)), min(high, max(inside[1], low))
    else:
        middle = length / 2
        low, high = max(low, min(middle, high)), min(high, max(middle, low))
    return rng.uniform(min(low, high), max(low, high))


def degraded(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Degrade the picture by one or two of: a poorer sensor, haze, stronger compression."""
    changes = rng.sample((_hazy, _blurred, _compressed, _lit, _grainy, _coarse), rng.choice((1, 1, 2)))
    for change in changes:
        picture = change(picture, rng)
    return picture


def _hazy(picture: Image.Image, rng: random.Random) -> Image.Image:
    air = Image.new("RGB", picture.size, tuple(rng.randint(170, 235) for _ in range(3)))
    return Image.blend(picture, air, rng.uniform(0.1, 0.45))


def _blurred(picture: Image.Image, rng: random.Random) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.8)))


def _compressed(picture: Image.Image, rng: random.Random) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=rng.randint(18, 70))
    return Image.open(buffer).convert("RGB")


def _lit(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Apply uneven illumination with another colour and exposure."""
    turn, fall = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.35)
    rows, columns = np.mgrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j]
    light = 1 + fall * (rows * math.sin(turn) + columns * math.cos(turn))
    colour = np.array([rng.uniform(0.85, 1.15) for _ in range(3)])
    gamma = math.exp(rng.uniform(-0.35, 0.35))
    pixels = 255 * (np.asarray(picture, np.float32) / 255) ** gamma * light[..., None] * colour
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _grainy(picture: Image.Image, rng: random.Random) -> Image.Image:
    noise = np.random.default_rng(rng.randrange(2**32)).standard_normal((picture.height, picture.width, 3), np.float32)
    pixels = np.asarray(picture, np.float32) + rng.uniform(3, 14) * noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _coarse(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Simulate a sensor of up to three times coarser resolution."""
    side = max(16, round(max(picture.size) / rng.uniform(1.3, 3)))
    return picture.resize((side, side), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)
