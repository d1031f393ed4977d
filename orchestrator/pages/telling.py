"""Which metrics a page shows first, and what is said where one of them tells nothing: all means at its worst end."""

from orchestrator.metrics import METRICS, select_metrics
from orchestrator.pages.breakdowns import badness
from orchestrator.pages.overview import cell_names, figures_of
from orchestrator.reporting.numbers import number_text, unit_of
from orchestrator.scoring import Figure, Summary

COLUMNS_MAX = 6
CARDS_MAX = 4
_NEARLY_WORST = 0.95
_NEARLY_WORST_OF_LONG = 0.8  # a right word here and there does not make an answer that is a page a good one
_MUCH_LONGER = 1.5  # errors, in lengths of the references: only answers that are longer can have so many
_ALSO_SHOWN = "generation_time"  # what a column of its own says already
_FORGIVING = ("cer_span", "cer_span_ci", "token_f1", "bow_f1", "anls", "ned")  # of answers that say more than asked


def card_metrics(summary: Summary) -> list[str]:
    """Return the metrics that get an answer of their own: the main ones, then chosen ones that need a reference."""
    main = summary.compared.metrics
    return [*main, *[name for name in _chosen(summary) if name not in main and _is_quality(summary, name)]][
        : max(CARDS_MAX, len(main))
    ]


def column_metrics(summary: Summary) -> list[str]:
    """Return the metrics of the first table: the main ones, those that were chosen, and what tells where these don't.

    The main ones are there in any case; of others no more than there is room for.
    """
    main = summary.compared.metrics
    telling = [name for metric in main if is_nearly_worst(summary, metric) and (name := telling_metric(summary))]
    rest = [name for name in (*telling, *_chosen(summary)) if name not in main and name != _ALSO_SHOWN]
    return [*main, *list(dict.fromkeys(rest))[: max(0, COLUMNS_MAX - len(main))]]


def _chosen(summary: Summary) -> list[str]:
    """Return the metrics that were asked for by name; none where the default ones were taken."""
    default = tuple(metric.name for metric in select_metrics())
    return [] if summary.metrics == default else list(summary.metrics)


def _is_quality(summary: Summary, name: str) -> bool:
    known = METRICS.get(name.partition("@")[0])
    return unit_of(summary, name) == "fraction" and (known is None or known.needs_reference)


def is_nearly_worst(summary: Summary, metric: str) -> bool:
    """Tell whether all means are at the worst end of a metric or near it, less near where answers are far too long."""
    least = _NEARLY_WORST_OF_LONG if _excess(summary) >= _MUCH_LONGER else _NEARLY_WORST
    bad = [badness(summary, metric, each.mean) for each in _scored(summary, metric)]
    return bool(bad) and all(each is not None and each >= least for each in bad)


def is_one_end(summary: Summary, metric: str) -> bool:
    """Tell whether all means are the worst possible, or all the best possible: then nothing divides the answers."""
    bad = {badness(summary, metric, each.mean) for each in _scored(summary, metric)}
    return bad in ({0.0}, {1.0})


def telling_metric(summary: Summary) -> str | None:
    """Return a metric that was scored and by which cells are not all nearly wrong; None where there is none."""
    others = [name for name in summary.metrics if name not in summary.compared.metrics and _is_quality(summary, name)]
    known = sorted(others, key=lambda name: _FORGIVING.index(name) if name in _FORGIVING else len(_FORGIVING))
    return next((name for name in known if _scored(summary, name) and not is_nearly_worst(summary, name)), None)


def warning_of(summary: Summary, metric: str) -> str:
    """Return what has to be known where all cells are nearly wrong by `metric`, and where to look; else nothing."""
    if not is_nearly_worst(summary, metric):
        return ""
    means = {each.mean for each in _scored(summary, metric)}
    bads = {badness(summary, metric, mean) for mean in means}
    short = f"{'The' if bads == {1.0} else 'Near the'} worst score there is"
    is_long = (excess := _excess(summary)) >= _MUCH_LONGER
    if is_long:
        short += (
            f": answers are far longer than the references (about {excess:,.1f} wrong characters for each that was "
            f"asked for), so {metric} tells little here"
        )
    return f"{short}. {_where_to_look(summary, is_long=is_long)}".strip()


def _excess(summary: Summary) -> float:
    """Return how many wrong characters there are for each of the references: of the cell in the middle."""
    corpora = sorted(each.corpus for each in _scored(summary, "cer") if each.corpus is not None)
    return corpora[(len(corpora) - 1) // 2] if corpora else 0.0


def _where_to_look(summary: Summary, *, is_long: bool) -> str:
    if (name := telling_metric(summary)) is None:
        is_scored = any(each.startswith("cer_span") for each in summary.metrics)
        return "" if is_scored or not is_long else "The metric cer_span finds the reference within longer answers."
    note = summary.metric_notes.get(name)
    is_lower = note is not None and note.direction == "lower"
    of_metric = _scored(summary, name)
    best = (min if is_lower else max)(of_metric, key=lambda each: each.mean or 0.0)
    cell = cell_names(summary)[best.model, best.params, best.prompt]
    within = " (the reference within the answer)" if name.startswith("cer_span") else ""
    return f"Look at {name}{within}: best mean {number_text(best.mean, unit_of(summary, name))}, {cell}."


def _scored(summary: Summary, metric: str) -> list[Figure]:
    figures = figures_of(summary, "all").items()
    return [figure for (_, name), figure in figures if name == metric and figure.mean is not None]
