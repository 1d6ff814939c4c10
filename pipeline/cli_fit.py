"""`baimo fit tail|zipf|index|compare FILE`: every estimator of sizes on a stranger's file.

Each command reads one column, calls one or a few functions of `estimation` and prints a table,
or with --json one object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import SourceError
from pipeline.terminal import Bar, aligned, one_line_errors

if TYPE_CHECKING:
    from estimation.alternatives import Comparison
    from estimation.bootstrap import GoodnessOfFit
    from estimation.tails import TailFit
    from pipeline.columns import FileSample

Row = tuple[str, ...]


@click.group()
def fit() -> None:
    """Fit one column of any CSV, Parquet, JSON(L) or one-number-a-line file."""


def _options(*added: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(added):
            command = option(command)
        return command

    return decorate


_FILE = (
    click.argument("file", type=click.Path(path_type=Path)),
    click.option("--column", help="Column to fit; not needed when there is one."),
    click.option("--weights", help="Column that says how often each value occurs."),
)
_KIND = (
    click.option(
        "--discrete/--continuous",
        default=None,
        help="Counts or sizes; default: counts if all values are whole numbers.",
    ),
)
_JSON = (click.option("--json", "as_json", is_flag=True, help="Print JSON."),)
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
    click.option(
        "--seed",
        default=0,
        show_default=True,
        type=click.IntRange(min=0),
        help="Of the bootstrap.",
    ),
)


@fit.command("tail")
@_options(
    *_FILE,
    click.option("--clusters", help="Column with each item's cluster (its author)."),
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
    *_JSON,
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
    seed: int,
    as_json: bool,
) -> None:
    """Power law by Clauset, Shalizi and Newman: x_min, alpha, zeta, p-value."""
    from estimation.bootstrap import bootstrap_tail
    from estimation.tails import fit_tail
    from pipeline.columns import read_sample

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
    answer = _tail_answer(found)
    if p_value is not None:
        answer |= _p_answer(_goodness(sample, found, p_value, seed, stop_early))
    if bootstrap is not None:
        with Bar(bootstrap, "resampling") as progress:
            resampled = bootstrap_tail(
                sample.items,
                found,
                clusters=sample.labels,
                n_replications=bootstrap,
                seed=seed,
                progress=progress,
            )
        for name, interval in resampled.conf_int().items():
            answer[f"{name}_bootstrap_interval"] = interval
    _print_answer(answer, [*found.notes, *notes], as_json)


def _kind(sample: FileSample, discrete: bool | None) -> tuple[bool, list[str]]:
    """Return (whether to fit counts, what to tell where it was not said)."""
    if discrete is not None:
        return discrete, []
    if sample.counts.is_integer:
        return True, ["whole numbers: fitted as counts (--continuous for sizes)"]
    return False, ["not all whole numbers: fitted as sizes"]


def _tail_answer(found: TailFit) -> dict[str, Any]:
    low, high = found.profile_interval()
    answer: dict[str, Any] = {
        "x_min": found.x_min,
        "alpha": found.alpha,
        "alpha_interval": (low, high),
        "zeta": found.zeta,
        "zeta_interval": (low - 1.0, high - 1.0),
        "std_error": found.std_error,
        "ks": found.ks,
        "n_tail": found.n_tail,
        "n_distinct": found.n_distinct,
        "n_obs": found.n_obs,
        "n_zero": found.n_zero,
        "discrete": found.discrete,
        "log_likelihood": found.log_likelihood,
    }
    if found.x_max is not None:
        answer["x_max"] = found.x_max
    if found.design_effect is not None:
        answer["std_error_clustered"] = found.std_error_clustered
        answer["design_effect"] = found.design_effect
        answer["n_clusters"] = found.n_clusters
    return answer


def _goodness(
    sample: FileSample, found: TailFit, n_replications: int, seed: int, stop_early: bool
) -> GoodnessOfFit:
    from estimation.bootstrap import goodness_of_fit

    with Bar(n_replications, "bootstrap") as progress:
        return goodness_of_fit(
            sample.counts,
            found,
            n_replications=n_replications,
            seed=seed,
            stop_early=stop_early,
            progress=progress,
        )


def _p_answer(goodness: GoodnessOfFit) -> dict[str, Any]:
    return {
        "p_value": goodness.p_value,
        "p_value_mc_error": goodness.mc_error,
        "n_replications": goodness.n_replications,
        "stopped_early": goodness.stopped_early,
    }


@fit.command("zipf")
@_options(
    *_FILE,
    click.option("--top", "k", type=int, help="Number of largest items to use."),
    click.option("--share", type=float, help="Share of all items to use, instead of --top."),
    *_JSON,
)
@one_line_errors
def fit_zipf_command(
    file: Path,
    column: str | None,
    weights: str | None,
    k: int | None,
    share: float | None,
    as_json: bool,
) -> None:
    """Rank-size regression: log(rank - 1/2) on log(size) over the largest items."""
    from estimation.zipf import fit_zipf, share_to_k
    from pipeline.columns import read_sample

    if (k is None) == (share is None):
        raise SourceError("say how many of the largest items to use: --top K or --share S")
    counts = read_sample(file, column, weights).counts
    line = fit_zipf(counts, k=k if k is not None else share_to_k(counts.n_obs, float(share or 0)))
    interval = line.conf_int()["slope"]
    answer = {
        "slope": line.slope,
        "slope_interval": interval,
        "zeta": -line.slope,
        "std_error": line.std_error,
        "k": line.k,
        "threshold": line.threshold,
        "r_squared": line.r_squared,
        "n_obs": line.n_obs,
    }
    _print_answer(answer, list(line.notes), as_json)


@fit.command("index")
@_options(
    *_FILE,
    *_KIND,
    click.option("--top", "k", type=int, help="Items in the tail; default: double bootstrap."),
    *_SEED,
    *_JSON,
)
@one_line_errors
def fit_index_command(
    file: Path,
    column: str | None,
    weights: str | None,
    discrete: bool | None,
    k: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Tail index by Hill and its kin, rank-size, and tests of Pareto and of Zipf."""
    from estimation.errors import EstimationError
    from estimation.tail_index import choose_k
    from pipeline.columns import read_sample

    sample = read_sample(file, column, weights)
    kind, notes = _kind(sample, discrete)
    answer: dict[str, Any] = {"n_obs": sample.counts.n_obs, "n_zero": sample.counts.n_zero}
    if k is None:
        try:
            chosen = choose_k(sample.counts, discrete=kind, seed=seed)
        except EstimationError as error:
            raise SourceError(f"no k by the double bootstrap ({error}); give one with --top") from (
                error
            )
        k = chosen.k0
        answer |= {"k_chosen": k, "rho": chosen.rho}
        notes.append("k by the double bootstrap, which is unstable; try --top around it")
    answer["estimators"] = _index_estimates(sample, kind, k, notes)
    answer["tests"] = _index_tests(sample, kind, k, notes)
    if as_json:
        click.echo(json.dumps(answer | {"notes": notes}, indent=1))
        return
    rows: list[Row] = [("estimator", "k", "threshold", "zeta", "std error", "95 %")]
    rows += [
        (
            name,
            f"{e['k']:,}",
            _shown(e["threshold"]),
            _shown(e["zeta"], 4),
            _shown(e["std_error"], 3),
            _interval(e["interval"]),
        )
        for name, e in answer["estimators"].items()
    ]
    click.echo(aligned(rows, left=(0,)))
    click.echo()
    rows = [("test", "k", "threshold", "statistic", "p")]
    rows += [
        (name, f"{t['k']:,}", _shown(t["threshold"]), _shown(t["statistic"]), _shown(t["p"], 3))
        for name, t in answer["tests"].items()
    ]
    click.echo(aligned(rows, left=(0,)))
    _print_notes(notes)


