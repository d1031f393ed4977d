"""Say what an answer cost."""

PER = 1_000_000
COUNT_MAX = 1 << 53


def find_cost(usage, price_input, price_output, price_cached):
    """Return USD, by the prices per million tokens, else by the endpoint's own figure; None where neither is known.

    `usage` is the endpoint's: cached tokens are among `prompt_tokens`, thinking among `completion_tokens`.
    """
    sent, written = find_count(usage.get("prompt_tokens")), find_count(usage.get("completion_tokens"))
    if None in (price_input, price_output, sent, written):
        told = usage.get("cost")
        return float(told) if isinstance(told, float) or find_count(told) is not None else None
    cached = min(sent, find_cached(usage))
    cached_price = price_input if price_cached is None else price_cached
    return ((sent - cached) * price_input + cached * cached_price + written * price_output) / PER


def find_cached(usage):
    """Return how many input tokens were cached; DeepSeek has a name of its own for it."""
    details = usage.get("prompt_tokens_details")
    found = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    return find_count(found) or 0


def find_count(value):
    """Return `value` where it is a number of tokens, else None."""
    return value if type(value) is int and 0 <= value < COUNT_MAX else None
