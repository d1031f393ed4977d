"""A folder, an element or a dataset of an Arkindex server, by its id. Its images come through IIIF.

\b
Example:
  bakeoff dataset import arkindex 8f8f196f-49bc-444e-9cfe-c705c3cd01ae registers --element-type text_line

ARKINDEX_API_URL and ARKINDEX_TOKEN are taken from the environment or the workspace's .env.
"""

from collections.abc import Iterator
from typing import Any

from orchestrator.importing.arkindex_api import ApiStore, find_id
from orchestrator.importing.arkindex_client import ArkindexClient, read_account
from orchestrator.importing.arkindex_element import Options
from orchestrator.importing.arkindex_records import read_elements
from orchestrator.importing.guard import bracketed, parse_url
from orchestrator.importing.record import Notify, Problem, Record, Source

__all__ = ["Options", "read"]


def read(source: Source, options: Any, notify: Notify) -> Iterator[Record | Problem]:
    """Yield a question per element, in the order of the server; what has no image or no truth is a Problem."""
    given = find_id(source.given)
    account = read_account(source.workspace)
    if account.token is None:
        notify("arkindex: ARKINDEX_TOKEN is not set; what is public can be read")
    api = parse_url(account.api_url)
    with ArkindexClient(source.workspace, account, notify) as client:
        store = ApiStore(client, account.api_url, options, notify)
        own = f"{bracketed(api.host)}:{api.port}"
        yield from read_elements(store, source, given, options, notify, api_host=own)
