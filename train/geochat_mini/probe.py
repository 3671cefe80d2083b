"""Figures of the vision tower alone: `python -m geochat_mini.probe --imagery DIR --out RUN`.

Computed on the validation photographs of each source: the share of scenes that the scene head classifies correctly, the
share of images whose most certain patch of a category gives a box that touches such an object, and the share in which
the two overlap by half or more. Choices between runs are based on these figures, not on test photographs.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from affine import Affine
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPVisionModel

from geochat.geometry import OrientedBox
from geochat_data.augment import CLIP_MEAN, transform_record
from geochat_data.readers import Report
from geochat_data.records import LabelledImage
from geochat_mini import shape
from geochat_mini.auxiliary_heads import CATEGORIES, HEAD_OF, AuxiliaryHeads
from geochat_mini.classes import NAMES, SOURCE_SCENES, classes_of
from geochat_mini.number_tokens import LOWEST
from geochat_mini.sources import read_photographs, source_of
from geochat_mini.stages import Perception
from geochat_mini.teacher_cache import pixels

Figures = dict[str, list[float]]


def whole(image: LabelledImage, size: int) -> LabelledImage:
    """Return the whole image letterboxed to `size` pixels, without augmentation."""
    side = max(image.width, image.height)
    picture = Image.new("RGB", (side, side), CLIP_MEAN)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    picture.paste(image.open(), (left, top))
    to_view = Affine.scale(size / side) @ Affine.translation(left, top)
    return transform_record(image, to_view, picture.resize((size, size)), 0.5)


@torch.inference_mode()
def probe(model: Perception, images: Sequence[LabelledImage], size: int) -> Figures:
    """Return the correct answers of each figure, as zeros and ones."""
    found: Figures = defaultdict(list)
    for image in images:
        view = whole(image, size)
        patches = model.heads.norm(model.tower(model.normalize(pixels(view)[None])).last_hidden_state[:, 1:])
        if image.scene:
            source = source_of(image)
            assert source is not None
            mine = sorted({NAMES.index(scene) for name in SOURCE_SCENES[source] for scene in classes_of(name)})
            named = NAMES[mine[int(model.heads.scene(patches.mean(1))[0, mine].argmax())]]
            found[f"scene, {source}"].append(named in classes_of(image.scene))
        kinds = {thing.category for thing in view.objects}
        for kind in kinds:
            cell = int(model.heads.category(patches)[0, :, 1 + CATEGORIES.index(HEAD_OF[kind])].argmax())
            numbers = (model.heads.coordinates(patches[0, cell]).argmax(-1) + LOWEST).tolist()
            x1, y1, x2, y2 = (n * size / 100 for n in numbers[:4])
            box = OrientedBox(x1, y1, x2, y2, numbers[4])
            overlap = max(box.iou(OrientedBox.from_polygon(o.polygon)) for o in view.objects if o.category == kind)
            found[f"touched, {kind}"].append(overlap > 0)
            found[f"boxed, {kind}"].append(overlap >= 0.5)
    return found


def main() -> None:
    """Probe the last checkpoint of the stage that trains the tower."""
    parser = argparse.ArgumentParser(prog="python -m geochat_mini.probe", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    last = max((args.out / "perceive").glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    tower = CLIPVisionModel(shape.vision_config(shape.CHAT_SIZE))
    model = Perception(tower, AuxiliaryHeads(shape.WIDTH)).eval()
    model.load_state_dict(load_file(last / "model.safetensors"))
    images = read_photographs(args.imagery, "all", Report(), "val", turned=False)
    sys.stdout.write(f"{last}\n")
    for figure, right in sorted(probe(model, images, shape.CHAT_SIZE).items()):
        sys.stdout.write(f"{figure:35} {100 * sum(right) / len(right):5.1f}  n={len(right)}\n")


if __name__ == "__main__":
    main()
