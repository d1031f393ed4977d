"""A prompt set: each sample is asked by the row of its class and type, and what does not fit is told before."""

import json
import re
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import api
from orchestrator.errors import BakeoffError, UsageError
from orchestrator.prompt import Prompt, ask, describe, label
from orchestrator.prompt_files import load_prompt, load_prompts
from orchestrator.prompt_files.pairs import read_set
from orchestrator.results.expected import iter_expected
from orchestrator.running.fitting import check_set

HEAD = "doc type question type,optimal prompt,cer\n"
ID_CARD = """doc type question type,optimal prompt,cer
id card first name,"Read the first name, verbatim.",0.02
id card date of birth,{question} As DD.MM.YYYY.,0.1
default,{question},
"""
PAIRS = {("id card", "first name"): 1, ("id card", "date of birth"): 1}


def read(tmp_path, content, name="set.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_set(path, path.stem)


def text_for(prompt, doc_class, question_type, question="Q?"):
    return ask(prompt, question=question, doc_class=doc_class, question_type=question_type).text


def test_the_row_of_class_and_type_is_what_is_asked(tmp_path):
    prompt = read(tmp_path, ID_CARD)
    assert text_for(prompt, "id card", "first name") == "Read the first name, verbatim."
    assert text_for(prompt, "id card", "date of birth") == "Q? As DD.MM.YYYY."
    assert text_for(prompt, "passport", "number") == "Q?"
    assert describe(prompt) == "set of 3: id card date of birth, id card first name, default"


def test_a_label_is_compared_and_never_split(tmp_path):
    """Every way to cut it may be a pair of a dataset."""
    prompt = read(tmp_path, HEAD + "id card first name,a,\n")
    for cut in (("id", "card first name"), ("id card first", "name"), ("id card first name", None)):
        assert text_for(prompt, *cut) == "a"


@pytest.mark.parametrize(
    "head",
    [
        "doc type question type,optimal prompt,cer",
        "doc type__sep_question type,OptimalPromts,CER",
        "Doc_Class question_type,Optimal_Prompt,mean cer",
        "document type question type,optimal prompts,n",
        "doc class question type,prompt,cer",
    ],
)
@pytest.mark.parametrize("cell", ["id card total", "  id  card total ", "id card__sep_total", "id card_sep_total"])
def test_spellings_of_columns_and_separators_are_known(tmp_path, head, cell):
    assert text_for(read(tmp_path, f"\ufeff{head}\n{cell},a,0.1\n"), "id card", "total") == "a"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_separators_of_spreadsheets_and_multi_line_prompts_are_read(tmp_path, delimiter):
    rows = [HEAD.strip().split(","), ["чек итог", '"Прочти ""итог"".\nЛишь число."', "0.1"]]
    content = "\n".join(delimiter.join(row) for row in rows)
    assert text_for(read(tmp_path, content), "чек", "итог") == 'Прочти "итог".\nЛишь число.'


def test_composed_and_decomposed_letters_are_the_same(tmp_path):
    assert text_for(read(tmp_path, HEAD + "re\u0301sume\u0301 name,a,\n"), "r\xe9sum\xe9", "name") == "a"


def test_class_and_type_may_stand_in_two_columns(tmp_path):
    prompt = read(tmp_path, "doc_class,question_type,prompt\nid card,name,a\nid,card name,b\ndefault,,c\n")
    assert [text_for(prompt, *p) for p in (("id card", "name"), ("id", "card name"), ("x", "y"))] == ["a", "b", "c"]
    assert check_set(prompt, {("id card", "name"): 1, ("id", "card name"): 1}, is_whole=True) == []


def test_the_order_of_rows_and_the_column_cer_are_not_part_of_it(tmp_path):
    one = read(tmp_path, HEAD + "a b,x,0.1\nc d,y,0.2\n")
    other = read(tmp_path, "optimal prompt;doc type question type\ny;c d\nx;a b\n")
    assert one.sha256 == other.sha256
    assert one.sha256 != read(tmp_path, HEAD + "a b,x,0.1\nc d,z,0.2\n").sha256


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEAD + "a b,x,\na  b,y,\n", "line 3: 'a b' is in line 2 already; keep one of them"),
        (HEAD + "default,x,\nDefault,x,\n", "line 3: 'default' is in line 2 already"),
        (HEAD + "a b, ,0.1\n", "line 2: the prompt for 'a b' is empty; write it or drop the row"),
        (HEAD + ",x,0.1\n", "line 2: the row does not say what it is for; write its class and type of question"),
        (HEAD + "a b,Read {totl},\n", "line 2: unknown field '{totl}'; known: doc_class, question, question_type"),
        (HEAD, "the prompt set is empty; give it a row for each class of document and question"),
        ("", "is empty; its first line should name the columns"),
        ("a,b\n1,2\n", "there is no column 'doc type question type' (there are: a, b)"),
        ("doc type question type,cer\na b,1\n", "there is no column 'optimal prompt'"),
        (HEAD + "a b,x,y,z\n", "line 2: has 4 cells, the header has 3; put quotes around a cell that holds ','"),
        ((HEAD + "чек,x,\n").encode("cp1251"), "line 2: is not UTF-8 text; save it as 'CSV UTF-8'"),
    ],
)
def test_a_defect_is_one_sentence(tmp_path, content, words):
    with pytest.raises(BakeoffError) as caught:
        read(tmp_path, content)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "set.csv"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "pairs", "words"),
    [
        ("a b,x,", {("a", "b"): 1, ("c", "d"): 1}, "has no row for 'c d'; add it, or a row 'default'"),
        ("a b,x,", {("a", "b"): 1, (None, None): 1}, "has no row for '(neither class nor type)'"),
        ("id card nam,x,", {("id card", "name"): 1}, "no sample is 'id card nam', and 'id card name' has no row"),
        ("ID card name,x,\ndefault,y,", {("id card", "name"): 1}, "'id card name' has no row; rename one if they"),
        ("passport number,x,\ndefault,y,", {("receipt", "total"): 1}, "none of its rows is about this dataset"),
        (
            "id card name,x,",
            {("id card", "name"): 1, ("id", "card name"): 1},
            "fits two pairs of this dataset, class 'id card' with type 'name' and class 'id' with type 'card name';",
        ),
    ],
)
def test_what_does_not_fit_the_dataset_is_one_sentence(tmp_path, rows, pairs, words):
    with pytest.raises(UsageError) as caught:
        check_set(read(tmp_path, f"{HEAD}{rows}\n"), pairs, is_whole=True)
    assert str(caught.value).startswith("prompt set 'set'")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "pairs", "note"),
    [
        ("a b,x,\npassport number,y,", {("a", "b"): 1}, "no sample is 'passport number'; a row without a sample is"),
        ("a b,x,\ndefault,y,", {("a", "b"): 1, ("c", "d"): 1}, "'c d' has no row and will be asked by 'default'"),
        ("a b,x,", {("a", "b"): 2}, "'a b' has several questions, and its prompt has no {question}: they are not sent"),
    ],
)
def test_what_may_be_meant_is_noted(tmp_path, rows, pairs, note):
    (sentence,) = check_set(read(tmp_path, f"{HEAD}{rows}\n"), pairs, is_whole=True)
    assert note in sentence


