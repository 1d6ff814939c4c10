"""DeFiLlama on a loopback socket: protocols, histories, chains, and the file of all histories."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.live.servers.server import Loopback, Reply, Request

NOW = datetime(2026, 9, 1, 10, 37, 11, tzinfo=UTC)
CATEGORIES = {
    "Dexes": 30, "Yield": 15, "Lending": 9, "Derivatives": 5, "Services": 4, "Liquid Staking": 4,
    "Yield Aggregator": 4, "CDP": 3, "Farm": 3, "RWA": 3, "Bridge": 2, "Options": 2, "CEX": 2,
    "Chain": 1, "Canonical Bridge": 1, "Risk Curators": 1, "Restaking": 1,
}  # fmt: skip
CHAINS = (
    "Ethereum", "Quartz", "Meridian", "Arbor One", "Lumen Era", "Tidewater", "Ninefold", "Ashgrove",
    "BNB Like", "Pale Chain",
)  # fmt: skip
NOT_IN_CHARTS = ("CEX", "Chain", "Bridge", "Canonical Bridge")
_FIRST = (
    "Amber",
    "Cobalt",
    "Drift",
    "Ember",
    "Fathom",
    "Gale",
    "Hollow",
    "Ivory",
    "Juno's",
    "Ñandú",
)
_LAST = ("Swap", "Lend", "Vault", "Finance", "Stake", "Bridge", "Perps", "Markets", "DAO", "V2")
_DAY = 86_400


def synthetic_protocols(n: int, seed: int = 0, now: datetime = NOW) -> list[dict[str, Any]]:
    """Return `n` rows of `/protocols`, largest first; some are dust, zero, null or negative."""
    rng = random.Random(seed)
    rows = [_protocol(rng, i, now) for i in range(n)]
    return sorted(rows, key=lambda row: -math.inf if row["tvl"] is None else -row["tvl"])


def _protocol(rng: random.Random, i: int, now: datetime) -> dict[str, Any]:
    name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)} {i}"
    slug = name.lower().replace("'", "").replace(" ", "-").replace("ñ", "n").replace("ú", "u")
    category = rng.choices(list(CATEGORIES), list(CATEGORIES.values()))[0]
    chains = rng.sample(CHAINS, min(len(CHAINS), 1 + int(rng.paretovariate(1.5) - 1)))
    tvl = _tvl(rng, category)
    listed = int(now.timestamp()) - rng.randrange(5, 1900) * _DAY - rng.randrange(_DAY)
    row: dict[str, Any] = {
        "id": str(100 + i),
        "name": name,
        "address": rng.choice((None, f"0x{rng.getrandbits(160):040x}")),
        "symbol": rng.choice(("-", slug[:3].upper())),
        "url": f"https://{slug}.example",
        "description": f"{name} is invented for tests; it holds nothing.",
        "chain": chains[0] if len(chains) == 1 else "Multi-Chain",
        "logo": f"https://icons.example/{slug}.jpg",
        "audits": rng.choice(("0", "2", "2", "3", None)),
        "audit_note": None,
        "gecko_id": rng.choice((None, slug)),
        "cmcId": rng.choice((None, str(rng.randrange(1, 30_000)))),
        "category": category,
        "chains": chains,
        "module": f"{slug}/index.js",
        "twitter": rng.choice((None, slug.replace("-", ""))),
        "slug": slug,
        "tvl": tvl,
        "chainTvls": _chain_tvls(rng, category, chains, tvl or 0.0),
        "change_1h": None if rng.random() < 0.17 else rng.gauss(0.0, 0.4),
        "change_1d": None if rng.random() < 0.17 else rng.gauss(0.0, 3.0),
        "change_7d": None if rng.random() < 0.18 else min(5.5e6, math.exp(rng.gauss(0, 3))) - 1.0,
        "tokenBreakdowns": {},
    }
    if rng.random() < 0.72:
        row["forkedFrom"] = [] if rng.random() < 0.5 else [rng.choice(("Cobalt Swap", "Gale Lend"))]
    if rng.random() < 0.63:
        row["oracles"] = [] if rng.random() < 0.7 else ["Sundial"]
    if rng.random() < 0.5:
        row["audit_links"] = [f"https://audits.example/{slug}.pdf"]
    if rng.random() < 0.8:
        row["listedAt"] = listed
    if rng.random() < 0.13:
        row["parentProtocol"] = f"parent#{_FIRST[i % 7].lower()}"
    if rng.random() < 0.5:
        row["mcap"] = rng.choice((None, 0, rng.lognormvariate(15, 3)))
    for extra in ("staking", "pool2"):
        if extra in row["chainTvls"]:
            row[extra] = row["chainTvls"][extra]
    return row


def _tvl(rng: random.Random, category: str) -> float | int | None:
    kind = rng.random()
    if kind < 0.02:
        return None
    if kind < 0.17:
        return 0
    if kind < 0.175:
        return -rng.lognormvariate(5, 2)
    if kind < 0.2:
        return 10.0 ** rng.uniform(-19, 0)
    return rng.lognormvariate(21 if category == "CEX" else 12.5, 3.2)


def _chain_tvls(
    rng: random.Random, category: str, chains: list[str], tvl: float
) -> dict[str, float]:
    """Return the parts of `tvl` by chain, and what does not count towards it."""
    shares = [rng.random() + 1e-3 for _ in chains]
    parts = {c: tvl * s / sum(shares) for c, s in zip(chains, shares, strict=True)}
    extras = ["borrowed"] if category == "Lending" else []
    extras += [extra for extra, p in (("staking", 0.37), ("pool2", 0.17)) if rng.random() < p]
    for extra in extras:
        worth = {f"{c}-{extra}": abs(parts[c]) * rng.uniform(0, 3) for c in chains}
        parts |= worth
        parts[extra] = sum(worth.values())
    return parts


def synthetic_history(
    row: Mapping[str, Any], days: int, now: datetime = NOW
) -> list[dict[str, Any]]:
    """Return daily points at 00:00 UTC that lead to the TVL of a row, and the last one of `now`.

    The same row always has the same history; it begins with the listing if that is known. A row
    without a TVL has a history that ended.
    """
    rng = random.Random(str(row["slug"]))
    today, listed, usd = int(now.timestamp()) // _DAY, row.get("listedAt"), row.get("tvl")
    n = days if listed is None else min(days, today - int(listed) // _DAY)
    points = []
    if usd is None:
        last, n, value = today - n // 2, n // 2, 1000.0
    else:
        last, value = today, float(usd)
        points.append({"date": int(now.timestamp()), "totalLiquidityUSD": usd})
    for day in range(last, last - n, -1):
        value *= math.exp(rng.gauss(-0.001, 0.04))
        points.append({"date": day * _DAY, "totalLiquidityUSD": value})
    return points[::-1]


def _daily(points: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Return the last value of each day; points that are not numbers are passed over."""
    return {
        int(point["date"]) // _DAY: float(point["totalLiquidityUSD"])
        for point in points
        if all(isinstance(point.get(k), int | float) for k in ("date", "totalLiquidityUSD"))
    }


