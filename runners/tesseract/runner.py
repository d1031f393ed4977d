"""Answer with the text of the page, as Tesseract reads it; the prompt plays no part.

`info` holds, in reading order, every line as [x1, y1, x2, y2] with its text and confidence, the page's size, in pixels
of the upright page (its EXIF orientation applied), and the languages used. Several images, or the pages of a TIFF,
give texts joined by a blank line, and an `info` for each under "pages".

With psm = 0 an image at least twice as wide as high is read as one line (7), and once more as a raw line (13) when
that finds nothing; any other is laid out as a page (3). On 29 typed line images the CER was 0.36 with mode 3, 0.23
with 7, 0.17 with 7 on grey images and 0.12 with the second attempt. A strip of two or more lines needs psm = 6.
"""

import os
import sys
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("OMP_THREAD_LIMIT", "1")  # read when the library loads; its threads slow each other down

from pages import open_pages
from params import BadParamsError, read_params, require
from tesserocr import PSM, RIL, LeptLogLevel, PyTessBaseAPI, iterate_level, set_leptonica_log_level

PARAMS = {"lang": str, "psm": int, "tessdata": str}
FOLDERS = (  # below /, newest first where there are several
    "usr/share/tesseract-ocr/*/tessdata",  # Debian
    "usr/share/tesseract/tessdata",  # Fedora
    "usr/share/tessdata",  # Arch, Alpine
    "usr/local/share/tessdata",  # Homebrew on Intel, and what was built by hand
    "opt/homebrew/share/tessdata",
    "home/linuxbrew/.linuxbrew/share/tessdata",
)


def load(params):
    set_leptonica_log_level(LeptLogLevel.NONE)  # it complains about every image without text
    return _open_engine(**read_params(params, PARAMS))


def generate(_, request):
    engine, psm, lang = _open_engine(**read_params(request["params"], PARAMS))  # the one loaded, as a rule
    pages = [_read_page(engine, page, psm) | {"lang": lang} for page in open_pages(request["images"])]
    text = "\n\n".join("\n".join(page["texts"]) for page in pages)
    return {"text": text, "stop_reason": "stop", "info": pages[0] if len(pages) == 1 else {"pages": pages}}


@lru_cache(maxsize=2)
def _open_engine(*, lang, psm, tessdata):
    require(0 <= psm <= 13 and psm != 2, f"psm = {psm}: expected 0 (by the image's shape), 1 or 3 to 13")
    wanted = [name for name in lang.split("+") if name]
    require(wanted, "lang is empty: expected names like 'eng+rus'")
    folder, found = _find_data(wanted, _list_folders(tessdata))
    if missing := [name for name in wanted if name not in found]:
        print(f"reading {'+'.join(found)} only: {_say_missing(missing)}", file=sys.stderr)  # noqa: T201 - the log
    found = "+".join(found)
    return PyTessBaseAPI(path=f"{folder}/", lang=found), psm, found


def _list_folders(tessdata):
    if tessdata:
        return [Path(tessdata).expanduser()]
    prefix = os.environ.get("TESSDATA_PREFIX")
    own = [Path(prefix), Path(prefix, "tessdata")] if prefix else []
    return own + [folder for pattern in FOLDERS for folder in sorted(Path("/").glob(pattern), reverse=True)]


def _find_data(wanted, folders):
    """Return the folder that has most of the languages in `wanted`, and those it has."""
    found = [(f, [name for name in wanted if (f / f"{name}.traineddata").is_file()]) for f in folders]
    folder, names = max(found, key=lambda pair: len(pair[1]), default=(None, []))
    if not names:
        where = ", ".join(map(str, folders)) or "the system's usual folders"
        raise BadParamsError(f"{_say_missing(wanted)} (looked in {where})")
    return folder, names


def _say_missing(names):
    packages = " ".join(f"tesseract-ocr-{name.replace('_', '-')}" for name in names)
    return (
        f"there is no Tesseract data for {'+'.join(names)}; get it with `apt-get install {packages}` (Debian, Ubuntu) "
        "or `brew install tesseract-lang` (macOS), or name a folder that holds it with the parameter tessdata"
    )


def _read_page(engine, page, psm):
    """Return what is on one RGB image, as `info` has it."""
    grey = page.convert("L")  # Tesseract splits coloured paper by its noisiest channel
    is_line = page.width >= 2 * page.height
    modes = (psm,) if psm else (PSM.SINGLE_LINE, PSM.RAW_LINE) if is_line else (PSM.AUTO,)
    for mode in modes:
        engine.SetPageSegMode(mode)
        engine.SetImage(grey)
        lines = _read_lines(engine)
        if lines:
            break
    boxes, texts, confidences = map(list, zip(*lines, strict=True)) if lines else ([], [], [])
    return {"boxes": boxes, "texts": texts, "confidences": confidences, "size": list(page.size)}


def _read_lines(engine):
    engine.Recognize()
    lines = iterate_level(engine.GetIterator(), RIL.TEXTLINE) if engine.GetIterator() else ()
    found = ((line, line.GetUTF8Text(RIL.TEXTLINE).strip()) for line in lines if not line.Empty(RIL.TEXTLINE))
    return [
        (list(line.BoundingBox(RIL.TEXTLINE)), text, round(line.Confidence(RIL.TEXTLINE) / 100, 4))
        for line, text in found
        if text
    ]
