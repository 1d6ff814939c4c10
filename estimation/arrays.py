"""Types of the arrays that all estimators take and return."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
"""Of a kind that is not known yet: numbers before they are checked, or labels."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
