"""Send bytes and take bytes back: connections, certificates, proxies, and what can go wrong with them."""

import asyncio
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from faults import Fault, malformed
from params import BadParamsError, require

ANSWER_BYTES = 64 << 20
PLAIN = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}  # what OpenSSL calls an answer without TLS, by version


class WriteTimeoutError(TimeoutError):
    """The endpoint took too long to take the request in."""


class TimedBody(aiohttp.BytesPayload):
    """A body that must be taken in within a time; aiohttp has no such limit."""

    def __init__(self, data, limit_s):
        """Take the bytes as they are."""
        super().__init__(data, content_type="application/json")
        self._limit_s = limit_s

    async def write_with_length(self, writer, content_length):
        """Write all, or raise WriteTimeoutError."""
        try:
            async with asyncio.timeout(self._limit_s):
                await super().write_with_length(writer, content_length)
        except TimeoutError:
            raise WriteTimeoutError from None


async def open_sessions(settings):
    """Yield a session that is closed when the event loop ends, as asyncio does with generators."""
    times = settings.timeouts
    timeout = aiohttp.ClientTimeout(total=times["total"], sock_connect=times["connect"], sock_read=times["read"])
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=30, ssl=settings.trusted)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=settings.headers, cookie_jar=jar
    ) as session:
        yield session


def find_proxy(parts):
    """Return the proxy that the standard variables name, None for none; aiohttp would look it up at every request."""
    if proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    is_http = not proxy or urlsplit(proxy).scheme in ("http", "https")
    require(is_http, f"the proxy for {parts.hostname} is not one for HTTP; list the host in NO_PROXY, or set another")
    return proxy or None


def trust():
    """Return whose certificates are trusted: the system's, or certifi's where the interpreter knows of none.

    `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE` may name others: a file, or a folder as OpenSSL's `rehash` leaves it. Raises
    BadParamsError where it names neither.
    """
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        if own := os.environ.get(variable):
            require(Path(own).exists(), f"{variable} names '{own}', which is not there; correct or unset it")
            try:
                return ssl.create_default_context(**{"capath" if Path(own).is_dir() else "cafile": own})
            except (OSError, ssl.SSLError) as error:
                raise BadParamsError(f"{variable} names '{own}', which holds no certificates: {error}") from error
    paths = ssl.get_default_verify_paths()
    return ssl.create_default_context(cafile=None if paths.cafile or paths.capath else certifi.where())


async def read_capped(response):
    """Return the body; a server that never stops is cut off."""
    if response.content_length is not None and response.content_length <= ANSWER_BYTES:
        return await response.read()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_BYTES:
            raise aiohttp.ClientPayloadError("the answer is too long")
    return b"".join(chunks)


def fault_of(error):
    """Return the Fault of an exception of aiohttp's; its own words may hold the address, and are not used."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        advice = "set SSL_CERT_FILE to a file with the certificate that signed it"
        return Fault("stop", "bad_params", f"its certificate is not trusted ({_reason(error)}); {advice}")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault("retry", "transient", "there is no address of that name, or no name server; check base_url")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Fault("retry", "transient", f"the proxy answered with status {error.status}")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Fault("retry", "transient", f"no connection to the proxy: {_reason(error)}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _fault_of_connecting(error)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Fault("retry", "transient", "no connection in time")
    if isinstance(error, WriteTimeoutError):
        return Fault("retry", "transient", "the request was not taken in in time")
    if isinstance(error, TimeoutError):
        return Fault("retry", "transient", "no answer in time", is_maybe_billed=True)
    if isinstance(error, aiohttp.ClientResponseError):
        return malformed("the answer is no HTTP", b"")
    return Fault("retry", "transient", f"the connection broke ({type(error).__name__})", is_maybe_billed=True)


def _fault_of_connecting(error):
    if _reason(error) in PLAIN:
        return Fault("stop", "bad_params", "it does not speak TLS; is base_url to begin with http://, not https://?")
    if isinstance(error.os_error, ConnectionRefusedError):
        return Fault("retry", "transient", "no connection: refused; is the server running? Else check base_url")
    return Fault("retry", "transient", f"no connection: {_reason(error)}")


def _reason(error):
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    words = getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or getattr(cause, "strerror", None)
    return words or type(cause or error).__name__
