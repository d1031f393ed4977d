"""Say what an answer cost."""

PER = 1_000_000


def find_cost(usage, price_input, price_output, price_cached):
    """Return USD, by the prices per million tokens, else by the endpoint's own figure; None where neither is known.

    `usage` is the endpoint's: cached tokens are among `prompt_tokens`, thinking among `completion_tokens`.
    """
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if price_input is None or price_output is None or not all(isinstance(count, int) for count in counts):
        told = usage.get("cost")
        return float(told) if isinstance(told, (int, float)) else None
    sent, written = counts
    cached = min(sent, find_cached(usage))
    cached_price = price_input if price_cached is None else price_cached
    return ((sent - cached) * price_input + cached * cached_price + written * price_output) / PER


def find_cached(usage):
    """Return how many input tokens were cached; DeepSeek has a name of its own for it."""
    details = usage.get("prompt_tokens_details")
    found = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    return found if isinstance(found, int) else 0
