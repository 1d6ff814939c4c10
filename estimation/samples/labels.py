"""Labels of clusters as whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.samples.clusters import checked_labels


def label_codes(clusters: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """Return labels as numbers from 0, None without labels."""
    if clusters is None:
        return None
    labels = np.asarray(clusters)
    if labels.size != n:
        raise DataError(f"{n} items but {labels.size} cluster labels; give one label for each")
    return np.unique(checked_labels(labels, labels), return_inverse=True)[1].astype(np.int64)
