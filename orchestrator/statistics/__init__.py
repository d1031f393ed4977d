"""Statistics on arrays: intervals, paired comparison, significance, power; nothing here knows of runs or files."""

from orchestrator.statistics.arrays import Floats, Ints
from orchestrator.statistics.binomial import cases_needed, share_at_most
from orchestrator.statistics.clusters import join_clusters
from orchestrator.statistics.holm import holm
from orchestrator.statistics.intervals import Means, clustered_means, wilson
from orchestrator.statistics.margin import p_beyond
from orchestrator.statistics.mcnemar import mcnemar
from orchestrator.statistics.pairs import Paired, compare_pairs
from orchestrator.statistics.permutation import SignFlip, flips_for, sign_flip
from orchestrator.statistics.power import claims_at_most, detectable, documents_needed
from orchestrator.statistics.student import CONFIDENCE, t_quantile

__all__ = [
    "CONFIDENCE",
    "Floats",
    "Ints",
    "Means",
    "Paired",
    "SignFlip",
    "cases_needed",
    "claims_at_most",
    "clustered_means",
    "compare_pairs",
    "detectable",
    "documents_needed",
    "flips_for",
    "holm",
    "join_clusters",
    "mcnemar",
    "p_beyond",
    "share_at_most",
    "sign_flip",
    "t_quantile",
    "wilson",
]
