"""Take secrets out of what a worker says: each by its value in every form, and by what many of them look like."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, quote_plus, unquote

SECRET_CHARS_MIN = 8  # a shorter one may stand in an innocent word
HELD_BYTES_MAX = 8 << 10
CUT = "…"  # ends what was cut
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_END = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH)S?$")
_SECRET_WORDS = frozenset({"PAT", "PASS", "PWD", "DSN"})
_INNOCENT_WORDS = frozenset({"MONKEY", "DONKEY", "TURKEY", "HOCKEY", "JOCKEY", "WHISKEY"})
_RUN, _KEY_DIGITS = re.compile(r"[A-Za-z0-9]{16,}"), 2
_USER_INFO = re.compile(r"\s*[a-zA-Z][\w+.-]*://([^/?#\s]*?):([^/?#\s]+)@")
_NEEDLESS_ESCAPE = re.compile(rb"\\(?:/|u(?:00[02-7]|[0-9a-fA-F]{0,3}[A-F]))")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\d[\d.eE+-]*+')  # a string or a number of JSON
_NUMERIC = frozenset("0123456789.eE+-")
_TRIGGERS = (b"://", b"earer", b"EARER", b"sk-", b"hf_", b"PRIVATE KEY-----")
_BEGIN, _END = r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----", r"-----END (?:[A-Z]+ )*PRIVATE KEY-----"
_KEY_END = re.compile(rb"-----END [A-Z ]+-----")
_PATTERNS = (
    (re.compile(r"(?<=://)[^\s/@:'\"]*:[^\s/@'\"]+(?=@)"), "[redacted:credentials]"),
    (re.compile(r"(?i)(?<=\bbearer )\s*[\w.~+/=-]{8,}"), "[redacted:bearer]"),
    (re.compile(r"\b(?:sk-|hf_)(?=[a-zA-Z_-]{0,30}\d)[\w-]{16,}"), "[redacted:key]"),  # no `sk-learn-like-estimators`
    (re.compile(rf"{_BEGIN}.*?(?:{_END}|\Z)", re.DOTALL), "[redacted:private key]"),
)


def is_secret_name(name: str) -> bool:
    """Tell whether a variable holds a secret, which a word of its name says, as in `OPENAI_API_KEY`."""
    words = {word.upper() for word in _WORD.findall(name)} - _INNOCENT_WORDS
    if name.upper() == "PWD":  # where a shell is
        return False
    return not words.isdisjoint(_SECRET_WORDS) or any(map(_SECRET_END.search, words))


def find_credentials(name: str, value: str) -> dict[str, str]:
    """Return what is secret of a URL with user and password that stands in the variable `name`."""
    match = _USER_INFO.match(value)
    if match is None:
        return {}
    user, password = match.groups()
    secrets = {f"{name} credentials": f"{user}:{password}"}
    if password != user:  # else it is a word such as `postgres`
        secrets[f"{name} password"] = unquote(password)
    return secrets


def looks_like_key(text: str) -> bool:
    """Tell whether `text` is a key rather than a name: by its beginning, or by letters and digits mixed at length."""
    return redact_patterns(text) != text or any(
        sum(map(str.isdigit, run)) >= _KEY_DIGITS and not run.isdigit() for run in _RUN.findall(text)
    )


def redact_patterns(text: str) -> str:
    """Replace what looks like a secret though nobody said so: in URLs and headers, well-known keys, private keys."""
    for pattern, mark in _PATTERNS:
        text = pattern.sub(mark, text)
    return text


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces the values of `secrets`, by name, in all that passes; each of at least `SECRET_CHARS_MIN` characters.

    Known are a value's plain, base64 (wherever in a longer text it begins), url-encoded and JSON-escaped forms.
    A string of JSON that is one of `kept` stays, though it is a secret, too: a message needs it.
    """

    secrets: Mapping[str, str] = field(repr=False)
    kept: frozenset[str] = frozenset()
    _raw: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False)
    _escaped: tuple[bytes, ...] = field(init=False, repr=False)
    _texts: tuple[tuple[str, str], ...] = field(init=False, repr=False)
    _numbers: tuple[tuple[str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Work out the forms of each, the longest first, lest one that begins like another leaves its rest behind."""
        raw: dict[bytes, bytes] = {}
        for name, value in self.secrets.items():
            mark = f"[redacted:{re.sub(r'[^0-9A-Za-z_]', '_', name)}]".encode()
            for form in _forms(value):
                raw.setdefault(form, mark)
        ordered = _longest_first(raw)
        texts = tuple((form.decode("utf-8", "surrogateescape"), mark.decode()) for form, mark in ordered)
        object.__setattr__(self, "_raw", ordered)
        object.__setattr__(self, "_escaped", tuple(sorted({each for form in raw for each in _escape(form)})))
        object.__setattr__(self, "_texts", texts)
        object.__setattr__(self, "_numbers", tuple(pair for pair in texts if _NUMERIC.issuperset(pair[0])))

    def redact(self, data: bytes) -> bytes:
        """Return `data`, any text, with `[redacted:NAME]` in place of each secret."""
        return _replace(data, self._raw)

    def redact_json(self, line: bytes) -> bytes:
        """Return `line`, a JSON text, without the secrets that its strings and numbers hold; it stays JSON.

        A number that holds one becomes a string; whatever holds none stays as it is written.
        """
        if self._escaped and (self._is_found(line) or _NEEDLESS_ESCAPE.search(line)):
            return _TOKEN.sub(self._redact_token, line)
        return line

    def shorten(self, text: str, limit: int) -> str:
        """Return at most `limit` characters; where `text` is cut, or came so, no beginning of a secret ends it."""
        if len(text) <= limit and not text.endswith(CUT):
            return text
        data = text.removesuffix(CUT)[: limit - len(CUT)].encode("utf-8", "replace")
        return data[: self.find_cut(data)].decode("utf-8", "ignore") + CUT

    def _is_found(self, line: bytes) -> bool:
        for form in self._escaped:  # noqa: SIM110 - each line of a run comes by, and this is faster
            if form in line:
                return True
        return False

    def _redact_token(self, match: re.Match[bytes]) -> bytes:
        token = match[0]
        is_string = token.startswith(b'"')
        try:
            text = json.loads(token.decode("utf-8", "surrogatepass")) if is_string else token.decode()
        except ValueError:  # whoever decodes the line will say so
            return token
        redacted = text
        for form, mark in self._texts if is_string else self._numbers:
            redacted = redacted.replace(form, mark)
        return token if redacted == text or text in self.kept else json.dumps(redacted).encode()

    def find_cut(self, data: bytes) -> int:
        """Return where in `data` the secret may begin of which only the rest has yet to come, or its length."""
        cut = len(data)
        for form, _ in self._raw:
            at = data.find(form[:1], max(0, len(data) - len(form) + 1), cut)
            while at >= 0 and not form.startswith(data[at:]):
                at = data.find(form[:1], at + 1, cut)
            cut = at if at >= 0 else cut
        return cut


@dataclass(slots=True)
class RedactedStream:
    """A stream without secrets, though they come in pieces; what may be the beginning of one is held back."""

    redactor: Redactor
    _held: bytes = field(init=False, repr=False, default=b"")

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be told of all that came."""
        data, cut = self._split(self._held + chunk)
        cut = min(cut, _find_open_line(data))
        self._held = data[cut:]
        return _redact_lines(data[:cut])

    def _split(self, data: bytes) -> tuple[bytes, int]:
        """Return `data` without whole secrets, and where the beginning of one begins."""
        redactor = self.redactor
        cut = redactor.find_cut(data)
        if (rest := data[cut:]) and redactor.redact(rest) != rest:  # a whole one is the beginning of another
            head = redactor.redact(data[:cut])
            return head + rest, len(head)
        data = redactor.redact(data)
        return data, redactor.find_cut(data)

    def finish(self) -> bytes:
        """Return what is held back: no more is to come."""
        held, self._held = self._held, b""
        return _redact_lines(self.redactor.redact(held))


def _forms(value: str) -> set[bytes]:
    """Return what the bytes of a secret look like in a text, white space around it or not."""
    forms: set[bytes] = set()
    for text in {value, value.strip()}:
        if len(text) >= SECRET_CHARS_MIN:
            data = text.encode("utf-8", "surrogateescape")
            forms |= {data, repr(text)[1:-1].encode("utf-8", "surrogateescape"), repr(data)[2:-1].encode()}
            once = _escape(data)
            forms |= {*once, *(twice for each in once for twice in _escape(each))}
            forms |= {*_base64_forms(data), *_url_forms(data)}
    return forms


def _base64_forms(data: bytes) -> set[bytes]:
    """Return the characters that `data` alone decides, at each of the three places where a longer text can have it."""
    forms = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data)
        form = encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
        forms |= {form, form.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


def _url_forms(data: bytes) -> set[bytes]:
    upper = {quote_from_bytes(data, safe=""), quote_from_bytes(data), quote_plus(data)}
    lower = {re.sub("%..", lambda match: match[0].lower(), form) for form in upper}
    return {form.encode() for form in upper | lower}


def _escape(form: bytes) -> set[bytes]:
    """Return `form` as it stands in a JSON string, pure ASCII or not."""
    text = form.decode("utf-8", "surrogateescape")
    ascii_form = json.dumps(text)[1:-1].encode()
    return {ascii_form, json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")}


def _longest_first(forms: Mapping[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(sorted(forms.items(), key=lambda item: (-len(item[0]), item)))


def _replace(data: bytes, marks: Iterable[tuple[bytes, bytes]]) -> bytes:
    for form, mark in marks:
        if form in data:
            data = data.replace(form, mark)
    return data


def _find_open_line(data: bytes) -> int:
    """Return where an unfinished line begins that has the beginning of a pattern, or an unfinished private key."""
    cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if not _has_trigger(data[cut:]):
        cut = len(data)
    key = data.rfind(b"-----BEGIN")
    if key >= 0 and not _KEY_END.search(data, key):
        cut = min(cut, key)
    return cut if len(data) - cut <= HELD_BYTES_MAX else len(data)


def _has_trigger(data: bytes) -> bool:
    return any(trigger in data for trigger in _TRIGGERS)


def _redact_lines(data: bytes) -> bytes:
    """Apply the patterns to raw bytes, of which latin-1 keeps every one."""
    return redact_patterns(data.decode("latin-1")).encode("latin-1") if _has_trigger(data) else data