def _index_estimates(
    sample: FileSample, discrete: bool, k: int, notes: list[str]
) -> dict[str, dict[str, Any]]:
    from estimation import tail_index as index
    from estimation.zipf import fit_zipf

    counts = sample.counts
    fits = {
        "Hill": index.fit_hill(counts, k=k, discrete=discrete),
        "Hill, bias-corrected": index.fit_hill(counts, k=k, discrete=discrete, bias_corrected=True),
        "moment": index.fit_moment(counts, k=k, discrete=discrete),
        "kernel": index.fit_kernel(counts, k=k, discrete=discrete),
        "Pickands": index.fit_pickands(counts, k=k, discrete=discrete),
    }
    line = fit_zipf(counts, k=k)
    notes += list(dict.fromkeys(n for f in fits.values() for n in f.notes))
    found: dict[str, dict[str, Any]] = {
        name: {
            "k": f.k,
            "threshold": f.threshold,
            "zeta": f.zeta,
            "std_error": f.std_error,
            "interval": f.conf_int()["zeta"],
        }
        for name, f in fits.items()
    }
    found["rank - 1/2 regression"] = {
        "k": line.k,
        "threshold": line.threshold,
        "zeta": -line.slope,
        "std_error": line.std_error,
        "interval": line.conf_int()["zeta"],
    }
    return found


