"""The walls of the design: who imports whom, and who alone imports a heavy or dangerous library."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "orchestrator"
MODEL_LIBRARIES = {
    *("torch", "torchvision", "transformers", "vllm", "paddle", "paddleocr", "tensorflow", "onnxruntime", "cv2"),
    *("rapidocr", "rapidocr_onnxruntime", "tesserocr", "easyocr", "openai", "anthropic", "huggingface_hub"),
}
# Who may import whom: the levels of the design, lowest first. A package counts whole, the first prefix decides.
LEVELS = {
    "errors": 0,
    "console": 0,
    "worker": 0,
    "results": 2,
    "env": 2,
    "session": 2,
    "stderr_log": 1,
    "running": 3,
    "scoring": 3,
    "report": 4,
    "reporting": 4,
    "pages": 4,
    "exporting": 4,
    "importing": 3,
    "tending": 3,
    "inspection": 4,
    "api": 4,
    "doctor": 4,
    "judging": 4,
    "experiments": 4,
    "scaffold": 4,
    "cli": 5,
    "__main__": 5,
    "__init__": 5,
}
REST = 1


def modules():
    """Return every module of the package by its dotted name below `orchestrator`, parsed."""
    paths = sorted(path for path in PACKAGE.rglob("*.py") if "builtin" not in path.parts)
    return {name(path): ast.parse(path.read_text()) for path in paths}


def name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(tree, *, typing_too=True):
    """Return the dotted names that a module imports, anywhere in it."""
    skipped = set() if typing_too else {id(n) for block in _typing_blocks(tree) for n in ast.walk(block)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = {each for each in names if _is_module(each)}
            found |= submodules if submodules == names else submodules | {node.module}
    return found


@cache
def _is_module(dotted):
    path = PACKAGE.parent.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _typing_blocks(tree):
    return [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]


def own_imports(tree, known, **options):
    """Return which of our modules `tree` imports, by name below `orchestrator`."""
    names = {
        each.removeprefix("orchestrator.") for each in imports(tree, **options) if each.startswith("orchestrator.")
    }
    return {each for each in names if each in known}


def roots(tree):
    return {each.partition(".")[0] for each in imports(tree)}


def level(module):
    return LEVELS.get(module.partition(".")[0], REST)


@cache
def everything():
    return modules()


def below(*packages):
    return {module: tree for module, tree in everything().items() if module.partition(".")[0] in packages}


def importers(library):
    return {module for module, tree in everything().items() if library in roots(tree)}


@cache
def ours(module):
    return own_imports(everything()[module], everything(), typing_too=False)


def reachable(start):
    """Return all of our modules that importing `start` brings in."""
    seen, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += ours(module)
    return seen


def test_imports_go_down_or_stay_and_never_up():
    for module in everything():
        for imported in ours(module):
            assert level(imported) <= level(module), f"{module} imports {imported}, which is above it"


def test_there_is_no_import_cycle():
    graph = {module: ours(module) - {module} for module in everything()}
    TopologicalSorter(graph).prepare()


def reached_packages(module):
    return {each.partition(".")[0] for each in reachable(module)}


def test_running_knows_nothing_of_scores():
    for module in below("running"):
        assert not reached_packages(module) & {"metrics", "scoring", "report", "reporting"}, module


def test_scoring_knows_nothing_of_models():
    for module in below("scoring", "metrics"):
        forbidden = {"env", "session", "running", "datasets", "process", "protocol"}
        assert not reached_packages(module) & forbidden, module


def test_results_know_nothing_of_who_fills_them():
    for module in below("results"):
        forbidden = {"env", "session", "running", "scoring", "datasets"}
        assert not reached_packages(module) & forbidden, module


def test_the_worker_imports_the_standard_library_alone():
    assert roots(everything()["worker"]) <= set(sys.stdlib_module_names)


def test_nobody_imports_the_worker():
    assert not [module for module, tree in everything().items() if "worker" in own_imports(tree, everything())]


@pytest.mark.parametrize(("library", "owner"), [("rich", {"console"}), ("subprocess", {"process"}), ("click", {"cli"})])
def test_a_library_has_one_owner(library, owner):
    assert {module.partition(".")[0] for module in importers(library)} <= owner


def test_parquet_is_written_by_results_alone():
    for module, tree in everything().items():
        if "ParquetWriter" in ast.unparse(tree) or ".to_parquet(" in ast.unparse(tree):
            assert module.startswith("results."), module


def test_no_model_library_is_imported():
    for module, tree in everything().items():
        assert not roots(tree) & MODEL_LIBRARIES, module


def test_no_module_imports_pandas():
    """Because the command line lets none of ours find it (cli._NoPandas)."""
    assert importers("pandas") == set()


@pytest.mark.slow
def test_the_command_line_spares_pandas_and_hides_it_from_nobody(tmp_path):
    code = """
import sys
from orchestrator import cli
sys.meta_path.insert(0, cli._NoPandas)
name = {"__name__": "orchestrator.results"}
exec("import pyarrow as pa; pa.array([1])", name)
assert "pandas" not in sys.modules
sys.path.insert(0, sys.argv[1])
import theirs
assert "pandas" in sys.modules
"""
    (tmp_path / "theirs.py").write_text("import pandas")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
