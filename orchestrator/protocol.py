"""The wire: what crosses it, line by line, between an orchestrator and a worker (protocol 1)."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

PROTOCOL = 1
LINE_BYTES = 4 << 20
_MB, _GB = 1_000_000, 1_000_000_000
_INT32_MAX, _INT64_MAX = (1 << 31) - 1, (1 << 63) - 1

ErrorKind = Literal["bad_input", "bad_params", "oom", "transient", "rate_limited", "refused", "device_lost", "bug"]
StopReason = Literal["stop", "max_tokens", "content_filter", "unknown"]


class ProtocolError(Exception):
    """A worker sent something that is not protocol 1."""


class _Message(BaseModel):
    """What a worker sends; unknown fields are ignored, so that both sides can be upgraded one after the other."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Hello(_Message):
    """The answer to our hello: the nonce shows that it is the worker speaking, and not a launcher's banner."""

    type: Literal["hello"]
    protocol: int
    nonce: str
    python: str | None = None
    runner: str | None = None


class Progress(_Message):
    """How far loading has come."""

    type: Literal["progress"]
    phase: str = ""
    done: float | None = None
    total: float | None = None

    def words(self) -> str:
        """Return it in a few words, such as `weights, 1.2 GB of 4.4 GB`; numbers from a million on are bytes."""
        shown = [_amount(number) for number in (self.done, self.total) if number is not None]
        return ", ".join(part for part in (self.phase, " of ".join(shown)) if part)


def _amount(number: float) -> str:
    if number >= _MB:
        return f"{number / _GB:.1f} GB" if number >= _GB else f"{number / _MB:.0f} MB"
    return f"{number:g}"


class Loaded(_Message):
    """The model is ready; `batch_max` and `concurrency` size the window of requests in flight."""

    type: Literal["loaded"]
    batch_max: int = Field(default=1, ge=1)
    concurrency: int = Field(default=1, ge=1)
    info: dict[str, JsonValue] | None = None


class Started(_Message):
    """Work on these requests begins now; sent and flushed before it does."""

    type: Literal["started"]
    ids: list[str]


class Response(_Message):
    """An answer. A text too long for a line lies in the spill folder under its SHA-256."""

    type: Literal["response"]
    id: str
    text: str
    stop_reason: StopReason = "unknown"
    input_tokens: int | None = Field(default=None, ge=0, le=_INT64_MAX)
    output_tokens: int | None = Field(default=None, ge=0, le=_INT64_MAX)
    latency_s: Annotated[FiniteFloat, Field(ge=0)]
    batch_size: int = Field(default=1, ge=1, le=_INT32_MAX)
    info: dict[str, JsonValue] | None = None
    text_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Failure(_Message):
    """A request, or with `id` null the loading, failed; `final`: so will every other one, until a person mends it."""

    type: Literal["error"]
    id: str | None = None
    kind: ErrorKind
    message: str
    final: bool = False
    traceback: str | None = None


class Pong(_Message):
    """The answer to a ping; a sign of life, not of progress."""

    type: Literal["pong"]
    seq: int


class Log(_Message):
    """A line for the log."""

    type: Literal["log"]
    level: str = "info"
    message: str


class Bye(_Message):
    """The last message before a worker ends by itself."""

    type: Literal["bye"]


Message = Hello | Progress | Loaded | Started | Response | Failure | Pong | Log | Bye
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])
_STARTED_ONE = re.compile(rb'\{"type":"started","ids":\["([\w-]{1,64})"\]\}').fullmatch
_validate: Callable[[bytes], Message] = _ADAPTER.validator.validate_json


def decode(line: bytes) -> Message:
    """Return the message of one line (without its newline); raise ProtocolError for anything else.

    Half surrogate pairs, which truncated outputs hold, are replaced by U+FFFD.
    """
    try:
        message = _validate(line)
    except ValidationError:
        message = _decode_leniently(line)
    if b"NaN" in line or b"Infinity" in line:  # the fast parser lets them pass inside `info`
        _refuse_nan(line)
    return message


def match_started(line: bytes) -> str | None:
    """Return the id of a line that says, in the shim's own words, that work on one request begins.

    Every other message is one of these; parsing them in full would take a tenth of a fast run.
    """
    match = _STARTED_ONE(line)
    return match[1].decode("ascii") if match else None


def encode(message: dict[str, Any]) -> bytes:
    """Return the line of `message`; raise ProtocolError where it is longer than a line may be."""
    try:
        line = to_json(message, ensure_ascii=True, inf_nan_mode="null") + b"\n"
    except ValueError as error:
        raise ProtocolError(f"a message is not valid text: {error}") from error
    if len(line) > LINE_BYTES:
        raise ProtocolError(f"a message of {len(line)} bytes is longer than the {LINE_BYTES} that a line may have")
    return line


@dataclass(slots=True)
class LineSplitter:
    r"""Cut a stream of bytes into lines at `\n` alone; U+2028 and its like are part of a text."""

    _parts: list[bytes] = field(default_factory=list)
    _held: int = 0

    def feed(self, chunk: bytes) -> Sequence[bytes]:
        """Return the lines that `chunk` completes; raise ProtocolError when one outgrows the limit."""
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._parts, lines[0]])
            self._parts, self._held = [], 0
        if rest:
            self._parts.append(rest)
            self._held += len(rest)
        if self._held > LINE_BYTES or any(len(line) > LINE_BYTES for line in lines):
            raise ProtocolError(f"a line is longer than {LINE_BYTES} bytes")
        return lines


def _decode_leniently(line: bytes) -> Message:
    """Decode a line that the fast parser refused, in case only half surrogate pairs were the matter."""
    try:
        text = _encode_repaired(json.loads(line.decode("utf-8", "surrogatepass"), parse_constant=_no_constant))
        return _validate(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(_sentence(error)) from error


def _encode_repaired(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _refuse_nan(line: bytes) -> None:
    try:
        json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(str(error)) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _sentence(error: ValueError | RecursionError) -> str:
    if isinstance(error, ValidationError):
        defect = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in defect["loc"]) or "message"
        return f"{key}: {defect['msg']}"
    return f"not a JSON object: {error}"
