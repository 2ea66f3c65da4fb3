"""Predictions in the subject's units: a line fitted on spans that are not scored.

Fitted on the scored spans themselves, a line of any slope gives an explanation that is exactly wrong a perfect score. So the
line is fitted on the split `select`, and never falls.
"""

from __future__ import annotations

import numpy as np

from neuroexplain.records import HeldOut
from neuroexplain.scorers.alignment import Aligned, Predictions, covered
from neuroexplain.scorers.statistics import pearson_terms, variances


def calibrated(predicted: Predictions, calibration: HeldOut) -> Predictions | None:
    """Predictions `a + b * level`, b >= 0, by weighted least squares on the calibration's spans.

    Args:
        predicted: levels of the scored spans, and of the calibration's.
        calibration: truth of spans that are not scored.

    Returns:
        Predictions in the truth's units; None where none of the calibration's tokens is predicted.
    """
    spans = covered(calibration.spans, [predicted])
    aligned = Aligned(spans, [predicted])
    weights = np.array([span.weight for span in spans], np.float64)
    sums = aligned.sums(pearson_terms)[0] @ weights
    if not sums[0] > 0:
        return None
    level, truth, _, _, product = sums[1:] / sums[0]
    varied, _ = variances(sums)
    slope = max(0.0, float((product - level * truth) / varied)) if varied > 0 else 0.0
    intercept = float(truth - slope * level)
    return {span: intercept + slope * levels for span, levels in predicted.items()}
