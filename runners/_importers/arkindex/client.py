"""Ask an Arkindex server through its own client library: requests come as JSON lines, so do answers.

The first line says `api_url`, `token` and `backoff_s`; the answer is {"ready": version of the client}. Then each line
is a request: `operation`, `arguments`, `optional` (left out where the server does not know them), `is_listing`. A page
of a listing is answered by a line {"item": …} for each and {"end": true, "next": the arguments of the next page or
null}, all else by {"value": …}; instead may come {"error": {"status", "kind", "message"}}. The token comes this way
alone: neither as argument nor in the environment.
"""

import email.utils
import json
import os
import sys
import time
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

# What any library prints must not get between the answers.
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

import requests  # noqa: E402
from arkindex import ArkindexClient  # noqa: E402
from arkindex.exceptions import ClientError, ErrorResponse, SchemaError  # noqa: E402

PAGE_SIZE = 100
ATTEMPTS = 5
RETRY_AFTER_MAX_S = 120.0


class Asker:
    """A client that tries again what may help, and says the rest with its status."""

    def __init__(self, api_url, token, backoff_s):
        self.backoff_s = backoff_s
        self.retry_after = None
        self.client = self.again(lambda: open_client(api_url, token))
        self.client.session.hooks["response"].append(self.note)

    def note(self, response, **_):
        """Remember what the client library throws away."""
        self.retry_after = response.headers.get("Retry-After")

    def again(self, ask):
        for attempt in range(ATTEMPTS):
            try:
                return ask()
            except (ErrorResponse, requests.ConnectionError, requests.Timeout) as error:
                status = getattr(error, "status_code", None)
                if attempt == ATTEMPTS - 1 or (status is not None and status != 429 and status < 500):
                    raise
                wait_s = seconds(self.retry_after) if status is not None else None
                if wait_s is not None and wait_s > RETRY_AFTER_MAX_S:
                    raise
                time.sleep(self.backoff_s * 2**attempt if wait_s is None else wait_s)
        raise AssertionError

    def ask(self, operation, arguments, optional):
        known = {field.name for field in self.client.lookup_operation(operation).fields}
        given = {**arguments, **{name: value for name, value in optional.items() if name in known}}
        answer = self.again(lambda: self.client.single_request(operation, **given))
        if not isinstance(answer, (dict, list)):
            raise SchemaError(f"{operation} is answered by {type(answer).__name__}, perhaps a page to log in")
        return answer

    def page(self, operation, arguments, optional):
        """Return a page and the arguments of the next; the library's own paginate() loses the status of an error."""
        answer = self.ask(operation, arguments, {"page_size": PAGE_SIZE, **optional})
        following = None
        if answer.get("next") and answer["results"]:
            cursor = parse_qs(urlsplit(answer["next"]).query).get("cursor")
            following = {"cursor": cursor[0]} if cursor else {"page": arguments.get("page", 1) + 1}
        return answer["results"], following


def open_client(api_url, token):
    """Read the server's schema and return the client; what it was that kept the library from that is raised."""
    try:
        return ArkindexClient(token=token, base_url=api_url)
    except SchemaError as error:
        if isinstance(error.__cause__, (requests.ConnectionError, requests.Timeout)):
            raise error.__cause__ from error
        raise


def seconds(retry_after):
    """Return the seconds that a Retry-After says, a number or a date."""
    if not retry_after:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def describe(error):
    """Return an error as it is sent: status, kind and the server's own words."""
    if isinstance(error, ErrorResponse):
        return {"status": error.status_code, "kind": "status", "message": words(error.content) or error.title}
    if isinstance(error, SchemaError):
        response = getattr(error.__cause__, "response", None)
        status = getattr(response, "status_code", None)
        return {"status": status, "kind": "schema", "message": f"{error.__cause__ or error}"}
    if isinstance(error, ClientError):
        return {"status": None, "kind": "unknown", "message": str(error)}
    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return {"status": None, "kind": "unreachable", "message": type(error).__name__}
    return {"status": None, "kind": "bug", "message": f"{type(error).__name__}: {error}"}


def words(content):
    """Return what the body of an error says, in the forms of new and of old servers."""
    if isinstance(content, dict):
        errors = content.get("errors")
        if isinstance(errors, list):
            return "; ".join(str(each.get("detail", each)) if isinstance(each, dict) else str(each) for each in errors)
        return str(content.get("detail") or json.dumps(content))
    return str(content or "")[:500]


def tell(message):
    ANSWERS.write(json.dumps(message) + "\n")
    ANSWERS.flush()


def carry_out(asker, request):
    given = (request["operation"], request.get("arguments", {}), request.get("optional", {}))
    if not request.get("is_listing"):
        return tell({"value": asker.ask(*given)})
    items, following = asker.page(*given)
    for item in items:
        tell({"item": item})
    return tell({"end": True, "next": following})


def main():
    hello = json.loads(sys.stdin.readline())
    try:
        asker = Asker(hello["api_url"], hello.get("token"), hello.get("backoff_s", 1.0))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tells it
        return tell({"error": describe(error)})
    tell({"ready": version("arkindex-client")})
    for line in sys.stdin:
        try:
            carry_out(asker, json.loads(line))
        except BrokenPipeError:
            return None
        except Exception as error:  # noqa: BLE001 - as above
            tell({"error": describe(error)})
    return None


if __name__ == "__main__":
    main()
