"""Images in a form that the server's own preprocessing does not displace.

A model's numbers refer to its preprocessed image, and the server's preprocessing is not under our control: padding and
cropping make different squares of the same image. Therefore the client changes the shape of the image in advance as the
dialect requires. Padding and cropping leave a square unchanged, and an image of the model's input size is not resized.
"""

from PIL import Image

from geochat.geometry import ModelFrame

_LONGEST = 4096  # pixels of a side; above it an image is shrunk, so that it is sent in seconds
_MEAN = (122, 116, 104)  # CLIP's mean colour, with which GeoChat and LLaVA pad


def shown(image: Image.Image, frame: ModelFrame) -> Image.Image:
    """Return the RGB image that is sent to the server.

    Args:
        image: The view.
        frame: Frame of the model's numbers.
    """
    picture = image if image.mode == "RGB" else image.convert("RGB")
    match frame.fit:
        case "resize" | "shrink":
            return _resized(picture, frame.shown_size(picture.size))
        case "crop" if frame.size is not None:
            return _cropped(picture, frame.size)
        case "pad":
            return _padded(_shrunk(picture))
        case _:
            return _shrunk(picture)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


def _shrunk(image: Image.Image) -> Image.Image:
    share = min(1.0, _LONGEST / max(image.size))
    return _resized(image, (max(1, round(image.width * share)), max(1, round(image.height * share))))


def _padded(image: Image.Image) -> Image.Image:
    side = max(image.size)
    if image.size == (side, side):
        return image
    square = Image.new("RGB", (side, side), _MEAN)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _cropped(image: Image.Image, size: int) -> Image.Image:
    """Return the central square after the shorter side is resized, as in CLIP's preprocessing."""
    shorter = min(image.size)
    width, height = int(size * image.width / shorter), int(size * image.height / shorter)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
