"""What campaigns share: their verdicts, their list, and runs in other processes to break."""

import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from orchestrator.config import Workspace, open_workspace
from orchestrator.results.layout import SAMPLES_NAME, predictions_path
from orchestrator.results.view import read_predictions
from tests.workers import make_workspace, write_words

ROOT = Path(__file__).resolve().parent.parent.parent
DATASET = "words"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a campaign found: figures to report, and one sentence for each defect; none means that it passed."""

    name: str
    seed: int
    count: int
    figures: dict[str, int | float | str]
    defects: tuple[str, ...]


class Campaign(NamedTuple):
    """Where a campaign's `(seed, count, folder) -> Verdict` is, how many make a quick look, and how many a proof."""

    module: str
    function: str
    few: int
    many: int


CAMPAIGNS = {
    "orchestrator-kills": Campaign("kills", "kill_orchestrators", 4, 200),
    "runner-kills": Campaign("kills", "kill_runners", 3, 200),
    "double-starts": Campaign("starts", "run", 2, 50),
    "wire": Campaign("wire", "run", 500, 100_000),
    "disk": Campaign("disk", "run", 3, 40),
    "orphans": Campaign("orphans", "run", 4, 100),
    "mutants": Campaign("mutants", "run", 2, 100),
    "poison": Campaign("poison", "run", 1, 5),
    "soak": Campaign("soak", "run", 100, 10_000),
    "api": Campaign("api", "run", 2, 50),
}


def carry_out(name: str, seed: int, count: int | None, folder: Path) -> Verdict:
    """Run one campaign in `folder`, which is made; `count` None means its quick look, an exception is a defect."""
    campaign = CAMPAIGNS[name]
    count = campaign.few if count is None else count
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = getattr(importlib.import_module(f"tests.faults.{campaign.module}"), campaign.function)
        verdict: Verdict = run(seed, count, folder)
    except Exception as error:
        (folder / "traceback").write_text(traceback.format_exc())
        return Verdict(name, seed, count, {}, (f"the campaign broke off: {type(error).__name__}: {error}",))
    return verdict


@dataclass(frozen=True, slots=True)
class Trial:
    """One part of a campaign, in a folder of its own; what is wrong is added to `defects`."""

    folder: Path
    defects: list[str] = field(default_factory=list)

    def expect(self, *, that: bool, otherwise: str) -> None:
        """Note the defect `otherwise` unless `that` holds."""
        if not that:
            self.defects.append(f"{self.folder}: {otherwise}")


@contextmanager
def trial(folder: Path, name: object) -> Iterator[Trial]:
    """Yield a new trial; its folder goes afterwards unless something was wrong, which an exception is."""
    found = Trial(folder / str(name))
    found.folder.mkdir(parents=True)
    try:
        yield found
    except Exception as error:
        found.defects.append(f"{found.folder}: {type(error).__name__}: {error}")
        (found.folder / "traceback").write_text(traceback.format_exc())
    if not found.defects:
        shutil.rmtree(found.folder, ignore_errors=True)


def workspace_at(root: Path, envs: Path, questions: Iterable[str]) -> Workspace:
    """Make a workspace with the test runners and the dataset `words`; environments are shared through `envs`."""
    envs.mkdir(parents=True, exist_ok=True)
    return make_workspace(root, envs, tuple(questions))


def set_manifest(workspace: Workspace, runner: str, **values: object) -> Workspace:
    """Write top-level keys into a runner's manifest, in place of what they were; return the workspace read anew."""
    path = workspace.root / "runners" / runner / "runner.toml"
    text = path.read_text()
    for key, value in values.items():
        text = re.sub(rf"(?m)^{key} = .*\n", "", text)
        text = f"{key} = {json.dumps(value)}\n{text}"
    path.write_text(text)
    return open_workspace(workspace.root)


def write_script(workspace: Workspace, questions: Iterable[str]) -> None:
    """Make `questions`, which the chaos runner takes for its script, the samples of the dataset `words`."""
    write_words(workspace.root, questions)


class Execution(NamedTuple):
    """One line of an oracle: a sample, asked of which model, by which process, among how many, and when."""

    name: str
    label: str
    pid: int
    batch_size: int
    time_ns: int


def read_oracle(path: Path) -> list[Execution]:
    """Return what the chaos runner executed, in order."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Execution(name, label, *map(int, rest)) for name, label, *rest in map(str.split, lines)]


def name_of(question: str) -> str:
    """Return the part of a scripted question that its answer and the oracle show."""
    return question.partition(";")[0]


def read_names(run: Path) -> dict[str, str]:
    """Return the name of each sample of a run by the sample's id."""
    table = pq.read_table(run / SAMPLES_NAME, columns=["id", "question"]).to_pylist()
    return {row["id"]: name_of(row["question"]) for row in table}


def read_rows(run: Path, model: str) -> list[dict[str, Any]]:
    """Return the predictions that a reader sees now, running or not, each with its sample's `name`."""
    rows = [row for batch in read_predictions(run, model) for row in batch.to_pylist()]
    if not rows:
        return []
    names = read_names(run)
    return [{**row, "name": names[row["sample_id"]]} for row in rows]


def read_final(run: Path, model: str) -> list[dict[str, Any]]:
    """Return the rows of the Parquet file alone, each with its sample's `name`."""
    path = predictions_path(run, model)
    if not path.exists():
        return []
    names = read_names(run)
    return [{**row, "name": names[row["sample_id"]]} for row in pq.read_table(path).to_pylist()]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A run in another process; what it tells goes to the file `told`, a JSON object a line."""

    process: subprocess.Popen[bytes]
    told: Path

    def events(self) -> list[dict[str, Any]]:
        """Return what the process told until now, whole lines only."""
        lines = self.told.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def kill(self) -> None:
        """End the process as a power cut would, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_elsewhere(
    workspace: Workspace, models: Iterable[str], told: Path, **options: object
) -> Iterator[Elsewhere]:
    """Start `api.run` over the dataset `words` in another process and kill it at the end if it still runs.

    `options` are those of `api.run`; besides, `backoff_s` is the pause before every start of a worker, and
    `moment` (of `time.time`) when to begin.
    """
    order = json.dumps({"models": list(models), "dataset": DATASET, "workspace": str(workspace.root), **options})
    argv = [sys.executable, "-m", "tests.faults.driver", order]
    with (
        told.open("ab") as out,
        told.with_suffix(".stderr").open("ab") as err,
        subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err) as process,
    ):
        try:
            yield Elsewhere(process, told)
        finally:
            process.kill()
