"""Write down when calls begin and end, in the monotonic clock that processes share, to calls.jsonl where we are."""

import json
import time


def timed(name, function):
    """Return `function`, each of whose calls leaves a line."""

    def call(*arguments, **options):
        begin = time.monotonic()
        try:
            return function(*arguments, **options)
        finally:
            with open("calls.jsonl", "a") as file:  # noqa: PTH123
                file.write(json.dumps({"name": name, "begin": begin, "end": time.monotonic()}) + "\n")

    return call