class DefiServer(Loopback):
    """The free API; the selectors of a request are its path, with and without method.

    Parameters
    ----------
    protocols
        Rows of `/protocols`; see `synthetic_protocols`.
    histories
        Points by slug; those of other slugs are made by `synthetic_history`.
    days
        The longest history made.
    now
        The moment of the last point.
    """

    def __init__(
        self,
        protocols: Iterable[dict[str, Any]] = (),
        *,
        histories: Mapping[str, list[dict[str, Any]]] | None = None,
        days: int = 200,
        now: datetime = NOW,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.days, self.now = days, now
        self.replace(protocols, histories)

    def replace(
        self,
        protocols: Iterable[dict[str, Any]],
        histories: Mapping[str, list[dict[str, Any]]] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Serve other protocols, and another moment, from now on."""
        self.now = now or self.now
        self.protocols = list(protocols)
        self._of_slug = {str(row.get("slug")): row for row in self.protocols}
        self._made: dict[str, list[dict[str, Any]]] = dict(histories or {})
        self._kept: dict[str, Reply] = {}

    def history(self, slug: str) -> list[dict[str, Any]]:
        """Return the points of one protocol."""
        if slug not in self._made:
            self._made[slug] = synthetic_history(self._of_slug[slug], self.days, self.now)
        return self._made[slug]

    def answer(self, request: Request) -> Reply:
        if request.target not in self._kept:
            reply = self._make(request)
            if reply.status != 200:
                return reply
            self._kept[request.target] = reply.having(Cache_Control="max-age=600")
        return self._kept[request.target]

    def _make(self, request: Request) -> Reply:
        match request.segments:
            case ["protocols"]:
                return Reply.json(self.protocols)
            case ["protocol", slug] if slug in self._of_slug:
                return Reply.json(self._protocol(slug))
            case ["tvl", slug] if slug in self._of_slug:
                return Reply.json(self._of_slug[slug].get("tvl") or 0)
            case ["protocol" | "tvl", _]:
                return Reply.text("Protocol not found", 400)
            case ["v2", "chains"]:
                return Reply.json(self._chains())
            case ["v2", "historicalChainTvl"]:
                return Reply.json(self._total(None))
            case ["v2", "historicalChainTvl", chain] if chain in CHAINS:
                return Reply.json(self._total(chain))
            case ["v2", "historicalChainTvl", _]:
                return Reply.text("Chain not found", 404)
            case ["simpleChainDataset", "All" | "All.csv"]:
                return Reply.text(self._all_csv(dict(request.query)), kind="text/csv")
        return Reply.json({"message": "Not Found"}, 404)

    def _protocol(self, slug: str) -> dict[str, Any]:
        row, points = self._of_slug[slug], self.history(slug)
        parts: dict[str, float] = row.get("chainTvls") or {}
        whole = row.get("tvl") or 0.0
        by_chain = {}
        for name, usd in parts.items():
            share = usd / whole if whole else 0.0
            series = [
                {"date": day * _DAY, "totalLiquidityUSD": share * value}
                for day, value in _daily(points).items()
            ]
            by_chain[name] = {"tvl": series, "tokens": [], "tokensInUsd": []}
        counted = {"tvl", "chainTvls", "slug", "change_1h", "change_1d", "change_7d"}
        return {
            **{key: value for key, value in row.items() if key not in counted},
            "tvl": points,
            "chainTvls": by_chain,
            "currentChainTvls": parts,
            "tokens": [],
            "tokensInUsd": [],
            "raises": [],
        }

    def _chains(self) -> list[dict[str, Any]]:
        sums: dict[str, float] = defaultdict(float)
        for row in self.protocols:
            for chain in set(row.get("chains") or ()) & set(row.get("chainTvls") or ()):
                sums[chain] += row["chainTvls"][chain]
        return [
            {
                "gecko_id": None if i % 3 == 2 else chain.lower().replace(" ", "-"),
                "tvl": sums[chain],
                "tokenSymbol": None if i % 3 == 2 else chain[:3].upper(),
                "cmcId": None if i % 3 else str(1000 + i),
                "name": chain,
                "chainId": None if i % 4 == 3 else 10 + i,
            }
            for i, chain in enumerate(sorted(sums))
        ]

    def _total(self, chain: str | None) -> list[dict[str, Any]]:
        """Return the sum by day, without double counting: as the charts count."""
        sums: dict[int, float] = defaultdict(float)
        for row in self.protocols:
            if row.get("category") in (*NOT_IN_CHARTS, "Liquid Staking"):
                continue
            share = 1.0
            if chain is not None:
                part = (row.get("chainTvls") or {}).get(chain, 0.0)
                share = part / row["tvl"] if row.get("tvl") else 0.0
            for day, usd in _daily(self.history(row["slug"])).items():
                sums[day] += share * usd
        return [{"date": day * _DAY, "tvl": sums[day]} for day in sorted(sums)]

    def _all_csv(self, options: Mapping[str, str]) -> str:
        """Return protocols by days, as the real one: names unquoted, no cells after the last."""
        left_out = set(NOT_IN_CHARTS)
        if options.get("liquidstaking") != "true":
            left_out.add("Liquid Staking")
        rows: dict[str, dict[int, float]] = {"Total": defaultdict(float)}
        for row in self.protocols:
            if row.get("category") in left_out:
                continue
            for day, usd in _daily(self.history(row["slug"])).items():
                if usd:
                    rows.setdefault(str(row["name"]), {})[day] = usd
                    rows["Total"][day] += usd
        days_of_all = sorted(rows["Total"])
        moments = [datetime.fromtimestamp(day * _DAY, UTC) for day in days_of_all]
        lines = [["Protocol", *(moment.strftime("%d/%m/%Y") for moment in moments)]]
        for name, found in rows.items():
            cells = [json.dumps(found[day]) if day in found else "" for day in days_of_all]
            while cells and not cells[-1]:
                cells.pop()
            lines.append([name, *cells])
        return "\n".join(",".join(line) for line in lines)
