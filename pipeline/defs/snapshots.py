"""Snapshots: the live sources, one published file a day each.

Today's partition is fetched live; a past one is filled from public histories. What a source
refuses to give is a failed step whose message says why; the lake, and yesterday's report, stay.
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from baimo.pipeline.defs.declare import (
    PARTITIONS,
    SNAPSHOTS,
    Events,
    blocking,
    day_of,
    numbers,
    table_out,
)
from baimo.pipeline.defs.io_manager import InLake
from baimo.pipeline.errors import PipelineError
from baimo.pipeline.ingest.acceptance import DEFILLAMA_CHECKS, HUB_CHECKS, RefusedSnapshotError
from baimo.pipeline.lake.receipts import Receipt
from baimo.pipeline.settings import RETRY_SECONDS
from baimo.pipeline.sources.http import UnreachableError

# A source that is down for minutes comes back; what it refuses, it refuses again.
AGAIN = dg.RetryPolicy(max_retries=3, delay=RETRY_SECONDS, backoff=dg.Backoff.EXPONENTIAL)


class TrustConfig(dg.Config):
    """Whether the day is published although it is far from the last snapshot."""

    trust: bool = False


@dg.multi_asset(
    name="hub",
    outs={"hub_models": table_out("hub_models", SNAPSHOTS)},
    check_specs=[blocking(name, "hub_models", text) for name, text in HUB_CHECKS.items()],
    partitions_def=PARTITIONS,
    retry_policy=AGAIN,
    pool="hub",
)
def hub(context: dg.AssetExecutionContext, config: TrustConfig) -> Events:
    """Publish the listing of the Hub."""
    from baimo.pipeline.ingest.daily import publish_hub

    yield from _published(
        "hub_models", lambda: publish_hub(day_of(context), context.log.info, trust=config.trust)
    )


@dg.multi_asset(
    name="defillama",
    outs={
        "defillama_protocols": table_out("defillama_protocols", SNAPSHOTS),
        "defillama_chains": table_out("defillama_chains", SNAPSHOTS, required=False),
    },
    check_specs=[
        blocking(name, "defillama_protocols", text) for name, text in DEFILLAMA_CHECKS.items()
    ],
    partitions_def=PARTITIONS,
    retry_policy=AGAIN,
    pool="defillama",
)
def defillama(context: dg.AssetExecutionContext, config: TrustConfig) -> Events:
    """Publish the protocols and chains of DeFiLlama."""
    from baimo.pipeline.ingest.daily import publish_defillama
    from baimo.pipeline.lake.store import Lake
    from baimo.pipeline.settings import lake_dir

    day = day_of(context)
    yield from _published(
        "defillama_protocols", lambda: publish_defillama(day, context.log.info, trust=config.trust)
    )
    chains = Lake(lake_dir()).path("defillama_chains", day)
    if chains.exists():
        yield dg.Output(InLake(str(chains)), output_name="defillama_chains")


def _published(name: str, publish: Callable[[], tuple[Receipt, str]]) -> Events:
    """Publish, then report every check and what a person would look for.

    Raises
    ------
    dagster.Failure
        Nothing was published; the description says why.
    """
    try:
        receipt, path = publish()
    except RefusedSnapshotError as error:
        for c in error.checks:
            yield dg.AssetCheckResult(
                passed=c.passed,
                asset_key=name,
                check_name=c.name,
                metadata=numbers(c.numbers) | {"verdict": c.why or "holds"},
            )
        raise dg.Failure(str(error), allow_retries=False) from error
    except PipelineError as error:
        raise dg.Failure(str(error), allow_retries=isinstance(error, UnreachableError)) from error
    checks = HUB_CHECKS if name == "hub_models" else DEFILLAMA_CHECKS
    for check in checks:
        found = numbers(receipt.checks.get(check, {}))
        yield dg.AssetCheckResult(
            passed=True,
            asset_key=name,
            check_name=check,
            metadata=found | {"verdict": "holds" if found else "not applied to this source"},
        )
    yield dg.Output(
        InLake(path),
        output_name=name,
        metadata={
            "dagster/row_count": receipt.rows,
            "source": receipt.source,
            "sha256": receipt.sha256,
            **_shown(receipt.details),
            **({"lacks": _listed(receipt.lacks)} if receipt.lacks else {}),
        },
    )


def _shown(details: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _listed(value) if isinstance(value, dict) else value
        for name, value in details.items()
        if value is not None and value != {}
    }


def _listed(values: dict[str, Any]) -> dg.MetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {name}: {value}" for name, value in values.items()))
