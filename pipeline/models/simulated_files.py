"""Files that `baimo simulate` writes: every model as rows that `baimo fit` reads again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.atomic import write_atomically
from baimo.pipeline.variables import DAYS_PER_YEAR
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments
from baimo.simulation.attachment.printed import PrintedAttachmentParams, simulate_printed
from baimo.simulation.attachment.simon_yule import (
    SimonParams,
    YuleParams,
    simulate_simon,
    simulate_yule,
)
from baimo.simulation.demand.ces import DemandParams, attraction, sample_log_tastes, simulate_counts
from baimo.simulation.growth.paths import PathParams, simulate_paths
from baimo.simulation.heterogeneity.poisson_rates import PoissonRateParams, simulate_poisson_rates
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams, simulate_static_counts

Values = Mapping[str, float]
FIRST_DATE = date(2020, 1, 1)
LARGEST_N = 100_000_000


@dataclass(frozen=True)
class Model:
    """A model that can be simulated from the command line.

    Parameters
    ----------
    prefix
        Of its parameters in exported files: pa, ces, gbm, or none.
    defaults
        Every parameter with its default.
    meaning
        Of each parameter, with its unit.
    refit
        How `baimo fit` reads the file.
    """

    prefix: str
    defaults: dict[str, float]
    meaning: dict[str, str]
    refit: str
    draw: Callable[[Values, int, np.random.Generator], pl.DataFrame]


_AGES = {"entry_growth_plus_exit": 1.2, "horizon": 4.0}
_AGES_MEAN = {
    "entry_growth_plus_exit": "n + delta, 1/yr",
    "horizon": "length of history, yr",
}


def draw_ages(rate: float, horizon: float, n: int, rng: np.random.Generator) -> Any:
    """Draw ages of items that entered at a growing rate over the horizon: truncated exponential."""
    if not (math.isfinite(horizon) and horizon > 0):
        raise SourceError(f"horizon = {horizon:g} must be a positive number of years")
    u = rng.random(n)
    if abs(rate * horizon) < 1e-9:
        return horizon * u
    return -np.log1p(u * np.expm1(-rate * horizon)) / rate


def _simon(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = SimonParams(p=v["simon_p"])
    return pl.DataFrame({"likes": simulate_simon(params, max(1, round(n / params.p)), rng)})


def _yule(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    ages = draw_ages(v["entry_growth_plus_exit"], v["horizon"], n, rng)
    params = YuleParams(entry_plus_exit=v["entry_growth_plus_exit"], gamma=v["gamma"], a=v["a"])
    return pl.DataFrame({"likes": simulate_yule(params, ages, rng), "age": ages})


def _kernel(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    born = _yule(v, n, rng)
    params = KernelParams(theta=v["theta"], offset=v["offset"], phi=v["phi"])
    authors = rng.integers(0, max(1, n // 4), n)
    gains = simulate_increments(
        params,
        born["likes"].to_numpy(),
        v["gain"] * n,
        rng,
        ages=born["age"].to_numpy(),
        fitness_sd=v["author_sd"],
        clusters=authors,
    )
    return pl.DataFrame(
        {
            "before": born["likes"],
            "after": born["likes"] + pl.Series(gains),
            "age": born["age"],
            "author": authors,
        }
    )


def _printed(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    if not v["days"] > 0:
        raise SourceError(f"days = {v['days']:g} must be positive")
    params = PrintedAttachmentParams(eta=v["eta"], sigma=v["sigma"])
    start = np.full(n, v["start"])
    return pl.DataFrame({"size": simulate_printed(params, start, v["days"], rng)})


def _demand(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = DemandParams(alpha=v["alpha"], rho=v["rho"])
    size = round(v["family_size"])
    if size < 1:
        raise SourceError("family_size must be at least 1")
    family = np.arange(n) // size
    tastes = sample_log_tastes(params, int(family[-1]) + 1, rng)[family]
    costs = np.exp(v["cost_sd"] * rng.standard_normal(n))
    demand = simulate_counts(attraction(params, tastes, costs), round(v["mean_demand"] * n), rng)
    return pl.DataFrame({"demand": demand, "cost": costs, "family": family})


def _growth(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = PathParams(
        mu=v["mu"],
        sigma_idiosyncratic=v["sigma_idiosyncratic"],
        sigma_common=v["sigma_common"],
        exit_rate=v["exit_rate"],
    )
    step = round(v["step_days"])
    steps = round(v["years"] * DAYS_PER_YEAR / step) if step >= 1 else 0
    if steps < 1:
        raise SourceError("years and step_days must give at least one step of a day or more")
    days = np.arange(steps + 1) * step
    log_entry = v["log_entry_mean"] + v["log_entry_sd"] * rng.standard_normal(n)
    paths = np.asarray(simulate_paths(params, days / DAYS_PER_YEAR, log_entry, rng))
    if np.isinf(paths).any() or not np.isfinite(paths).any():
        raise SourceError("sizes beyond what numbers hold: lower mu, years or log_entry_mean")
    item, when = np.nonzero(np.isfinite(paths))
    dates = pl.Series([FIRST_DATE + timedelta(days=int(d)) for d in days])
    return pl.DataFrame({"item": item, "date": dates[when], "value": paths[item, when]})


def _birth(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = StaticSizeParams(mu=v["mu"], sigma=v["sigma"], alpha=v["alpha"], beta=v["beta"])
    return pl.DataFrame({"size": simulate_static_counts(params, n, rng)})


def _fitness(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    ages = draw_ages(v["entry_growth_plus_exit"], v["horizon"], n, rng)
    params = PoissonRateParams(mu=v["mu"], sigma=v["sigma"], phi=v["phi"])
    return pl.DataFrame({"likes": simulate_poisson_rates(params, ages, rng), "age": ages})


MODELS = {
    "simon": Model(
        "pa",
        {"simon_p": 0.1},
        {"simon_p": "share of events that found an item, (0, 1)"},
        "baimo fit attachment FILE --likes likes",
        _simon,
    ),
    "yule": Model(
        "pa",
        {"gamma": 1.0, "a": 1.0, **_AGES},
        {"gamma": "growth rate of items, 1/yr", "a": "appeal without success", **_AGES_MEAN},
        "baimo fit attachment FILE --likes likes --age age",
        _yule,
    ),
    "kernel": Model(
        "pa",
        {"theta": 1.0, "offset": 1.0, "phi": 0.0, "gain": 1.0, "author_sd": 0.5,
         "gamma": 1.0, "a": 1.0, **_AGES},
        {"theta": "exponent of size", "offset": "appeal without success, > 0",
         "phi": "exponent of age", "gain": "mean gain of an item",
         "author_sd": "sd of log fitness between authors",
         "gamma": "growth of the first stock, 1/yr",
         "a": "appeal in the first stock", **_AGES_MEAN},
        "baimo fit attachment FILE --before before --after after --age age --author author",
        _kernel,
    ),
    "printed": Model(
        "pa",
        {"eta": 1000.0, "sigma": 1.0, "start": 10.0, "days": 365.0},
        {"eta": "total inflow a day", "sigma": "noise of an item, per root day",
         "start": "size of every item at first", "days": "horizon"},
        "baimo fit index FILE --column size, negative sizes taken out before",
        _printed,
    ),
    "ces": Model(
        "ces",
        {"alpha": 1.0, "rho": 0.5, "mean_demand": 100.0, "cost_sd": 0.5, "family_size": 5.0},
        {"alpha": "Pareto exponent of tastes", "rho": "substitution, (0, 1)",
         "mean_demand": "purchases an item", "cost_sd": "sd of log cost",
         "family_size": "items that share a taste"},
        "baimo fit demand FILE --demand demand --cost cost --family family",
        _demand,
    ),
    "gbm": Model(
        "gbm",
        {"mu": 0.1, "sigma_idiosyncratic": 0.9, "sigma_common": 0.0, "exit_rate": 0.0,
         "years": 3.0, "step_days": 7.0, "log_entry_mean": 14.0, "log_entry_sd": 2.0},
        {"mu": "drift of the level, 1/yr", "sigma_idiosyncratic": "own volatility, yr^-1/2",
         "sigma_common": "common volatility, yr^-1/2", "exit_rate": "hazard, 1/yr",
         "years": "horizon", "step_days": "days between dates",
         "log_entry_mean": "mean log size at first", "log_entry_sd": "its sd"},
        "baimo fit growth FILE --item item --date date --value value",
        _growth,
    ),
    "birth": Model(
        "birth",
        {"mu": 0.0, "sigma": 2.0, "alpha": math.inf, "beta": math.inf},
        {"mu": "mean log size", "sigma": "its sd", "alpha": "upper exponent (inf: lognormal)",
         "beta": "lower exponent (inf: lognormal)"},
        "baimo fit compare FILE --column size",
        _birth,
    ),
    "fitness": Model(
        "fitness",
        {"mu": -3.0, "sigma": 2.5, "phi": 1.0, **_AGES},
        {"mu": "mean log rate at one year", "sigma": "its sd", "phi": "exponent of age",
         **_AGES_MEAN},
        "baimo fit attachment FILE --likes likes --age age",
        _fitness,
    ),
}  # fmt: skip


ALIASES = {"attachment": "yule", "pa": "yule", "demand": "ces", "growth": "gbm"}
# How a run exports parameters, and what else they are called, where it is not prefix_parameter.
_ALSO = {
    ("yule", "gamma"): ("pa_yule_likes_gamma",),
    ("yule", "a"): ("pa_yule_likes_a",),
    ("simon", "simon_p"): ("pa_simon_likes_p", "p"),
    ("fitness", "mu"): ("fitness_hub_likes_mu",),
    ("fitness", "sigma"): ("fitness_hub_likes_sigma",),
    ("fitness", "phi"): ("fitness_hub_likes_phi",),
    ("gbm", "sigma_idiosyncratic"): ("sigma", "gbm_sigma"),
    **{
        ("birth", name): (f"whole_hub_likes_discretised_double_pareto_lognormal_{name}",)
        for name in ("mu", "sigma", "alpha", "beta")
    },
}


def read_parameters(path: Path) -> dict[str, float]:
    """Read parameters by name from a JSON object, or from an exported parameters.json.

    Raises
    ------
    SourceError
        The file cannot be read, or holds no numbers by name.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}); give a JSON object") from None
    rows = data.get("parameters", data) if isinstance(data, dict) else data
    if isinstance(data, dict) and isinstance(data.get("whole_sample"), dict):
        rows = _size_at_birth(data["whole_sample"]) or rows  # alpha there is another, of the tail
    if isinstance(rows, list):
        named = {
            r["name"]: r.get("value")
            for r in rows
            if isinstance(r, dict) and isinstance(r.get("name"), str)
        }
    else:
        named = rows if isinstance(rows, dict) else {}
    found = {
        str(name): float(value)
        for name, value in named.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    }
    if not found:
        raise SourceError(f"{path} holds no parameter by name: give an object of numbers")
    return found


