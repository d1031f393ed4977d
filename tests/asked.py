"""What must hold of what tests/tiny/ask.py heard, whichever the family."""


def tell_images_and_system_matter(said):
    """Three images in another order, and a prompt without its system text, give other tokens, and other sizes."""
    mixed, turned = said["mixed"], said["mixed turned"]
    assert turned["tokens"][0] == mixed["tokens"][0]
    assert turned["tokens"][1] != mixed["tokens"][1]
    assert turned["tokens"][2] != mixed["tokens"][2]
    shown = [said[way]["answers"][1]["info"]["images"] for way in ("mixed", "mixed turned")]
    single = [answer["info"]["images"][0] for answer in said["alone"]["answers"]]
    assert shown[0] == single[:3]
    assert shown[1] == single[2::-1]


def tell_sampling_is_the_rows_own(said):
    """Every parameter reaches the draw, and a seed repeats it whatever else is in the batch."""
    sampled, greedy = said["sampled"]["tokens"], said["batched"]["tokens"]
    assert said["sampled in another batch"]["tokens"] == sampled[::-1]
    assert said["twins"]["tokens"] == [sampled[0], *sampled]
    for way in ("sampled with another seed", "sampled once more"):
        assert sum(a != b for a, b in zip(said[way]["tokens"], sampled, strict=True)) >= 3, way
    for way in ("sampled from one", "sampled from the top", "sampled coldly"):
        assert said[way]["tokens"] == greedy, way
    assert sum(a != b for a, b in zip(sampled, greedy, strict=True)) >= 3
    assert said["penalised"]["tokens"] != greedy
    assert {answer["info"]["seed"] for answer in said["sampled"]["answers"]} == {7}
    assert all("seed" not in answer["info"] for answer in said["batched"]["answers"])


def tell_a_drawn_seed_is_told(said):
    """Without a seed each row draws one, which gives the same answer again; two may be alike by chance, five hardly."""
    drawn = said["drawn"]["tokens"]
    assert len({tuple(tokens) for tokens in drawn[:5]}) > 1
    assert len({answer["info"]["seed"] for answer in said["drawn"]["answers"]}) == len(drawn) == 8
    assert said["drawn again"]["tokens"] == drawn


def tell_others_lose_nothing(said, room):
    """Set aside is what cannot be asked; the others share one batch."""
    thin, first, second, long, missing, third, fourth, unknown = said["set aside"]["answers"]
    assert [answer["kind"] for answer in (thin, long, missing, unknown)] == [
        *("bad_input", "bad_input", "transient", "bad_params")
    ]
    assert said["set aside"]["tokens"] == said["batched"]["tokens"]
    assert {answer["info"]["batch_size"] for answer in (first, second, third, fourth)} == {4}
    assert (
        f"with up to 12 (max_new_tokens) of an answer more than the {room} that the model has room" in long["sentence"]
    )


def tell_memory_is_noted(said):
    """Torch's own errors are raised by hand: there is no GPU to fill."""
    assert said["starved"]["tokens"] == said["batched"]["tokens"]
    notes = [(answer["info"]["batch_size"], answer["info"]["out_of_memory"]) for answer in said["starved"]["answers"]]
    assert notes == [(2, 1)] * 4
    assert {answer["kind"] for answer in said["starved at one"]["answers"]} == {"oom"}
    assert {answer["kind"] for answer in said["lost"]["answers"]} == {"device_lost"}
    one = said["starved by one"]["answers"]
    assert one[1]["kind"] == "oom"
    fit = [answer["info"] for answer in one if "info" in answer]
    assert [(info["batch_size"], info["out_of_memory"]) for info in fit] == [(1, 2), (2, 1), (2, 1)]
    rest = [row for index, row in enumerate(said["batched"]["tokens"]) if index != 1]
    assert said["starved by one"]["tokens"] == rest


LACKS = {
    "one tensor gone": "'one tensor gone' cannot be loaded: it has no weights for ",
    "a layer gone": "'a layer gone' cannot be loaded: it has no weights for ",
    "a tensor of another shape": "'a tensor of another shape' cannot be loaded: its weights are of another shape for ",
    "no tokenizer": "'no tokenizer' has no tokenizer: there is no tokenizer.json or vocab.json or tokenizer.model in ",
    "half a tokenizer": "half a tokenizer/tokenizer.json is damaged: it is no JSON object",
    "an odd tokenizer": "the processor of 'an odd tokenizer' cannot be opened: ",
    "no image processor": "'no image processor' has no image processor: there is no preprocessor_config.json",
    "half an image processor": "half an image processor/preprocessor_config.json is damaged: it is no JSON object",
    "an odd image processor": "the processor of 'an odd image processor' cannot be opened: ",
    "a broken template": "the checkpoint's chat template refuses this: ",
}


def tell_lacks_are_told(said, lacks):
    """Each damage is one sentence before a request is asked; whole checkpoints and tied weights load."""
    assert (said["whole"], said["tied"]) == (None, None)
    for name, words in lacks.items():
        assert words in said[name]["sentence"], said[name]
        assert "\n" not in said[name]["sentence"]
        assert "huggingface.co" not in said[name]["sentence"]
        assert said[name]["kind"] == "bad_params", said[name]
