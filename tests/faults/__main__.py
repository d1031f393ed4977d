"""Run campaigns: python -m tests.faults --campaign NAME… --seed N --count N."""

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.faults.harness import CAMPAIGNS, Verdict, carry_out


@click.command()
@click.option("--campaign", "names", multiple=True, required=True, type=click.Choice([*CAMPAIGNS, "all"]))
@click.option("--seed", type=int, help="Default: a random one, which is printed.")
@click.option("--count", type=click.IntRange(min=1), help="Default: what makes a quick look.")
@click.option("--many", is_flag=True, help="The count that makes a proof, campaign by campaign.")
@click.option("--keep", type=click.Path(path_type=Path), help="Work in this folder and keep it.")
def main(names: tuple[str, ...], seed: int | None, count: int | None, many: bool, keep: Path | None) -> None:
    """Break bakeoff at random and report what was lost, doubled or hung; the exit status is 1 where anything was.

    \b
    Example:
      python -m tests.faults --campaign orchestrator-kills --seed 7 --count 200
    """
    chosen = list(CAMPAIGNS) if "all" in names else list(dict.fromkeys(names))
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    folder = keep.resolve() if keep else Path(tempfile.mkdtemp(prefix="bakeoff-faults-"))
    is_sound = True
    for name in chosen:
        start = time.monotonic()
        click.echo(f"{name}: seed {seed}")
        verdict = carry_out(name, seed, CAMPAIGNS[name].many if many else count, folder / name)
        _show(verdict, time.monotonic() - start)
        if verdict.defects:
            is_sound = False
            click.echo(f"  what it left is kept in {folder / name}")
        elif not keep:
            shutil.rmtree(folder / name, ignore_errors=True)
    sys.exit(0 if is_sound else 1)


def _show(verdict: Verdict, elapsed_s: float) -> None:
    for figure, value in verdict.figures.items():
        click.echo(f"  {figure}: {value}")
    for defect in verdict.defects:
        click.echo(f"  DEFECT {defect}")
    outcome = f"{len(verdict.defects)} defects" if verdict.defects else "passed"
    click.echo(f"{verdict.name}: {outcome}, count {verdict.count}, seed {verdict.seed}, {elapsed_s:.1f} s")


if __name__ == "__main__":
    main()