def _size_at_birth(models: dict[str, Any]) -> dict[str, Any]:
    """Return mu, sigma (and alpha, beta) of the best law that has them, of `fit compare --json`."""
    for model in models.values():
        parameters = model.get("parameters") if isinstance(model, dict) else None
        if isinstance(parameters, dict) and {"mu", "sigma"} <= parameters.keys():
            return parameters
    return {}


def choose_parameters(
    name: str, files: Values, settings: Iterable[str]
) -> tuple[dict[str, float], list[str]]:
    """Return the parameters of a model: defaults, those of a file, those set; and what was taken.

    Names may bear the model's prefix (pa_theta) or not (theta).

    Raises
    ------
    SourceError
        A setting that is no name=value, or names no parameter of the model.
    """
    model = MODELS[name]
    values = dict(model.defaults)
    taken = []
    for parameter in values:
        for spelled in _spellings(name, parameter):
            if spelled in files:
                values[parameter] = files[spelled]
                taken.append(parameter)
                break
    if files and not taken:
        raise SourceError(
            f"the file has no parameter of {name}: {', '.join(model.defaults)}, with or without "
            f"{model.prefix}_"
        )
    for setting in settings:
        spelled, equals, text = setting.partition("=")
        known = {s: p for p in values for s in _spellings(name, p)}
        parameter = known.get(spelled.strip(), "")
        try:
            number = float(text)
        except ValueError:
            equals, number = "", math.nan
        if not equals or math.isnan(number):
            raise SourceError(f"--set {setting}: write name=number")
        if math.isinf(number) and not math.isinf(model.defaults.get(parameter, 0.0)):
            raise SourceError(f"--set {setting}: give a finite number")
        if not parameter:
            raise SourceError(
                f"{name} has no parameter {spelled.strip()!r}; it has {', '.join(values)}"
            )
        values[parameter] = number
        taken.append(parameter)
    return values, sorted(set(taken))


def _spellings(model: str, parameter: str) -> tuple[str, ...]:
    """Return the names under which a parameter may be given, the exported one first."""
    exported = f"{MODELS[model].prefix}_{parameter}"
    return (exported, parameter, *_ALSO.get((model, parameter), ()))


def write_simulated(frame: pl.DataFrame, out: Path) -> None:
    """Write CSV, or Parquet by the suffix, atomically."""
    if out.suffix.lower() in (".parquet", ".pq"):
        write_atomically(out, lambda temporary: frame.write_parquet(temporary))
    elif out.suffix.lower() == ".csv":
        write_atomically(out, lambda temporary: frame.write_csv(temporary))
    else:
        raise SourceError(f"{out}: give a name that ends in .csv or .parquet")
