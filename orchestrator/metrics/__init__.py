"""The one listing of metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from orchestrator.errors import UsageError, nearest
from orchestrator.metrics.cer import CER, CER_CI
from orchestrator.metrics.cer_span import CER_SPAN, CER_SPAN_CI, VERBOSITY_GAP
from orchestrator.metrics.declared import metric
from orchestrator.metrics.exact import EXACT, EXACT_CI
from orchestrator.metrics.generation_time import GENERATION_TIME
from orchestrator.metrics.listing import MAKERS, OPERATION, STRUCTURE
from orchestrator.metrics.metric import Measure, Measures, Metric
from orchestrator.metrics.ned import ANLS, NED
from orchestrator.metrics.normalise import extend
from orchestrator.metrics.output_length import OUTPUT_LENGTH
from orchestrator.metrics.wer import WER
from orchestrator.metrics.words import BOW_F1, TOKEN_F1

__all__ = ["METRICS", "Measure", "Measures", "Metric", "get_metric", "metric", "select_metrics"]

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            *(EXACT, CER, CER_SPAN, WER, EXACT_CI, CER_CI, CER_SPAN_CI),
            *(VERBOSITY_GAP, NED, ANLS, BOW_F1, TOKEN_F1),
            *STRUCTURE,
            *(OUTPUT_LENGTH, GENERATION_TIME),
            *OPERATION,
        )
    }
)
_NONE: Mapping[str, Metric] = MappingProxyType({})


def get_metric(name: str, own: Mapping[str, Metric] = _NONE) -> Metric:
    """Return the metric called `name`, such as `cer`, or `cer@ci+yo` under further normalisers, or `date@dmy`.

    `own` are a workspace's, by name. Raises UsageError with the nearest name for an unknown metric or normaliser.
    """
    known = {**METRICS, **own}
    plain, mark, steps = name.partition("@")
    if plain not in known:
        raise UsageError(f"there is no metric '{plain}'{nearest(plain, known)} (`bakeoff list metrics` shows all)")
    metric = known[plain]
    if not mark:
        return metric
    if plain in MAKERS and plain not in own:
        return MAKERS[plain](steps)
    if metric.normaliser is None:
        raise UsageError(f"'{name}': the metric {plain} compares no normalised texts, so it takes no normaliser")
    return replace(metric, name=name, normaliser=extend(metric.normaliser, steps.split("+")))


def select_metrics(names: Sequence[str] | None = None, own: Mapping[str, Metric] = _NONE) -> tuple[Metric, ...]:
    """Return the metrics called `names` (default: those that are `is_default`) in listing order, see `get_metric`."""
    known = {**METRICS, **own}
    if not names:
        return tuple(metric for metric in known.values() if metric.is_default)
    order = {name: number for number, name in enumerate(known)}
    chosen = {name: get_metric(name, own) for name in names}
    return tuple(sorted(chosen.values(), key=lambda metric: order[metric.name.partition("@")[0]]))
