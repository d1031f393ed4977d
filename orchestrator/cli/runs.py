"""The commands about runs: `runs list`, `show`, `verify`, `drop` and `gc`."""

from pathlib import Path

import click

from orchestrator import console
from orchestrator.cli.common import current_workspace, shown_path
from orchestrator.errors import BakeoffError


@click.group()
def runs() -> None:
    """List runs, show what one lacks and why, verify files, take cells out, and delete what nobody needs.

    \b
    Example:
      bakeoff runs show tiny-docs
    """


@runs.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def listing(as_json: bool) -> None:
    """Show every run: what was asked, how far it came, and who works on it.

    \b
    Example:
      bakeoff runs list
    """
    from orchestrator.inspection import list_runs  # noqa: PLC0415 - brings pyarrow in, which --help does without
    from orchestrator.inspection.tables import runs_table, to_json  # noqa: PLC0415 - as above

    found = list_runs(current_workspace())
    if as_json:
        console.write(to_json(found) + "\n")
    elif found:
        console.print_table(runs_table(found, console.table_width()))
    else:
        console.status("there are no runs here yet")


@runs.command()
@click.argument("run")
@click.option("--all", "everything", is_flag=True, help="Every sample without an answer, and further messages.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
def show(run: str, everything: bool, as_json: bool) -> None:
    """Show what RUN, a name or a path, was asked, what it has no answer for, and why.

    It may be going on meanwhile. Counted are distinct requests: samples that ask the very same thing share one.

    \b
    Example:
      bakeoff runs show tiny-docs
    """
    from orchestrator.inspection import find_run, show_run  # noqa: PLC0415 - see list
    from orchestrator.inspection.show import SAMPLES_SHOWN  # noqa: PLC0415 - see list
    from orchestrator.inspection.tables import state_tables, to_json  # noqa: PLC0415 - see list

    state = show_run(find_run(run, current_workspace().results), None if everything else SAMPLES_SHOWN)
    if as_json:
        console.write(to_json(state) + "\n")
        return
    for table in state_tables(state, console.table_width(), with_samples=everything):
        console.print_table(table)


@runs.command()
@click.argument("runs", nargs=-1, metavar="[RUN]…")
def verify(runs: tuple[str, ...]) -> int:
    """Read every byte of RUNs, or of all, and say what is damaged; nothing is written. Exit code 1: damage.

    What a newer bakeoff wrote or another program rewrote is no damage, but noted.

    \b
    Example:
      bakeoff runs verify tiny-docs
    """
    from orchestrator.inspection import verify_run  # noqa: PLC0415 - see list
    from orchestrator.inspection.sound_rows import NEWER  # noqa: PLC0415 - see list

    is_sound = True
    for run in _chosen(runs):
        checks = verify_run(run)
        damaged = sum(check.damage is not None for check in checks)
        newer = sum(check.state == NEWER for check in checks)
        is_sound = is_sound and not damaged
        files = f"{len(checks)} file{'s' * (len(checks) != 1)}"
        told = f"{len(checks) - newer} of {files} sound, {newer} of a newer bakeoff" if newer else f"{files} sound"
        console.say(f"!!  {run.name}: {damaged} of {files} damaged" if damaged else f"ok  {run.name}: {told}")
        for check in checks:
            if said := check.damage or check.note:
                mark = "damaged" if check.damage else "note"
                console.say(f"      {mark}: {check.path.relative_to(run)}: {said}")
    return 0 if is_sound else BakeoffError.exit_code


@runs.command()
@click.argument("runs", nargs=-1, metavar="[RUN]…")
@click.option("--all", "everything", is_flag=True, help="Also predictions that were set aside and damaged journals.")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
def gc(runs: tuple[str, ...], everything: bool, dry_run: bool) -> None:
    """Delete what nobody needs of RUNs, or of all: what killed processes left, and old logs.

    Never deleted are predictions and journals that count, scores, the plan, and files that are not bakeoff's. A run
    that somebody works on is left alone.

    \b
    Example:
      bakeoff runs gc --dry-run
    """
    from orchestrator.inspection import clean_run  # noqa: PLC0415 - see list
    from orchestrator.inspection.folders import size_text  # noqa: PLC0415 - see list

    for run in _chosen(runs):
        done = clean_run(run, everything=everything, dry_run=dry_run)
        if done.skipped:
            console.status(done.skipped)
            continue
        verb = "would delete" if dry_run else "deleted"
        told = ", ".join(f"{kind} {size_text(size)}" for kind, size in done.deleted.items())
        console.say(f"{run.name}: {verb} {told or 'nothing'}")
        if done.kept:
            kept = ", ".join(f"{kind} {size_text(size)}" for kind, size in done.kept.items())
            console.status(f"{run.name}: kept {kept}; --all deletes them too")


@runs.command()
@click.argument("run")
@click.argument("cells", nargs=-1, required=True, metavar="CELL…")
@click.option("--dry-run", is_flag=True, help="Only show what would be taken out.")
def drop(run: str, cells: tuple[str, ...], dry_run: bool) -> None:
    """Take CELLs out of what RUN was asked: named as reports do, or a model for all of its own.

    They are no longer scored, shown or compared, nor asked for. Their answers stay, and count again when the same is
    asked again.

    \b
    Example:
      bakeoff runs drop tiny-docs "tesseract / short" rapidocr-mistyped
    """
    from orchestrator.inspection import drop_cells, find_run  # noqa: PLC0415 - see list

    folder = find_run(run, current_workspace().results)
    for name in drop_cells(folder, cells, dry_run=dry_run):
        console.say(f"{folder.name}: {'would take' if dry_run else 'took'} out {name}")
    if not dry_run:
        console.status(f"next: bakeoff score {folder.name}")


def _chosen(names: tuple[str, ...]) -> list[Path]:
    """Return the runs called `names`, each once, or all."""
    from orchestrator.inspection import find_run, list_run_folders  # noqa: PLC0415 - see list

    results = current_workspace().results
    if names:
        return list(dict.fromkeys(find_run(name, results) for name in names))
    found = list_run_folders(results)
    if not found:
        console.status(f"there are no runs in {shown_path(results)} yet")
    return found
