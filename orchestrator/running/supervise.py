"""Keep one model's workers busy, one after the other, until all is answered or the model is given up."""

import time
from collections.abc import Callable

from orchestrator.errors import TryLaterError
from orchestrator.running.budget import Loss
from orchestrator.running.interrupt import Interrupt
from orchestrator.running.shift import Shift
from orchestrator.running.suspects import SINGLES_MAX
from orchestrator.running.work import Fault, Work, tried_again
from orchestrator.session import Session
from orchestrator.worker_life import Gone

BACKOFF_S = (0.0, 1.0, 2.0, 5.0)
_TOLD_MAX = 3
_NAP_S = 0.1


class LaterError(TryLaterError):
    """A model answers nothing more for now."""


def answer_all(
    work: Work,
    start: Callable[[], Session],
    system: tuple[str | None, ...],
    interrupt: Interrupt,
    on_progress: Callable[[str], None],
) -> str | None:
    """Do `work` with workers from `start`, one after the other; return why the model failed, or None.

    A request that twice was alone under way when a worker died, or had to be ended because it took too long, is
    quarantined; what was not begun is asked again.
    The model fails where it says that it cannot be loaded, where its workers are lost more often than `Budget` allows,
    or where it no longer answers what it has answered before. Raises LaterError where it says that it may answer
    later.
    """
    lost = 0
    while interrupt.level == 0:
        _wait(work.budget.in_a_row, interrupt)
        if interrupt.level:
            return None
        with start() as session:
            shift = Shift(work, session, interrupt, on_progress, system)
            gone = shift.serve()
            if gone is None:
                shift.receive_last()
        if gone is None or shift.cut_off:
            return _leave(shift)
        if failure := _find_final(work, shift, gone):
            return failure
        loss = _sort_out(work, shift, gone)
        if failure := work.budget.spend(loss, work.answered):
            if loss != "explained":
                work.forgive(failure)
            return f"{failure}: {gone.reason}"
        if failure := work.find_end():
            return f"{failure}: {gone.reason}"
        lost += 1
        if lost <= _TOLD_MAX:
            last = "; further ones are not told" if lost == _TOLD_MAX else ""
            work.note(f"its worker was lost: {gone.reason}; another is started{last}")
    return None


def _leave(shift: Shift) -> str | None:
    """Write down what is left of the work; return why the model failed, or None."""
    shift.cancel_rest()
    if shift.cut_off and shift.cut_off.kind == "rate_limited":
        raise LaterError(shift.cut_off.message)
    return shift.failure


def _wait(losses: int, interrupt: Interrupt) -> None:
    """Wait the longer, the more workers were lost in a row, but not longer than a person who says stop."""
    end = time.monotonic() + BACKOFF_S[min(losses, len(BACKOFF_S) - 1)]
    while (left := end - time.monotonic()) > 0 and interrupt.level == 0:
        time.sleep(min(left, _NAP_S))


def _find_final(work: Work, shift: Shift, gone: Gone) -> str | None:
    """Say why another worker would end as this one did, or None."""
    if shift.probe and work.fail_probe():
        failure = f"a request that it has answered before ends its worker now, too: {gone.reason}"
        work.forgive(failure)
        return failure
    if gone.cause == "load_timeout" or (gone.cause == "load_failed" and gone.error and not work.was_loaded):
        return gone.reason
    return None


def _sort_out(work: Work, shift: Shift, gone: Gone) -> Loss:
    """Give every request that was in flight its due when a worker is lost; tell what explains the loss.

    Of what took too long, or else of what was begun, several are asked again with nothing else under way. The rest is
    just asked again. Nobody is to blame while the model has never answered, or where the device was lost.
    """
    fault = Fault("timeout" if gone.cause == "timeout" else "crashed", gone.reason)
    suspects = shift.hand_back(gone.timed_out or gone.suspects)
    bystanders = shift.hand_back(gone.suspects)
    unbegun = shift.hand_back(gone.waiting)
    if shift.lost_device:
        bystanders, suspects = [*suspects, *bystanders], []
    elif not suspects and not gone.timed_out and _may_be_silent(work):
        suspects, unbegun = unbegun[:SINGLES_MAX], unbegun[SINGLES_MAX:]
    work.note_fault(bystanders, fault)
    waiting = [*map(tried_again, bystanders), *unbegun, *shift.hand_back_unsent()]
    if not work.suspects.put_back(waiting):
        work.again.extend(waiting)
    if len(suspects) > 1:
        work.note_fault(suspects, fault)
        work.suspects.accuse([tried_again(task) for task in suspects])
    elif suspects:
        work.charge(suspects[0], fault)
    work.suspects.end()
    return _explain(work, len(suspects) + len(gone.timed_out))


def _may_be_silent(work: Work) -> bool:
    """Tell whether what was sent and not said to be begun is suspect: it was alone, or it is the second time.

    A worker that is not ours may die of a request before it says that it begins it.
    """
    return work.suspects.is_on or (work.is_proven and work.budget.in_a_row > 0)


def _explain(work: Work, suspects: int) -> Loss:
    if not suspects:
        return "unexplained"
    if not work.is_proven:
        return "batch" if suspects > 1 else "unexplained"
    work.deaths += 1
    return "explained"
