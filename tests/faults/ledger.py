"""What a reader outside the killed process saw, and what no kill may take back."""

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.harness import Execution, Trial, read_rows


class Ack(NamedTuple):
    """An answer that was seen, and when at the latest."""

    key: str
    text: str
    time_ns: int


@dataclass(slots=True)
class Ledger:
    """The answers of the models of one run that were seen, by label and name; a copy of each is in the file `acks`."""

    trial: Trial
    run: Path
    models: tuple[str, ...]
    seen: dict[tuple[str, str], Ack] = field(default_factory=dict)
    looks: int = 0

    def look(self) -> None:
        """Read the predictions as they are now: what was seen before is there as it was, and no key is there twice."""
        self.looks += 1
        for model in self.models:
            self._compare(model, read_rows(self.run, model))

    def _compare(self, model: str, rows: list[dict[str, Any]]) -> None:
        found = {row["name"]: row for row in rows if row["status"] == "ok"}
        doubled = [key for key, n in Counter(row["key"] for row in rows).items() if n > 1]
        self.trial.expect(that=not doubled, otherwise=f"{model}: keys are there twice: {doubled}")
        lost = [
            name for (label, name), ack in self.seen.items() if label == model and not _is_there(found.get(name), ack)
        ]
        self.trial.expect(that=not lost, otherwise=f"{model}: answers were seen and are gone or others: {lost}")
        fresh = {name: row for name, row in found.items() if (model, name) not in self.seen}
        time_ns = time.time_ns()
        with (self.trial.folder / "acks").open("a") as file:
            for name, row in fresh.items():
                text = row["text"]
                self.trial.expect(that=text == f"answer {name}", otherwise=f"{model}: {name} got {text!r}")
                self.seen[model, name] = Ack(row["key"], text, time_ns)
                file.write(json.dumps([model, name, row["key"], text, time_ns]) + "\n")

    def find_repeated(self, executions: Iterable[Execution]) -> list[Execution]:
        """Return the executions that began after their answer had been seen."""
        late = (e for e in executions if (e.label, e.name) in self.seen)
        return [e for e in late if e.time_ns > self.seen[e.label, e.name].time_ns]


def _is_there(row: dict[str, Any] | None, ack: Ack) -> bool:
    return row is not None and (row["key"], row["text"]) == (ack.key, ack.text)


def check_complete(trial: Trial, model: str, rows: list[dict[str, Any]], names: set[str], condemned: set[str]) -> None:
    """Expect one row for each of `names`, answered rightly, or quarantined where it is one of `condemned`."""
    found = Counter(row["name"] for row in rows)
    doubled = sorted(name for name, n in found.items() if n > 1)
    trial.expect(that=not doubled, otherwise=f"{model}: samples with two rows: {doubled}")
    trial.expect(
        that=set(found) == names, otherwise=f"{model}: rows differ from the plan: {sorted(set(found) ^ names)}"
    )
    for row in rows:
        if row["status"] == "quarantined" and row["name"] in condemned:
            continue
        is_right = (row["status"], row["text"]) == ("ok", f"answer {row['name']}")
        trial.expect(that=is_right, otherwise=f"{model}: {row['name']} is {row['status']}: {row['error_message']}")