def _index_tests(
    sample: FileSample, discrete: bool, k: int, notes: list[str]
) -> dict[str, dict[str, Any]]:
    from estimation import tail_index as index

    counts = sample.counts
    pareto = index.pareto_lognormal_test(counts, k=k, discrete=discrete)
    zipf = index.zipf_lm_test(counts, k=k, discrete=discrete)
    path = index.pareto_lognormal_path(counts, discrete=discrete)
    where = (
        "at no threshold"
        if path.lowest_k is None
        else (f"from {path.lowest_threshold:,g} on ({path.lowest_k:,} items)")
    )
    notes.append(f"Pareto is not rejected against a lognormal at {path.level:g} {where}")
    return {
        name: {"k": t.k, "threshold": t.threshold, "statistic": t.statistic, "p": t.p_value}
        for name, t in (
            ("Pareto against lognormal (UMPU)", pareto),
            ("Zipf, zeta = 1 (Urzua)", zipf),
        )
    }


@fit.command("compare")
@_options(
    *_FILE,
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
    *_JSON,
)
@one_line_errors
def fit_compare_command(
    file: Path,
    column: str | None,
    weights: str | None,
    discrete: bool | None,
    x_min: float | None,
    n_tail_min: int,
    ks: str,
    p_value: int,
    whole: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Power law against its rivals on the tail, and models of the whole sample."""
    from estimation.alternatives import compare_tail, judge_support
    from estimation.tails import fit_tail
    from estimation.whole_sample import compare_whole_sample
    from pipeline.columns import read_sample

    sample = read_sample(file, column, weights)
    kind, notes = _kind(sample, discrete)
    found = fit_tail(sample.counts, discrete=kind, x_min=x_min, n_tail_min=n_tail_min, ks=ks)
    goodness = _goodness(sample, found, p_value, seed, stop_early=False)
    rivals = compare_tail(sample.counts, found)
    support = judge_support(found, goodness, rivals)
    notes = [*found.notes, *notes]
    models = compare_whole_sample(sample.counts, discrete=kind) if whole else None
    if as_json:
        answer = _tail_answer(found) | _p_answer(goodness)
        answer["support"] = {"level": support.level, "reason": support.reason}
        answer["rivals"] = {c.alternative: vars(c) | {"prefers": c.verdict} for c in rivals}
        if models is not None:
            answer["whole_sample"] = {
                m.model: {
                    "parameters": m.parameters,
                    "std_errors": m.std_errors,
                    "log_likelihood": m.log_likelihood,
                    "aic": m.aic,
                    "bic": m.bic,
                    "ks": m.ks_distance,
                    "converged": m.converged,
                    "notes": list(m.notes),
                }
                for m in models.fits
            }
        click.echo(json.dumps(answer | {"notes": notes}, indent=1))
        return
    click.echo(
        f"power law  x_min {found.x_min:,g}, n_tail {found.n_tail:,}, alpha {found.alpha:.4g} "
        f"({found.std_error:.2g}), p {goodness.p_value:.3g} ({goodness.mc_error:.2g})"
    )
    click.echo(f"support    {support.level}: {support.reason}")
    click.echo()
    click.echo(aligned(_rival_rows(rivals), left=(0, 7, 8)))
    if models is not None:
        click.echo()
        click.echo(models.summary())
    _print_notes(notes)


def _rival_rows(rivals: Sequence[Comparison]) -> list[Row]:
    rows: list[Row] = [
        ("rival", "log ratio", "Vuong", "p", "p var.", "p nested", "AIC diff", "prefers", "")
    ]
    rows += [
        (
            c.alternative.replace("_", " "),
            f"{c.log_likelihood_ratio:.3f}",
            _shown(c.vuong, 3),
            _shown(c.p_value, 2),
            _shown(c.p_variance, 2),
            _shown(c.p_nested, 2),
            f"{c.aic_difference:.2f}",
            c.verdict,
            "at its boundary: imitates the power law" if c.at_boundary else "",
        )
        for c in rivals
    ]
    return rows


def _shown(value: float | None, digits: int = 6) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"[{interval[0]:.4g}, {interval[1]:.4g}]"


def _print_answer(answer: dict[str, Any], notes: list[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer | {"notes": notes}, indent=1))
        return
    width = max(map(len, answer)) + 2
    for name, value in answer.items():
        if isinstance(value, tuple):
            shown = f"[{value[0]:.6g}, {value[1]:.6g}]"
        else:
            shown = _shown(value) if isinstance(value, float) else f"{value}"
        click.echo(f"{name:<{width}}{shown:>22}")
    _print_notes(notes)


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}")
