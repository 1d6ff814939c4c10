"""`baimo fit tail|zipf|index|compare FILE`: every estimator of sizes on a stranger's file.

Each command reads one column, calls one or a few functions of `estimation` and prints a table,
or with --json one object.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.console import (
    JSON,
    Bar,
    aligned,
    one_line_errors,
    options,
    print_json,
    print_notes,
    shown_interval,
    shown_number,
)
from baimo.pipeline.errors import SourceError

if TYPE_CHECKING:
    from baimo.estimation.distributions.fit import WholeSampleComparison
    from baimo.estimation.tails.alternatives import Comparison
    from baimo.estimation.tails.bootstrap import GoodnessOfFit
    from baimo.estimation.tails.clustered import ClusteredGoodnessOfFit
    from baimo.estimation.tails.power_law import TailFit
    from baimo.pipeline.cli.fit.read_columns import FileSample
    from baimo.pipeline.cli.fit.records import Record


Row = tuple[str, ...]
TITLES = {
    "hill": "Hill",
    "hill_corrected": "Hill, bias-corrected",
    "moment": "moment",
    "kernel": "kernel",
    "pickands": "Pickands",
    "rank_size": "rank - 1/2 regression",
    "pareto_lognormal": "Pareto against lognormal (UMPU)",
    "zipf": "Zipf, zeta = 1 (Urzua)",
}


@click.group()
def fit() -> None:
    """Fit sizes, or a mechanism, on any CSV, Parquet, JSON(L) or one-number-a-line file."""


_FILE = (
    click.argument("file", type=click.Path(path_type=Path, allow_dash=True)),
    click.option("--column", help="Column to fit; not needed when there is one."),
    click.option("--weights", help="Column that says how often each value occurs."),
)
_CLUSTERS = (click.option("--clusters", help="Column with each item's cluster (its author)."),)
_KIND = (
    click.option(
        "--discrete/--continuous",
        default=None,
        help="Counts or sizes; default: counts if all values are whole numbers up to 2^53.",
    ),
)
_X_MIN = (click.option("--x-min", type=float, help="Lower end of the tail; default: scan."),)
_SCAN = (
    click.option("--n-tail-min", default=2, show_default=True, type=click.IntRange(2)),
    click.option(
        "--ks",
        default="csn",
        show_default=True,
        type=click.Choice(["csn", "two-sided", "left"]),
        help="Convention of the KS distance.",
    ),
)
_P_VALUE = (
    click.option("--p-value", type=click.IntRange(1, 1_000_000), help="Bootstrap replications."),
    click.option("--stop-early", is_flag=True, help="Stop once the verdict at .1 is beyond doubt."),
)
_SEED = (
    click.option("--seed", type=click.IntRange(min=0), help="Of the bootstrap.  [default: 0]"),
)


@fit.command("tail")
@options(
    *_FILE,
    *_CLUSTERS,
    *_KIND,
    *_X_MIN,
    click.option("--x-max", type=float, help="Upper end of the tail; default: none."),
    *_SCAN,
    *_P_VALUE,
    click.option(
        "--bootstrap",
        type=click.IntRange(2, 1_000_000),
        help="Resamples for intervals that contain the choice of x_min.",
    ),
    *_SEED,
    *JSON,
)
@one_line_errors
def fit_tail_command(
    file: Path,
    column: str | None,
    weights: str | None,
    clusters: str | None,
    discrete: bool | None,
    x_min: float | None,
    x_max: float | None,
    n_tail_min: int,
    ks: str,
    p_value: int | None,
    stop_early: bool,
    bootstrap: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Power law by Clauset, Shalizi and Newman: x_min, alpha, zeta, p-value."""
    from baimo.estimation.tails.power_law import fit_tail
    from baimo.pipeline.cli.fit.read_columns import read_sample
    from baimo.pipeline.cli.fit.records import p_record, tail_record

    if stop_early and p_value is None:
        raise SourceError("--stop-early stops the replications of --p-value: give --p-value N too")
    if seed is not None and p_value is None and bootstrap is None:
        raise SourceError("--seed is of a bootstrap: give --p-value N or --bootstrap N too")
    sample = read_sample(file, column, weights, clusters)
    kind, notes = _kind(sample, discrete)
    found = fit_tail(
        sample.items,
        discrete=kind,
        x_min=x_min,
        x_max=x_max,
        n_tail_min=n_tail_min,
        ks=ks,
        clusters=sample.labels,
    )
    record, instead = tail_record(found), dict[str, str | None]()
    if found.n_clusters is not None:
        effective = f"{found.effective_clusters:.3g} of {found.n_clusters:,}"
        instead = {"effective_clusters": effective, "n_clusters": None}
    if x_min is None:
        record["near_minimal"], instead["near_minimal"] = _near_minimal(sample, found, notes)
    if p_value is not None:
        goodness = _goodness(sample, found, p_value, seed, stop_early)
        clustered = _clustered_goodness(sample, found, p_value, seed)
        record |= p_record(goodness, clustered)
        first = clustered or goodness
        instead |= {"p_value": first.shown, "rejected": _verdict(first)}
        if clustered is not None:
            notes.append(f"{clustered.condition}, and knows clusters; the other p does not")
            instead |= {
                "p_value_independent": goodness.shown,
                "rejected_independent": _verdict(goodness),
            }
    if bootstrap is not None:
        record |= _bootstrap_record(sample, found, bootstrap, seed)
    _print_record(record, [*found.notes, *notes], as_json, instead)


