"""Compare the LLaVA runner with transformers 4.44's own way: `python legacy.py RUNNER CHECKPOINT FOLDER`, by its env.

Prints one JSON object: the answers of the library's own processor and generate, one request at a time, and the
runner's; what the runner makes of a page by each `fit`; the prompts of checkpoints without a chat template; and how a
newer tokenizer is read.
"""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import ask
import torch
import transformers
from PIL import Image


def main(runner_folder, checkpoint, folder):
    module, params = ask.load_runner(Path(runner_folder))
    params |= {"checkpoint": checkpoint, "max_new_tokens": 12, "device": "cpu"}
    images = [str(ask.draw(Path(folder) / f"{i}.png", *page)) for i, page in enumerate(ask.PAGES)]
    pairs = list(zip(ask.QUESTIONS, images, strict=True))
    state = module.load(params)
    requests = [ask.make_request(question, [image], params) for question, image in pairs]
    padded = [ask.with_params(request, fit="pad") for request in requests]
    stretched = [ask.with_params(request, fit="stretch") for request in requests]
    said = {
        "own": [ask_as_the_library_does(state, question, image) for question, image in pairs],
        "ours": ask.ask(module, state, [requests])["tokens"],
        "padded": ask.ask(module, state, [padded]),
        "padded by hand": ask.ask(module, state, [[square(request, folder) for request in requests]])["tokens"],
        "stretched": ask.ask(module, state, [stretched]),
        "prompts": {language: write_prompt(state, language) for language in ("llama", "mistral", "gpt2")},
        "newer": read_newer(module, params, Path(folder) / "newer"),
    }
    print(json.dumps(said))


def ask_as_the_library_does(state, question, image):
    processor, model = state.processor.inner, state.model._model
    prompt = f"USER: <image>\n{question} ASSISTANT:"
    with Image.open(image) as page, torch.inference_mode():
        inputs = processor(text=[prompt], images=[page.convert("RGB")], return_tensors="pt")
        (row,) = model.generate(**inputs, max_new_tokens=12, do_sample=False).tolist()
    return ask.cut(row[inputs["input_ids"].shape[1] :], model.generation_config.eos_token_id)


def square(request, folder):
    """Return `request` with its page in the middle of a square of the mean colour of CLIP's training images."""
    (path,) = request["images"]
    with Image.open(path) as page:
        side = max(page.size)
        whole = Image.new("RGB", (side, side), (122, 116, 104))
        whole.paste(page, ((side - page.width) // 2, (side - page.height) // 2))
    to = Path(folder) / f"square-{Path(path).name}"
    whole.save(to)
    return {**request, "images": [str(to)]}


def write_prompt(state, language):
    """Return how a checkpoint on `language` is asked where it brings no chat template."""
    import llava_chat  # noqa: PLC0415 - the runner's modules are found once it is loaded
    import vlm_processor  # noqa: PLC0415

    bare = SimpleNamespace(name="bare", folder="nowhere")
    inner = state.processor.inner
    own, inner.chat_template = inner.chat_template, None
    try:
        config = SimpleNamespace(text_config=SimpleNamespace(model_type=language))
        inner.chat_template = llava_chat.choose_template(inner, config, bare)
        user = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "What is it?"}]
        system = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
        return vlm_processor.write_prompts(inner, [[system, {"role": "user", "content": user}]])[0]
    except ValueError as error:
        return str(error)
    finally:
        inner.chat_template = own


def read_newer(module, params, folder):
    """Return how a tokenizer whose merges are pairs, as newer releases save them, is read by the library and by us."""
    shutil.copytree(params["checkpoint"], folder, ignore=shutil.ignore_patterns("newer"))
    told = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = told["model"]["vocab"]
    vocabulary["SE"] = vocabulary.pop("~")  # the embeddings have room for no more
    told["model"]["merges"] = [["S", "E"]]
    (folder / "tokenizer.json").write_text(json.dumps(told))
    try:
        library = transformers.AutoTokenizer.from_pretrained(folder).tokenize("USER")
    except Exception as error:  # it is a bare one
        library = str(error)
    return {
        "library": library,
        "ours": module.load({**params, "checkpoint": str(folder)}).processor.tokenizer.tokenize("USER"),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
