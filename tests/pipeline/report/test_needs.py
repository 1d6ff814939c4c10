"""The report reads what it declares: all of it assets of the graph, told without drawing."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.definitions import build_defs
from baimo.pipeline.lake.results import names_of
from baimo.pipeline.models.registry import CALIBRATIONS, MODELS
from baimo.pipeline.predictive.simulate import REFITS, SIMULATIONS
from baimo.pipeline.report.needs import NEEDS
from baimo.pipeline.schema.results import COMPARISON


def test_every_need_is_an_asset_of_the_graph() -> None:
    specs = build_defs(date(2024, 7, 11)).resolve_all_asset_specs()
    assets = {spec.key.path[-1]: spec for spec in specs}
    assert names_of(NEEDS) <= set(assets)
    read = {dep.asset_key.path[-1] for dep in assets["report"].deps}
    assert read == names_of(NEEDS)


def test_whatever_a_model_or_a_calibration_adds_is_among_them() -> None:
    needed = names_of(NEEDS)
    assert needed >= {need.name for model in MODELS for need in model.needs}
    assert needed >= {calibration.stored.name for calibration in CALIBRATIONS}
    every = (*TAILS.values(), *SIMULATIONS.values(), *REFITS.values())
    assert needed >= names_of(every) | names_of([AUDIT, COMPARISON])


def test_they_are_told_without_loading_what_draws() -> None:
    code = (
        "import sys, baimo.pipeline.report.needs\n"
        "print([m for m in ('matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
