"""API: an endpoint misbehaves in every way of the fault table; rows and requests are what the table says."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator import api
from orchestrator.config import open_workspace
from tests.endpoints import make_repository
from tests.faults.harness import Verdict, read_final, trial
from tests.servers.chat import chat_server

ANSWERED_LATER = (
    *("408", "409", "500", "502", "503", "504", "529", "400-retry"),
    *("close", "reset", "reset-half", "close-half", "short", "excess", "chunked-cut", "chunked-bad", "hang", "silence"),
    *("html", "malformed", "nobody", "badutf8", "nochoices", "error-200:500", "503-s:0.2", "500-past"),
)
ANSWERED_AT_ONCE = {
    "length": ("max_tokens", None),
    "filter": ("content_filter", ""),
    "refusal": ("content_filter", "I can't help with that."),
    "safety": ("content_filter", ""),
    "empty": ("stop", ""),
    "null": ("stop", ""),
    "parts": ("stop", None),
    "chunked": ("stop", None),
    "drip": ("stop", None),
    "moved": ("stop", None),
}
REFUSED = {
    "400": ("bad_params", 1, "status 400"),
    "413": ("bad_input", 1, "status 413"),
    "422": ("bad_params", 1, "status 422"),
    "400-image": ("bad_input", 1, "image too large"),
    "400-context": ("bad_input", 1, "maximum context length"),
    "400-filter": ("refused", 1, "content policy"),
    "503-noretry": ("transient", 1, "status 503"),
    "503*": ("transient", 6, "given up after 6 attempts"),
    "close*": ("transient", 6, "the connection broke"),
    "html*": ("transient", 3, "bad_response: the answer is no JSON; it begins: <html>"),
    "nobody*": ("transient", 3, "bad_response: the answer is empty"),
}
CUT_OFF = {
    "quota": "add credit",
    "401": "check the key",
    "402": "add credit",
    "403": "check the key",
    "407": "check the key",
    "400-key": "API key not valid",
    "404": "model_not_found",
    "405": "check base_url",
    "redirect": "which is not followed",
    "error-200:404": "the upstream provider failed",
    "429-long:600": "no request is wanted for 600 s",
}
WAITS = {  # seconds that are told, at least and at most; where none are, those of the first backing off
    "429-ms:300": (0.3, 0.3),
    "429-s:1": (1, 1),
    "429-date:3": (2, 3),
    **dict.fromkeys(("429", "429-past", "429-bad", "error-200:429"), (0, 1)),
}
AT_ONCE = 17  # fewer than a client begins with
BUSY_S = 0.3  # what a busy machine adds to a wait
ONCE, TWICE = 1, 2


def run(seed, count, folder):
    """Ask `count` times about each fault, in a run of the whole way from the dataset to the Parquet file."""
    figures: Counter[str] = Counter()
    defects = []
    (folder / "workspace").mkdir()
    workspace = make_repository(folder / "workspace")
    for name, act in (("table", _look_up), ("waits", _wait), ("ends", _end)):
        with trial(folder, name) as part, _memory(part.folder), chat_server() as server:
            act(part, Asked(workspace, server, part), count, figures)
        defects += part.defects
    return Verdict("api", seed, count, dict(figures), tuple(defects))


@contextmanager
def _memory(folder) -> Iterator[None]:
    """Let the runner know of no account but this part's: the port of its server may have been another's."""
    before = {name: os.environ.pop(name, None) for name in ("TMPDIR", "XDG_RUNTIME_DIR")}
    folder.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


class Asked:
    """Asks a server what a part wants to know."""

    def __init__(self, workspace, server, part):
        self.workspace, self.server, self.part = workspace, server, part

    def __call__(self, name, prompts, **params):
        """Ask `prompts` in the run `name`; return the model's outcome, and rows and requests by prompt."""
        root = self.workspace.root
        (root / "datasets" / f"{name}.csv").write_text("question,answer\n" + "".join(f"{text},x\n" for text in prompts))
        table = {"base_url": self.server.url, "model": "m", "api_key_env": "", "backoff_s": 0.05, **params}
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items() if key != "timeouts")
        (root / "bakeoff.toml").write_text(f'[models.api]\nrunner = "openai"\n{lines}timeouts = {{read = 2}}\n')
        workspace = open_workspace(root)
        outcome = api.run(models=["api"], dataset=name, name=f"{self.part.folder.name}-{name}", workspace=workspace)
        rows = {row["name"]: row for row in read_final(outcome.folder, "api")}
        requests: dict[str, list[dict]] = {}
        for request in self.server.requests():
            requests.setdefault(request["body"]["messages"][-1]["content"], []).append(request)
        return outcome.models[0], rows, requests


