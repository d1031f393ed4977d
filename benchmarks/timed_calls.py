"""Write down when calls begin and end, in the monotonic clock that processes share, to calls.jsonl where we are.

With each goes the CPU time that the process, all of its threads, spent on it.
"""

import json
import time


def timed(name, function):
    """Return `function`, each of whose calls leaves a line."""

    def call(*arguments, **options):
        begin, cpu_s = time.monotonic(), time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            told = {"name": name, "begin": begin, "end": time.monotonic(), "cpu_s": time.process_time() - cpu_s}
            with open("calls.jsonl", "a") as file:  # noqa: PTH123
                file.write(json.dumps(told) + "\n")

    return call