def _kind(sample: FileSample, discrete: bool | None) -> tuple[bool, list[str]]:
    """Return (whether to fit counts, what to tell where it was not said)."""
    if discrete is not None:
        return discrete, []
    values = sample.counts.values
    if sample.counts.is_integer:
        return True, ["whole numbers: fitted as counts (--continuous for sizes)"]
    if (values % 1.0 == 0.0).all():
        return False, [
            f"whole numbers, but up to {values[-1]:.6g}, beyond 2^53, where counts are not exact: "
            "fitted as sizes (rescale them to fit counts)"
        ]
    return False, ["not all whole numbers: fitted as sizes"]


def _near_minimal(sample: FileSample, found: TailFit, notes: list[str]) -> tuple[Record, str]:
    """Return what other x_min give that fit about as well, and its words."""
    from baimo.estimation.tails.power_law import tail_path
    from baimo.estimation.tails.thresholds import clustered_spread, threshold_range
    from baimo.pipeline.cli.fit.records import near_minimal_record
    from baimo.pipeline.text import threshold_words

    path = tail_path(sample.counts, found)
    if sample.labels is None:
        near = threshold_range(path)
    else:
        spread = clustered_spread(sample.sizes, found, sample.labels, path)
        near = threshold_range(path, spread=spread)
        notes.append("near_minimal knows clusters")
    return near_minimal_record(near), threshold_words(near)


def _goodness(
    sample: FileSample, found: TailFit, n_replications: int, seed: int | None, stop_early: bool
) -> GoodnessOfFit:
    from baimo.estimation.tails.bootstrap import goodness_of_fit

    with Bar(n_replications, "bootstrap") as progress:
        return goodness_of_fit(
            sample.counts,
            found,
            n_replications=n_replications,
            seed=seed or 0,
            stop_early=stop_early,
            progress=progress,
        )


def _clustered_goodness(
    sample: FileSample, found: TailFit, n_replications: int, seed: int | None
) -> ClusteredGoodnessOfFit | None:
    """Return p that knows clusters, None where the file names none."""
    from baimo.estimation.tails.clustered import clustered_goodness_of_fit

    if sample.labels is None:
        return None
    with Bar(n_replications, "clusters") as progress:
        return clustered_goodness_of_fit(
            sample.sizes,
            found,
            sample.labels,
            n_replications=n_replications,
            seed=seed or 0,
            progress=progress,
        )


def _verdict(goodness: GoodnessOfFit) -> str:
    if not goodness.decided:
        return "cannot tell at this number of replications"
    return "yes" if goodness.rejected else "no"


def _bootstrap_record(
    sample: FileSample, found: TailFit, n_replications: int, seed: int | None
) -> dict[str, object]:
    from baimo.estimation.tails.bootstrap import bootstrap_tail

    with Bar(n_replications, "resampling") as progress:
        resampled = bootstrap_tail(
            sample.items,
            found,
            clusters=sample.labels,
            n_replications=n_replications,
            seed=seed or 0,
            progress=progress,
        )
    return {f"{name}_bootstrap_interval": i for name, i in resampled.conf_int().items()}


@fit.command("zipf")
@options(
    *_FILE,
    *_CLUSTERS,
    click.option("--top", "k", type=int, help="Number of largest items to use."),
    click.option("--share", type=float, help="Share of all items to use, instead of --top."),
    *JSON,
)
@one_line_errors
def fit_zipf_command(
    file: Path,
    column: str | None,
    weights: str | None,
    clusters: str | None,
    k: int | None,
    share: float | None,
    as_json: bool,
) -> None:
    """Rank-size regression: log(rank - 1/2) on log(size) over the largest items."""
    from baimo.estimation.tails.rank_size import fit_zipf, share_to_k
    from baimo.pipeline.cli.fit.read_columns import read_sample
    from baimo.pipeline.cli.fit.records import zipf_record

    if (k is None) == (share is None):
        raise SourceError("say how many of the largest items to use: --top K or --share S")
    sample = read_sample(file, column, weights, clusters)
    if k is None:
        k = share_to_k(sample.counts.n_obs, float(share or 0))
    line = fit_zipf(sample.items, k=k, clusters=sample.labels)
    _print_record(zipf_record(line), list(line.notes), as_json)


