"""Files of OpenAI's neuron-explainer (github.com/openai/automated-interpretability): a few per neuron.

    collated-activations/LAYER/NEURON.json        NeuronRecord: spans, mean and variance
    explanations/LAYER/NEURON.jsonl               NeuronSimulationResults, one line: explanations, predictions, scores
    related-tokens/weight-based/LAYER/NEURON.json optional: promoted and suppressed tokens
    neuroexplain/LAYER/NEURON.json                what the dataclasses have no place for; other readers do not look at it

The keys are those of its dataclasses, which take no others, with `dataclass_name`. There is no polarity there: lower sides are the same
tree below `negative/`, with all activations negated.

Its splits are strides over the lists of spans: the strongest are train, calibration, valid, test in turn, random ones calibration, valid,
test. They are read as our explain, select, test and test (scores are published on valid), and written so that its slices hold out what
we hold out, as long as each split has spans left; the others stand behind.

What is left out: failed explanations, look-alikes, predictions that failed or whose truth is not known, token ids, skewness and kurtosis.
Read without the file of ours there are no keys, no explainer or simulator, no scores but correlation, explained variance and
explained absolute deviation, and no statistics.
"""

from neuroexplain.exchange.openai_explainer.reading import read
from neuroexplain.exchange.openai_explainer.writing import Written, write

__all__ = ["Written", "read", "write"]
