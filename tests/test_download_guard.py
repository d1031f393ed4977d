"""URLs that a dataset must not have us ask, and files that it must not have us keep: none gets anywhere."""

import gzip
import re
import shutil
import socket
import struct
import subprocess
import time
import zlib

import pytest

from orchestrator.errors import BakeoffError
from orchestrator.images import MAX_BYTES
from orchestrator.importing.asking import Limits
from orchestrator.importing.download import Downloader
from orchestrator.importing.gather import Gatherer
from orchestrator.importing.guard import Guard, RefusedError, bare, is_public, make_guard, parse_url
from orchestrator.importing.url_cache import UrlCache
from tests.servers.downloads import answer, png, redirect, serving

pytestmark = pytest.mark.slow  # its servers take their time, on purpose

QUICK = Limits(size_bytes=1_000_000, connect_s=1, silence_s=0.3, total_s=0.5, attempts=2, backoff_s=0.01)
NAMES = {  # a resolver's answers: names of the public internet, and of those who would like to pass for it
    "public.test": ["93.184.216.34"],
    "internal.test": ["10.0.0.5"],
    "metadata.test": ["169.254.169.254"],
    "half.test": ["93.184.216.34", "127.0.0.1"],
    "other-half.test": ["127.0.0.1", "93.184.216.34"],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nat64.test": ["64:ff9b::7f00:1"],
}
SSRF = [  # {port} is that of a server that must not be asked
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://127.1:{port}/",
    "http://127.000.000.001:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://１２７.0.0.1:{port}/",  # noqa: RUF001 - full-width digits
    "http://127。0。0。1:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[ff02::1]:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/metadata",
    "http://192.0.0.192/opc/v2/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://public.test@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@public.test/",
    "http://127.0.0.1:{port}\\@public.test/",
    "http://user:password@public.test/",
    "http://internal.test/",
    "http://metadata.test/",
    "http://half.test:{port}/",
    "http://other-half.test:{port}/",
    "http://six.test:{port}/",
    "http://mapped.test:{port}/",
    "http://nat64.test:{port}/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x",
    "data:image/png;base64,AAAA",
    "dict://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http:127.0.0.1:{port}",
    "http:///127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "javascript:alert(1)",
    "http://127.0.0.1:{port}/\r\nHost: public.test",
    "jar:http://127.0.0.1:{port}/!/x",
    "",
]


def resolve(host, port, **_):
    """Answer for the names of the tests; all else is taken as the system takes it: as a number."""
    if host in NAMES:
        return [(None, None, None, "", (address, port)) for address in NAMES[host]]
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


@pytest.fixture
def canary():
    """Serve an image that nobody may get."""
    with serving({"/": png(), "": png()}) as server:
        yield server


@pytest.fixture
def dialled(monkeypatch):
    """Count whom a socket is opened to, and open none that leads off this machine."""
    calls = []
    connect = socket.create_connection

    def note(address, *args, **options):
        calls.append(address)
        if not address[0].startswith(("127.", "::1")):
            raise ConnectionRefusedError(111, "the test lets nothing out")
        return connect(address, *args, **options)

    monkeypatch.setattr(socket, "create_connection", note)
    return calls


def test_there_are_as_many_urls_as_were_promised():
    assert len(set(SSRF)) == len(SSRF) >= 40


@pytest.mark.parametrize("url", SSRF)
def test_a_url_to_a_private_place_opens_no_connection(url, canary, dialled, tmp_path):
    with pytest.raises(RefusedError):
        Downloader(Guard(resolve=resolve), QUICK).fetch(url.format(port=canary.port), tmp_path / "part")
    assert (canary.hits, dialled, list(tmp_path.iterdir())) == ([], [], [])


@pytest.mark.parametrize("url", [url for url in SSRF if url.isascii() and "://" in url and "\r" not in url])
def test_no_redirect_leads_to_a_private_place(url, canary, dialled, tmp_path):
    with serving({"/go": redirect(url.format(port=canary.port))}) as server:
        guard = Guard(frozenset({server.host}), resolve)
        with pytest.raises(RefusedError):
            Downloader(guard, QUICK).fetch(f"{server.url}/go", tmp_path / "part")
        assert set(dialled) == {("127.0.0.1", server.port)}
    assert (canary.hits, list(tmp_path.iterdir())) == ([], [])


