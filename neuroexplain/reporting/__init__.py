"""What a run's scores are worth: distributions beside null and floor, q-values, and what to mind; as text, HTML and plots.

`assembling.assemble` reads the catalogue and makes a `Report`; `saving.save` writes one into a folder.
"""

from neuroexplain.reporting.assembling import Scope, assemble
from neuroexplain.reporting.results import Report
from neuroexplain.reporting.saving import save

__all__ = ["Report", "Scope", "assemble", "save"]
