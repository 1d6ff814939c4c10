"""Exactly what is sent: paths, parameters and headers, held against the documented APIs.

The Hub: https://huggingface.co/docs/hub/api (GET /api/models; sort, limit, expand; the next page
in the Link header). DeFiLlama: its OpenAPI document (GET /protocols, /v2/chains, no parameters).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from baimo.pipeline.ingest.refresh import refresh_defillama, refresh_hub
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.http import Patience
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_models import synthetic_models

NOW = datetime(2026, 9, 1, 6, tzinfo=UTC)
FIELDS = [
    "author", "baseModels", "childrenModelCount", "createdAt", "disabled", "downloads",
    "downloadsAllTime", "gated", "inference", "lastModified", "library_name", "likes",
    "pipeline_tag", "private", "safetensors", "spaces", "tags", "trendingScore",
]  # fmt: skip


def test_the_listing_of_models(
    lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(synthetic_models(250, seed=1), page_cap=100) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        refresh_hub(lake, patience=patience, now=lambda: NOW)
        assert [r.method for r in hub.requests] == ["GET"] * 5
        assert {r.path for r in hub.requests} == {"/api/models"}
        first, *others, shorter, rest = hub.requests
        # The last page of 50 once more, one row shorter, and what follows it: the end is proven.
        assert shorter.ask("limit") == "49"
        assert shorter.ask("cursor") == hub.cursor(200)
        assert rest.ask("cursor") == hub.cursor(249)
        assert first.query == [("sort", "createdAt"), ("limit", "1000"),
                               *(("expand", f) for f in FIELDS)]  # fmt: skip
        for number, request in enumerate(others, 1):
            assert request.query[:-1] == first.query
            assert request.query[-1] == ("cursor", hub.cursor(100 * number))
        for request in hub.requests:
            assert request.body == b""
            assert request.headers["user-agent"].startswith("baimo/")
            assert "hf_hub/" in request.headers["user-agent"]
            assert set(request.headers) <= {
                "host", "user-agent", "accept", "accept-encoding", "connection",
                "x-amzn-trace-id",
            }  # fmt: skip


def test_no_field_of_a_page_weighs_tens_of_kilobytes() -> None:
    from baimo.pipeline.sources.hub.rows import EXPAND

    assert not set(EXPAND) & {"cardData", "siblings", "model-index", "config"}


def test_the_fields_are_those_that_the_client_knows() -> None:
    from typing import get_args

    from huggingface_hub.hf_api import ExpandModelProperty_T

    from baimo.pipeline.sources.hub.rows import EXPAND

    assert set(EXPAND) <= set(get_args(ExpandModelProperty_T))


def test_the_next_address_is_the_one_of_the_link_to_the_letter(
    lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(synthetic_models(250, seed=1), page_cap=100) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        refresh_hub(lake, patience=patience, now=lambda: NOW)
        query = urlsplit(hub.requests[1].target).query
        assert parse_qsl(query)[-1][0] == "cursor"


def test_protocols_and_chains(
    lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DefiServer(synthetic_protocols(60, seed=1)) as llama:
        monkeypatch.setenv("BAIMO_DEFILLAMA_URL", llama.url)
        refresh_defillama(lake, patience=patience, now=lambda: NOW)
        assert [(r.method, r.target) for r in llama.requests] == [
            ("GET", "/protocols"), ("GET", "/v2/chains")
        ]  # fmt: skip
        for request in llama.requests:
            assert request.headers["user-agent"].startswith("baimo/")
            assert set(request.headers) <= {
                "host", "user-agent", "accept", "accept-encoding", "connection"
            }  # fmt: skip


def test_the_paths_stand_in_the_api_document(recording: Callable[[str], Path]) -> None:
    document = json.loads(recording("defillama/api/openapi-free.json").read_text())
    assert {"/protocols", "/protocol/{protocol}", "/v2/chains"} <= set(document["paths"])
    assert "https://api.llama.fi" in {server["url"] for server in document["servers"]}
