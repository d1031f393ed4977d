"""Read what an endpoint answered."""

import json
from dataclasses import dataclass

from faults import classify, classify_object, malformed

_REASONS = {
    **dict.fromkeys(("stop", "eos", "end_turn", "stop_sequence", "eos_token"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length"), "max_tokens"),
    **dict.fromkeys(("content_filter", "safety", "recitation", "blocklist", "prohibited_content"), "content_filter"),
    **dict.fromkeys(("spii", "image_safety", "refusal", "sensitive"), "content_filter"),
}


@dataclass(frozen=True)
class Reply:
    """A model's answer; `usage` is the endpoint's, maybe empty."""

    text: str
    stop_reason: str
    usage: dict
    served_model: str | None
    note: dict


def read_reply(status, headers, data):
    """Return the Reply in a response, or the Fault that it is."""
    if status != 200:
        return classify(status, headers, data)
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return malformed("the answer is no JSON" if data.strip() else "the answer is empty", data)
    said = said[0] if isinstance(said, list) and len(said) == 1 else said
    if not isinstance(said, dict):
        return malformed("the answer is no JSON object", data)
    choices = said.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    error = said.get("error") or choice.get("error")
    if error:
        return classify_object(error, headers)
    return _read_choice(said, choice, data)


def _read_choice(said, choice, data):
    message = choice.get("message")
    feedback = said.get("promptFeedback")  # Gemini's, where the prompt was blocked
    told = choice.get("finish_reason") or (feedback.get("blockReason") if isinstance(feedback, dict) else None)
    if not isinstance(message, dict):
        if _REASONS.get(str(told).lower()) != "content_filter":
            return malformed("the answer holds no message", data)
        message = {}
    text = _read_text(message.get("content"))
    if text is None:
        return malformed("the message's content is no text", data)
    refusal = message.get("refusal")
    reason, note = ("content_filter", {"finish_reason": "refusal"}) if refusal else _read_reason(told)
    filtered = _read_filters(choice.get("content_filter_results"))
    served = said.get("model")
    return Reply(
        text=text or (refusal if isinstance(refusal, str) else ""),
        stop_reason=reason,
        usage=said["usage"] if isinstance(said.get("usage"), dict) else {},
        served_model=served if isinstance(served, str) and served else None,
        note={**note, "filtered": filtered} if filtered else note,
    )


def _read_text(content):
    """Return the text of a message's content, which may be null or a list of parts; None for anything else."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return None
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _read_reason(told):
    """Return our stop reason, and the endpoint's where ours says less."""
    word = str(told).lower()
    note = {} if told is None or word in ("stop", "length") else {"finish_reason": str(told)[:50]}
    return _REASONS.get(word, "unknown"), note


def _read_filters(results):
    """Return the categories that Azure's filter found."""
    results = results if isinstance(results, dict) else {}
    return [name for name, found in results.items() if isinstance(found, dict) and found.get("filtered")]
