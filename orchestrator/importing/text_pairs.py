"""A folder of images, each beside a text file of the same name: what the text file says is the right answer."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.images import SUFFIXES
from orchestrator.importing.local import Local
from orchestrator.importing.record import Notify, Picture, Problem, Record, Source
from orchestrator.parsing import Frozen

_TEXTS = (".gt.txt", ".txt")


class Options(Frozen):
    """How the questions are made."""

    question: str = Field("Transcribe all the text.", description="What is asked about every image.")
    doc_class: str | None = Field(None, description="The doc_class of all of them.")


def read(source: Source, options: Any, notify: Notify) -> Iterator[Record | Problem]:  # noqa: ARG001 - a kind's signature
    """Yield a question per image, in the order of paths; an image without a text file is a Problem."""
    folder = Path(source.given).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{source.given}: is not a folder; give one with images beside their .txt files")
    local = Local(source, folder)
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    images = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not images:
        raise UsageError(f"{source.given}: has no images in it")
    texts = {image: _find_text(image) for image in images}
    times = Counter(texts.values())
    for image, text in texts.items():
        name = image.relative_to(folder).as_posix()
        if text is None:
            yield Problem(name, f"there is no {image.stem}.txt beside it")
        elif times[text] > 1:
            yield Problem(name, f"{text.name} is beside another image of that name too; which is meant nobody knows")
        else:
            yield _make(name, text.relative_to(folder), local, options)
    for path in files:
        if path.suffix.lower() == ".txt" and path not in times:
            yield Problem(path.relative_to(folder).as_posix(), "there is no image of its name beside it")


def _find_text(image: Path) -> Path | None:
    return next((p for p in (image.with_suffix(suffix) for suffix in _TEXTS) if p.is_file()), None)


def _make(name: str, text: Path, local: Local, options: Options) -> Record | Problem:
    try:
        picture, answer = local.picture(name), local.read_text(text)
    except ValueError as error:
        return Problem(name, str(error))
    return Record(options.question, answer, (Picture(name, picture.content),), doc_class=options.doc_class)
