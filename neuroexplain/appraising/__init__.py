"""What reviews say of a catalogue's explanations, and how far reviewers agree.

`answers` gathers what was decided, `sampling` makes shares of it, `appraisal` puts all that is known together, and
`agreeing` compares reviewers with one another.
"""

from neuroexplain.appraising.agreeing import Agreement, agreement
from neuroexplain.appraising.appraisal import Appraisal, appraise

__all__ = ["Agreement", "Appraisal", "agreement", "appraise"]
