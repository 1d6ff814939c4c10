"""Increments in the file follow the kernel that was asked for, from a stock of the Yule process."""

import math

import numpy as np
import polars as pl
import pytest

from baimo.estimation.attachment.kernel import fit_attachment_kernel
from baimo.pipeline.models.registry import FILE_MODELS

KERNEL = FILE_MODELS["kernel"]


def sampled(n: int, seed: int, **changed: float) -> pl.DataFrame:
    return KERNEL.sample({**KERNEL.defaults, **changed}, n, np.random.default_rng(seed))


@pytest.mark.parametrize(("theta", "phi"), [(1.0, 0.0), (0.6, -0.5)])
def test_the_kernel_is_found_again(theta: float, phi: float) -> None:
    rows = sampled(20_000, 1, theta=theta, phi=phi, offset=2.0, gain=3.0)
    assert rows.columns == ["before", "after", "age", "author"]
    fit = fit_attachment_kernel(
        rows["before"].to_numpy(),
        rows["after"].to_numpy(),
        ages=rows["age"].to_numpy(),
        days=30,
        clusters=rows["author"].to_numpy(),
    )
    found = fit.estimates()
    for name, truth in (("theta", theta), ("phi", phi), ("offset", 2.0)):
        e = found[name]
        assert abs((e.value or 0) - truth) < 4 * (e.std_error or 0), name


def test_the_first_stock_is_that_of_the_yule_file() -> None:
    rows = sampled(1_000, 2, gamma=0.7, a=1.5)
    yule = FILE_MODELS["yule"]
    stock = yule.sample({**yule.defaults, "gamma": 0.7, "a": 1.5}, 1_000, np.random.default_rng(2))
    assert rows["before"].to_list() == stock["likes"].to_list()
    assert rows["age"].to_list() == stock["age"].to_list()


def test_gains_are_as_many_as_asked_for_and_differ_between_authors() -> None:
    n = 20_000

    def scatter(author_sd: float) -> float:
        """Return the variance of an author's gains in units of that of Poisson gains."""
        rows = sampled(n, 3, theta=0.0, gain=4.0, author_sd=author_sd)
        gains = rows.group_by("author").agg(
            (pl.col("after") - pl.col("before")).sum().alias("sum"), pl.len().alias("n")
        )
        expected = 4.0 * gains["n"].to_numpy()
        return float(np.mean((gains["sum"].to_numpy() - expected) ** 2 / expected))

    rows = sampled(n, 3, theta=0.0, gain=4.0, author_sd=0.0)
    total = float((rows["after"] - rows["before"]).sum())
    assert abs(total - 4.0 * n) < 4 * math.sqrt(4.0 * n)
    assert (rows["after"] >= rows["before"]).all()
    assert rows["author"].max() < n // 4  # type: ignore[operator]
    authors = rows["author"].n_unique()
    assert abs(scatter(0.0) - 1) < 4 * math.sqrt(2.5 / authors)
    assert scatter(0.8) > 2
