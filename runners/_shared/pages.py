"""Open the images of a request, in one way for every runner that reads pages."""

import struct

from PIL import Image, ImageOps

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class BadInputError(ValueError):
    """An image that is missing, or cannot be read."""

    kind = "bad_input"


class UnreachableError(OSError):
    """A file that was there when the run began and cannot be read now: asked again on the next run."""

    kind = "transient"


def open_pages(paths):
    """Yield an upright RGB image for each path, and for each page of a TIFF.

    The EXIF orientation is applied, as viewers do: boxes found on a page are in pixels of what a person sees.
    What is transparent becomes white; 16-bit greys keep their upper 8 bits, and floats are scaled. Raises BadInputError
    and UnreachableError.
    """
    if not paths:
        raise BadInputError("this runner reads images, and the request has none")
    for path in paths:
        try:
            with Image.open(path) as image:
                for frame in range(image.n_frames if image.format == "TIFF" else 1):
                    image.seek(frame)
                    yield _as_rgb(ImageOps.exif_transpose(image))
        except _BROKEN as error:
            if getattr(error, "errno", None) is not None:  # the system's word on the file, not Pillow's on its content
                raise UnreachableError(f"{path}: {error.strerror}") from error
            raise BadInputError(f"{path}: cannot be read as an image: {error}") from error


def _as_grey(image):
    """Return 8 bits of an image of floats, which go from 0 to 1, to 255 or to 65535."""
    least, most = image.getextrema()
    whole = next((whole for whole in (1, 255, 65535) if 0 <= least <= most <= whole), None)
    if whole is None:
        raise ValueError(f"its values go from {least:g} to {most:g}, where white is neither 1, 255 nor 65535")
    return image.point(lambda value: value * (255 / whole) + 0.5).convert("L")


def _as_rgb(image):
    if image.mode == "F":
        image = _as_grey(image)
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image.convert("RGB")