@fit.command("index")
@options(
    *_FILE,
    *_CLUSTERS,
    *_KIND,
    click.option("--top", "k", type=int, help="Items in the tail; default: double bootstrap."),
    *_SEED,
    *JSON,
)
@one_line_errors
def fit_index_command(
    file: Path,
    column: str | None,
    weights: str | None,
    clusters: str | None,
    discrete: bool | None,
    k: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Tail index by Hill and its kin, rank-size, and tests of Pareto and of Zipf."""
    from baimo.pipeline.cli.fit.index import chosen_k, index_fits, index_tests
    from baimo.pipeline.cli.fit.read_columns import read_sample
    from baimo.pipeline.cli.fit.records import index_record, index_test_record

    if seed is not None and k is not None:
        raise SourceError("--seed is of the double bootstrap that chooses k: leave out --top or it")
    sample = read_sample(file, column, weights, clusters)
    kind, notes = _kind(sample, discrete)
    record: Record = {"n_obs": sample.counts.n_obs, "n_zero": sample.counts.n_zero}
    if k is None:
        k, chosen = chosen_k(sample.counts, kind, seed or 0, notes)
        record |= chosen
    fits = index_fits(sample.items, k, kind, notes, sample.labels)
    record["estimators"] = {name: index_record(found) for name, found in fits.items()}
    tests = index_tests(sample.items, k, kind, notes, sample.labels)
    record["tests"] = {name: index_test_record(found) for name, found in tests.items()}
    notes = list(dict.fromkeys(notes))
    if as_json:
        print_json(record | {"notes": notes})
        return
    click.echo(aligned(_index_rows(record["estimators"]), left=(0,)))
    click.echo()
    click.echo(aligned(_test_rows(record["tests"]), left=(0,)))
    print_notes(notes)


def _index_rows(estimators: Mapping[str, Record]) -> list[Row]:
    naive = any("std_error_naive" in e for e in estimators.values())
    rows: list[Row] = [
        ("estimator", "k", "threshold", "zeta", "std error", *["naive"] * naive, "95 %")
    ]
    rows += [
        (
            TITLES[name],
            f"{e['k']:,}",
            shown_number(e["threshold"]),
            shown_number(e["zeta"], 4),
            shown_number(e["std_error"], 3),
            *[shown_number(e.get("std_error_naive"), 3)] * naive,
            shown_interval(e["zeta_interval"], 4),
        )
        for name, e in estimators.items()
    ]
    return rows


def _test_rows(tests: Mapping[str, Record]) -> list[Row]:
    clustered = any("p_value_independent" in t for t in tests.values())
    beside = ("p independent", "effective clusters") if clustered else ()
    rows: list[Row] = [("test", "k", "threshold", "statistic", "p", *beside)]
    rows += [
        (
            TITLES[name],
            f"{t['k']:,}",
            shown_number(t["threshold"]),
            shown_number(t["statistic"]),
            shown_number(t["p_value"], 3),
            *(
                (
                    shown_number(t["p_value_independent"], 3),
                    shown_number(t["effective_clusters"], 3),
                )
                if clustered
                else ()
            ),
        )
        for name, t in tests.items()
    ]
    return rows


@fit.command("compare")
@options(
    *_FILE,
    *_CLUSTERS,
    *_KIND,
    *_X_MIN,
    *_SCAN,
    click.option(
        "--p-value",
        default=1000,
        show_default=True,
        type=click.IntRange(1, 1_000_000),
        help="Bootstrap replications.",
    ),
    click.option("--whole/--tail-only", default=True, help="Models of the whole sample too."),
    *_SEED,
    *JSON,
)
@one_line_errors
def fit_compare_command(
    file: Path,
    column: str | None,
    weights: str | None,
    clusters: str | None,
    discrete: bool | None,
    x_min: float | None,
    n_tail_min: int,
    ks: str,
    p_value: int,
    whole: bool,
    seed: int | None,
    as_json: bool,
) -> None:
    """Power law against its rivals on the tail, and models of the whole sample."""
    from baimo.estimation.tails.alternatives import compare_tail, judge_support
    from baimo.estimation.tails.power_law import fit_tail
    from baimo.pipeline.cli.fit.read_columns import read_sample
    from baimo.pipeline.cli.fit.records import p_record, support_record, tail_record, whole_record

    sample = read_sample(file, column, weights, clusters)
    kind, notes = _kind(sample, discrete)
    found = fit_tail(
        sample.items,
        discrete=kind,
        x_min=x_min,
        n_tail_min=n_tail_min,
        ks=ks,
        clusters=sample.labels,
    )
    goodness = _goodness(sample, found, p_value, seed, stop_early=False)
    by_cluster = _clustered_goodness(sample, found, p_value, seed)
    rivals = compare_tail(sample.items, found, clusters=sample.labels)
    support = judge_support(found, by_cluster or goodness, rivals)
    notes = [*found.notes, *notes, _what_is_independent(by_cluster, whole)]
    models = _whole_models(sample, kind) if whole else None
    if as_json:
        record = tail_record(found) | p_record(goodness, by_cluster)
        record |= support_record(support, rivals)
        if models is not None:
            record["whole_sample"] = whole_record(models)
        print_json(record | {"notes": notes})
        return
    click.echo(_headline(found, goodness, by_cluster))
    click.echo(f"support    {support.level}: {support.reason}")
    click.echo()
    rows = _rival_rows(rivals, by_cluster is not None)
    click.echo(aligned(rows, left=(0, len(rows[0]) - 2, len(rows[0]) - 1)))
    if models is not None:
        click.echo()
        click.echo(models.summary())
    print_notes(notes)


def _what_is_independent(by_cluster: ClusteredGoodnessOfFit | None, whole: bool) -> str:
    if by_cluster is None:
        return "p and all tests take items as independent"
    rest = "p nested and the models of the whole sample take" if whole else "p nested takes"
    return f"{by_cluster.condition}, and knows clusters like the tests; {rest} items as independent"


def _headline(
    found: TailFit, goodness: GoodnessOfFit, by_cluster: ClusteredGoodnessOfFit | None
) -> str:
    text = (
        f"power law  x_min {shown_number(found.x_min)}, n_tail {found.n_tail:,}, "
        f"alpha {found.alpha:.4g} ({found.std_error_clustered:.2g}), "
    )
    alone = f"p {goodness.shown} ({goodness.mc_error:.2g})"
    if by_cluster is None:
        return text + alone
    return (
        f"{text}p {by_cluster.shown} ({by_cluster.mc_error:.2g}) with "
        f"{by_cluster.effective_clusters:.3g} effective clusters, items independent {alone}"
    )


def _whole_models(sample: FileSample, discrete: bool) -> WholeSampleComparison:
    from baimo.estimation.distributions.fit import compare_whole_sample
    from baimo.estimation.errors import ConvergenceWarning

    with warnings.catch_warnings():  # the notes of each fit, which are printed, say the same
        warnings.simplefilter("ignore", ConvergenceWarning)
        return compare_whole_sample(sample.counts, discrete=discrete)


def _rival_rows(rivals: Sequence[Comparison], clustered: bool) -> list[Row]:
    beside = ("Vuong ind.", "p ind.") if clustered else ()
    rows: list[Row] = [
        (
            "rival",
            "log ratio",
            "Vuong",
            "p",
            *beside,
            "p var.",
            "p nested",
            "AIC diff",
            "prefers",
            "",
        )
    ]
    rows += [
        (
            c.alternative.replace("_", " "),
            _fixed(c.log_likelihood_ratio, 3),
            shown_number(c.vuong, 3),
            shown_number(c.p_value, 2),
            *_independent(c, clustered),
            shown_number(c.p_variance, 2),
            shown_number(c.p_nested, 2),
            _fixed(c.aic_difference, 2),
            c.verdict,
            "at its boundary: imitates the power law" if c.at_boundary else "",
        )
        for c in rivals
    ]
    return rows


def _independent(found: Comparison, clustered: bool) -> Row:
    if not clustered:
        return ()
    return shown_number(found.vuong_independent, 3), shown_number(found.p_independent, 2)


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if abs(value) < 1e7 else f"{value:.3e}"


def _print_record(
    record: Record,
    notes: list[str],
    as_json: bool,
    instead: Mapping[str, str | None] | None = None,
) -> None:
    """Print JSON, or a line for each value.

    `instead` has what a reader sees for some of them, None for what another line says.
    """
    if as_json:
        print_json(record | {"notes": notes})
        return
    width = max(map(len, record)) + 2
    instead = instead or {}
    for name, value in (record | dict(instead)).items():
        if value is None and name in instead:
            continue
        if isinstance(value, tuple):
            text = shown_interval(value)
        else:
            text = f"{value}" if isinstance(value, (bool, str)) else shown_number(value)
        click.echo(f"{name:<{width}}{text:>22}")
    print_notes(notes)
