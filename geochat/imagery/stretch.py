"""Conversion of samples of any type to 0-255 for display and models.

8-bit imagery is shown unchanged. Anything else is stretched linearly, each band between its own 2nd and 98th
percentile, as in GIS software. The three bands of a colour picture are stretched between common limits, to preserve
hues. Nodata, NaN and transparent pixels are ignored.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geochat.errors import SettingsError
from geochat.imagery.samples import stands_for

_LARGEST = float(np.finfo(np.float64).max)

Method = Literal["auto", "none", "percentile", "limits"]
Limits = tuple[float, float]


@dataclass(frozen=True)
class Stretch:
    """Mapping of samples to 8 bits; with `limits` filled in, one image's mapping, ready for another image.

    Attributes:
        method: "auto" is "none" for 8-bit imagery and "percentile" for the rest, a colour picture's bands together;
            "none" shows values as they are, those above 255 white; "percentile" stretches each band between
            `percentiles`; "limits" between `limits`.
        percentiles: (low, high) in percent.
        limits: (low, high) a band, or one pair for all bands: the sample values shown as 0 and as 255. When given
            they are used whatever the method, which then says where they came from.
        without: Sample values that stand for no data though the file does not say so; found where limits are, and used
            with them.
    """

    method: Method = "auto"
    percentiles: Limits = (2.0, 98.0)
    limits: tuple[Limits, ...] = ()
    without: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise SettingsError(f"stretch {self.method!r} is unknown; choose one of {', '.join(get_args(Method))}")
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise SettingsError(f"percentiles {self.percentiles} are not 0 <= low < high <= 100")
        if self.method == "limits" and not self.limits:
            raise SettingsError("stretch 'limits' needs limits=((low, high),), one pair or one a band")
        for low, high in self.limits:
            if not (np.isfinite([low, high]).all() and low < high):
                raise SettingsError(f"stretch limits ({low}, {high}) are not finite numbers with low < high")

    @property
    def finds_limits(self) -> bool:
        """Return whether limits are computed from samples with more than 8 bits."""
        return not self.limits and self.method in ("auto", "percentile")

    def resolve(
        self,
        values: NDArray[Any],
        valid: NDArray[np.bool_] | None,
        full_scale: int | None,
        *,
        colour: bool = False,
    ) -> "Stretch":
        """Fill in the limits for an image.

        Args:
            values: Samples (bands, height, width).
            valid: Mask of valid samples, same shape; None for all.
            full_scale: The largest value of samples of 8 bits or fewer, None for any other kind.
            colour: Whether the bands are those of a colour picture, which "auto" stretches together.

        Raises:
            SettingsError: The limits given are neither one pair nor one a band.
        """
        bands = len(values)
        if self.limits:
            if len(self.limits) not in (1, bands):
                raise SettingsError(f"{len(self.limits)} stretch limits for {bands} bands; give one pair or one a band")
            return self if len(self.limits) == bands else replace(self, limits=self.limits * bands)
        if self.method == "none" or (self.method == "auto" and full_scale is not None):
            return replace(self, method="none", limits=((0.0, float(full_scale or 255)),) * bands)
        counted = list(values) if valid is None else [band[mask] for band, mask in zip(values, valid, strict=True)]
        if colour and self.method == "auto":
            together = np.concatenate([samples.ravel() for samples in counted])
            limits = (_percentile_limits(together, self.percentiles),) * bands
        else:
            limits = tuple(_percentile_limits(samples, self.percentiles) for samples in counted)
        return replace(self, method="percentile", limits=limits)

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Convert samples (bands, height, width) to 8 bits; needs `limits`, one per band. NaN and `without` give 0."""
        if values.dtype == np.uint8 and set(self.limits) == {(0.0, 255.0)}:
            return values
        shown = np.stack([_scale(band, *limits) for band, limits in zip(values, self.limits, strict=True)])
        for value in self.without:
            shown[stands_for(values, value)] = 0
        return shown


def _percentile_limits(samples: NDArray[Any], percentiles: Limits) -> Limits:
    """Limits of one band, always low < high.

    If the percentiles coincide (a few bright targets on uniform ground), the extremes are used instead; a uniform band
    becomes mid-grey, so that it does not look like nodata.
    """
    if samples.size == 0:
        return 0.0, 1.0
    wide = samples.astype(np.float64)
    low, high = (float(value) for value in np.percentile(wide, percentiles))
    if low >= high:
        low, high = float(wide.min()), float(wide.max())
    if low >= high:
        half = max(0.5, abs(low) * 1e-6)
        low, high = max(low - half, -_LARGEST), min(high + half, _LARGEST)
    return low, high


def _scale(band: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    # Divided before it is subtracted so that limits near float64's ends do not overflow.
    with np.errstate(invalid="ignore"):  # widening a signalling NaN
        scaled = band.astype(np.float64)
    scaled = np.clip(np.nan_to_num(scaled, nan=low), low, high, out=scaled)
    span = high / 255 - low / 255
    return np.rint((scaled / 255 - low / 255) / span * 255).astype(np.uint8)
