"""All claims: every file of this folder is imported here, and nowhere named."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module

import polars as pl

import baimo.pipeline.claims as folder
from baimo.pipeline.claims.claim import Claim, TestedClaim, entered
from baimo.pipeline.lake.results import Day, Named
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS

for _module in pkgutil.iter_modules(folder.__path__, folder.__name__ + "."):
    if _module.name != __name__:
        import_module(_module.name)

ALL_CLAIMS: dict[str, Claim] = {claim.name: claim for claim in entered()}
NEEDS: tuple[Named, ...] = tuple(need for claim in ALL_CLAIMS.values() for need in claim.needs)
"""What all claims together read of a day."""


def audit(day: Day) -> tuple[TestedClaim, ...]:
    """Test every claim on a day."""
    return tuple(claim.tested(day) for claim in ALL_CLAIMS.values())


def claims_table(tested: Sequence[TestedClaim]) -> pl.DataFrame:
    """Return the claims with their verdicts, one row a claim."""
    columns = [name for name in CLAIMS.names if name != "claim"]
    rows = [{"claim": c.name} | {name: str(getattr(c, name)) for name in columns} for c in tested]
    return pl.DataFrame(rows, schema=CLAIMS.schema)


def numbers_table(tested: Sequence[TestedClaim]) -> pl.DataFrame:
    """Return the numbers behind the verdicts, one row a number."""
    rows = [
        {
            "claim": c.name,
            "number": n.name,
            "value": n.value,
            "std_error": n.std_error,
            "ci_low": n.interval[0] if n.interval else None,
            "ci_high": n.interval[1] if n.interval else None,
            "held_against": n.held_against,
        }
        for c in tested
        for n in c.numbers
    ]
    return pl.DataFrame(rows, schema=CLAIM_NUMBERS.schema)
