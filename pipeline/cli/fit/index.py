"""`baimo fit index`: every estimate of the tail index that exists, a note where one does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.results import shown
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.choose_k import choose_k, scan_k
from baimo.estimation.tails.rank_size import ZipfFit, fit_zipf
from baimo.estimation.tails.tail_index import (
    IndexFit,
    IndexTest,
    fit_hill,
    fit_kernel,
    fit_moment,
    fit_pickands,
    pareto_lognormal_path,
    pareto_lognormal_test,
    zipf_lm_test,
)

if TYPE_CHECKING:
    from baimo.estimation.arrays import Values
    from baimo.pipeline.cli.fit.records import Record

T = TypeVar("T")


def chosen_k(counts: Counts, discrete: bool, seed: int, notes: list[str]) -> tuple[int, Record]:
    """Return k and how it was chosen: by the double bootstrap, or where it fails by the scan."""
    try:
        chosen = choose_k(counts, discrete=discrete, seed=seed)
    except (ConvergenceError, DataError) as error:
        k = scan_k(counts, discrete=discrete)
        why = "did not settle" if isinstance(error, ConvergenceError) else "needs more items"
        notes.append(
            f"the double bootstrap {why}: k = {k:,} is the tail that the scan for x_min finds "
            f"(baimo fit tail){', counts from 10 on' if discrete else ''}; give another with --top"
        )
        return k, {"k_chosen": k, "k_method": "scan", "rho": None}
    notes.append("k by the double bootstrap, which is unstable; try --top around it")
    return chosen.k0, {"k_chosen": chosen.k0, "k_method": "double_bootstrap", "rho": chosen.rho}


def index_fits(
    items: Counts | Values,
    k: int,
    discrete: bool,
    notes: list[str],
    labels: Values | None = None,
) -> dict[str, IndexFit | ZipfFit]:
    """Return every estimate of the tail index that k allows; `notes` says which it does not."""
    hill = fit_hill(items, k=k, discrete=discrete, clusters=labels)  # fails where k is wrong
    others: dict[str, Callable[[], IndexFit | ZipfFit]] = {
        "hill_corrected": lambda: fit_hill(
            items, k=k, discrete=discrete, bias_corrected=True, clusters=labels
        ),
        "moment": lambda: fit_moment(items, k=k, discrete=discrete, clusters=labels),
        "kernel": lambda: fit_kernel(items, k=k, discrete=discrete, clusters=labels),
        "pickands": lambda: fit_pickands(items, k=k, discrete=discrete),
        "rank_size": lambda: fit_zipf(items, k=k, clusters=labels),
    }
    found = {"hill": hill} | _those_that_exist(others, notes)
    for fit in found.values():
        notes += fit.notes
    if labels is not None and "pickands" in found:
        notes.append(
            "no influence of clusters on Pickands is known: its interval takes items as independent"
        )
    return found


def index_tests(
    items: Counts | Values,
    k: int,
    discrete: bool,
    notes: list[str],
    labels: Values | None = None,
) -> dict[str, IndexTest]:
    """Return the tests on the k largest items, with clusters where labels are given.

    Without, `notes` says where a Pareto begins to pass: that path of tests knows no clusters.
    """
    tests = {
        "pareto_lognormal": lambda: pareto_lognormal_test(
            items, k=k, discrete=discrete, clusters=labels
        ),
        "zipf": lambda: zipf_lm_test(items, k=k, discrete=discrete, clusters=labels),
    }
    found = _those_that_exist(tests, notes)
    if labels is not None:
        return found
    path = _those_that_exist(
        {"Pareto over thresholds": lambda: pareto_lognormal_path(items, discrete=discrete)}, notes
    )
    for p in path.values():
        where = "at no threshold"
        if p.lowest_k is not None:
            where = f"from {shown(p.lowest_threshold)} on ({p.lowest_k:,} items)"
        notes.append(f"Pareto is not rejected against a lognormal at {p.level:g} {where}")
    return found


def _those_that_exist(calls: Mapping[str, Callable[[], T]], notes: list[str]) -> dict[str, T]:
    found = {}
    for name, call in calls.items():
        try:
            found[name] = call()
        except DataError as error:
            notes.append(f"{name.replace('_', ' ')}: {error}")
    return found