def test_the_connection_goes_to_the_address_that_was_checked(canary, dialled, tmp_path):
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])

    def rebind(host, port, **_):
        return [(None, None, None, "", (address, port)) for address in next(answers)]

    with pytest.raises(RefusedError, match="not a public address"):
        Downloader(Guard(resolve=rebind), QUICK).fetch(f"http://rebind.test:{canary.port}/", tmp_path / "part")
    assert dialled == [("93.184.216.34", canary.port)]
    assert canary.hits == []


def test_no_proxy_of_the_environment_is_used(canary, dialled, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, canary.url)
    with pytest.raises(RefusedError):
        Downloader(Guard(resolve=resolve), QUICK).fetch("http://public.test/", tmp_path / "part")
    assert (canary.hits, {address for address, _ in dialled}) == ([], {"93.184.216.34"})


def test_an_allowed_host_is_asked_by_its_name_and_port_alone(canary, tmp_path):
    for allowed in (f"127.0.0.1:{canary.port}", "127.0.0.1"):
        assert Downloader(make_guard([allowed]), QUICK).fetch(f"{canary.url}/", tmp_path / "part") is not None
    for other in (f"127.0.0.1:{canary.port + 1}", "127.0.0.2", "localhost"):
        with pytest.raises(RefusedError, match="--allow-host"):
            Downloader(make_guard([other]), QUICK).fetch(f"{canary.url}/", tmp_path / "part")


@pytest.mark.parametrize("given", ["", "http://intranet", "a@b", "intranet/path", "host:port", "[::1"])
def test_what_is_no_host_cannot_be_allowed(given):
    with pytest.raises(BakeoffError, match="is not a host"):
        make_guard([given])


def test_addresses_are_public_or_not():
    public = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
    assert [address for address in public if not is_public(address)] == []
    private = [
        *("192.88.99.1", "198.18.0.1", "203.0.113.9", "240.0.0.1", "2001:db8::1", "fe80::1%eth0", "nonsense"),
        *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:808:808::", "3fff::1", "fec0::1", "0.1.2.3"),
    ]
    assert [address for address in private if is_public(address)] == []


def test_a_url_is_shown_without_what_may_be_secret():
    assert bare("https://u:p@a.test/b.png?sig=secret#s") == "https://a.test/b.png"
    assert bare("http://[x?sig=secret") == "http://[x"
    assert bare("https://a.test/\x1b]0;x\x07") == "https://a.test/?]0;x?"
    assert parse_url("https://a.test/b c/ж.png?x=1#y").path == "/b%20c/%D0%B6.png?x=1"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(width, height):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def huge_tiff(width, height):
    entries = [(256, 4, 1, width), (257, 4, 1, height)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", 0)


def looping_tiff():
    return b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 256, 4, 1, 10) + struct.pack("<I", 8)


def endless(handler):
    answer(handler, length=-1)
    while True:
        handler.wfile.write(png() + bytes(1 << 16))


def endless_chunks(handler):
    answer(handler, headers={"Transfer-Encoding": "chunked"}, length=-1)
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def drip(handler):
    answer(handler, png()[:8], length=500_000)
    while True:
        time.sleep(0.1)
        handler.wfile.write(b"x")


