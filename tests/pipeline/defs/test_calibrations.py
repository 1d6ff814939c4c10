"""Every registered calibration is an asset that reads its needs from the lake and shows itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baimo.pipeline.analysis.calibration import Calibration
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.defs.calibrations import assets
from baimo.pipeline.defs.declare import CALIBRATION
from baimo.pipeline.lake.results import Day, names_of
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import HUB_FREQUENCY, HUB_INCREMENTS
from tests.pipeline.defs.steps import DAY, reads, run, shown, specs, stored
from tests.pipeline.synthetic import hub_frequency, likes_of_two_days

STEP = "attachment_kernels"  # of two assets, either of which may be asked for alone


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=lambda c: c.stored.name)
def test_each_is_an_asset_made_from_its_needs(calibration: Calibration[Any]) -> None:
    spec = specs()[calibration.stored.name]
    assert spec.description == calibration.description
    assert spec.group_name == CALIBRATION
    assert spec.kinds == {"json"}
    assert reads(calibration.stored.name) == names_of(calibration.needs)


def test_there_is_no_other() -> None:
    made = [key.path[-1] for asset in assets for key in asset.keys]
    assert sorted(made) == sorted(calibration.stored.name for calibration in CALIBRATIONS)


def test_it_fits_what_lies_in_the_lake_of_its_io_manager(own_home: Path) -> None:
    lake = Lake(own_home / "another lake")
    frequency = hub_frequency(500, 1)
    stored(lake, {HUB_INCREMENTS: likes_of_two_days(0.8, -0.2, n=3_000), HUB_FREQUENCY: frequency})
    done = run(lake.root, [KERNEL_FIT.name])
    found = Day.of_lake(lake, DAY, [KERNEL_FIT]).read(KERNEL_FIT)
    assert found is not None
    assert found.kernel is not None
    assert found.kernel.theta == pytest.approx(0.8, abs=0.2)
    metadata = shown(done, STEP, KERNEL_FIT.name)
    assert metadata["theta"] == pytest.approx(found.kernel.theta, rel=1e-5)
    assert metadata["days"] == f"{found.before_on} to {found.after_on}"
    assert not (own_home / "lake").exists()


def test_where_there_is_nothing_to_fit_that_is_stored_and_said(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    empty = likes_of_two_days(0.8, 0.0, n=50).clear()
    stored(lake, {HUB_INCREMENTS: empty, HUB_FREQUENCY: hub_frequency(50, 1)})
    done = run(tmp_path, [KERNEL_FIT.name])
    assert Day.of_lake(lake, DAY, [KERNEL_FIT]).read(KERNEL_FIT) is None
    assert shown(done, STEP, KERNEL_FIT.name)["kernel"] == "no likes of two days"
