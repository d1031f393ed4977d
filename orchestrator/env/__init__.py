"""Runners' environments: built once, kept by content, never half."""

from orchestrator.env.fingerprint import has_requirements, lock_digest
from orchestrator.env.garbage import EnvInfo, collect_garbage, list_envs
from orchestrator.env.lock import lock_runner
from orchestrator.env.store import Env, check_env, ensure_env, use_env

__all__ = [
    "Env",
    "EnvInfo",
    "check_env",
    "collect_garbage",
    "ensure_env",
    "has_requirements",
    "list_envs",
    "lock_digest",
    "lock_runner",
    "use_env",
]