def test_what_fits_is_not_talked_about(tmp_path):
    assert check_set(read(tmp_path, ID_CARD), PAIRS, is_whole=True) == []
    unused = read(tmp_path, HEAD + "id card first name,a,\npassport x,b,\n")
    assert check_set(unused, {("id card", "first name"): 1}, is_whole=False) == []


NAMES = st.text(alphabet="ab _", max_size=5)


@pytest.mark.slow
@given(st.dictionaries(st.tuples(NAMES, NAMES), st.just(1), min_size=1, max_size=6))
def test_a_set_with_a_row_for_each_pair_fits_or_is_ambiguous(pairs):
    """No pair is ever asked by the row of another one."""
    rows = {label(pair): f"for {label(pair)}" for pair in pairs if label(pair)}
    content = {"default": "other", "prompts": [[[name], text] for name, text in sorted(rows.items())]}
    prompt = Prompt("p", json.dumps(content), None, "", kind="set")
    labels = [label(pair) for pair in pairs if label(pair)]
    if len(set(labels)) < len(labels):
        with pytest.raises(UsageError, match="fits two pairs"):
            check_set(prompt, pairs, is_whole=True)
        return
    check_set(prompt, pairs, is_whole=True)
    for pair in pairs:
        assert text_for(prompt, *pair) == rows.get(label(pair), "other")


def write_cards(root, rows):
    lines = [f"{question},{answer},{doc_class},{kind}" for question, answer, doc_class, kind in rows]
    (root / "datasets" / "cards.csv").write_text("question,answer,doc_class,question_type\n" + "\n".join(lines) + "\n")


CARDS = [
    ("Name?", "Ann", "id card", "first name"),
    ("Born?", "1.2.1990", "id card", "date of birth"),
    ("Number?", "77", "passport", "number"),
]


def rows_of(outcome, model):
    assert [m.error for m in outcome.models] == [None]
    return pq.read_table(outcome.folder / "predictions" / f"{model}.parquet").to_pylist()


def test_a_set_is_one_prompt_of_a_run(workspace):
    write_cards(workspace.root, CARDS)
    (workspace.root / "prompts" / "best.csv").write_text(ID_CARD)
    notes = []
    options = {"models": ["echo"], "dataset": "cards", "prompts": ["best", "question"], "workspace": workspace}
    outcome = api.run(**options, notify=lambda event: notes.append(str(event)))
    rows = rows_of(outcome, "echo")
    asked = ["Read the first name, verbatim.", "Born? As DD.MM.YYYY."]
    shared = ["Number?"]  # by `default` as by the prompt `question`: asked once
    assert sorted(row["text"] for row in rows) == sorted([*asked, *shared, "Name?", "Born?"])
    assert [cell.requests for cell in api.show_run(outcome.folder).cells] == [3, 3]
    assert any("'passport number' has no row and will be asked by 'default'" in note for note in notes)
    assert {check.damage for check in api.verify_run(outcome.folder)} == {None}
    assert [model.statuses for model in api.run(**options).models] == [{}]