def _look_up(part, ask, count, figures):
    """Ask about every fault that concerns one request alone, all at once."""
    faults = (*ANSWERED_LATER, *ANSWERED_AT_ONCE, *REFUSED)
    prompts = {f"fault={name} no {n}": name for n in range(count) for name in faults}
    outcome, rows, requests = ask("table", prompts)
    part.expect(that=outcome.error is None, otherwise=f"the model failed: {outcome.error}")
    for prompt, name in prompts.items():
        row, expected = rows.get(prompt, {}), _expect(name, prompt)
        found = {key: row.get(key) for key in expected} | {"requests": len(requests.get(prompt, ()))}
        if "attempts" in expected:
            found["attempts"] = json.loads(row.get("info") or "{}").get("attempts")
        wrong = {key: value for key, value in found.items() if value != expected[key]}
        part.expect(that=not wrong, otherwise=f"{prompt}: {wrong} ({row.get('error_message')})")
        if name in REFUSED:
            words = row.get("error_message") or ""
            part.expect(that=REFUSED[name][2] in words, otherwise=f"{prompt}: it says {words!r}")
    figures["faults of one request"] = len(faults)
    figures["requests"] += sum(map(len, requests.values()))


def _expect(name, prompt):
    """Return the columns of the row, the attempts that its `info` tells and the requests that were made."""
    if name in REFUSED:
        kind, attempts, _ = REFUSED[name]
        status = {"bad_input": "bad_input", "refused": "refused"}.get(kind, "error")
        return {"status": status, "error_kind": kind, "served_model": None, "text": None, "requests": attempts}
    stop_reason, text = ANSWERED_AT_ONCE.get(name, ("stop", None))
    return {
        "status": "refused" if stop_reason == "content_filter" else "ok",
        "stop_reason": stop_reason,
        "text": prompt if text is None else text,
        "error_kind": None,
        "served_model": "m-2099-01-01" if name == "moved" else "m",
        "attempts": TWICE if name in ANSWERED_LATER else ONCE,
        "requests": TWICE if name in ANSWERED_LATER else ONCE,
    }


def _wait(part, ask, count, figures):
    """Ask about each form of being put off `AT_ONCE` at a time, so that all are put off together, by one pause."""
    forms = [(name, range(first, min(first + AT_ONCE, count))) for name in WAITS for first in range(0, count, AT_ONCE)]
    for number, (name, numbers) in enumerate(forms):
        prompts = [f"fault={name} no {n}" for n in numbers]
        with _memory(part.folder / str(number)):
            _, rows, requests = ask(f"wait{number}", prompts)
        statuses = Counter(row["status"] for row in rows.values())
        part.expect(that=statuses == {"ok": len(prompts)}, otherwise=f"{name}: {statuses} of {len(prompts)}")
        least, most = WAITS[name]
        for prompt in prompts:
            times = [request["time"] for request in requests[prompt]]
            gap = times[-1] - times[0]
            is_kept = len(times) == TWICE and least - 0.01 <= gap <= most * 1.15 + BUSY_S
            part.expect(
                that=is_kept, otherwise=f"{prompt}: {len(times)} requests in {gap:.3f} s for {least} to {most} s"
            )
            figures["waits"] += 1
    figures["requests"] += ask.server.state()["count"]


def _end(part, ask, count, figures):
    """Let the endpoint cut the model off: one request and no row; mended, all is asked as for the first time."""
    prompts = [f"question {n}" for n in range(count)]
    for number, (name, words) in enumerate(CUT_OFF.items()):
        ask.server.set_options(faults=f"{name}*")
        before = ask.server.state()["count"]
        outcome, rows, _ = ask(f"end{number}", prompts, concurrency_max=1)
        made = ask.server.state()["count"] - before
        part.expect(that=words in (outcome.error or ""), otherwise=f"{name}: it says {outcome.error!r}")
        part.expect(that=outcome.is_passing == name.startswith("429"), otherwise=f"{name}: its exit status is wrong")
        part.expect(that=rows == {} and made == ONCE, otherwise=f"{name}: {len(rows)} rows, {made} requests")
        if name.startswith("429"):  # the account is paused for ten minutes
            continue
        ask.server.set_options(faults="")
        outcome, rows, _ = ask(f"end{number}", prompts)
        attempts = {(row["status"], row["attempts"]) for row in rows.values()}
        is_well = outcome.error is None and len(rows) == count and attempts == {("ok", 1)}
        part.expect(that=is_well, otherwise=f"{name}: afterwards {outcome.error}, {len(rows)} rows, {attempts}")
        figures["faults that are the end"] += 1
