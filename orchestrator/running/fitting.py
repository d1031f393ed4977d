"""Whether prompts fit what they are asked of: a set the dataset's pairs, a chat the models."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.config import Model
from orchestrator.datasets import Dataset
from orchestrator.errors import UsageError
from orchestrator.prompt import Pair, Prompt, Table, fields, find_template, label, normal, table_of
from orchestrator.results.layout import SAMPLES_NAME
from orchestrator.results.parquet import ParquetReader
from orchestrator.results.schema import SAMPLES

_NEAR = 0.8
_NAMED = 6
_DEFAULT = "default"


def refuse_chats(models: Iterable[Model], prompts: Iterable[Prompt]) -> None:
    """Raise UsageError for a model whose runner cannot be asked in turns; one that ignores the prompt need not be."""
    chat = next((prompt for prompt in prompts if prompt.kind == "chat"), None)
    for model in models if chat else ():
        manifest = model.runner.manifest
        if not (manifest.messages or manifest.ignores_prompt):
            raise UsageError(
                f"model '{model.name}' cannot be asked prompt '{chat and chat.id}', a chat of several turns: runner "
                f"'{model.runner.name}' does not say `messages = true` in its runner.toml; leave one of them out"
            )


def check_sets(prompts: Iterable[Prompt], dataset: Dataset, limit: int | None, note: Callable[[str], None]) -> None:
    """Compare the sets among `prompts` with the pairs of the first `limit` samples; raise UsageError as `check_set`."""
    sets = [prompt for prompt in prompts if prompt.kind == "set"]
    if not sets:
        return
    questions: dict[Pair, set[str]] = {}
    for sample in islice(dataset, limit):
        asked = questions.setdefault((sample.doc_class or None, sample.question_type or None), set())
        if len(asked) < 2:  # noqa: PLR2004 - several are too many, however many
            asked.add(sample.question)
    counts = {pair: len(asked) for pair, asked in questions.items()}
    for prompt in sets:
        for sentence in check_set(prompt, counts, is_whole=limit is None):
            note(sentence)


def find_shown(run: Path, prompts: Iterable[Prompt]) -> list[str]:
    """Return a sentence for each chat whose example images are also those of samples of the run."""
    shown = {prompt.id: pa.array([image.sha256 for image in prompt.images]) for prompt in prompts if prompt.images}
    counts = dict.fromkeys(shown, 0)
    if shown:
        with ParquetReader(run / SAMPLES_NAME, SAMPLES) as file:
            for batch in file.batches(["images"]):
                samples = pc.list_parent_indices(batch["images"])
                digests = pc.struct_field(pc.list_flatten(batch["images"]), "sha256")
                for name, examples in shown.items():
                    counts[name] += len(samples.filter(pc.is_in(digests, value_set=examples)).unique())
    return [
        f"prompt '{name}': {count} samples ask about an image that is an example of it, so it may hold their answers; "
        "take another example, or another dataset"
        for name, count in counts.items()
        if count
    ]


def check_set(prompt: Prompt, questions: Mapping[Pair, int], *, is_whole: bool) -> list[str]:
    """Compare a set with the pairs of a dataset, each with how many different questions it asks; return what to note.

    Raises UsageError for a pair that has no row, for a row that fits two pairs, and for one that by its spelling was
    meant for another pair. With `is_whole` the pairs are those of the whole dataset, and rows without one are noted.
    """
    table, name = table_of(prompt.text), f"prompt set '{prompt.id}'"
    _refuse_ambiguous(table, questions, name)
    own = {pair for pair in questions if _row_of(table, pair) is not None}
    rest = [pair for pair in questions if pair not in own]
    used = {_row_of(table, pair) for pair in own}
    idle = [key for key in (*((k,) for k in table.by_label), *table.by_pair) if key not in used]
    for key in idle:
        _refuse_misspelt(" ".join(key), rest, name)
    if rest and table.default is None:
        raise UsageError(f"{name} has no row for {_named(rest)}; add it, or a row '{_DEFAULT}' for all that have none")
    if idle and not own:
        raise UsageError(f"{name}: none of its rows is about this dataset, whose pairs are {_named(questions)}")
    notes = [_note_rest(name, rest)] if rest else []
    if idle and is_whole:
        rows = _listed(" ".join(key).strip() for key in idle)
        notes.append(f"{name}: no sample is {rows}; a row without a sample is not used")
    return notes + [_note_question(name, pair) for pair, n in questions.items() if _drops_question(prompt, pair, n)]


def _row_of(table: Table, pair: Pair) -> tuple[str, ...] | None:
    key = (normal(pair[0]), normal(pair[1]))
    if key in table.by_pair:
        return key
    return (label(pair),) if label(pair) in table.by_label else None


def _refuse_ambiguous(table: Table, pairs: Iterable[Pair], name: str) -> None:
    seen: dict[str, Pair] = {}
    for pair in pairs:
        joined = label(pair)
        other = seen.setdefault(joined, pair)
        if other != pair and joined in table.by_label:
            one, two = (f"class '{p[0] or ''}' with type '{p[1] or ''}'" for p in (other, pair))
            raise UsageError(
                f"{name}: the row '{joined}' fits two pairs of this dataset, {one} and {two}; "
                "write doc_class and question_type as two columns in place of the first"
            )


def _refuse_misspelt(row: str, rest: Iterable[Pair], name: str) -> None:
    """Raise where a row without a pair is nearly the name of a pair without a row: that one was meant."""
    known = {label(pair).casefold(): label(pair) for pair in rest}
    if near := difflib.get_close_matches(row.casefold(), known, n=1, cutoff=_NEAR):
        raise UsageError(
            f"{name}: no sample is '{row}', and '{known[near[0]]}' has no row; rename one if they are the same, "
            f"else give '{known[near[0]]}' a row of its own"
        )


def _drops_question(prompt: Prompt, pair: Pair, questions: int) -> bool:
    return questions > 1 and "question" not in fields(find_template(prompt, pair) or "{question}")


def _note_rest(name: str, rest: list[Pair]) -> str:
    return f"{name}: {_named(rest)} {'has' if len(rest) == 1 else 'have'} no row and will be asked by '{_DEFAULT}'"


def _note_question(name: str, pair: Pair) -> str:
    return f"{name}: '{label(pair)}' has several questions, and its prompt has no {{question}}: they are not sent"


def _named(pairs: Iterable[Pair]) -> str:
    return _listed(label(pair) or "(neither class nor type)" for pair in pairs)


def _listed(names: Iterable[str]) -> str:
    listed = [f"'{name}'" for name in names]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
