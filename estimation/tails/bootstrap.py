"""Bootstrap of the tail fit: the p-value, and how sure alpha, x_min and n_tail are.

`goodness_of_fit`: the semi-parametric bootstrap of [ClausetEtAl2009], section 4.1. Each replicate
keeps the number of positive items, draws the body from the data below x_min and the tail from the
fit, and gets an x_min and alpha of its own. It takes items as independent; where they are not, a
true law is rejected too often [GerlachAltmann2019].

`bootstrap_tail`: the data resampled, item by item or in whole clusters, and refitted with its
own x_min, so that the intervals contain the choice of x_min.

Calibration (1,000 samples each, half of the items an exact tail from 10 on, n 500 and 2,000,
alpha 2 and 3, counts and sizes; Monte Carlo error .008 and .007): a true power law gets p < .1 in
.056 to .074 of the samples, the test is conservative. Against a lognormal (mu .3, sigma 2, counts)
its power at n = 10,000 is .99 with x_min given or n_tail_min = n/10, and .49 with x_min free: the
scan flees to a tail too short to tell. The 95 % percentile interval of zeta with x_min chosen anew
covers .955 to .979, of whole clusters .954 to .975; the profile interval, which holds the chosen
x_min fixed, only .893 to .926. All of this is for independent items; where they come in clusters
`baimo.estimation.tails.clustered` has the p-value.

Replicate i has a random generator of its own, seeded by the i-th child of the seed: the same
numbers on any number of threads. The loops release the interpreter lock and run on threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from baimo.estimation.arrays import Floats, Ints, Values
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, Progress, Result, registered
from baimo.estimation.samples.clusters import checked_labels, refuse_few
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.estimation.tails import _numba_sampling
from baimo.estimation.tails.power_law import KS_KINDS, TailFit

Seed = int | np.random.SeedSequence
REJECTED_BELOW = 0.1  # CSN's verdict on p
_BLOCK = 50  # replicates a thread takes at a time
_DOUBT = 1e-3  # probability that an early stop decides wrongly


@registered("GoodnessOfFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class GoodnessOfFit(Result):
    """Semi-parametric bootstrap of the KS distance.

    Parameters
    ----------
    p_value
        Share of replicates that fit no better than the data (those without any fit among
        them); CSN reject the power law below .1. The test is conservative: see `goodness_of_fit`.
    mc_error
        Monte Carlo standard error of p_value.
    n_replications
        Replicates drawn; fewer than asked for where the search stopped early.
    stopped_early
        Whether the verdict at .1 was beyond doubt before all replicates were drawn.
    ks_replicates : (r,) float64 or None
        KS distance of each replicate, if asked for.
    """

    p_value: float
    mc_error: float
    n_replications: int
    stopped_early: bool = False
    ks_replicates: Floats | None = None

    title: ClassVar[str] = "Goodness of fit (semi-parametric bootstrap)"

    @property
    def rejected(self) -> bool:
        """Whether CSN reject the power law, p < .1; see `decided`."""
        return self.p_value < REJECTED_BELOW

    @property
    def decided(self) -> bool:
        """Whether the Monte Carlo error leaves the verdict at .1 standing.

        It does where .1 lies outside the 95 % interval of p.
        """
        low, high = self.monte_carlo_interval()
        return not low <= REJECTED_BELOW <= high

    @property
    def hits(self) -> int:
        """Replicates that fit no better than the data."""
        return round(self.p_value * self.n_replications)

    def monte_carlo_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of p that the number of replications allows.

        Exact for a binomial count, never empty at p = 0 or 1 [ClopperPearson1934].
        """
        if not 0 < level < 1:
            raise DataError(f"level = {level:g} must lie between 0 and 1, 0.95 for 95 %")
        n, hits, half = self.n_replications, self.hits, (1.0 - level) / 2.0
        low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, half))
        high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1.0 - half))
        return low, high

    @property
    def shown(self) -> str:
        """Return p for a reader: "<1/n" where no replicate was as far off as the data."""
        if self.p_value == 0.0:
            return f"<{1.0 / self.n_replications:.2g}"
        return f"{self.p_value:.2g}"

    def conf_int(self, level: float = 0.95) -> dict[str, tuple[float, float] | None]:
        """Return the Monte Carlo interval of p at `level`."""
        return {"p_value": self.monte_carlo_interval(level)}

    def estimates(self) -> dict[str, Estimate]:
        """Return p with its Monte Carlo error and interval."""
        return {
            "p_value": Estimate(
                value=self.p_value,
                std_error=self.mc_error,
                interval=self.monte_carlo_interval(),
            )
        }

    def summary(self) -> str:
        """Return the table, the number of replications and the verdict at .1."""
        verdict = "rejected" if self.rejected else "not rejected"
        if not self.decided:
            verdict = "cannot tell at this number of replications"
        early = ", stopped early" if self.stopped_early else ""
        lines = [super().summary(), f"{'replications':<26}{self.n_replications:>14,}{early}"]
        return "\n".join([*lines, f"power law at p < {REJECTED_BELOW:g}: {verdict}"])


