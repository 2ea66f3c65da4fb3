"""Neuronpedia's bulk layout: `{modelId}/{sourceId}/` with tables as JSONL, and shared `config/` beside the models.

    release.jsonl model.jsonl sourceset.jsonl source.jsonl            a line each
    features/ activations/ explanations/ explanation_scores/          batch-N.jsonl.gz, the same neurons in each

The keys are those of its tables and of the dataclasses of its tools (github.com/hijohnnylin/neuronpedia, `db_models`), which take
no others. Neurons are the source `LAYER` of the set `neurons`, latents of another set `LAYER-SET`. There is no polarity there: the
lower sides of neurons are a source of their own, `LAYER-SET__negative`, with all activations negated, so that what it
shows as strongest is the strongest on that side.

What the layout has no place for: failed explanations, statistics but for the maximum and the share of active tokens, token ids,
simulations but for verdicts in the details of a score. Scores stand in the explanation's `notes`, whole, and those that have a value in
`explanation_scores/` as rows of its table ExplanationScore. A span's place is its `dataIndex`, see `places`.
"""

from neuroexplain.exchange.neuronpedia.reading import read
from neuroexplain.exchange.neuronpedia.writing import Written, write

__all__ = ["Written", "read", "write"]
