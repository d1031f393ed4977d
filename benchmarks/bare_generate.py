"""The plain loop: batches in order, processor, `model.generate`, decode, and nothing else.

Started by the Python of the runner's env as `python bare_generate.py CHECKPOINT PAGES BATCH TOKENS DEVICE`, where PAGES
is a JSON list of [image, question]; prints the texts as JSON. Checkpoint and processor are opened as the runner does.
"""

import json
import sys
from pathlib import Path

RUNNERS = Path(__file__).resolve().parent.parent / "runners"
sys.path += [str(RUNNERS / helper) for helper in ("_vlm", "_shared")]

import torch  # noqa: E402 - after the path, as those below
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from timed_calls import timed  # noqa: E402
from vlm_checkpoint import find_checkpoint  # noqa: E402
from vlm_device import choose_device, choose_dtype  # noqa: E402
from vlm_processor import open_processor  # noqa: E402


def answer(model, processor, pages, tokens):
    """Return the texts for one batch of pages."""
    prompts = [
        processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}],
            add_generation_prompt=True,
            tokenize=False,
        )
        for _, question in pages
    ]
    images = [Image.open(path).convert("RGB") for path, _ in pages]
    inputs = processor(text=prompts, images=images, padding=True, return_tensors="pt")
    inputs = inputs.to(model.device, dtype=model.dtype)
    with torch.inference_mode():
        sequences = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    said = sequences[:, inputs["input_ids"].shape[1] :]
    return processor.batch_decode(said, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def main(folder, pages, batch, tokens, device):
    checkpoint = find_checkpoint(folder, "main", ("qwen2_vl",))
    processor = open_processor(checkpoint, "Qwen2VLProcessor")
    device = choose_device(device)
    options = {"dtype": choose_dtype("auto", device), "device_map": {"": device}}
    model = transformers.Qwen2VLForConditionalGeneration.from_pretrained(folder, **options).eval()
    model.generate = timed("generate", model.generate)
    answer_timed = timed("batch", answer)
    pages = json.loads(Path(pages).read_text())
    parts = [pages[start : start + int(batch)] for start in range(0, len(pages), int(batch))]
    texts = [text for part in parts for text in answer_timed(model, processor, part, int(tokens))]
    print(json.dumps(texts))


if __name__ == "__main__":
    main(*sys.argv[1:])
