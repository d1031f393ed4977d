"""Read what a worker says: no message holds a secret, and what is shown of an error is of a readable length."""

from collections.abc import Mapping
from typing import get_args

from orchestrator.protocol import ErrorKind, Failure, Message, Progress, StopReason, decode
from orchestrator.redaction import Redactor, redact_patterns

MESSAGE_CHARS = 2000
_WIRE_WORDS = frozenset(
    word
    for message in get_args(Message)
    for word in (*message.model_fields, *get_args(message.model_fields["type"].annotation))
).union(get_args(ErrorKind), get_args(StopReason))


def make_redactor(secrets: Mapping[str, str]) -> Redactor:
    """Return what takes `secrets` out of lines, and leaves the words in which the protocol speaks."""
    return Redactor(secrets, _WIRE_WORDS)


def read_message(line: bytes, redactor: Redactor) -> Message:
    """Return the message of one line; raise ProtocolError where it is none."""
    message = decode(redactor.redact_json(line))
    if type(message) is Failure:
        return _tidy(message, redactor)
    if type(message) is Progress:
        return message.model_copy(update={"phase": redact_patterns(message.phase)})
    return message


def _tidy(failure: Failure, redactor: Redactor) -> Failure:
    """Return `failure` without what looks like a secret; only then is it cut."""
    text = redactor.shorten(redact_patterns(failure.message), MESSAGE_CHARS)
    trace = failure.traceback and redact_patterns(failure.traceback)
    return failure.model_copy(update={"message": text, "traceback": trace})
