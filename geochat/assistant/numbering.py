"""Numbers of the regions of an answer: two boxes of one phrase on one object are one region."""

from geochat.dialects import Region

SAME_OBJECT = 0.7
"""Intersection over union above which two boxes of one phrase are boxes of one object."""


class Numbering:
    """Numbers regions from 1 as they come, so that a streamed answer and a whole one are numbered alike.

    Attributes:
        regions: The region that each number stands for, the first of those that share it.
    """

    def __init__(self) -> None:
        self.regions: list[Region] = []

    def number(self, region: Region) -> int:
        """The number of a region: that of an earlier one on the same object, else a new one."""
        for number, other in enumerate(self.regions, 1):
            same = other.shape == region.shape or other.box.iou(region.box) > SAME_OBJECT
            if other.phrase == region.phrase and same:
                return number
        self.regions.append(region)
        return len(self.regions)
