"""Sum up what answers took: tokens, money, and which model served them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Spent:
    """What the answers of one call took, in tokens and US dollars.

    Each figure is over those of the `answers` that told it: `with_tokens`, `with_cost`. `served` counts by model.
    """

    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    with_tokens: int = 0
    cost: float = 0.0
    with_cost: int = 0
    served: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any]) -> None:
        """Count a row of a prediction in, where a model has answered it."""
        if "text" not in row:
            return
        self.answers += 1
        if "output_tokens" in row:
            self.with_tokens += 1
            self.input_tokens += row.get("input_tokens", 0)
            self.output_tokens += row["output_tokens"]
        if "cost" in row:
            self.with_cost += 1
            self.cost += row["cost"]
        if "served_model" in row:
            self.served[row["served_model"]] += 1

    def join(self, other: "Spent") -> None:
        """Count in what `other` has counted."""
        self.answers += other.answers
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.with_tokens += other.with_tokens
        self.cost += other.cost
        self.with_cost += other.with_cost
        self.served += other.served
