"""Build the body of a request as bytes: a JSON encoder is slow with images, and copies them."""

import json

from pictures import read_pictures


async def build_body(settings, request):
    """Return the body of `request` and a list of what its images are."""
    images = []
    seed = b"" if settings.seed is None else b'"seed": %d, ' % (settings.seed + request.get("repeat", 1) - 1)
    chunks = [settings.head, seed, b'"messages": [']
    for number, message in enumerate(find_messages(request)):
        role = json.dumps(message["role"]).encode()
        chunks += [b"," if number else b"", b'{"role":', role, b',"content":']
        chunks += await _content(settings, message["content"], images)
        chunks.append(b"}")
    chunks.append(b"]}")
    return b"".join(chunks), images


def find_messages(request):
    """Return the turns of `request`: its own, or the system text and one turn with the images before the prompt."""
    messages = list(request.get("messages") or ())
    if not messages:
        parts = [{"type": "image", "path": path} for path in request["images"]]
        messages = [{"role": "user", "content": [*parts, {"type": "text", "text": request["prompt"]}]}]
    if request["system"] and messages[0]["role"] not in ("system", "developer"):
        messages.insert(0, {"role": "system", "content": request["system"]})
    return messages


async def _content(settings, content, images):
    """Return the content of a message, as chunks of JSON; text alone is a plain string, which every server reads."""
    if isinstance(content, str):
        return [json.dumps(content).encode()]
    if len(content) == 1 and content[0]["type"] == "text":
        return [json.dumps(content[0]["text"]).encode()]
    chunks = [b"["]
    for part in content:
        if part["type"] == "text":
            chunks += [json.dumps({"type": "text", "text": part["text"]}).encode(), b","]
            continue
        for picture in await read_pictures(part["path"], settings.max_side):
            chunks += [*picture.chunks(settings.image_detail), b","]
            images.append(picture.info())
    chunks[-1] = b"]"  # of a content that has a part
    return chunks
