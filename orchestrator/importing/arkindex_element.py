"""What an import needs to know of Arkindex: elements and what was written about them, from the server or an export."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from pydantic import Field

from orchestrator.parsing import Frozen


class Maker(NamedTuple):
    """Who made an annotation: a run of a worker and that worker's version; both None where a person did."""

    run: str | None = None
    version: str | None = None

    @property
    def is_person(self) -> bool:
        """Whether it was made by hand."""
        return self.run is None and self.version is None


class Iiif(NamedTuple):
    """An image on a IIIF server: sizes in pixels, `version` of the image API."""

    id: str
    url: str
    width: int
    height: int
    version: int = 2
    max_width: int | None = None
    max_height: int | None = None


class Element(NamedTuple):
    """A page, a line, an act …; `polygon` is in pixels of the image, as stored, before rotation and mirroring.

    `set_name` is the set of the dataset that it came by; `classes` are those that nobody rejected.
    """

    id: str
    name: str
    type: str
    image: Iiif | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    rotation: int = 0
    is_mirrored: bool = False
    set_name: str | None = None
    classes: tuple["Named", ...] = ()


class Text(NamedTuple):
    """A transcription."""

    id: str
    text: str
    confidence: float | None
    maker: Maker


class Entity(NamedTuple):
    """A part of a transcription; offset and length are in characters."""

    type: str
    offset: int
    length: int
    maker: Maker


class Named(NamedTuple):
    """A class with its confidence, or a metadata with its value."""

    name: str
    value: str
    confidence: float | None
    maker: Maker


class Store(Protocol):
    """Where elements and annotations come from; all in the order of the source."""

    def elements(self, given: str) -> Iterator[Element]:
        """Yield the elements that questions are made of; `given` is a folder, an element or a dataset."""
        ...

    def texts(self, element: Element) -> list[Text]:
        """Return the transcriptions of an element."""
        ...

    def children(self, element: Element, kind: str) -> list[Element]:
        """Return the elements of a type below an element, in reading order."""
        ...

    def entities(self, text: Text) -> list[Entity]:
        """Return what is marked in a transcription."""
        ...

    def metadata(self, element: Element) -> list[Named]:
        """Return the metadata of an element."""
        ...

    def link(self, element: Element) -> str | None:
        """Return where a person finds the element."""
        ...


class Options(Frozen):
    """Which elements, and what is right about them."""

    element_type: str = Field("page", description="The type of element that each question is about: page, text_line …")
    truth: str = Field(
        "transcription",
        pattern="^(transcription|entities|classification|metadata)$",
        description="What the answer is: transcription, entities, classification or metadata.",
    )
    lines: str | None = Field(
        None, description="Make the transcription of those of its parts that are of this type, a line each."
    )
    field: tuple[str, ...] = Field((), description="Of metadata or entities those of this name alone; repeat it.")
    worker_run: str | None = Field(
        None, description="Take what this run of a worker wrote. [default: what people wrote]"
    )
    worker_version: str | None = Field(None, description="Take what this version of a worker wrote.")
    set: tuple[str, ...] = Field((), description="Of a dataset the elements of this set alone; repeat it.")
    question: str | None = Field(None, description="What is asked. [default: by the kind of truth]")
    whole_image: bool = Field(
        default=False, description="Give the whole image with the element's box, instead of the element's part of it."
    )
    max_side: int | None = Field(None, ge=100, description="Have images scaled so that no side has more pixels.")
    refresh: bool = Field(default=False, description="Ask of images had already whether they changed.")
    allow_host: tuple[str, ...] = Field((), description="A host of images that may have a private address.")

    def takes(self, maker: Maker) -> bool:
        """Tell whether what `maker` wrote is the truth."""
        if self.worker_run is not None:
            return maker.run == self.worker_run
        if self.worker_version is not None:
            return maker.version == self.worker_version
        return maker.is_person

    @property
    def whose(self) -> str:
        """Whose annotations count, for a sentence."""
        if self.worker_run is not None:
            return f"by the worker run {self.worker_run}"
        return f"by the worker version {self.worker_version}" if self.worker_version else "made by hand"
