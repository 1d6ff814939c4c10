"""The tails: each from its own tables, fitted from the lake, held against another program."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from baimo.estimation.tails.power_law import TailFit
from baimo.pipeline.analysis.sizes import TAILS, fit_sizes, read_tails
from baimo.pipeline.defs import declare
from baimo.pipeline.defs.sizes import ALL_NEEDS, NEEDS
from baimo.pipeline.lake.results import Day, names_of
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.derived import (
    DEFI_LISTING,
    HUB_CLUSTERED_TESTS,
    HUB_DESIGN_EFFECTS,
    HUB_FREQUENCY,
    HUB_THRESHOLD_SPREADS,
)
from baimo.pipeline.variables import HUB, TVL, VARIABLES, hub_counts, tvl_counts
from tests.pipeline.defs.steps import DAY, reads, run, shown, specs, stored
from tests.pipeline.synthetic import BEFORE, NO_EFFECTS, hub_frequency

NAMES = tuple(TAILS[name].name for name in VARIABLES)
FEW = 20


def pareto_listing(n: int) -> pl.DataFrame:
    """Return protocols whose TVL is Pareto without sampling error."""
    sizes = 1e5 * n / (np.arange(1, n + 1) - 0.5)
    return pl.DataFrame(
        {"category": "Dexes", "listed_on": None, "adapter_on": None, "tvl_usd": sizes,
         "observed_on": BEFORE, "n_protocols": 1},
        schema=DEFI_LISTING.schema,
    )  # fmt: skip


def effects(k: int, effect: float) -> pl.DataFrame:
    return pl.DataFrame(
        [("likes", "alpha", "x_min", k, 1.0, 2.0, 0.1, effect, 50, 9.0, None)],
        schema=HUB_DESIGN_EFFECTS.schema, orient="row",
    )  # fmt: skip


def spread_at(tail: TailFit) -> pl.DataFrame:
    """Return the spread at the x_min of a tail of likes and at a shorter one."""
    return pl.DataFrame(
        [("likes", 1e4, 12, 0.9), ("likes", tail.x_min, tail.n_tail, 0.9)],
        schema=HUB_THRESHOLD_SPREADS.schema, orient="row",
    )  # fmt: skip


def test_each_is_made_from_its_own_tables() -> None:
    for variable, tables in NEEDS.items():
        name = TAILS[variable.name].name
        assert reads(name) == names_of(tables)
        assert specs()[name].group_name == declare.TAILS
        assert specs()[name].kinds == {"json"}
    assert reads(TAILS[TVL.name].name) == {"defi_listing"}
    assert names_of(ALL_NEEDS) == names_of(t for tables in NEEDS.values() for t in tables)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dg.ExecuteInProcessResult]:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    frequency = hub_frequency(800, 1)
    likes = fit_sizes(hub_counts(frequency, HUB[1]), HUB[1], None, n_replications=FEW)
    stored(
        lake,
        {
            HUB_FREQUENCY: frequency,
            HUB_DESIGN_EFFECTS: pl.concat([NO_EFFECTS, effects(likes.tail.n_tail, 9.0)]),
            HUB_CLUSTERED_TESTS: pl.DataFrame(schema=HUB_CLUSTERED_TESTS.schema),
            HUB_THRESHOLD_SPREADS: spread_at(likes.tail),
            DEFI_LISTING: pareto_listing(300),
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        few = partial(fit_sizes, n_replications=FEW)
        patch.setattr("baimo.pipeline.analysis.sizes.fit_sizes", few)
        return lake, run(lake.root, NAMES)


def test_what_is_stored_is_the_fit_of_the_tables(
    done: tuple[Lake, dg.ExecuteInProcessResult],
) -> None:
    lake, _ = done
    fits = read_tails(Day.of_lake(lake, DAY, TAILS.values()))
    frequency = lake.read_table(HUB_FREQUENCY.name, DAY)
    for variable in HUB:
        assert fits[variable.name].counts.total == hub_counts(frequency, variable).total
        alone = fit_sizes(hub_counts(frequency, variable), variable, None, n_replications=FEW)
        assert fits[variable.name].tail.alpha == alone.tail.alpha
        assert fits[variable.name].judged.goodness.p_value == alone.judged.goodness.p_value
    assert fits[TVL.name].counts.total == tvl_counts(pareto_listing(300)).total
    assert fits[TVL.name].tail.zeta == pytest.approx(1.0, abs=0.1)


def test_authors_widen_the_intervals_of_counts_only(
    done: tuple[Lake, dg.ExecuteInProcessResult],
) -> None:
    fits = read_tails(Day.of_lake(done[0], DAY, TAILS.values()))
    tail = fits["likes"].tail
    assert tail.design_effect == 9.0
    assert tail.std_error_clustered == max(tail.std_error, 0.1)
    assert fits[TVL.name].tail.design_effect is None
    spread = fits["likes"].threshold_spread
    assert spread is not None
    assert np.nanmax(spread) == np.nanmin(spread) == 0.9
    for other in ("downloads", TVL.name):
        assert fits[other].threshold_spread is None


def test_what_a_person_looks_for_is_shown_with_a_picture(
    done: tuple[Lake, dg.ExecuteInProcessResult],
) -> None:
    lake, result = done
    fits = read_tails(Day.of_lake(lake, DAY, TAILS.values()))
    for name, found in fits.items():
        metadata = shown(result, "tails", TAILS[name].name)
        assert metadata["zeta"] == pytest.approx(found.tail.zeta, rel=1e-5)
        assert metadata["items"] == found.counts.n_obs
        assert metadata["items_zero"] == found.counts.n_zero
        assert metadata["support"].startswith(f"{found.judged.support.level}: ")
        assert metadata["ccdf"].startswith("![picture](data:image/png;base64,iVBOR")


def test_another_program_finds_the_same_exponent(
    done: tuple[Lake, dg.ExecuteInProcessResult],
) -> None:
    checks = {c.asset_key.path[-1]: c for c in done[1].get_asset_check_evaluations()}
    assert set(checks) == set(NAMES)
    for check in checks.values():
        assert check.check_name == "agrees_with_powerlaw"
        assert check.passed
        assert check.severity == dg.AssetCheckSeverity.WARN
        values = {name: value.value for name, value in check.metadata.items()}
        assert values["alpha"] == pytest.approx(values["alpha_powerlaw"], abs=0.01)


def test_a_disagreement_warns_and_stops_nothing(
    done: tuple[Lake, dg.ExecuteInProcessResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, _ = done
    other = Lake(tmp_path)
    for table in ALL_NEEDS:
        other.write_table(table.name, DAY, lake.read_table(table.name, DAY))
    module = "baimo.pipeline.analysis"
    few = partial(fit_sizes, n_replications=2)
    monkeypatch.setattr(f"{module}.sizes.fit_sizes", few)
    monkeypatch.setattr(f"{module}.check_against_powerlaw.alpha_by_powerlaw", lambda *_: 99.0)
    result = run(other.root, NAMES)
    assert result.success
    assert not any(check.passed for check in result.get_asset_check_evaluations())
