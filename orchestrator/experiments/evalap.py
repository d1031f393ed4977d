"""EvalAP's payload of an experiment set: expanded as EvalAP does, then told in our words.

EvalAP is at https://github.com/etalab-ia/evalap; the expansion is that of evalap/api/schemas.py,
ExperimentSetCreate.to_table_init, the keys those of ExperimentCreate and ModelCreate, as of January 2026.
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from orchestrator.errors import BakeoffError, UsageError
from orchestrator.experiments.expand import Endpoint, Expanded, Experiment, refuse_many, refuse_twins
from orchestrator.experiments.merging import merge_as_evalap
from orchestrator.experiments.schema import EvalapFile
from orchestrator.identity import canonical
from orchestrator.parsing import Frozen, parse
from orchestrator.prompt import Prompt, digest

_OURS_ALONE = {"prompt", "prompts", "params", "limit", "repeat", "seed"}
_THEIRS_ALONE = {"judge_model", "with_vision", "sample"}
_MODEL_ALONE = {"base_url", "api_key", "aliased_name", "sampling_params", "extra_params", "system_prompt"}
_FIELD = re.compile(r"\{([^\W\d]\w*)\}")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
_NO_KEYS = {"", "empty", "none", "null", "-", "x", "dummy"}
_RENAMED = {"max_tokens": "max_new_tokens", "max_completion_tokens": "max_new_tokens"}
_OF_ENDPOINTS = {"temperature", "top_p", "seed", "max_new_tokens"}


class _Model(Frozen):
    """The keys of EvalAP's ModelCreate; those of ModelRaw are taken to say that it is one."""

    name: str = ""
    base_url: str = ""
    api_key: str | None = None
    aliased_name: str | None = None
    system_prompt: str | None = None
    prelude_prompt: str | None = None
    sampling_params: dict[str, Any] | None = None
    extra_params: dict[str, Any] | None = None
    output: list[Any] | None = None


class _Metric(Frozen):
    """A metric that is more than a name."""

    name: str
    params: dict[str, Any] | None = None
    aliased_name: str | None = None


class _Create(Frozen):
    """The keys of EvalAP's ExperimentCreate."""

    name: str
    readme: str | None = None
    dataset: str
    model: str | _Model
    metrics: tuple[str | _Metric, ...] = ()
    judge_model: Any = None
    with_vision: bool = False
    sample: list[int] | None = Field(default=None, min_length=1)
    experiment_set_id: int | None = None


def is_payload(data: Mapping[str, Any]) -> bool:
    """Tell whether `data` is EvalAP's: it has `cv`, or experiments with keys that ours lack."""
    listed = data.get("experiments")
    if "cv" in data or not isinstance(listed, list) or data.keys() & {"common", "grid"}:
        return "cv" in data
    tables = [entry for entry in listed if isinstance(entry, dict)]
    models = [entry["model"] for entry in tables if isinstance(entry.get("model"), dict)]
    keys = {key for table in tables for key in table}
    is_theirs = keys & _THEIRS_ALONE or any(model.keys() & _MODEL_ALONE for model in models)
    return bool(is_theirs) and not keys & _OURS_ALONE


def expand_payload(file: EvalapFile, name: str) -> list[dict[str, Any]]:
    """Return the experiments that EvalAP makes of `file`, as the tables of its ExperimentCreate, in its order.

    Of a `cv` that is the product of `grid_params`, the last key varying fastest, each combination laid over
    `common_params` one level deep and repeated on the spot; their names are `<set>__<number>`, whatever they said.
    Raises UsageError for both a `cv` and a list. Neither makes an empty set.
    """
    if file.cv is None:
        return [dict(entry) for entry in file.experiments or ()]
    if file.experiments is not None:
        raise UsageError("give either experiments or cv, not both")
    made: list[dict[str, Any]] = []
    for values in itertools.product(*file.cv.grid_params.values()):
        combination = dict(zip(file.cv.grid_params, values, strict=True))
        for _ in range(file.cv.repeat):
            made.append({**merge_as_evalap(file.cv.common_params, combination), "name": f"{name}__{len(made)}"})
    return made


