"""Whatever ends the orchestrator, and whatever its worker is busy with, no process stays behind."""

import sys

import pytest

from tests.faults import orphans


@pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by /proc, which only Linux has")
@pytest.mark.slow
def test_no_process_outlives_an_orchestrator_that_is_killed(tmp_path):
    verdict = orphans.run(seed=3, count=6, folder=tmp_path)
    assert verdict.defects == ()
    assert verdict.figures["trials"] == 6
    assert verdict.figures["processes seen"] > 3 * 5


def test_every_way_to_be_busy_and_to_end_comes_before_any_comes_again():
    scenes = orphans.plan_scenes(7, 2 * len(orphans.WAYS) * len(orphans.BLOWS))
    pairs = [(scene.how, scene.blow) for scene in scenes]
    half = len(pairs) // 2
    assert len(set(pairs[:half])) == len(set(pairs[half:])) == half
    assert orphans.plan_scenes(7, 5) == scenes[:5]
