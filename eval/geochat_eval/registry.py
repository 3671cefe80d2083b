"""The benchmarks and the scorers by name, each imported on first use.

Installed packages add their own under the entry-point groups `geochat.benchmarks` and `geochat.scorers`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from geochat.registry import Registry

if TYPE_CHECKING:
    from geochat_eval.benchmarks.base import Benchmark
    from geochat_eval.scorers.base import Scorer, ScorerSettings

BENCHMARKS: Registry["Benchmark"] = Registry(
    "benchmark",
    "geochat.benchmarks",
    {
        "ucmerced": "geochat_eval.benchmarks.scenes:UCMERCED",
        "aid": "geochat_eval.benchmarks.scenes:AID",
        "whu-rs19": "geochat_eval.benchmarks.scenes:WHU_RS19",
        "scenes": "geochat_eval.benchmarks.scenes:SCENES",
        "rsvqa-lr": "geochat_eval.benchmarks.vqa:RSVQA_LR",
        "rsvqa-hr": "geochat_eval.benchmarks.vqa:RSVQA_HR",
        "vrsbench-vqa": "geochat_eval.benchmarks.vqa:VRSBENCH_VQA",
        "referring": "geochat_eval.benchmarks.regions:REFERRING",
        "region-captioning": "geochat_eval.benchmarks.regions:REGION_CAPTIONING",
        "grounding-description": "geochat_eval.benchmarks.regions:GROUNDING_DESCRIPTION",
        "vrsbench-referring": "geochat_eval.benchmarks.regions:VRSBENCH_REFERRING",
        "ucm-captions": "geochat_eval.benchmarks.captions:UCM_CAPTIONS",
        "sydney-captions": "geochat_eval.benchmarks.captions:SYDNEY_CAPTIONS",
        "rsicd": "geochat_eval.benchmarks.captions:RSICD",
        "captions": "geochat_eval.benchmarks.captions:CAPTIONS",
        "vrsbench-caption": "geochat_eval.benchmarks.captions:VRSBENCH_CAPTION",
        "refer": "geochat_eval.benchmarks.generated:REFER",
        "refer-absent": "geochat_eval.benchmarks.generated:REFER_ABSENT",
        "identify": "geochat_eval.benchmarks.generated:IDENTIFY",
        "presence": "geochat_eval.benchmarks.generated:PRESENCE",
        "comparison": "geochat_eval.benchmarks.generated:COMPARISON",
        "count": "geochat_eval.benchmarks.generated:COUNT",
        "describe": "geochat_eval.benchmarks.generated:DESCRIBE",
    },
)

SCORERS: Registry["Callable[[ScorerSettings], Scorer]"] = Registry(
    "scorer",
    "geochat.scorers",
    {
        "scene": "geochat_eval.scorers.labels:SceneScorer",
        "vqa": "geochat_eval.scorers.labels:VqaScorer",
        "existence": "geochat_eval.scorers.labels:ExistenceScorer",
        "identify": "geochat_eval.scorers.labels:IdentifyScorer",
        "referring": "geochat_eval.scorers.grounding:GroundingScorer",
        "region-caption": "geochat_eval.scorers.captions:CaptionScorer",
        "image-caption": "geochat_eval.scorers.captions:CaptionScorer",
        "grounded-description": "geochat_eval.scorers.grounding:DescriptionScorer",
    },
)
