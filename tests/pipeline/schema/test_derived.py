"""Tables that are analysed count at least one item a row; a wrong value is left out."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from baimo.pipeline.schema import derived
from baimo.pipeline.schema.table import Table
from tests.pipeline.schema.planted import Row, assert_key_holds, left_out, reads_back

DAY, LATER = date(2026, 9, 1), date(2026, 9, 8)
INFINITE = float("inf")
ROWS: dict[str, tuple[Table, Row, tuple[str, ...]]] = {
    "tvl_weekly": (
        derived.TVL_WEEKLY,
        {"protocol_number": 7, "week": DAY, "log_growth": -0.1, "log_size": 15.0, "age_weeks": 0},
        ("protocol_number", "week"),
    ),
    "hub_frequency": (
        derived.HUB_FREQUENCY,
        {"created_on": DAY, "downloads": 0, "likes": 3, "n_models": 12},
        ("created_on", "downloads", "likes"),
    ),
    "hub_authors": (derived.HUB_AUTHORS, {"n_models": 3, "n_authors": 5}, ("n_models",)),
    "hub_design_effects": (
        derived.HUB_DESIGN_EFFECTS,
        {"measure": "likes", "statistic": "alpha", "cutoff": "x_min", "k": 9, "threshold": 2.0,
         "value": 2.1, "std_error": 0.1, "design_effect": 1.4, "n_clusters": 4,
         "effective_clusters": 1.5, "without_largest": None},
        ("measure", "statistic", "cutoff"),
    ),
    "hub_sampling": (
        derived.HUB_SAMPLING,
        {"measure": "likes", "name": "zeta", "value": 1.1, "std_error": 0.1, "design_effect": 4.0,
         "effective_owners": 90.0, "without_largest": 1.2, "std_error_without": 0.1},
        ("measure", "name"),
    ),
    "hub_covariances": (
        derived.HUB_COVARIANCES,
        {"measure": "likes", "first": "zeta", "second": "simon_p", "covariance": -0.1,
         "independent": 0.1, "without_largest": 0.2},
        ("measure", "first", "second"),
    ),
    "hub_clustered_tests": (
        derived.HUB_CLUSTERED_TESTS,
        {"measure": "likes", "left_out": "none", "test": "ks", "statistic": 0.02, "p_value": 0.004,
         "p_independent": 0.001, "n_clusters": 4, "effective_clusters": 1.5, "x_min": 2.0,
         "n_tail": 9, "zeta": 0.9, "std_error": 0.03},
        ("measure", "left_out", "test"),
    ),
    "hub_threshold_spreads": (
        derived.HUB_THRESHOLD_SPREADS,
        {"measure": "likes", "x_min": 2.0, "n_tail": 9, "spread": 0.2},
        ("measure", "x_min"),
    ),
    "hub_derivatives": (
        derived.HUB_DERIVATIVES, {"n_derivatives": 3, "n_bases": 5}, ("n_derivatives",)
    ),
    "hub_totals": (
        derived.HUB_TOTALS,
        {"kind": "pipeline_tag", "name": "none", "n_models": 20, "downloads": 0, "likes": 0},
        ("kind", "name"),
    ),
    "hub_top": (
        derived.HUB_TOP,
        {"measure": "likes", "rank": 1, "model_id": "owner/model", "size": 90},
        ("measure", "rank"),
    ),
    "defi_population": (
        derived.DEFI_POPULATION,
        {"category": "Dexes", "listed_on": DAY, "adapter_on": DAY, "tvl_before": 1.5,
         "tvl_after": 2.5, "entrant": False, "unmatched": False, "before_on": DAY,
         "after_on": LATER, "n_protocols": 1},
        ("category", "listed_on", "adapter_on", "tvl_before", "tvl_after", "entrant", "unmatched"),
    ),
    "defi_listing": (
        derived.DEFI_LISTING,
        {"category": "Dexes", "listed_on": DAY, "adapter_on": DAY, "tvl_usd": 1.5,
         "observed_on": DAY, "n_protocols": 2},
        ("category", "listed_on", "adapter_on", "tvl_usd"),
    ),
    "hub_increments": (
        derived.HUB_INCREMENTS,
        {"author": 4, "age": 0.25, "likes_before": 3, "likes_after": 2, "before_on": DAY,
         "after_on": LATER, "n_models": 1},
        ("author", "age", "likes_before", "likes_after"),
    ),
    "hub_waves": (
        derived.HUB_WAVES,
        {"population": "models", "author": 3, "downloads_before": 0, "downloads_after": 9,
         "before_on": DAY, "after_on": LATER, "n_items": 2},
        ("population", "author", "downloads_before", "downloads_after"),
    ),
    "hub_before_floor": (
        derived.HUB_BEFORE_FLOOR,
        {"made_in": 2019, "author": 3, "downloads": 0, "likes": 9, "n_models": 1},
        ("made_in", "author", "downloads", "likes"),
    ),
    "other_increments": (
        derived.OTHER_INCREMENTS,
        {"population": "leaderboard_2024", "author": 3, "age": 0.5, "before": 0, "after": 9,
         "before_on": DAY, "after_on": LATER, "n_models": 1},
        ("population", "author", "age", "before", "after"),
    ),
    "other_design_effects": (
        derived.OTHER_DESIGN_EFFECTS,
        {"measure": "datasets_likes", "statistic": "alpha", "cutoff": "x_min", "k": 9,
         "threshold": 4.0, "value": 2.1, "std_error": 0.1, "design_effect": 1.5,
         "n_clusters": 12, "effective_clusters": 6.0, "without_largest": 2.2},
        ("measure", "statistic", "cutoff"),
    ),
    "other_sizes": (
        derived.OTHER_SIZES,
        {"population": "chains_tvl", "size": 0.5, "taken_on": DAY, "n_items": 1},
        ("population", "size"),
    ),
    "size_variants": (
        derived.SIZE_VARIANTS,
        {"population": "tvl_families", "size": 0.5, "n_items": 1},
        ("population", "size"),
    ),
    "tvl_growth_periods": (
        derived.TVL_GROWTH_PERIODS,
        {"population": "broad", "joined_by": "id", "before_on": DAY, "after_on": LATER,
         "n_at_risk": 90, "n_grown": 80, "log_drift": -1.8, "log_drift_std_error": 0.1,
         "log_drift_std_error_clustered": 0.2, "sigma": 1.7, "exit_share": 0.1,
         "exit_std_error": 0.01, "gbm_log_drift": -1.9, "gbm_log_drift_std_error": 0.1,
         "gbm_sigma": 1.8, "gbm_exit_rate": 0.1,
         "size_exponent": 1.1, "size_exponent_std_error": 0.1,
         "n_entrants": 9, "log_entry_mean": 12.0, "log_entry_sd": 3.0},
        ("population", "before_on"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_row_comes_back_in_its_types(name: str) -> None:
    table, row, _ = ROWS[name]
    assert table.name == name
    assert reads_back(table, row)


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_share_the_whole_key_are_refused(name: str) -> None:
    assert_key_holds(*ROWS[name])


@pytest.mark.parametrize(
    ("name", "column", "wrong", "reason"),
    [
        ("tvl_weekly", "protocol_number", -1, "protocol_number is below 0"),
        ("tvl_weekly", "protocol_number", 2**31, "protocol_number is not a whole number"),
        ("tvl_weekly", "week", None, "week is missing"),
        ("tvl_weekly", "log_growth", 50.1, "log_growth is above 50"),
        ("tvl_weekly", "log_growth", -INFINITE, "log_growth is not finite"),
        ("tvl_weekly", "log_size", float("nan"), "log_size is not finite"),
        ("tvl_weekly", "age_weeks", -1, "age_weeks is below 0"),
        ("hub_frequency", "created_on", None, "created_on is missing"),
        ("hub_frequency", "downloads", -1, "downloads is below 0"),
        ("hub_frequency", "likes", 2**60, "likes is above 9.0072e+15"),
        ("hub_frequency", "n_models", 0, "n_models is below 1"),
        ("hub_authors", "n_models", 0, "n_models is below 1"),
        ("hub_authors", "n_authors", 0, "n_authors is below 1"),
        ("hub_design_effects", "k", 0, "k is below 1"),
        ("hub_design_effects", "threshold", None, "threshold is missing"),
        ("hub_design_effects", "design_effect", -0.1, "design_effect is below 0"),
        ("hub_design_effects", "n_clusters", 0, "n_clusters is below 1"),
        ("hub_sampling", "std_error", -0.1, "std_error is below 0"),
        ("hub_sampling", "design_effect", float("nan"), "design_effect is not finite"),
        ("hub_sampling", "effective_owners", 0.9, "effective_owners is below 1"),
        ("hub_sampling", "without_largest", None, "without_largest is missing"),
        ("hub_sampling", "std_error_without", -0.1, "std_error_without is below 0"),
        ("hub_covariances", "second", None, "second is missing"),
        ("hub_covariances", "covariance", INFINITE, "covariance is not finite"),
        ("hub_clustered_tests", "p_value", 1.1, "p_value is above 1"),
        ("hub_clustered_tests", "p_independent", -0.1, "p_independent is below 0"),
        ("hub_clustered_tests", "effective_clusters", 0.9, "effective_clusters is below 1"),
        ("hub_clustered_tests", "n_clusters", 0, "n_clusters is below 1"),
        ("hub_clustered_tests", "n_tail", 0, "n_tail is below 1"),
        ("hub_clustered_tests", "zeta", -0.1, "zeta is below 0"),
        ("hub_clustered_tests", "std_error", -0.1, "std_error is below 0"),
        ("hub_threshold_spreads", "x_min", -1.0, "x_min is below 0"),
        ("hub_threshold_spreads", "n_tail", 0, "n_tail is below 1"),
        ("hub_threshold_spreads", "spread", -0.1, "spread is below 0"),
        ("hub_derivatives", "n_derivatives", 0, "n_derivatives is below 1"),
        ("hub_derivatives", "n_bases", 0, "n_bases is below 1"),
        ("hub_totals", "name", None, "name is missing"),
        ("hub_totals", "n_models", 0, "n_models is below 1"),
        ("hub_totals", "downloads", -1, "downloads is below 0"),
        ("hub_totals", "likes", -1, "likes is below 0"),
        ("hub_top", "rank", 0, "rank is below 1"),
        ("hub_top", "model_id", None, "model_id is missing"),
        ("hub_top", "size", -1, "size is below 0"),
        ("defi_population", "tvl_before", -1.0, "tvl_before is below 0"),
        ("defi_population", "tvl_after", -1.0, "tvl_after is below 0"),
        ("defi_population", "entrant", None, "entrant is missing"),
        ("defi_population", "before_on", None, "before_on is missing"),
        ("defi_population", "n_protocols", 0, "n_protocols is below 1"),
        ("defi_listing", "tvl_usd", -1.0, "tvl_usd is below 0"),
        ("defi_listing", "observed_on", None, "observed_on is missing"),
        ("defi_listing", "n_protocols", 0, "n_protocols is below 1"),
        ("hub_increments", "age", -0.1, "age is below 0"),
        ("hub_increments", "likes_before", "few", "likes_before is not a whole number"),
        ("hub_increments", "after_on", None, "after_on is missing"),
        ("hub_increments", "n_models", 0, "n_models is below 1"),
        ("hub_waves", "downloads_before", -1, "downloads_before is below 0"),
        ("hub_waves", "downloads_after", 2**60, "downloads_after is above 9.0072e+15"),
        ("hub_waves", "n_items", 0, "n_items is below 1"),
        ("hub_waves", "population", None, "population is missing"),
        ("other_increments", "before", -1, "before is below 0"),
        ("other_increments", "age", -0.1, "age is below 0"),
        ("other_design_effects", "k", 0, "k is below 1"),
        ("hub_before_floor", "likes", -1, "likes is below 0"),
        ("other_sizes", "population", None, "population is missing"),
        ("other_sizes", "size", -0.5, "size is below 0"),
        ("other_sizes", "taken_on", None, "taken_on is missing"),
        ("other_sizes", "n_items", 0, "n_items is below 1"),
        ("size_variants", "population", None, "population is missing"),
        ("size_variants", "size", INFINITE, "size is not finite"),
        ("size_variants", "n_items", 0, "n_items is below 1"),
        ("tvl_growth_periods", "log_drift", INFINITE, "log_drift is not finite"),
        ("tvl_growth_periods", "exit_share", 1.1, "exit_share is above 1"),
        ("tvl_growth_periods", "n_grown", 0, "n_grown is below 1"),
    ],
)
def test_a_wrong_value_leaves_its_row_out(name: str, column: str, wrong: Any, reason: str) -> None:
    table, row, _ = ROWS[name]
    assert left_out(table, row, **{column: wrong}) == [reason]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("defi_population", ("category", "listed_on", "adapter_on", "tvl_before", "tvl_after")),
        ("defi_listing", ("category", "listed_on", "adapter_on")),
        ("hub_increments", ("author", "age", "likes_before", "likes_after")),
    ],
)
def test_what_came_or_went_or_is_not_known_is_empty(name: str, columns: tuple[str, ...]) -> None:
    table, row, _ = ROWS[name]
    assert left_out(table, row, **dict.fromkeys(columns)) == []


@pytest.mark.parametrize(
    ("table", "units"),
    [
        (derived.TVL_WEEKLY, {"log_size": "log USD", "age_weeks": "wk"}),
        (derived.DEFI_POPULATION, {"tvl_before": "USD", "tvl_after": "USD"}),
        (derived.DEFI_LISTING, {"tvl_usd": "USD"}),
        (derived.HUB_AUTHORS, {"n_models": "models", "n_authors": "authors"}),
        (derived.HUB_INCREMENTS, {"age": "yr", "likes_before": "likes", "likes_after": "likes",
                                  "n_models": "models"}),
    ],
    ids=lambda value: value.name if isinstance(value, Table) else "",
)  # fmt: skip
def test_units_say_what_a_number_counts(table: Table, units: dict[str, str]) -> None:
    assert {c.name: c.unit for c in table.columns if c.unit} == units
