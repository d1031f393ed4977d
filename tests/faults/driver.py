"""Be the orchestrator that a campaign kills: run what the argument says and tell what is told, a line each."""

import json
import sys
import time
from dataclasses import asdict

from orchestrator import api
from orchestrator.errors import BakeoffError
from orchestrator.running import supervise


def tell(kind: str, **what: object) -> None:
    """Write one line that is whole or not there."""
    sys.stdout.write(json.dumps({"event": kind, **what}) + "\n")
    sys.stdout.flush()


def main(order: str) -> int:
    """Run `order`, the arguments of `api.run` as JSON, not before its `moment`; return the exit status."""
    options = json.loads(order)
    if (backoff_s := options.pop("backoff_s", None)) is not None:
        supervise.BACKOFF_S = (backoff_s,)
    time.sleep(max(0.0, options.pop("moment", 0.0) - time.time()))
    tell("Began", time_s=time.time())
    try:
        outcome = api.run(**options, notify=lambda event: tell(type(event).__name__, **asdict(event)))
    except BakeoffError as error:
        tell("Refused", time_s=time.time())
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    tell("Ended", interrupted=outcome.interrupted, errors=[model.error for model in outcome.models])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
