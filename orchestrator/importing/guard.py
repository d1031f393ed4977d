"""Which addresses a dataset may have us ask: the public internet, and hosts that the user names.

A list of URLs is somebody else's text. Whoever fetches it lends them a place in this network, so a host's name counts
for nothing: every address that it resolves to is looked at, and the connection goes to one that was looked at.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from orchestrator.errors import BakeoffError

URL_CHARS_MAX = 8192
_SHOWN_CHARS = 500
_PORTS = {"http": 80, "https": 443}
_UNFIT = frozenset({*map(chr, range(0x20)), "\x7f", "\\"})
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
# What Python's is_global passes in one version or another, or what is public by number alone.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),  # RFC 6890, 7526; Oracle's metadata
        "168.63.129.16/32",  # Azure's host
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # Teredo and other protocols, examples, 6to4
    )
)
Resolve = Callable[..., list[Any]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedError(BakeoffError):
    """Why a URL is not asked, or what came of it not taken, as a sentence without a full stop."""


class Target(NamedTuple):
    """A URL that may be asked, once its host's addresses are checked; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """Host and port; the latter is left out where it goes without saying."""
        host = bracketed(self.host)
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, spelled out."""
        return f"{self.scheme}://{self.netloc}{self.path}"


class Guard(NamedTuple):
    """The rules of one import: `allowed` are hosts, or host:port, that may be private."""

    allowed: frozenset[str] = frozenset()
    resolve: Resolve = socket.getaddrinfo

    def check(self, target: Target) -> tuple[str, ...]:
        """Return the addresses of the target's host, all of them looked at; raise RefusedError for a private one.

        Raises OSError where the name cannot be resolved.
        """
        found = self.resolve(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not {target.host, f"{bracketed(target.host)}:{target.port}"} & self.allowed:
            for address in addresses:
                if not is_public(address):
                    raise RefusedError(_told(target.host, address))
        return addresses


def make_guard(allow_hosts: Iterable[str]) -> Guard:
    """Return the rules with these hosts allowed, written as `intranet.local`, `10.0.0.7` or `localhost:8000`."""
    hosts = []
    for given in allow_hosts:
        try:
            parts = urlsplit(f"//{given.strip()}")
            hosts.append((parts.hostname or "", parts.port))
        except ValueError:
            hosts.append(("", None))
        if not hosts[-1][0] or "/" in given or "@" in given:
            raise BakeoffError(f"'{given}' is not a host; write it as intranet.local or localhost:8000")
    return Guard(frozenset(host if port is None else f"{bracketed(host)}:{port}" for host, port in hosts))


def parse_url(url: str) -> Target:
    """Take a URL apart; raise RefusedError for one that nobody should ask. Of the host only the form is looked at."""
    if len(url) > URL_CHARS_MAX:
        raise RefusedError(f"the URL has more than {URL_CHARS_MAX} characters")
    if not _UNFIT.isdisjoint(url):
        raise RefusedError("the URL holds a backslash or a control character; write those as %5C and so on")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise RefusedError(f"this is not a URL: {error}") from None
    if parts.scheme not in _PORTS:
        raise RefusedError(f"only http and https are asked, this is {parts.scheme or 'no URL'}")
    if "@" in parts.netloc:
        raise RefusedError("the URL holds a user's name or password; take them out")
    if not host or port == 0:
        raise RefusedError("the URL names no host" if not host else "port 0 is none")
    path = urlunsplit(("", "", _quoted(parts.path) or "/", _quoted(parts.query), ""))
    return Target(parts.scheme, _ascii(host), port or _PORTS[parts.scheme], path)


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, whatever form it has."""
    try:
        parsed: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif parsed in _NAT64:
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        elif parsed not in _UNICAST:
            return False
    if any(parsed in network for network in _NOT_PUBLIC if network.version == parsed.version):
        return False
    return parsed.is_global and not parsed.is_multicast


def bare(url: str) -> str:
    """Return a URL for people and files: without user, query and fragment, where secrets stand."""
    try:
        parts = urlsplit(url)
        plain = SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "").geturl()
    except ValueError:
        plain = url.partition("?")[0].rpartition("@")[2]
    plain = "".join(c if c.isprintable() else "?" for c in plain)
    return plain if len(plain) <= _SHOWN_CHARS else f"{plain[:_SHOWN_CHARS]}…"


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def _ascii(host: str) -> str:
    try:
        plain = host if ":" in host else host.encode("idna").decode().rstrip(".")
    except UnicodeError:
        plain = ""
    if not _HOST.fullmatch(plain):
        raise RefusedError(f"'{host}' is no host's name")
    return plain


def _quoted(text: str) -> str:
    """Escape spaces and what is not ASCII, as browsers do; what is escaped stays as it is."""
    return quote(text, safe="%/:=&?~#+!$,;'@()*[]|^`{}\"<>")


def _told(host: str, address: str) -> str:
    where = f"{host} is {address}, which is" if host != address else f"{host} is"
    if ipaddress.ip_address(address.partition("%")[0]).is_link_local:
        return f"{where} where clouds keep the secrets of a machine; nobody's image is there"
    return f"{where} not a public address; allow it with --allow-host {bracketed(host)} if you trust it"