def test_nothing_is_asked_where_a_set_does_not_fit(workspace):
    write_cards(workspace.root, CARDS)
    (workspace.root / "prompts" / "best.csv").write_text(ID_CARD.replace("default,{question},\n", ""))
    with pytest.raises(UsageError, match="prompt set 'best' has no row for 'passport number'"):
        api.run(models=["echo"], dataset="cards", prompts=["best"], workspace=workspace)
    assert not list((workspace.results / "cards").glob("*.parquet"))
    outcome = api.run(models=["echo"], dataset="cards", prompts=["best"], limit=2, workspace=workspace)
    assert len(rows_of(outcome, "echo")) == 2


def test_a_row_that_is_edited_is_asked_again_and_the_others_are_not(workspace):
    write_cards(workspace.root, CARDS)
    path = workspace.root / "prompts" / "best.csv"
    path.write_text(ID_CARD)
    options = {"models": ["echo"], "dataset": "cards", "prompts": ["best"], "workspace": workspace}
    api.run(**options)
    path.write_text(ID_CARD.replace("verbatim", "to the letter"))
    assert [model.statuses for model in api.run(**options).models] == [{"ok": 1}]
    path.write_text(ID_CARD.replace("verbatim", "to the letter").replace("0.02", "0.01"))
    assert [model.statuses for model in api.run(**options).models] == [{}]


def test_a_sample_that_lost_its_row_later_is_a_defect_and_no_crash(workspace):
    """A run is read long after, when its dataset may have been edited: of an older cell nothing was checked again."""
    write_cards(workspace.root, CARDS[:2])
    (workspace.root / "prompts" / "best.csv").write_text(ID_CARD.replace("default,{question},\n", ""))
    outcome = api.run(models=["echo"], dataset="cards", prompts=["best"], workspace=workspace)
    write_cards(workspace.root, [CARDS[2], *CARDS[1:2]])
    api.run(models=["echo"], dataset="cards", prompts=["question"], workspace=workspace)
    state = api.show_run(outcome.folder)
    assert [(cell.cell.prompt, cell.ok) for cell in state.cells] == [("best", 1), ("question", 2)]
    ((lost, kept),) = iter_expected(outcome.folder, state.cells[0].cell)
    assert (lost.defect, kept.defect) == ("prompt set 'best' has no row for 'passport number'", None)


def test_a_folder_is_all_prompts_in_it(workspace, tmp_path):
    folder = workspace.root / "prompts" / "cards"
    (folder / "more").mkdir(parents=True)
    for name, text in (("a.txt", "A"), ("more/b.md", "B"), ("s.csv", ID_CARD), ("README.md", "x"), ("_c.txt", "C")):
        (folder / name).write_text(text)
    names = ["cards/a", "cards/more/b", "cards/s"]
    for given_as in (str(folder), f"{folder}/", "cards", "cards/"):
        assert [p.id for p in load_prompts(workspace, [given_as])] == names
    assert [p.id for p in load_prompts(workspace, ["cards/a", str(folder), "question"])] == [*names, "question"]
    (tmp_path / "out").mkdir()
    for name in ("x.txt", "x.md"):
        (tmp_path / "out" / name).write_text(name)
    assert [Path(p.id).name for p in load_prompts(workspace, [str(tmp_path / "out")])] == ["x.md", "x.txt"]


def test_a_folder_without_a_prompt_or_with_a_bad_one_is_one_sentence(workspace):
    folder = workspace.root / "prompts" / "cards"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"cards: holds no prompt; a prompt is a file that ends in \.txt"):
        load_prompts(workspace, [str(folder)])
    (folder / "a.txt").write_text("{quesion}")
    with pytest.raises(BakeoffError, match=re.escape(f"{folder / 'a.txt'}: unknown field")):
        load_prompts(workspace, [str(folder)])


def test_two_prompts_of_one_name_are_refused(workspace, tmp_path):
    for name in ("x.txt", "x.md"):
        (tmp_path / name).write_text(name)
    with pytest.raises(UsageError, match=r"two different prompts are called '.*/?x'; rename one"):
        load_prompts(workspace, [str(tmp_path / "x.txt"), str(tmp_path / "x.md")])


def test_a_name_wins_over_a_folder_of_the_same_name(workspace):
    (workspace.root / "prompts" / "cards").mkdir()
    (workspace.root / "prompts" / "cards" / "a.txt").write_text("A")
    (workspace.root / "prompts" / "cards.txt").write_text("B")
    assert [p.text for p in load_prompts(workspace, ["cards"])] == ["B"]
    assert load_prompt(workspace, "cards/a").text == "A"


def test_rows_are_found_fast_enough_for_many_samples(tmp_path):
    prompt = read(tmp_path, HEAD + "".join(f"class{n} type,Say {{question}} {n},\n" for n in range(500)))
    start = time.perf_counter()
    for number in range(20_000):
        ask(prompt, question="Q", doc_class=f"class{number % 500}", question_type="type")
    assert time.perf_counter() - start < 2
