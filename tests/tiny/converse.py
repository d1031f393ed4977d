"""Write a chat as a runner's checkpoint does: `python converse.py RUNNER CHECKPOINT`, messages as JSON in its input.

Prints the text that the model gets, its images' sizes, and how many tokens were asked.
"""

import json
import sys
from pathlib import Path

from ask import load_runner


def main(runner_folder, checkpoint):
    module, params = load_runner(Path(runner_folder))
    params |= {"checkpoint": checkpoint, "max_new_tokens": 4, "device": "cpu"}
    state = module.load(params)
    request = {"id": "", "prompt": "flat", "images": [], "params": params, **json.load(sys.stdin)}

    import vlm  # noqa: PLC0415 - on the path of the runner

    row = vlm._read_request(state, request)
    (answer,) = module.generate_batch(state, [request])
    print(json.dumps({"text": row.prompt, "sizes": [image.size for image in row.images], "answer": answer}))


if __name__ == "__main__":
    main(*sys.argv[1:])
