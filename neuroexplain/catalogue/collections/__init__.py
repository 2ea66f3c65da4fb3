"""What passes over a corpus found, as rows: texts, neurons, exemplars, n-grams."""
