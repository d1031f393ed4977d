"""Health checks of a built environment; each returns a sentence, or None when all is well."""

import csv
from pathlib import Path

from orchestrator.env.state import list_contents, read_state


def find_defect(folder: Path, fingerprint: str) -> str | None:
    """Return why the environment in `folder` cannot be used, as far as that shows without starting a process.

    The links to the interpreter, the interpreter itself and the names in site-packages are looked at: a
    package that was removed is noticed, a file changed within one is not (`find_damage` does that).
    """
    state = read_state(folder)
    if state is None:
        return "it was never finished, or its state file is damaged"
    if state.fingerprint != fingerprint:
        return "its state file is another environment's"
    if not state.interpreter.is_unchanged():
        return f"the interpreter {state.interpreter.path} was replaced or removed"
    if (folder / "bin" / "python").resolve() != state.interpreter.path:
        return f"its bin/python no longer leads to {state.interpreter.path}"
    missing = sorted(state.contents - list_contents(folder))
    return f"{missing[0]} is missing from its site-packages" if missing else None


def find_damage(folder: Path) -> str | None:
    """Compare every installed file with its package's RECORD, by existence and size: slow but thorough."""
    for record in sorted(folder.glob("lib/*/site-packages/*.dist-info/RECORD")):
        site = record.parent.parent
        with record.open(encoding="utf-8", newline="") as rows:
            for name, _, size in csv.reader(rows):
                defect = _file_defect(site / name, size)
                if defect is not None:
                    return f"{name} of {record.parent.name.removesuffix('.dist-info')} {defect}"
    return None


def _file_defect(path: Path, size: str) -> str | None:
    """Bytecode is left out (it comes and goes), and so are files that RECORD gives no size for."""
    if path.suffix == ".pyc" or not size:
        return None
    try:
        actual = path.stat().st_size
    except OSError:
        return "is missing"
    return None if actual == int(size) else f"has {actual} bytes instead of {size}"
