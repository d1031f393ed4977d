"""What asking costs and how it ends: tokens, money, refusals, cut answers, failures."""

from typing import Literal

from orchestrator.metrics.metric import Measure, Metric


def amount(value: float, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return what the runner reported, as it is."""
    return Measure(float(value))


def is_refusal(status: str, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return 1 where the model or its server declined to answer, else 0."""
    return Measure(1.0 if status == "refused" else 0.0)


def is_failure(status: str, references: tuple[str, ...]) -> Measure:  # noqa: ARG001 - a metric's signature
    """Return 1 where what was asked got no answer, not even a refusal, else 0."""
    return Measure(0.0 if status in {"ok", "refused"} else 1.0)


def is_cut(stop_reason: str, references: tuple[str, ...]) -> Measure | str:  # noqa: ARG001 - a metric's signature
    """Return 1 where the answer ended at the limit of its length, else 0; `unknown` where the runner does not tell."""
    return "unknown" if stop_reason == "unknown" else Measure(1.0 if stop_reason == "max_tokens" else 0.0)


def _amount(name: str, reads: str, description: str, unit: str) -> Metric:
    return Metric(
        name=name,
        description=description,
        unit=unit,
        direction="lower",
        function=amount,
        needs_reference=False,
        reads=reads,
        scores_failures=reads == "cost",
    )


INPUT_TOKENS = _amount("input_tokens", "input_tokens", "tokens of prompt and images, as the runner counts", "tokens")
OUTPUT_TOKENS = _amount("output_tokens", "output_tokens", "tokens of the answer, as the runner counts", "tokens")
COST = _amount("cost", "cost", "what an answer cost, as the runner reports it, failures too", "US dollars")


def _rate(name: str, reads: Literal["status", "stop_reason"], description: str) -> Metric:
    return Metric(
        name=name,
        description=description,
        unit="fraction",
        direction="lower",
        function={"refusal_rate": is_refusal, "error_rate": is_failure, "truncation_rate": is_cut}[name],
        needs_reference=False,
        reads=reads,
        scores_failures=reads == "status",
    )


REFUSAL_RATE = _rate("refusal_rate", "status", "share of what was asked that was refused")
TRUNCATION_RATE = _rate("truncation_rate", "stop_reason", "share of answers cut at the limit of their length")
ERROR_RATE = _rate("error_rate", "status", "share of what was asked that got no answer, refusals not counted")