def drip_headers(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        time.sleep(0.1)
        handler.wfile.write(b"x-more: y\r\n")


def endless_header(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        handler.wfile.write(b"x" * 65536)


def go_on(handler):
    while True:
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def silent(handler):
    time.sleep(5)


def html(handler):
    answer(handler, b"<!doctype html><h1>Please log in</h1>", headers={"Content-Type": "image/png"})


BOMBS = {
    "endless body": (endless, "more than 1 MB"),
    "endless chunks": (endless_chunks, "more than 1 MB"),
    "a length beyond the limit": (lambda h: answer(h, b"x", length=10**15), "more than 1 MB"),
    "slow loris in the body": (drip, "more than 0.5 s"),
    "slow loris in the headers": (drip_headers, r"more than 0.5 s|HTTP properly"),
    "endless header": (endless_header, "HTTP properly"),
    "endless 100 Continue": (go_on, "more than 0.5 s"),
    "silence": (silent, r"silent for 0\.3 s; tried 2 times|more than 0\.5 s"),
    "gzip in the transfer": (
        lambda h: answer(h, gzip.compress(bytes(10**7)), headers={"Content-Encoding": "gzip"}),
        "packed as gzip",
    ),
    "brotli in the transfer": (
        lambda h: answer(h, b"x", headers={"Content-Encoding": "br, gzip"}),
        "packed as br, gzip",
    ),
    "gzip file": (gzip.compress(bytes(10**8), 9), "gzip archive"),
    "zip file": (b"PK\x03\x04" + bytes(100), "zip archive"),
    "PNG of 10 gigapixels": (huge_png(100_000, 100_000), "megapixels"),
    "PNG of 2^62 pixels": (huge_png(2**31 - 1, 2**31 - 1), "megapixels"),
    "PNG without pixels": (huge_png(0, 10), "0 x 10 pixels"),
    "TIFF of 2^64 pixels": (huge_tiff(2**32 - 1, 2**32 - 1), "megapixels"),
    "TIFF whose pages never end": (looping_tiff(), "damaged TIFF"),
    "PNG that is cut off": (png(size=(50, 50))[:60], "damaged PNG"),
    "an error page as image/png": (html, "HTML or XML"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "HTML or XML"),
    "PDF": (b"%PDF-1.7 x", "PDF"),
    "JSON": (b'{"error": "no"}', "JSON"),
    "nothing": (b"", "0 bytes"),
    "noise": (bytes(range(128, 256)), "none of PNG"),
    "a redirect to itself": (redirect("/page"), "more than 5 redirects"),
    "a redirect nowhere": (lambda h: answer(h, status=302), "more than 5 redirects"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "only http and https"),
    "not HTTP": (lambda h: h.wfile.write(b"SSH-2.0-x\r\n\r\n"), "HTTP properly"),
    "a part that was not asked for": (
        lambda h: answer(h, png(), 206, {"Content-Range": "bytes 5-9/10"}),
        "another part of the file",
    ),
    "a body shorter than said": (lambda h: answer(h, png(), length=5000), r"cut off, \d+ bytes"),
    "a status of its own": (lambda h: answer(h, png(), 999), "999: a status of its own"),
}


TIMED = {"slow loris in the body", "slow loris in the headers", "endless 100 Continue", "silence"}


def test_there_are_as_many_bombs_as_were_promised():
    assert len(BOMBS) >= 20


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_becomes_a_reason_and_no_file(name, tmp_path):
    page, reason = BOMBS[name]
    limits = QUICK if name in TIMED else QUICK._replace(silence_s=20, total_s=40)  # so that a busy machine is no reason
    notes = []
    started = time.monotonic()
    with (
        serving({"/page": page}) as server,
        UrlCache(tmp_path / "cache") as cache,
        Gatherer(cache, make_guard([server.host]), notes.append, limits=limits) as gatherer,
    ):
        (got,) = gatherer.gather([("row", (f"{server.url}/page?sig=secret",))])
    assert got.refused is not None
    assert re.search(reason, got.refused[1]), got.refused[1]
    assert not (tmp_path / "cache" / "objects").exists()
    assert sum(path.stat().st_size for path in (tmp_path / "cache" / "parts").iterdir()) < QUICK.size_bytes
    assert time.monotonic() - started < 20


def test_what_an_import_takes_is_what_a_run_takes():
    assert Limits().size_bytes == MAX_BYTES


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate for localhost that nobody trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this machine")
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    paths = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *paths], check=True, capture_output=True)
    return folder


def fetch_tls(url, tmp_path):
    guard = Guard(frozenset({"localhost", "127.0.0.1"}))
    return Downloader(guard, QUICK).fetch(url, tmp_path / "part")


def test_https_is_spoken_with_hosts_whose_certificate_is_trusted(certificate, tmp_path, monkeypatch):
    routes = {"/x": png(), "/plain": redirect("http://localhost:1/x")}
    with serving(routes, certificate) as server:
        url = f"https://localhost:{server.port}"
        with pytest.raises(RefusedError, match=r"its certificate is not to be trusted: self.signed certificate"):
            fetch_tls(f"{url}/x", tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
        fetch_tls(f"{url}/x", tmp_path)
        assert (tmp_path / "part").read_bytes() == png()
        with pytest.raises(RefusedError, match="its certificate is not to be trusted: IP address mismatch"):
            fetch_tls(f"https://127.0.0.1:{server.port}/x", tmp_path)
        with pytest.raises(RefusedError, match="it leads from https to http"):
            fetch_tls(f"{url}/plain", tmp_path)


def test_a_server_that_never_shakes_hands_is_left(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(RefusedError, match=r"it was silent for 0\.3 s; tried 2 times|more than 0\.5 s"):
            fetch_tls(f"https://127.0.0.1:{listener.getsockname()[1]}/x", tmp_path)
        assert time.monotonic() - started < 20
