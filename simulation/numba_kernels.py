"""Compiled loops of the simulators, and the one way in which this project compiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile with numba, caching on disk where some folder can be written."""
    try:
        compiled: F = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no writable place for its cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


@jit
def split_urn(
    births: NDArray[np.int64], n_events: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the final size of each item of a Simon urn, given the events at which they came.

    From the last item back: of the events that went to the first j items after item j came,
    item j holds a beta-binomial(m, 1, births[j] - 1) number, which is Pólya's urn exactly.
    """
    sizes = np.empty(births.size, dtype=np.int64)
    left = n_events
    for j in range(births.size - 1, 0, -1):
        before = births[j] - 1
        m = left - births[j]
        size = 1
        if m > 0:
            share = 1.0 - (1.0 - rng.random()) ** (1.0 / before)
            size += rng.binomial(m, share)
        sizes[j] = size
        left -= size
    sizes[0] = left
    return sizes


@jit
def grow_by_kernel(
    is_new: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    births: NDArray[np.int64],
    fitness: NDArray[np.float64],
    theta: float,
    offset: float,
    phi: float,
    rng: np.random.Generator,
) -> None:
    """Let the events of an urn fall on the items, whose `sizes` grow in place.

    `tree` is a Fenwick tree over the weights in `held`; it is built anew whenever the number of
    events has grown by half, which bounds rounding and keeps the bounds of ageing tight.
    """
    n = sizes.size
    top = 1
    while top * 2 <= n:
        top *= 2
    tree = np.zeros(n + 1)
    held = np.zeros(n)
    alive = 1
    held[0] = fitness[0] * (sizes[0] + offset) ** theta
    total = held[0]
    fenwick_add(tree, 0, held[0])
    rebuild = 64
    for event in range(is_new.size):
        now = event + 1
        if now == rebuild:
            rebuild += rebuild // 2
            total = 0.0
            tree[:] = 0.0
            for i in range(alive):
                age = now - births[i] + 1.0
                held[i] = fitness[i] * (sizes[i] + offset) ** theta * age**phi
                total += held[i]
                tree[i + 1] += held[i]
            for i in range(1, n + 1):
                parent = i + (i & -i)
                if parent <= n:
                    tree[parent] += tree[i]
        if is_new[event]:
            held[alive] = fitness[alive] * (sizes[alive] + offset) ** theta
            total += held[alive]
            fenwick_add(tree, alive, held[alive])
            alive += 1
            continue
        while True:
            i = fenwick_find(tree, rng.random() * total, top)
            if i >= alive:
                continue
            weight = held[i]
            if phi != 0.0:
                age = now - births[i] + 1.0
                weight = fitness[i] * (sizes[i] + offset) ** theta * age**phi
                refused = rng.random() * held[i] > weight
                total += weight - held[i]  # what is known of it now bounds what comes
                fenwick_add(tree, i, weight - held[i])
                held[i] = weight
                if refused:
                    continue
            sizes[i] += 1
            grown = fitness[i] * (sizes[i] + offset) ** theta
            if phi != 0.0:
                grown *= (now - births[i] + 1.0) ** phi
            total += grown - held[i]
            fenwick_add(tree, i, grown - held[i])
            held[i] = grown
            break


@jit
def fenwick_add(tree: NDArray[np.float64], i: int, change: float) -> None:
    """Add to the weight of item i."""
    k = i + 1
    while k < tree.size:
        tree[k] += change
        k += k & -k


@jit
def fenwick_find(tree: NDArray[np.float64], target: float, top: int) -> int:
    """Return the first item at which the running sum of weights exceeds the target."""
    place, step = 0, top
    while step > 0:
        following = place + step
        if following < tree.size and tree[following] <= target:
            place = following
            target -= tree[following]
        step //= 2
    return place


@jit
def count_births(
    start: NDArray[np.float64],
    time: NDArray[np.float64],
    theta: float,
    largest: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return how many births each item has by its time, at rate (births + start)^theta.

    An item that comes to `largest` is left there: above theta = 1 it may pass any number.
    """
    sizes = np.zeros(time.size, dtype=np.int64)
    for i in range(time.size):
        left = time[i]
        for k in range(largest):
            left -= rng.standard_exponential() / (k + start[i]) ** theta
            if left < 0.0:
                break
            sizes[i] = k + 1
    return sizes


@jit
def pass_on_chances(
    rates: NDArray[np.float64], times: NDArray[np.float64], longest: float
) -> NDArray[np.float64]:
    """Return the chance of every state of a pure birth process at ascending times.

    The forward equations p_k' = r_{k-1} p_{k-1} - r_k p_k in steps of at most `longest`, by a
    diagonally implicit Runge-Kutta rule of two stages, of second order and stable for any rate.
    Numbers of steps are powers of two, so that they seldom change with the rates and the chances
    are smooth in them. The last state is what has left all those that have a rate.
    """
    share = 1.0 - math.sqrt(0.5)
    n = rates.size
    chances = np.zeros((times.size, n + 1))
    p = np.zeros(n + 1)
    p[0] = 1.0
    implicit = np.empty(n)
    now = 0.0
    for i in range(times.size):
        steps = 1
        while steps * longest < times[i] - now:
            steps *= 2
        if times[i] > now:
            step = (times[i] - now) / steps
            own, other = share * step, (1.0 - share) * step
            for k in range(n):
                implicit[k] = 1.0 / (1.0 + own * rates[k])
            for _ in range(steps):
                into_first, into = 0.0, 0.0
                for k in range(n):
                    first = (p[k] + own * into_first) * implicit[k]
                    out_first = rates[k] * first
                    p[k] = (p[k] + other * (into_first - out_first) + own * into) * implicit[k]
                    into_first, into = out_first, rates[k] * p[k]
                p[n] += other * into_first + own * into
        now = times[i]
        chances[i] = p
    return chances