def expand(file: EvalapFile, name: str, path: Path) -> Expanded:
    """Return the experiments of `file` in our words: what EvalAP makes alike is one of ours, asked so many times."""
    if file.cv is not None:
        refuse_many(math.prod(map(len, file.cv.grid_params.values())), path)
    made = expand_payload(file, name)
    refuse_many(len(made) // (file.cv.repeat if file.cv else 1), path)
    listed = enumerate(file.experiments or ())
    refuse_twins([(f"experiments[{n}]", str(table["name"])) for n, table in listed if table.get("name")], path)
    grouped: dict[str, list[dict[str, Any]]] = {}
    for table in made:
        rest = {key: value for key, value in table.items() if key not in {"name", "readme"}}
        grouped.setdefault(canonical(rest), []).append(table)
    found: list[Experiment] = []
    notes: list[str] = []
    for tables in grouped.values():
        where = _where(made.index(tables[0]), file)
        one = parse({"name": "", **tables[0]}, _Create, f"{path}: {where}")
        names = tuple(str(table["name"]) for table in tables if table.get("name"))
        found.append(_translate(one, names, len(tables), file, f"{path}: {where}"))
        notes += _notes(one)
    return Expanded(tuple(found), tuple(dict.fromkeys(notes)))


def _where(number: int, file: EvalapFile) -> str:
    return f"experiments[{number}]" if file.cv is None else f"cv (experiment {number})"


def _notes(one: _Create) -> Iterator[str]:
    if one.judge_model is not None:
        yield "judge_model is not used: no judge is asked here"
    if not one.with_vision:
        yield "with_vision is false or not said: EvalAP would hide the images, here each sample's images are shown"


def _translate(one: _Create, names: tuple[str, ...], repeat: int, file: EvalapFile, where: str) -> Experiment:
    model = _Model(name=one.model) if isinstance(one.model, str) else one.model
    if model.output is not None:
        raise UsageError(f"{where}: the model brings its answers along; take them in by `bakeoff predictions import`")
    if not model.name:
        raise BakeoffError(f"{where}: key 'model.name' is missing")
    params = {**(model.sampling_params or {}), **(model.extra_params or {})}
    params = {_RENAMED.get(key, key): value for key, value in params.items()}
    endpoint = None
    if model.base_url:
        endpoint = Endpoint(model.base_url, model.name, _key_variable(model.api_key, where))
    return Experiment(
        where=where.partition(": ")[2],
        model=model.aliased_name or model.name,
        dataset=one.dataset,
        prompt=_prompt(model),
        own_params=params,
        metrics=tuple(_metric(metric, where) for metric in one.metrics),
        limit=_limit(one.sample, where),
        repeat=repeat,
        run=file.run,
        names=names,
        endpoint=endpoint,
    )


def endpoint_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return sampling and extra parameters as the runner of endpoints takes them: what it has no name for is extra."""
    own = {key: value for key, value in params.items() if key in _OF_ENDPOINTS}
    extra = {key: value for key, value in params.items() if key not in _OF_ENDPOINTS}
    return {**own, "extra_params": extra} if extra else own


def _key_variable(key: str | None, where: str) -> str:
    """Return the name of the variable with the key; a key itself is refused, it would land in every result."""
    named = _VARIABLE.fullmatch(key or "")
    if named:
        return named[1]
    if (key or "").lower() in _NO_KEYS:
        return ""
    raise UsageError(
        f"{where}: model.api_key holds a key: put it into an environment variable or the workspace's .env, and write "
        'the variable\'s name after a dollar, such as "$ALBERT_API_KEY"'
    )


def _prompt(model: _Model) -> str | Prompt:
    """Return the prompt that puts the question after `prelude_prompt` and a blank line, under `system_prompt`."""
    if not model.prelude_prompt and not model.system_prompt:
        return Prompt("question", "{question}", None, digest("{question}", None))
    kept = _FIELD.sub(r"{{\1}}", model.prelude_prompt or "")
    text = f"{kept}\n\n{{question}}" if kept else "{question}"
    sha256 = digest(text, model.system_prompt or None)
    return Prompt(f"evalap-{sha256[:8]}", text, model.system_prompt or None, sha256)


def _metric(metric: str | _Metric, where: str) -> str:
    if isinstance(metric, str):
        return metric
    if metric.params:
        raise UsageError(f"{where}: metric '{metric.name}': its params mean nothing here; leave them out")
    return metric.name


def _limit(sample: Sequence[int] | None, where: str) -> int | None:
    if sample is None:
        return None
    if sorted(sample) != list(range(len(sample))):
        raise UsageError(
            f"{where}: sample: takes single rows, where here the first so many can be; "
            "make a part of the dataset with `bakeoff dataset sample`"
        )
    return len(sample)
