"""Put known bugs back, one at a time, into a copy of this tree: a test that is named for each must notice."""

import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness import ROOT, Verdict

MUTANTS = Path(__file__).parent / "mutants"
PATIENCE_S = 240
PASSED, FAILED = 0, 1  # what pytest exits with; anything else means that no test was run


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: in the file `path` the text `before`, which is there once, becomes `after`; one of `tests` turns red."""

    name: str
    bug: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]


def read_mutants() -> list[Mutant]:
    """Return every mutant of the folder, in the order of their names."""
    found = []
    for path in sorted(MUTANTS.glob("*.toml")):
        table = tomllib.loads(path.read_text())
        found.append(Mutant(path.stem, **{**table, "tests": tuple(table["tests"])}))
    return found


def find_drift(mutant: Mutant, root: Path = ROOT) -> str | None:
    """Say why a mutant can't be made any more: its text is gone or ambiguous, or a test that it names is gone."""
    text = (root / mutant.path).read_text()
    if (n := text.count(mutant.before)) != 1:
        return f"{mutant.name}: its text occurs {n} times in {mutant.path}; write it anew"
    try:
        ast.parse(text.replace(mutant.before, mutant.after))
    except SyntaxError as error:
        return f"{mutant.name}: makes {mutant.path} unreadable: {error}"
    for test in mutant.tests:
        path, _, name = test.partition("::")
        if not (root / path).is_file() or f"def {name.partition('[')[0]}(" not in (root / path).read_text():
            return f"{mutant.name}: there is no test {test}"
    return None


def run(seed: int, count: int, folder: Path) -> Verdict:
    """Try `count` mutants, drawn by `seed`, or all there are; their tests have to pass without them."""
    everything = read_mutants()
    chosen = sorted(random.Random(seed).sample(everything, min(count, len(everything))), key=lambda each: each.name)
    defects = [drift for mutant in everything if (drift := find_drift(mutant))]
    chosen = [mutant for mutant in chosen if not find_drift(mutant)]
    tests = sorted({test for mutant in chosen for test in mutant.tests})
    sound = _copy_tree(folder / "sound")
    if not _is_imported(sound):
        return Verdict("mutants", seed, count, {}, (f"{sound}: Python imports another orchestrator than the copy's",))
    status, output = _run_tests(sound, tests, "--maxfail=10")
    if status != PASSED:
        defects.append(f"without any mutant the tests do not pass: {output}")
    survivors = [defect for mutant in chosen if (defect := _try_mutant(mutant, folder / mutant.name))]
    figures = {"mutants": len(everything), "tried": len(chosen), "noticed": len(chosen) - len(survivors)}
    return Verdict("mutants", seed, count, figures, (*defects, *survivors))


def _try_mutant(mutant: Mutant, folder: Path) -> str | None:
    """Return what is wrong with a mutant whose tests do not turn red."""
    root = _copy_tree(folder)
    path = root / mutant.path
    path.write_text(path.read_text().replace(mutant.before, mutant.after))
    status, output = _run_tests(root, mutant.tests, "-x")
    if status == FAILED:
        shutil.rmtree(root, ignore_errors=True)
        return None
    if status == PASSED:
        return f"{mutant.name}: no test notices ({mutant.bug})"
    return f"{mutant.name}: its tests did not run: {output}"


def _copy_tree(target: Path) -> Path:
    """Copy what git tracks or would track; what is generated stays behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = ROOT / name
        if source.is_file():  # git also lists what was deleted and not committed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}


def _is_imported(root: Path) -> bool:
    """Tell whether a Python started in a copy takes the orchestrator of the copy, not an installed one."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import orchestrator, tests.workers as w; print(orchestrator.__file__); print(w.__file__)",
        ],
        cwd=root,
        env=_environment(root),
        check=True,
        capture_output=True,
    )
    return all(Path(line).is_relative_to(root) for line in told.stdout.decode().split())


def _run_tests(root: Path, tests: tuple[str, ...] | list[str], *options: str) -> tuple[int, str]:
    """Run `tests` in the copy at `root`; return pytest's status, -1 where it had to be killed, and its last words."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests]
    with subprocess.Popen(
        argv,
        cwd=root,
        env=_environment(root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return -1, f"they took more than {PATIENCE_S} s"
    return process.returncode, output.decode("utf-8", "replace")[-600:]
