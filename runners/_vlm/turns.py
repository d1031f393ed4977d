"""Read what a request says as turns: those of a chat, or one turn with the images before the prompt."""

from pages import BadInputError, open_pages


def read_turns(request):
    """Return (role, parts) for each turn, the system's first; a part is a text, or a page of an image.

    Pages are as `pages.open_pages` yields them, upright and RGB: one for each image, and for each page of a TIFF.
    """
    parts = [{"type": "image", "path": path} for path in request["images"]]
    plain = [{"role": "user", "content": [*parts, {"type": "text", "text": request["prompt"]}]}]
    turns = [(turn["role"], _read_parts(turn["content"])) for turn in request.get("messages") or plain]
    return [("system", [request["system"]]), *turns] if request["system"] else turns


def _read_parts(content):
    parts = []
    for part in content:
        parts += [part["text"]] if part["type"] == "text" else _open(part["path"])
    return parts


def _open(path):
    """Yield the pages of an image; one whose side could pass for its channels would be read the wrong way round."""
    for page in open_pages([path]):
        if min(page.size) < 4:
            raise BadInputError(f"{path}: it has {page.width} x {page.height} pixels, and a side needs at least 4")
        yield page
