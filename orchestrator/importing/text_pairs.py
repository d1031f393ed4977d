"""A folder of images, each beside a text file of the same name: what the text file says is the right answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from orchestrator.errors import UsageError
from orchestrator.images import SUFFIXES
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
    for image in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        name = image.relative_to(folder).as_posix()
        text = next((p for p in (image.with_suffix(suffix) for suffix in _TEXTS) if p.is_file()), None)
        if text is None:
            yield Problem(name, f"there is no {image.stem}.txt beside it")
            continue
        try:
            answer = text.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            yield Problem(name, f"{text.name} is not UTF-8 text")
            continue
        yield Record(options.question, answer.removesuffix("\n"), (Picture(name, image),), doc_class=options.doc_class)
