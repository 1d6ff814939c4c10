"""Fits beside the main ones: tails of other populations, equal cut-offs, growth of downloads.

Holds against the tails of models and protocols those of Hub datasets, of chains, of DeFi
protocols on the later of two dates, and of DeFi by each definition of it; measures DeFi's two
dates from the same size on; and asks of the downloads of the same models in two windows whether
growth depends on size (Gibrat's law: it does not) and how much of a model's share of
downloads lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from baimo.estimation.errors import EstimationError
from baimo.estimation.growth.two_windows import TwoWindowsFit, fit_two_windows
from baimo.estimation.results import Estimate, registered
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.size_parameters import tail_rows, verdict_rows, zipf_rows
from baimo.pipeline.analysis.sizes import SizeFits, fit_sizes
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.derived import DEFI_POPULATION, HUB_WAVES, OTHER_SIZES, SIZE_VARIANTS
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.settings import P_REPLICATIONS, SEED
from baimo.pipeline.variables import (
    DAYS_PER_YEAR,
    DEFINITIONS,
    Definition,
    Variable,
    expand,
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
_DEFINED = {f"{side}_{d.name}": d for side in ("tvl", "tvl_later") for d in DEFINITIONS}
EQUAL_CUTOFFS = (21e6, 1.2e9)  # USD; about the x_min of 2023, and where the tail steepens


@registered("CompanionFits")
@dataclass(frozen=True, eq=False, kw_only=True)
class CompanionFits:
    """What is measured beside the three sizes.

    Parameters
    ----------
    sizes
        Everything measured on each of `POPULATIONS` that there is. Items count as independent:
        their owners are not known.
    equal_cutoffs
        `tvl_before` and `tvl_later`: the tail of DeFi TVL from each of `EQUAL_CUTOFFS` on.
    waves
        Growth of downloads, None without two windows.
    definitions, totals_usd
        Tail and sum of DeFi TVL by each of `DEFINITIONS`, under the names of `size_variants`.
    taken_on
        Sample -> day, or "day to day" (ISO).
    notes
        What could not be measured, and why.
    """

    sizes: dict[str, SizeFits]
    equal_cutoffs: dict[str, tuple[TailFit, ...]]
    waves: TwoWindowsFit | None
    taken_on: dict[str, str]
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
    if fits.waves is not None:
        shown |= {f"waves_slope_{n}": s.value for n, s in fits.waves.slopes.items()}
        shown["waves_log_correlation"] = fits.waves.log_correlation
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
    if found.waves is not None:
        method = f"two windows of 30 days, {found.taken_on['waves']}"
        for name, e in found.waves.estimates().items():
            yield parameter_row(f"waves_hub_downloads_{name}", e, found.waves, method, "")


@calibration(
    COMPANION_FITS,
    order=60,
    description="Tails of Hub datasets, of chains and of DeFi's later date; both dates of DeFi "
    "from the same sizes on; growth and persistence of downloads between two windows.",
    needs=(HUB_WAVES, OTHER_SIZES, DEFI_POPULATION, SIZE_VARIANTS),
    shown=_shown,
    parameters=_parameters,
)
def measure_populations(day: Day) -> CompanionFits:
    """Fit the samples beside the three sizes."""
    tables = (HUB_WAVES, OTHER_SIZES, DEFI_POPULATION, SIZE_VARIANTS)
    return fit_companions(*(day.table(table) for table in tables))


def fit_companions(
    waves: pl.DataFrame,
    other_sizes: pl.DataFrame,
    population: pl.DataFrame,
    variants: pl.DataFrame,
    *,
    n_replications: int = P_REPLICATIONS,
) -> CompanionFits:
    """Fit what there is; an empty table is passed over.

    Parameters
    ----------
    waves, other_sizes, population, variants
        Tables hub_waves, other_sizes, defi_population and size_variants.
    n_replications
        Of the bootstrap p of each tail.
    """
    notes: list[str] = []
    samples = companion_counts(other_sizes, population)
    sizes = {}
    for name, counts in samples.items():
        try:
            sizes[name] = fit_sizes(counts, POPULATIONS[name], None, n_replications=n_replications)
        except EstimationError as error:
            notes.append(f"{POPULATIONS[name].title}: {error}")
    by_definition = {name: variant(variants, name) for name in _DEFINED}
    defined = {name: counts for name, counts in by_definition.items() if counts is not None}
    return CompanionFits(
        sizes=sizes,
        definitions=_tails(defined, notes),
        totals_usd={name: counts.total for name, counts in defined.items()},
        equal_cutoffs=fit_equal_cutoffs(population, notes),
        waves=_waves_or_note(waves, notes),
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


def _waves_or_note(waves: pl.DataFrame, notes: list[str]) -> TwoWindowsFit | None:
    if waves.is_empty():
        return None
    try:
        return fit_waves(waves)
    except EstimationError as error:
        notes.append(f"downloads of two windows: {error}")
        return None


def fit_waves(waves: pl.DataFrame) -> TwoWindowsFit:
    """Measure growth and persistence of downloads between two windows (table `hub_waves`)."""
    days = waves.select("before_on", "after_on").row(0)
    rows = expand(waves, "n_models")
    return fit_two_windows(
        rows["downloads_before"].to_numpy(),
        rows["downloads_after"].to_numpy(),
        years=(days[1] - days[0]).days / DAYS_PER_YEAR,
        seed=SEED,
    )


def _taken_on(
    waves: pl.DataFrame, other_sizes: pl.DataFrame, population: pl.DataFrame
) -> dict[str, str]:
    days = dict(other_sizes.group_by("population").agg(pl.col("taken_on").first()).iter_rows())
    stated = {name: str(days[name]) for name in POPULATIONS if name in days}
    for name, column in (("tvl_before", "before_on"), ("tvl_later", "after_on")):
        if not population.is_empty():
            stated[name] = str(population[column][0])
    if not waves.is_empty():
        stated["waves"] = f"{waves['before_on'][0]} to {waves['after_on'][0]}"
    return stated