def goodness_of_fit(
    data: Counts | ArrayLike,
    fit: TailFit,
    *,
    n_replications: int = 2500,
    seed: Seed = 0,
    keep_distances: bool = False,
    stop_early: bool = False,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> GoodnessOfFit:
    """Return the p-value of the power law by CSN's semi-parametric bootstrap.

    Parameters
    ----------
    data
        The sample that `fit` was made from.
    fit
        Result of `baimo.estimation.tails.power_law.fit_tail`; its KS convention, smallest tail,
        x_max and, where it was given, x_min hold for the replicates too.
    n_replications
        2,500 give p to .01 (CSN).
    seed
        Of the replicates; p does not depend on the number of threads.
    keep_distances
        Return every replicate's KS distance. Without it a replicate ends at its first distance
        below the observed one: the same p, up to five times sooner.
    stop_early
        Stop once the verdict at .1 is beyond doubt (mixture bound of [Robbins1970], error .001).
        p is then less precise; not for publication.
    n_threads
        None: as many as there are processors.
    progress
        Called with (done, total) after each block of replicates.
    """
    if n_replications < 1:
        raise DataError(f"n_replications = {n_replications} must be at least 1")
    positive = as_counts(data).positive()
    if fit.x_max is not None:
        positive = positive.at_most(fit.x_max)
    if positive.at_least(fit.x_min).n_obs != fit.n_tail:
        raise DataError("these are not the data of this fit: fit_tail them first")
    below = positive.values < fit.x_min
    body, weights = positive.values[below], positive.multiplicities[below]
    # A replicate that equals the data is no better, whatever the last bits say.
    as_far = fit.ks * (1.0 - 1e-9)
    enough = -1.0 if keep_distances or fit.x_min_given else as_far
    distances = np.empty(n_replications)

    def draw(states: NDArray[np.uint64], first: int) -> None:
        _numba_sampling.null_distances(
            body, weights, positive.n_obs, fit.n_tail, fit.alpha, fit.x_min, fit.top,
            fit.discrete, KS_KINDS[fit.ks_kind], fit.n_tail_min, fit.x_min_given, enough,
            states, distances[first : first + len(states)],
        )  # fmt: skip

    def decided(done: int) -> bool:
        return stop_early and _beyond_doubt(int(np.sum(distances[:done] >= as_far)), done)

    done = _on_threads(draw, n_replications, seed, n_threads, progress, decided)
    p = float(np.mean(distances[:done] >= as_far))
    return GoodnessOfFit(
        p_value=p,
        mc_error=mc_error(p, done),
        n_replications=done,
        stopped_early=done < n_replications,
        ks_replicates=distances[:done] if keep_distances else None,
    )


def mc_error(p: float, n: int) -> float:
    """Return the Monte Carlo standard error of a share p of n replicates, never 0."""
    return math.sqrt(max(p * (1 - p), 1 / n) / n)


def _beyond_doubt(hits: int, n: int) -> bool:
    """Whether p = .1 is outside the confidence sequence of [Robbins1970], uniform mixture."""
    log_mixture = special.betaln(hits + 1, n - hits + 1)
    log_null = hits * math.log(REJECTED_BELOW) + (n - hits) * math.log1p(-REJECTED_BELOW)
    return bool(log_mixture - log_null > -math.log(_DOUBT))


def _on_threads(
    work: Callable[[NDArray[np.uint64], int], None],
    n: int,
    seed: Seed,
    n_threads: int | None,
    progress: Progress | None,
    decided: Callable[[int], bool] = lambda done: False,
) -> int:
    """Run `work` on blocks of generator states, in order of results; return replicates done."""
    if n_threads is not None and n_threads < 1:
        raise DataError(f"n_threads = {n_threads} must be at least 1; None for one per processor")
    if isinstance(seed, int) and seed < 0:
        raise DataError(f"seed = {seed} must not be negative")
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # A copy of the root: spawning changes it, and the same seed must give the same children.
    root = np.random.SeedSequence(root.entropy, spawn_key=root.spawn_key, pool_size=root.pool_size)
    states = np.array([child.generate_state(4, np.uint64) for child in root.spawn(n)])
    with ThreadPoolExecutor(n_threads) as pool:
        blocks = [
            (pool.submit(work, states[i : i + _BLOCK], i), min(i + _BLOCK, n))
            for i in range(0, n, _BLOCK)
        ]
        try:
            for future, done in blocks:
                future.result()
                if progress is not None:
                    progress(done, n)
                if decided(done):
                    return done
        finally:  # early stop, or an interrupt: what is queued is not waited for
            pool.shutdown(cancel_futures=True)
    return n


@registered("TailBootstrap")
@dataclass(frozen=True, eq=False, kw_only=True)
class TailBootstrap(FitResult):
    """Bootstrap distribution of (alpha, x_min, n_tail), x_min chosen anew in each resample.

    Coverage of the 95 % intervals, 1,000 samples each, n 500 and 2,000, alpha 2 and 3, counts and
    sizes, 200 resamples: zeta .955 to .979, x_min .991 to 1, n_tail .954 to 1.

    Parameters
    ----------
    fit
        The fit of the data.
    alpha, x_min, n_tail : (r,) float64
        Of each resample.
    n_failed
        Resamples without any tail; they are not in the arrays.
    clustered
        Whether whole clusters were resampled.
    """

    fit: TailFit
    alpha: Floats
    x_min: Floats
    n_tail: Floats
    n_failed: int
    clustered: bool

    title: ClassVar[str] = "Power-law tail, bootstrap with x_min chosen anew"

    def conf_int(self, level: float = 0.95) -> dict[str, tuple[float, float] | None]:
        """Return the percentile intervals at `level`."""
        if not 0 < level < 1:
            raise DataError(f"level = {level:g} must lie between 0 and 1, 0.95 for 95 %")
        return {name: e.interval for name, e in self._estimates(level).items()}

    def estimates(self) -> dict[str, Estimate]:
        """Return alpha, zeta, x_min and n_tail with bootstrap errors and percentile intervals."""
        return self._estimates(0.95)

    def _estimates(self, level: float) -> dict[str, Estimate]:
        found = {
            "alpha": (self.fit.alpha, self.alpha, "1"),
            "zeta": (self.fit.zeta, self.alpha - 1.0, "1"),
            "x_min": (self.fit.x_min, self.x_min, "data"),
            "n_tail": (float(self.fit.n_tail), self.n_tail, "items"),
        }
        tails = [0.5 - level / 2, 0.5 + level / 2]
        return {
            name: Estimate(
                value=value,
                std_error=float(draws.std(ddof=1)),
                interval=(float(np.quantile(draws, tails[0])), float(np.quantile(draws, tails[1]))),
                unit=unit,
            )
            for name, (value, draws, unit) in found.items()
        }


def bootstrap_tail(
    data: Counts | ArrayLike,
    fit: TailFit,
    *,
    clusters: ArrayLike | None = None,
    n_replications: int = 1000,
    seed: Seed = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> TailBootstrap:
    """Resample the data and refit, x_min included.

    Parameters
    ----------
    data
        The sample that `fit` was made from; the items one by one where clusters are given.
    clusters : (n,)
        Label of each item's cluster: whole clusters are resampled (pairs cluster bootstrap).
    n_replications
        At least 2.

    Raises
    ------
    DataError
        x_min was given by the caller, so that there is nothing to choose anew; labels that do
        not match the items, or a single cluster in the tail; no resample with a tail.
    """
    if n_replications < 2:
        raise DataError(f"n_replications = {n_replications} must be at least 2")
    if fit.x_min_given:
        raise DataError(
            "x_min was given, so that the bootstrap has no choice to repeat: take the interval of "
            "the fit itself, or leave x_min out"
        )
    counts = as_counts(data)
    positive = counts.positive()
    if fit.x_max is not None:
        positive = positive.at_most(fit.x_max)
    if counts.n_obs != fit.n_obs or positive.at_least(fit.x_min).n_obs != fit.n_tail:
        raise DataError("these are not the data of this fit: fit_tail them first")
    starts, places, times = np.empty(1, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
    if clusters is not None:
        labels = checked_labels(data, clusters)
        sizes = np.asarray(data)
        inside = (sizes >= fit.x_min) & (sizes <= fit.top)
        refuse_few(int(np.unique(labels[inside]).size), int(inside.sum()), "the tail")
        starts, places, times = _cluster_table(data, labels, positive)
    out = np.empty((n_replications, 3))

    def draw(states: NDArray[np.uint64], first: int) -> None:
        _numba_sampling.resampled_fits(
            positive.values, positive.multiplicities, counts.n_obs - positive.n_obs,
            starts, places, times, fit.top, fit.discrete, KS_KINDS[fit.ks_kind],
            fit.n_tail_min, states, out[first : first + len(states)],
        )  # fmt: skip

    _on_threads(draw, n_replications, seed, n_threads, progress)
    there = np.isfinite(out[:, 0])
    if np.count_nonzero(there) < 2:
        raise DataError("hardly any resample has a tail: the sample is too small to bootstrap")
    alpha, x_min, n_tail = out[there].T.copy()
    return TailBootstrap(
        n_obs=fit.n_obs,
        n_used=fit.n_tail,
        fit=fit,
        alpha=alpha,
        x_min=x_min,
        n_tail=n_tail,
        n_failed=int(np.count_nonzero(~there)),
        clustered=clusters is not None,
    )


def _cluster_table(
    data: Counts | ArrayLike, labels: Values, positive: Counts
) -> tuple[Ints, Ints, Ints]:
    """Return the clusters as (start of each, place of the value, times it occurs there)."""
    sizes = np.asarray(data, dtype=np.float64)
    _, codes = np.unique(labels, return_inverse=True)
    inside = (sizes > 0) & (sizes <= positive.values[-1])
    place = np.searchsorted(positive.values, sizes[inside])
    keys, times = np.unique(codes[inside] * positive.n_unique + place, return_counts=True)
    owner, place = np.divmod(keys, positive.n_unique)
    starts = np.searchsorted(owner, np.arange(codes.max() + 2))
    return starts.astype(np.int64), place.astype(np.int64), times.astype(np.int64)
