"""One question about zero or more images, as every dataset loader yields it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a dataset; texts are as the source wrote them.

    `images` are absolute paths that need not exist; `answer_bbox` is (x1, y1, x2, y2) in pixels of the first image;
    `metadata` is JSON. `references` are all right; there is none where no answer can be compared with. `document` is
    what samples share that are about the same thing: intervals are clustered by it (None: by the first image).
    """

    id: str
    question: str
    images: tuple[Path, ...] = ()
    references: tuple[str, ...] = ()
    doc_class: str | None = None
    question_type: str | None = None
    answer_bbox: Box | None = None
    document: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
