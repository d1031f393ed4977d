"""A user's own metrics: functions with a decorator, in files of the workspace's folder `metrics`."""

import copy
import inspect
import math
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from orchestrator.errors import BakeoffError
from orchestrator.metrics.declared import Function, find_declaration
from orchestrator.metrics.helpers import helpers_of
from orchestrator.metrics.metric import About, Measure, Metric, References
from orchestrator.metrics.normalise import Normaliser, extend

NO_SCORE = "no_score"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PLAIN: tuple[About, ...] = ("id",)
_WHOLE: tuple[About, ...] = (
    *("id", "question", "doc_class", "question_type", "answer_bbox", "metadata", "images", "document", "info"),
)


class OwnMetrics(NamedTuple):
    """The metrics of a folder by name, and one sentence for each file that has none that can be used."""

    metrics: dict[str, Metric]
    defects: dict[str, str]


def load_own_metrics(folder: Path, taken: Mapping[str, object]) -> OwnMetrics:
    """Run every .py file of `folder` and return the metrics in them; names of `taken` cannot be used again.

    Files whose names start with `_` are passed over. A file's mistake is a defect, and no exception.
    """
    found: dict[str, Metric] = {}
    defects: dict[str, str] = {}
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        try:
            made = list(_load(path))
        except BakeoffError as error:
            defects[path.stem] = str(error)
            continue
        except Exception as error:  # noqa: BLE001 - whatever objects a file may hold, the other files go on
            defects[path.stem] = f"{_place(path, error)}: {_describe(error)}"
            continue
        for one in made:
            if one.name in taken or one.name in found:
                defects[path.stem] = f"{_shown(path)}: there is a metric '{one.name}' already; give it another name"
            else:
                found[one.name] = one
    return OwnMetrics(found, defects)


def _load(path: Path) -> Iterator[Metric]:
    module = _run(path)
    functions = [value for value in vars(module).values() if find_declaration(value) is not None]
    if not functions:
        raise BakeoffError(
            f"{_shown(path)}: holds no metric; put `@metric` (from orchestrator.metrics) above a function"
        )
    for function in dict.fromkeys(functions):
        yield _make(path, function)


def _run(path: Path) -> ModuleType:
    """Run a file as a module; nothing is written beside it."""
    module = ModuleType(f"bakeoff_own_metrics.{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        with redirect_stdout(sys.stderr), helpers_of(path.parent):
            exec(compile(path.read_bytes(), path, "exec"), vars(module))  # noqa: S102 - the user's own code, in his own workspace
    except (Exception, SystemExit) as error:  # whatever the file raises
        remedy = ""
        if isinstance(error, ImportError):
            remedy = "; install it beside bakeoff, or make the metric a folder with its own requirements"
        raise BakeoffError(f"{_place(path, error)}: {_describe(error)}{remedy}") from error
    return module


def _make(path: Path, function: Function) -> Metric:
    declared = find_declaration(function)
    assert declared is not None
    where = f"{_shown(path)}, line {_line(function)}"
    name = declared.name or function.__name__
    if not _NAME.fullmatch(name):
        raise BakeoffError(f"{where}: a metric's name is made of Latin letters, digits, '_' and '-', not '{name}'")
    if declared.direction not in {"higher", "lower"}:
        raise BakeoffError(
            f"{where}: direction is 'higher' or 'lower', whichever is better, not '{declared.direction}'"
        )
    takes = _count_arguments(function)
    if takes is None:
        raise BakeoffError(f"{where}: {name} should take (answer, references) or (answer, references, sample)")
    doc = (inspect.getdoc(function) or "").partition("\n")[0]
    return Metric(
        name=name,
        description=declared.description or doc or f"own metric of {_shown(path)}",
        unit=declared.unit,
        direction=declared.direction,
        function=partial(_measure, path, function, has_sample=takes == len(("answer", "references", "sample"))),
        needs_reference=declared.needs_reference,
        normaliser=_normaliser(declared.normaliser, where),
        about=_WHOLE if takes == len(("answer", "references", "sample")) else _PLAIN,
        version=declared.version,
    )


def _normaliser(steps: str | None, where: str) -> Normaliser | None:
    if steps is None:
        return None
    try:
        return extend(Normaliser(()), steps.split("+"))
    except BakeoffError as error:
        raise BakeoffError(f"{where}: {error}") from error


def _count_arguments(function: Function) -> int | None:
    """Return with how many arguments `function` can be called, 3 if it can be, else 2; None if with neither."""
    for count in (3, 2):
        try:
            inspect.signature(function).bind(*range(count))
        except (TypeError, ValueError):
            continue
        return count
    return None


def _measure(
    path: Path, function: Function, text: str, references: References, sample: Mapping[str, Any], *, has_sample: bool
) -> Measure | str:
    more = (copy.deepcopy({**sample, "images": [image for image, _ in sample["images"]]}),) if has_sample else ()
    try:
        with redirect_stdout(sys.stderr):  # a pipe gets tables alone
            score = function(text, list(references), *more)
    except (Exception, SystemExit) as error:  # whatever the function raises
        raise BakeoffError(f"{_place(path, error)}: {_describe(error)}, of sample '{sample['id']}'") from error
    if score is None:
        return NO_SCORE
    try:
        number = float(score)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BakeoffError(
            f"{_shown(path)}, line {_line(function)}: {function.__name__} returned {score!r:.60} for "
            f"sample '{sample['id']}'; it should return a number, or None where there is no score"
        )
    return Measure(number)


def _line(function: Function) -> int:
    """Return the line that a function begins at, beneath whatever wraps it."""
    inner = inspect.unwrap(function)
    return inner.__code__.co_firstlineno if inspect.isfunction(inner) else 1


def _place(path: Path, error: BaseException) -> str:
    """Return the file and the line in it that an exception came from, innermost."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{_shown(path)}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if not frames:
        return _shown(path)
    inside = f", in {frames[-1].name}" if frames[-1].name != "<module>" else ""
    return f"{_shown(path)}, line {frames[-1].lineno}{inside}"


def _describe(error: BaseException) -> str:
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    if isinstance(error, BakeoffError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
