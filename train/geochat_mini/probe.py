"""What the tower knows before it can speak: `python -m geochat_mini.probe --imagery DIR --out RUN`.

On the photographs kept for validation: share of scenes the tutor names, share of images whose most certain patch of
the right category gives a box that touches such an object, and share where the two overlap by half or more. Choices
between runs are made by these figures, and not on test photographs.
"""

import argparse
import sys
from pathlib import Path

import torch
from affine import Affine
from safetensors.torch import load_file
from transformers import CLIPVisionModel

from geochat.geometry import OrientedBox
from geochat_data.augment import transform_record
from geochat_data.readers import UCM_SCENES, read_ucm
from geochat_data.records import LabelledImage
from geochat_data.splits import read_list
from geochat_mini import shape
from geochat_mini.auxiliary_heads import CATEGORIES, Tutor
from geochat_mini.material import clipped
from geochat_mini.number_tokens import LOWEST
from geochat_mini.stages import Perception
from geochat_mini.teacher_cache import pixels


def whole(image: LabelledImage, size: int) -> LabelledImage:
    """The whole image at `size` pixels, neither turned nor recoloured."""
    picture = image.open().resize((size, size))
    return transform_record(image, Affine.scale(size / image.width, size / image.height), picture, 0.5)


@torch.inference_mode()
def probe(model: Perception, images: list[LabelledImage], size: int) -> dict[str, float]:
    """The figures over `images`, in percent."""
    named, on, right, asked = 0, 0, 0, 0
    for image in images:
        view = whole(image, size)
        patches = model.tutor.norm(model.tower(model.normalize(pixels(view)[None])).last_hidden_state[:, 1:])
        named += UCM_SCENES[int(model.tutor.scene(patches.mean(1)).argmax())] == image.scene
        kinds = {item.category for item in view.objects}
        for kind in kinds:
            cell = int(model.tutor.category(patches)[0, :, 1 + CATEGORIES.index(kind)].argmax())
            numbers = (model.tutor.coordinates(patches[0, cell]).argmax(-1) + LOWEST).tolist()
            x1, y1, x2, y2 = (n * size / 100 for n in numbers[:4])
            found = OrientedBox(x1, y1, x2, y2, numbers[4])
            overlaps = [found.iou(OrientedBox.from_polygon(o.polygon)) for o in view.objects if o.category == kind]
            asked += 1
            on += max(overlaps) > 0
            right += max(overlaps) >= 0.5
    return {
        "scene": 100 * named / len(images),
        "touched": 100 * on / asked,
        "boxed": 100 * right / asked,
        "kinds": asked,
    }


def main() -> None:
    """Probe the last checkpoint of stage two."""
    parser = argparse.ArgumentParser(prog="python -m geochat_mini.probe", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    last = max((args.out / "perceive").glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    tower = CLIPVisionModel(shape.vision_config(shape.CHAT_SIZE))
    model = Perception(tower, Tutor(shape.WIDTH, len(UCM_SCENES))).eval()
    model.load_state_dict(load_file(last / "model.safetensors"))
    kept = read_list("ucm_val")
    images = [clipped(i) for i in read_ucm(args.imagery / "ucm", "train") if i.path and i.path.name in kept]
    figures = probe(model, images, shape.CHAT_SIZE)
    sys.stdout.write(f"{last}: " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()) + "\n")


if __name__ == "__main__":
    main()
