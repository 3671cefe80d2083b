"""`docs/dialects.md`: its table is made of the registry, and its example is a dialect.

After a change run `UPDATE_DOCS=1 python -m pytest tests/geochat/dialects/test_docs.py`.
"""

import os
import re
from pathlib import Path

import pytest

from geochat.dialects import DIALECTS, find_dialect
from geochat.geometry import OrientedBox
from geochat.prompts import Task

PAGE = Path(__file__).parents[3] / "docs/dialects.md"
FRAMES = {
    "pad": "padded square",
    "crop": "central square",
    "image": "image",
    "resize": "resized image",
    "shrink": "image shrunk to {} px",
}


def table():
    """One row a dialect: how a box looks, over what its numbers lie, angles, and the answer where there is none."""
    lines = ["| dialect | a ship at a box | numbers | angle | none there |", "|---|---|---|---|---|"]
    for name in DIALECTS:
        dialect = find_dialect(name)
        frame, unit = dialect.model_frame, (dialect.model_frame.scale or 1000) / 100
        box = OrientedBox(10 * unit, 20 * unit, 50 * unit, 40 * unit, 30 if dialect.syntax.order.turned else 0)
        looks = re.sub(r"```(json)?|\s(?=\s)", "", dialect.write("ship", [box])).strip()
        looks = re.sub(r"\s", " ", looks).replace("|", "\\|")
        digits = f", to {10.0**-dialect.decimals:g}" if dialect.decimals else ""
        scale = "pixels" if frame.scale is None else f"{frame.scale:g}{' bins' if frame.bins else ''}"
        angle = f"{dialect.angles.direction} {dialect.angles.angle_range}" if dialect.syntax.order.turned else ""
        none = "" if dialect.empty is None else f"“{dialect.empty}”"
        lines.append(
            f"| {name} | `{looks}` | {scale} of the {FRAMES[frame.fit].format(frame.size)}{digits} | {angle} | {none} |"
        )
    return "\n".join(lines)


def sources():
    """The source of each dialect."""
    return "\n".join(f"- **{name}**: {find_dialect(name).source}." for name in DIALECTS)


@pytest.mark.parametrize(("part", "made"), [("table", table), ("sources", sources)])
def test_the_page_lists_every_dialect(part, made):
    begin, end = f"<!-- {part} of tests/geochat/dialects/test_docs.py -->\n", f"\n<!-- end of {part} -->"
    page = PAGE.read_text("utf-8")
    assert begin in page
    assert end in page
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    wanted = f"{before}{begin}{made()}{end}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(wanted, "utf-8")
    assert page == wanted, "run it with UPDATE_DOCS=1"


def test_the_example_is_a_dialect_of_one_short_file():
    (example,) = re.findall(r"```python\n(\"\"\"The dialect of.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert example.count("\n") < 40
    known = set(DIALECTS)
    try:
        exec(compile(example, "mine.py", "exec"), {})
        (name,) = set(DIALECTS) - known
        mine = find_dialect(name)
    finally:
        DIALECTS._members.pop("mine", None)  # other tests go through all there are
    box = OrientedBox(100, 200, 300, 400, 20)
    text = mine.write("2 ships", [box, box])
    assert [region.phrase for region in mine.parse(text).regions] == ["2 ships", "2 ships"]
    assert mine.parse(text).regions[0].box.iou(box) > 0.95
    assert mine.parse("<obj>ship</obj>[[1, 2").problems
    assert mine.compose("the ship", Task.REFER).startswith("[find]")
