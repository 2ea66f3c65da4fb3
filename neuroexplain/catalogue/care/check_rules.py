"""What must hold of a catalogue's rows and SQL can find broken: one query each."""

from __future__ import annotations

from dataclasses import dataclass

from neuroexplain.catalogue.care.merge_rows import ARRIVING


@dataclass(frozen=True)
class Rule:
    """A query for the rows of a table that break a rule."""

    table: str
    row: str
    """SQL expression that names a row."""
    fault: str
    """What is wrong with it."""
    rows: str
    """The query from its FROM on."""

    @property
    def query(self) -> str:
        """Selects the names of the rows."""
        return f"SELECT {self.row} FROM {self.rows}"


_LARGEST = "1.7976931348623157e308"
_MOMENTS = ("mean", "std", "min", "max", "frac_positive")
_NGRAM_MOMENTS = ("mean_mean", "mean_std", "max_mean", "max_std", "min_mean", "min_std")
_SCORES = ("value", "ci_low", "ci_high", "null_mean", "null_own", "p_value", "floor")
_NEURON = "'neuron ' || neuron_id || ', collection ' || collection_id"
_HASHES = (
    ("explanation", "key"),
    ("simulation", "key"),
    ("score", "key"),
    ("llm_call", "request"),
    ("llm_call", "prompt"),
)


def _infinite(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"NOT (abs({name}) <= {_LARGEST})" for name in columns)


RULES: tuple[Rule, ...] = (
    Rule(
        "span",
        "'corpus ' || span.corpus_id || ', number ' || span.number",
        "is of another corpus or split than its document",
        "span JOIN document ON document.id = span.document_id "
        "WHERE document.split != span.split OR document.corpus_id != span.corpus_id",
    ),
    Rule(
        "subject",
        "subject.name",
        "has collections, and none of them is current",
        "subject WHERE EXISTS (SELECT 1 FROM collection WHERE collection.subject_id = subject.id "
        f"AND collection.\"key\" NOT LIKE '{ARRIVING}%') AND NOT EXISTS "
        "(SELECT 1 FROM collection WHERE collection.subject_id = subject.id AND collection.current = 1)",
    ),
    Rule(
        "collection",
        "collection.id",
        "has rows of exemplars with more spans than it says",
        "collection JOIN (SELECT collection_id, max(n) AS n FROM exemplar GROUP BY collection_id) AS own "
        "ON own.collection_id = collection.id "
        f"WHERE own.n > collection.kept AND collection.\"key\" NOT LIKE '{ARRIVING}%'",
    ),
    Rule(
        "collection",
        "collection.id",
        "has n-gram passes, and none of them is current",
        "collection WHERE EXISTS (SELECT 1 FROM ngram_pass WHERE ngram_pass.collection_id = collection.id "
        f"AND ngram_pass.\"key\" NOT LIKE '{ARRIVING}%') AND NOT EXISTS "
        "(SELECT 1 FROM ngram_pass WHERE ngram_pass.collection_id = collection.id AND ngram_pass.current = 1)",
    ),
    Rule(
        "statistics",
        _NEURON,
        "has a number that is not finite",
        f"statistics WHERE {_infinite(_MOMENTS)}",
    ),
    Rule(
        "ngram_moments",
        "'neuron ' || neuron_id || ', pass ' || pass_id",
        "has a number that is not finite",
        f"ngram_moments WHERE {_infinite(_NGRAM_MOMENTS)}",
    ),
    Rule(
        "ngram_set",
        "ngram_set.id",
        "has more or fewer n-grams than it says",
        "ngram_set WHERE n != (SELECT count(*) FROM ngram_text WHERE set_id = ngram_set.id) "
        f"AND sha256 NOT LIKE '{ARRIVING}%'",
    ),
    Rule(
        "ngram_pass",
        "ngram_pass.id",
        "has another hash of its set, corpus or weights than these have",
        "ngram_pass JOIN ngram_set ON ngram_set.id = ngram_pass.set_id "
        "JOIN collection ON collection.id = ngram_pass.collection_id "
        "JOIN corpus ON corpus.id = collection.corpus_id JOIN subject ON subject.id = collection.subject_id "
        f"WHERE (ngram_set.sha256 != ngram_pass.set_sha256 AND ngram_set.sha256 NOT LIKE '{ARRIVING}%') "
        f"OR (corpus.sha256 != ngram_pass.corpus_sha256 AND corpus.sha256 NOT LIKE '{ARRIVING}%') "
        "OR subject.weights_sha256 != ngram_pass.weights_sha256",
    ),
    Rule(
        "explanation",
        "explanation.id",
        "is of a neuron of another subject than its collection",
        "explanation JOIN neuron ON neuron.id = explanation.neuron_id "
        "JOIN collection ON collection.id = explanation.collection_id "
        "WHERE neuron.subject_id != collection.subject_id",
    ),
    Rule(
        "explanation",
        "explanation.id",
        "has both or neither of a good status and a reason why it failed",
        "explanation WHERE (reason IS NULL) != (status = 'ok')",
    ),
    Rule(
        "explanation",
        "explanation.id",
        "has a scale that is negative or not finite",
        f"explanation WHERE NOT (scale >= 0 AND scale <= {_LARGEST})",
    ),
    Rule(
        "score",
        "score.id",
        "has both or neither of a value and a reason why there is none",
        "score WHERE (reason IS NULL) != (value IS NOT NULL)",
    ),
    Rule(
        "score",
        "score.id",
        "has a number that is not finite",
        f"score WHERE {_infinite(_SCORES)}",
    ),
    Rule(
        "score",
        "score.id",
        "is of a simulation of another explanation",
        "score JOIN simulation ON simulation.id = score.simulation_id "
        "WHERE simulation.explanation_id != score.explanation_id",
    ),
    Rule(
        "import_batch",
        "name",
        "has no hash of its file",
        "import_batch WHERE length(sha256) != 64",
    ),
    *(
        Rule(
            table,
            f"{table}.id",
            f"has a {column} that is no hash",
            f'{table} WHERE length("{column}") != 32',
        )
        for table, column in _HASHES
    ),
)
