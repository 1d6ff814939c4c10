"""Fits beside the main ones: tails of other populations, equal cut-offs, growth of downloads.

Holds against the tails of models and protocols those of Hub datasets, of chains, of DeFi
protocols on the later of two dates, and of DeFi by each definition of it; measures DeFi's two
dates from the same size on; and asks of the downloads of the same models in two windows whether
growth depends on size (Gibrat's law: it does not) and how much of a model's share of
downloads lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import polars as pl

from baimo.estimation.errors import EstimationError
from baimo.estimation.growth.two_windows import TwoWindowsFit, fit_two_windows
from baimo.estimation.results import Estimate, registered
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.pipeline.analysis.before_floor import fit_before_floor
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.size_parameters import tail_rows, verdict_rows, zipf_rows
from baimo.pipeline.analysis.sizes import TAILS, SizeFits, fit_sizes, read_tails
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.derived import (
    DEFI_POPULATION,
    HUB_BEFORE_FLOOR,
    HUB_WAVES,
    OTHER_DESIGN_EFFECTS,
    OTHER_SIZES,
    SIZE_VARIANTS,
)
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.settings import P_REPLICATIONS, SEED
from baimo.pipeline.variables import (
    DAYS_PER_YEAR,
    DEFINITIONS,
    HUB,
    Definition,
    Variable,
    expand,
    own_labels,
)

POPULATIONS = {
    m.name: m
    for m in (
        Variable("datasets_downloads", "Hub datasets, downloads", "downloads", True, "top1pct_all"),
        Variable("datasets_likes", "Hub datasets, likes", "likes", True, "top1pct_all"),
        Variable("chains_tvl", "TVL of chains", "USD", False, "top10pct_positive"),
        Variable("tvl_later", "DeFi TVL, later date", "USD", False, "top10pct_positive"),
    )
}
# Standard deviation of the log of 30 days' downloads about their expectation. Its square is the
# variance of the change over 60 days less half of that over 120: that of a lasting rate grows with
# time, that of a window's luck does not. Of 231 models for transformers.js, a complete niche, daily
# 2024-05-08 to 2025-09-24, changes of the day taken off (from 30 and 60 days: .61).
WINDOW_NOISE = 0.77
_DEFINED = {f"{side}_{d.name}": d for side in ("tvl", "tvl_later") for d in DEFINITIONS}
EQUAL_CUTOFFS = (21e6, 1.2e9)  # USD; about the x_min of 2023, and where the tail steepens


@registered("CompanionFits")
@dataclass(frozen=True, eq=False, kw_only=True)
class CompanionFits:
    """What is measured beside the three sizes.

    Parameters
    ----------
    sizes
        Everything measured on each of `POPULATIONS` that there is; errors of datasets are clustered
        by owner, chains and protocols count as independent.
    equal_cutoffs
        `tvl_before` and `tvl_later`: the tail of DeFi TVL from each of `EQUAL_CUTOFFS` on.
    waves
        Growth of downloads of the same `models` and `datasets` between two windows, where there
        are two.
    definitions, totals_usd
        Tail and sum of DeFi TVL by each of `DEFINITIONS`, under the names of `size_variants`.
    before_floor
        By variable and cohort of `before_floor.YEARS`: the tail of the models made before the Hub's
        first date, above the x_min of all models, author-clustered.
    taken_on
        Sample -> day, or "day to day" (ISO).
    notes
        What could not be measured, and why.
    """

    sizes: dict[str, SizeFits]
    equal_cutoffs: dict[str, tuple[TailFit, ...]]
    waves: dict[str, TwoWindowsFit]
    taken_on: dict[str, str]
    before_floor: dict[str, dict[str, TailFit]] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=())
    definitions: dict[str, TailFit] = field(default_factory=dict)
    totals_usd: dict[str, float] = field(default_factory=dict)

    @property
    def tails(self) -> dict[str, TailFit]:
        """The CSN fit of each population."""
        return {name: fits.tail for name, fits in self.sizes.items()}


COMPANION_FITS: Stored[CompanionFits] = Stored("companion_fits", CompanionFits)


def _shown(fits: CompanionFits) -> dict[str, float | str | None]:
    shown: dict[str, float | str | None] = {f"{n}_zeta": t.zeta for n, t in fits.tails.items()}
    for name, tails in fits.equal_cutoffs.items():
        shown |= {f"{name}_zeta_from_{tail.x_min:.3g}": tail.zeta for tail in tails}
    for of, waves in fits.waves.items():
        shown |= {f"waves_{of}_slope_{n}": s.value for n, s in waves.slopes.items()}
        shown[f"waves_{of}_log_correlation"] = waves.log_correlation
    return shown | {"notes": "\n".join(fits.notes) or "none"}


def _parameters(found: CompanionFits) -> Iterator[Row]:
    for name, fit in found.sizes.items():
        for row in (*tail_rows(name, fit), *verdict_rows(name, fit), *zipf_rows(name, fit)):
            taken = f"taken on {found.taken_on[name]}"
            yield row | {"notes": "; ".join(part for part in (taken, row["notes"]) if part)}
    for date, tails in found.equal_cutoffs.items():
        for tail in tails:
            e = tail.estimates()["zeta"]
            name = f"tail_{date}_zeta_from_{tail.x_min:.2g}".replace("+", "")
            yield parameter_row(name, e, tail, "CSN maximum likelihood, x_min given", "39")
    for name, tail in found.definitions.items():
        e, words = tail.estimates()["zeta"], definition_of(name).words
        yield parameter_row(f"tail_{name}_zeta", e, tail, "CSN maximum likelihood", "39", words)
        total = Estimate(value=found.totals_usd[name], unit="USD")
        yield parameter_row(f"total_{name}", total, tail, "sum over protocols", "", words)
    note = "models of the Hub's floor day, dated by their first commit"
    for variable, by_year in found.before_floor.items():
        for cohort, tail in by_year.items():
            name, e = f"before_floor_hub_{variable}_zeta_{cohort}", tail.estimates()["zeta"]
            yield parameter_row(name, e, tail, "CSN maximum likelihood, x_min given", "", note)
    for of, waves in found.waves.items():
        method = f"two windows of 30 days, {found.taken_on[f'waves_{of}']}"
        prefix = "waves_hub_downloads" if of == "models" else f"waves_{of}_downloads"
        for name, e in waves.estimates().items():
            yield parameter_row(f"{prefix}_{name}", e, waves, method, "")


@calibration(
    COMPANION_FITS,
    order=60,
    description="Tails of Hub datasets, of chains and of DeFi's later date; both dates of DeFi "
    "from the same sizes on; growth and persistence of downloads between two windows; tails of the "
    "models made before the Hub's first date.",
    needs=(
        HUB_WAVES,
        OTHER_SIZES,
        OTHER_DESIGN_EFFECTS,
        HUB_BEFORE_FLOOR,
        DEFI_POPULATION,
        SIZE_VARIANTS,
        *(TAILS[v.name] for v in HUB),
    ),
    shown=_shown,
    parameters=_parameters,
)
def measure_populations(day: Day) -> CompanionFits:
    """Fit the samples beside the three sizes."""
    tables = (day.table(t) for t in (HUB_WAVES, OTHER_SIZES, DEFI_POPULATION, SIZE_VARIANTS))
    x_min = {name: fit.tail.x_min for name, fit in read_tails(day, (v.name for v in HUB)).items()}
    return replace(
        fit_companions(*tables, effects=day.table(OTHER_DESIGN_EFFECTS)),
        before_floor=fit_before_floor(day.table(HUB_BEFORE_FLOOR), x_min),
    )


def fit_companions(
    waves: pl.DataFrame,
    other_sizes: pl.DataFrame,
    population: pl.DataFrame,
    variants: pl.DataFrame,
    *,
    effects: pl.DataFrame | None = None,
    n_replications: int = P_REPLICATIONS,
) -> CompanionFits:
    """Fit what there is; an empty table is passed over.

    Parameters
    ----------
    waves, other_sizes, population, variants
        Tables hub_waves, other_sizes, defi_population and size_variants.
    effects
        Table other_design_effects, which makes errors clustered.
    n_replications
        Of the bootstrap p of each tail.
    """
    notes: list[str] = []
    samples = companion_counts(other_sizes, population)
    sizes = {}
    for name, counts in samples.items():
        try:
            sizes[name] = fit_sizes(
                counts, POPULATIONS[name], effects, n_replications=n_replications
            )
        except EstimationError as error:
            notes.append(f"{POPULATIONS[name].title}: {error}")
    by_definition = {name: variant(variants, name) for name in _DEFINED}
    defined = {name: counts for name, counts in by_definition.items() if counts is not None}
    return CompanionFits(
        sizes=sizes,
        definitions=_tails(defined, notes),
        totals_usd={name: counts.total for name, counts in defined.items()},
        equal_cutoffs=fit_equal_cutoffs(population, notes),
        waves=_fit_all_waves(waves, notes),
        taken_on=_taken_on(waves, other_sizes, population),
        notes=tuple(notes),
    )


def variant(variants: pl.DataFrame, population: str) -> Counts | None:
    """Return one population of `size_variants` as counts, None where it is not there."""
    rows = variants.filter(pl.col("population") == population)
    if rows.is_empty():
        return None
    return Counts.from_pairs(rows["size"].to_numpy(), rows["n_items"].to_numpy())


def definition_of(population: str) -> Definition:
    """Return the definition of DeFi by which a population of `size_variants` is counted."""
    return _DEFINED[population]


def _tails(samples: dict[str, Counts], notes: list[str]) -> dict[str, TailFit]:
    found = {}
    for name, counts in samples.items():
        try:
            found[name] = fit_tail(counts, discrete=False)
        except EstimationError as error:
            notes.append(f"{name}: {error}")
    return found


def companion_counts(other_sizes: pl.DataFrame, population: pl.DataFrame) -> dict[str, Counts]:
    """Return the sample of each population that the tables hold, by name.

    Of `tvl_later` the positive protocols; `defi_population` holds no excluded categories.
    """
    found = {}
    for name in POPULATIONS:
        rows = other_sizes.filter(pl.col("population") == name)
        if not rows.is_empty():
            found[name] = Counts.from_pairs(rows["size"].to_numpy(), rows["n_items"].to_numpy())
    later = positive_tvl(population, "tvl_after")
    return found if later is None else found | {"tvl_later": later}


def positive_tvl(population: pl.DataFrame, column: str) -> Counts | None:
    """Return the positive values of `tvl_before` or `tvl_after`, None where there are none."""
    rows = population.filter(pl.col(column) > 0)
    if rows.is_empty():
        return None
    return Counts.from_pairs(rows[column].to_numpy(), rows["n_protocols"].to_numpy())


def fit_equal_cutoffs(population: pl.DataFrame, notes: list[str]) -> dict[str, tuple[TailFit, ...]]:
    """Fit the tail of DeFi TVL on both dates from the same sizes on (USD).

    A cut-off that leaves too few protocols has no fit; `notes` says so.
    """
    found = {}
    for name, column in (("tvl_before", "tvl_before"), ("tvl_later", "tvl_after")):
        counts = positive_tvl(population, column)
        if counts is not None:
            found[name] = _from_cutoffs(counts, name, notes)
    return found


def _from_cutoffs(counts: Counts, name: str, notes: list[str]) -> tuple[TailFit, ...]:
    fits = []
    for cutoff in EQUAL_CUTOFFS:
        try:
            fits.append(fit_tail(counts, discrete=False, x_min=cutoff))
        except EstimationError as error:
            notes.append(f"{name} from {cutoff:g} USD on: {error}")
    return tuple(fits)


def _fit_all_waves(waves: pl.DataFrame, notes: list[str]) -> dict[str, TwoWindowsFit]:
    found = {}
    for population in waves["population"].unique().sort():
        try:
            found[population] = fit_waves(waves, population)
        except EstimationError as error:
            notes.append(f"downloads of {population} in two windows: {error}")
    return found


def fit_waves(waves: pl.DataFrame, population: str = "models") -> TwoWindowsFit:
    """Measure growth and persistence of downloads between two windows (table `hub_waves`).

    Errors are clustered by owner; an item without an owner is a cluster of its own.
    """
    rows = expand(waves.filter(pl.col("population") == population), "n_items")
    before_on, after_on = rows.select("before_on", "after_on").row(0)
    return fit_two_windows(
        rows["downloads_before"].to_numpy(),
        rows["downloads_after"].to_numpy(),
        years=(after_on - before_on).days / DAYS_PER_YEAR,
        seed=SEED,
        clusters=own_labels(rows["author"]),
    )


def _taken_on(
    waves: pl.DataFrame, other_sizes: pl.DataFrame, population: pl.DataFrame
) -> dict[str, str]:
    days = dict(other_sizes.group_by("population").agg(pl.col("taken_on").first()).iter_rows())
    stated = {name: str(days[name]) for name in POPULATIONS if name in days}
    for name, column in (("tvl_before", "before_on"), ("tvl_later", "after_on")):
        if not population.is_empty():
            stated[name] = str(population[column][0])
    for of, before_on, after_on in (
        waves.select("population", "before_on", "after_on").unique().iter_rows()
    ):
        stated[f"waves_{of}"] = f"{before_on} to {after_on}"
    return stated
