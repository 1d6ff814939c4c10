"""What the report and the exported parameters read of a day; told without loading what draws."""

from __future__ import annotations

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.datasets.load import PROVENANCE
from baimo.pipeline.lake.results import Named
from baimo.pipeline.models.registry import CALIBRATIONS, MODELS
from baimo.pipeline.predictive.simulate import REFITS, SIMULATIONS
from baimo.pipeline.schema.derived import HUB_TOP, HUB_TOTALS
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS, COMPARISON, VERDICTS

NEEDS: tuple[Named, ...] = (
    *TAILS.values(),
    *SIMULATIONS.values(),
    *REFITS.values(),
    *(c.stored for c in CALIBRATIONS),
    *(need for model in MODELS for need in model.needs),
    COMPARISON,
    VERDICTS,
    CLAIMS,
    CLAIM_NUMBERS,
    AUDIT,
    PROVENANCE,
    HUB_TOTALS,
    HUB_TOP,
)
