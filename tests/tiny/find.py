"""Find a checkpoint as a runner does: `python find.py RUNNER CHECKPOINT REVISION`, run by the Python of its env.

Prints one JSON object: the folder, or kind and sentence of the error; the seconds it took; what was imported.
"""

import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(sys.argv[1]) / ".." / "_vlm"))

import vlm_checkpoint

start = time.monotonic()
try:
    said = {"folder": vlm_checkpoint.find_checkpoint(*sys.argv[2:], ("qwen2_vl",)).folder}
except vlm_checkpoint.CheckpointError as error:
    said = {"kind": error.kind, "sentence": str(error)}
print(json.dumps({**said, "seconds": time.monotonic() - start, "torch": "torch" in sys.modules}))
