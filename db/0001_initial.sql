-- Shipped migrations are never edited: a change is a new file with the next number.
-- The comment behind a column is its description: db/schema.md is made from them.

PRAGMA application_id = 1853386860; -- "nxpl"

CREATE TABLE schema_migration (
    -- A migration that this file has been through.
    number INTEGER NOT NULL PRIMARY KEY, -- number of the file in db/
    name TEXT NOT NULL, -- name of the file in db/
    sha256 TEXT NOT NULL, -- of the file's text, as hex
    applied_at TEXT NOT NULL -- ISO time, UTC
);

CREATE TABLE subject (
    -- A model whose neurons are explained.
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, -- first part of a neuron's address
    spec TEXT NOT NULL, -- as the user first wrote it
    weights_sha256 TEXT NOT NULL, -- of the weights; one name stands for one set of weights
    architecture TEXT NOT NULL -- model type of its configuration
);

CREATE TABLE corpus (
    -- Texts, cut into spans of tokens by one tokenizer.
    id INTEGER NOT NULL PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE, -- of the documents, the tokenizer and the span length
    spec TEXT NOT NULL, -- as the user first wrote it
    tokenizer_sha256 TEXT NOT NULL,
    seq_len INTEGER NOT NULL, -- most tokens in a span
    first INTEGER NOT NULL, -- leading tokens of every span that count for nothing
    n_documents INTEGER NOT NULL,
    n_tokens INTEGER NOT NULL,
    n_exact_duplicates INTEGER NOT NULL, -- documents left out
    n_near_duplicates INTEGER NOT NULL -- documents that share a split with a similar one
);

CREATE TABLE document (
    -- One text of a corpus, with its tokens.
    id INTEGER NOT NULL PRIMARY KEY,
    corpus_id INTEGER NOT NULL REFERENCES corpus (id),
    position INTEGER NOT NULL, -- place in the corpus, from 0
    sha256 TEXT NOT NULL, -- of the text's UTF-8 bytes, as hex
    split INTEGER NOT NULL CHECK (split BETWEEN 0 AND 2), -- 0 explain, 1 select, 2 test
    source TEXT NOT NULL, -- where the text came from
    text TEXT NOT NULL,
    token_ids BLOB NOT NULL, -- zlib of little-endian uint32, one per token
    offsets BLOB NOT NULL, -- zlib of little-endian uint32 pairs: first and one-past-last character of every token
    UNIQUE (corpus_id, position)
);

CREATE TABLE span (
    -- Consecutive tokens of one document: what a simulator is shown at a time.
    corpus_id INTEGER NOT NULL REFERENCES corpus (id),
    number INTEGER NOT NULL, -- place in the corpus, from 0
    document_id INTEGER NOT NULL REFERENCES document (id),
    start INTEGER NOT NULL, -- first token within the document
    length INTEGER NOT NULL, -- tokens
    char_start INTEGER NOT NULL, -- first character within the document's text
    char_end INTEGER NOT NULL, -- one past its last character
    split INTEGER NOT NULL CHECK (split BETWEEN 0 AND 2), -- 0 explain, 1 select, 2 test
    PRIMARY KEY (corpus_id, number)
) WITHOUT ROWID;

CREATE TABLE token (
    -- The token ids that occur in a corpus.
    corpus_id INTEGER NOT NULL REFERENCES corpus (id),
    token_id INTEGER NOT NULL, -- of the corpus's tokenizer
    text TEXT NOT NULL, -- characters of its first occurrence, with the spaces that belong to it
    PRIMARY KEY (corpus_id, token_id)
) WITHOUT ROWID;

CREATE TABLE collection (
    -- One pass over a corpus: which spans make which neurons fire.
    id INTEGER NOT NULL PRIMARY KEY,
    "key" TEXT NOT NULL UNIQUE, -- hash of everything that determines the result
    subject_id INTEGER NOT NULL REFERENCES subject (id),
    corpus_id INTEGER NOT NULL REFERENCES corpus (id),
    site TEXT NOT NULL, -- what a neuron is, for example mlp
    widths TEXT NOT NULL, -- neurons of every layer of the subject, JSON
    layers TEXT NOT NULL, -- layers that were recorded, JSON
    kept INTEGER NOT NULL, -- most spans in any of its exemplar rows
    responses INTEGER NOT NULL, -- most token ids in any of its token_response rows
    config TEXT NOT NULL, -- settings, JSON
    current INTEGER NOT NULL CHECK (current IN (0, 1)), -- 1 for the newest of its subject
    created_at TEXT NOT NULL -- ISO time, UTC
);
CREATE UNIQUE INDEX collection_current ON collection (subject_id) WHERE current = 1;

CREATE TABLE neuron (
    -- One unit of one layer of a subject.
    id INTEGER NOT NULL PRIMARY KEY,
    subject_id INTEGER NOT NULL REFERENCES subject (id),
    site TEXT NOT NULL, -- what a neuron is, for example mlp
    layer INTEGER NOT NULL,
    idx INTEGER NOT NULL, -- place in the layer, from 0
    UNIQUE (subject_id, site, layer, idx)
);

CREATE TABLE statistics (
    -- Moments of a neuron over all counted tokens, in the subject's activation units.
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    n_tokens INTEGER NOT NULL, -- counted tokens; of an expert's neurons those that were routed to it
    n_spans INTEGER NOT NULL,
    mean REAL NOT NULL,
    std REAL NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    frac_positive REAL NOT NULL CHECK (frac_positive BETWEEN 0 AND 1), -- share of tokens above 0
    peaks_excluded INTEGER NOT NULL, -- spans whose maximum sat on a token that does not count
    troughs_excluded INTEGER NOT NULL, -- the same for the minimum
    quantiles BLOB CHECK (length(quantiles) = 60), -- big-endian float32, one per level of v_quantiles; NULL where no tokens were sampled
    PRIMARY KEY (neuron_id, collection_id)
) WITHOUT ROWID;

CREATE TABLE exemplar (
    -- Spans kept for a neuron, packed into one row per split, kind and polarity; v_exemplars unpacks them.
    id INTEGER NOT NULL PRIMARY KEY,
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    split INTEGER NOT NULL CHECK (split BETWEEN 0 AND 2), -- 0 explain, 1 select, 2 test
    kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2), -- 0 top, 1 quantile, 2 random
    polarity INTEGER NOT NULL CHECK (polarity BETWEEN -1 AND 1), -- 0: random spans, which serve both sides
    n INTEGER NOT NULL, -- spans, in order of rank
    spans BLOB NOT NULL CHECK (length(spans) = 4 * n), -- big-endian uint32: number of the span
    peaks BLOB NOT NULL CHECK (length(peaks) = 2 * n), -- big-endian float16, times 2^exponent
    peak_positions BLOB NOT NULL CHECK (length(peak_positions) = 2 * n), -- big-endian uint16: token within the span
    exponents BLOB NOT NULL CHECK (length(exponents) = n), -- uint8; 0 unless float16 would overflow
    activations BLOB NOT NULL, -- zlib of little-endian float16, the spans' tokens one after another, times 2^exponent
    inclusion_probability REAL NOT NULL CHECK (inclusion_probability BETWEEN 0 AND 1),
    UNIQUE (neuron_id, collection_id, split, kind, polarity)
);

CREATE TABLE peak_token (
    -- Token texts on which a neuron peaks in its strongest spans of the explain split.
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    polarity INTEGER NOT NULL,
    token TEXT NOT NULL, -- without the spaces around it
    n INTEGER NOT NULL, -- spans
    PRIMARY KEY (collection_id, neuron_id, polarity, token)
) WITHOUT ROWID;
CREATE INDEX peak_token_token ON peak_token (token);

CREATE TABLE token_response (
    -- Token ids on which a neuron is strongest on average, over sampled tokens of the explain split; v_token_responses unpacks them.
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    n INTEGER NOT NULL, -- token ids, strongest first
    token_ids BLOB NOT NULL CHECK (length(token_ids) = 4 * n), -- big-endian uint32
    means BLOB NOT NULL CHECK (length(means) = 4 * n), -- big-endian float32: mean activation, signed
    extremes BLOB NOT NULL CHECK (length(extremes) = 4 * n), -- big-endian float32: largest activation on the side, signed
    counts BLOB NOT NULL CHECK (length(counts) = 4 * n), -- big-endian uint32: sampled occurrences
    PRIMARY KEY (neuron_id, collection_id, polarity)
);

CREATE TABLE layer_sketch (
    -- Directions of a layer's neurons: the cosine of two estimates the correlation of two neurons.
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    layer INTEGER NOT NULL,
    n_tokens INTEGER NOT NULL, -- sampled tokens, of all splits
    directions BLOB NOT NULL, -- int8, 256 per neuron in order of idx; all 0 where undefined
    PRIMARY KEY (collection_id, layer)
);

CREATE TABLE ngram (
    -- N-grams that a neuron answers to, strongest first.
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    rank INTEGER NOT NULL, -- 0 for the strongest
    ngram TEXT NOT NULL,
    mean_response REAL NOT NULL,
    max_response REAL NOT NULL,
    count INTEGER NOT NULL, -- occurrences that the responses were taken over
    PRIMARY KEY (neuron_id, collection_id, polarity, rank)
) WITHOUT ROWID;

CREATE TABLE run (
    -- One command that wrote results.
    id INTEGER NOT NULL PRIMARY KEY,
    run_key TEXT NOT NULL, -- hash of the settings; equal keys mean equal results
    command TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'interrupted', 'failed')),
    config TEXT NOT NULL, -- JSON
    versions TEXT NOT NULL, -- of the packages that matter, JSON
    counts TEXT NOT NULL, -- what was done, JSON
    message TEXT NOT NULL,
    started_at TEXT NOT NULL, -- ISO time, UTC
    finished_at TEXT -- ISO time, UTC
);

CREATE TABLE llm_call (
    -- The ledger: every call of a language model, with what it answered.
    id INTEGER NOT NULL PRIMARY KEY,
    request_sha256 TEXT NOT NULL, -- of the model, the messages and every sampling setting
    run_id INTEGER REFERENCES run (id),
    purpose TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_sha256 TEXT NOT NULL,
    messages TEXT NOT NULL, -- the rendered messages, JSON
    status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
    reply TEXT,
    prompt_tokens INTEGER, -- NULL where nobody said, as for a failed call
    completion_tokens INTEGER,
    latency_ms REAL NOT NULL,
    attempts INTEGER NOT NULL,
    cost_usd REAL,
    finish_reason TEXT,
    error TEXT,
    created_at TEXT NOT NULL -- ISO time, UTC
);
CREATE INDEX llm_call_request_sha256 ON llm_call (request_sha256);
CREATE INDEX llm_call_run_id ON llm_call (run_id);

CREATE TABLE explanation (
    -- Hypotheses and the records of why there is none; rows are added, never changed.
    id INTEGER NOT NULL PRIMARY KEY,
    "key" TEXT NOT NULL, -- hash of everything that determines the result; a retry has the same
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    explainer TEXT NOT NULL,
    llm TEXT, -- spec of the language model that wrote the text
    settings TEXT NOT NULL, -- of the explainer, JSON
    template_sha256 TEXT,
    prompt_sha256 TEXT,
    text TEXT NOT NULL, -- empty when it failed
    data TEXT, -- the same hypothesis for a program, JSON
    scale REAL NOT NULL CHECK (scale BETWEEN 0 AND 1.7976931348623157e308), -- activation of level 10
    status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
    reason TEXT CHECK ((reason IS NULL) = (status = 'ok')), -- short code of the failure
    message TEXT,
    raw_reply TEXT, -- what the language model answered
    parent_id INTEGER REFERENCES explanation (id), -- the explanation that this one revises
    run_id INTEGER NOT NULL REFERENCES run (id),
    created_at TEXT NOT NULL -- ISO time, UTC
);
CREATE INDEX explanation_key ON explanation ("key");
CREATE INDEX explanation_neuron_id ON explanation (neuron_id);
CREATE INDEX explanation_collection_id ON explanation (collection_id);
CREATE INDEX explanation_run_id ON explanation (run_id);

CREATE VIRTUAL TABLE explanation_fts USING fts5 (
    text, content = 'explanation', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER explanation_added AFTER INSERT ON explanation BEGIN
    INSERT INTO explanation_fts (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER explanation_removed AFTER DELETE ON explanation BEGIN
    INSERT INTO explanation_fts (explanation_fts, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER explanation_changed AFTER UPDATE OF text ON explanation BEGIN
    INSERT INTO explanation_fts (explanation_fts, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO explanation_fts (rowid, text) VALUES (new.id, new.text);
END;

CREATE TABLE simulation (
    -- What a simulator predicts from an explanation on spans that its author never saw.
    id INTEGER NOT NULL PRIMARY KEY,
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    "key" TEXT NOT NULL, -- hash of everything that determines the result
    split TEXT NOT NULL CHECK (split IN ('explain', 'select', 'test')),
    simulator TEXT NOT NULL,
    llm TEXT,
    settings TEXT NOT NULL, -- of the simulator, JSON
    n INTEGER NOT NULL, -- spans that worked; the others are in simulation_failure
    spans BLOB NOT NULL CHECK (length(spans) = 4 * n), -- big-endian uint32: number of the span
    expected BLOB NOT NULL, -- zlib of little-endian float16: levels 0-10, the spans' tokens one after another
    run_id INTEGER NOT NULL REFERENCES run (id),
    created_at TEXT NOT NULL -- ISO time, UTC
);
CREATE INDEX simulation_key ON simulation ("key");
CREATE INDEX simulation_explanation_id ON simulation (explanation_id);
CREATE INDEX simulation_run_id ON simulation (run_id);

CREATE TABLE simulation_failure (
    -- A span that a simulator gave no levels for.
    simulation_id INTEGER NOT NULL REFERENCES simulation (id),
    span INTEGER NOT NULL, -- number of the span
    reason TEXT NOT NULL, -- short code
    message TEXT NOT NULL,
    raw_reply TEXT, -- what the language model answered
    PRIMARY KEY (simulation_id, span)
) WITHOUT ROWID;

CREATE TABLE score (
    -- One number about one explanation; undefined is NULL with a reason.
    id INTEGER NOT NULL PRIMARY KEY,
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    simulation_id INTEGER NOT NULL REFERENCES simulation (id),
    "key" TEXT NOT NULL, -- hash of everything that determines the result
    scorer TEXT NOT NULL,
    simulator TEXT NOT NULL,
    llm TEXT, -- of the simulator
    split TEXT NOT NULL CHECK (split IN ('explain', 'select', 'test')),
    value REAL CHECK (value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    reason TEXT CHECK ((reason IS NULL) = (value IS NOT NULL)), -- why the value is undefined
    ci_low REAL CHECK (ci_low BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    ci_high REAL CHECK (ci_high BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    null_mean REAL CHECK (null_mean BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    null_own REAL CHECK (null_own BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308), -- own value on the spans that the null covers
    null_n INTEGER NOT NULL, -- explanations of other neurons that were tried
    p_value REAL CHECK (p_value BETWEEN 0 AND 1),
    null_reason TEXT, -- why there is no null
    floor REAL CHECK (floor BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    n_tokens INTEGER NOT NULL,
    n_nonzero INTEGER NOT NULL,
    coverage REAL NOT NULL CHECK (coverage BETWEEN 0 AND 1),
    run_id INTEGER NOT NULL REFERENCES run (id),
    created_at TEXT NOT NULL, -- ISO time, UTC
    UNIQUE ("key", explanation_id, scorer)
);
CREATE INDEX score_explanation_id ON score (explanation_id, scorer);
CREATE INDEX score_run_id ON score (run_id);

CREATE TABLE review (
    -- What a person thinks of an explanation.
    id INTEGER NOT NULL PRIMARY KEY,
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    reviewer TEXT NOT NULL,
    verdict TEXT NOT NULL,
    note TEXT NOT NULL,
    seconds REAL, -- time that it took
    created_at TEXT NOT NULL -- ISO time, UTC
);
CREATE INDEX review_explanation_id ON review (explanation_id);

CREATE VIEW v_neurons AS
    -- Neurons of the current collection of every subject.
SELECT
    neuron.id AS neuron_id, -- identifies the neuron in this file
    subject.name AS subject, -- first part of a neuron's address
    neuron.layer AS layer, -- from 0
    neuron.idx AS idx, -- place in the layer, from 0
    neuron.site AS site, -- what a neuron is, for example mlp
    statistics.n_tokens AS n_tokens, -- counted tokens
    statistics.mean AS mean, -- of the activation, in the subject's units
    statistics.std AS std, -- standard deviation, in the subject's units
    statistics.min AS min, -- smallest activation
    statistics.max AS max, -- largest activation
    statistics.frac_positive AS frac_positive -- share of tokens with an activation above 0
FROM statistics
JOIN collection ON collection.id = statistics.collection_id AND collection.current = 1
JOIN neuron ON neuron.id = statistics.neuron_id
JOIN subject ON subject.id = neuron.subject_id;

-- SQLite has no function that reads a number from a blob, so the view reads the digits of its hex text.
-- CROSS JOIN keeps SQLite from walking through all spans of the corpus before it knows which it wants.
-- A float16 is s eeeee mmmmmmmmmm: (1024 + m) * 2^e / 2^25, and m / 2^24 where e is 0.
CREATE VIEW v_exemplars AS
    -- Spans kept for the neurons of the current collections, one row per span.
WITH RECURSIVE place (i) AS (
    SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE i + 1 < (SELECT max(kept) FROM collection)
),
digits AS (
    SELECT
        exemplar.neuron_id, exemplar.polarity, exemplar.split, exemplar.kind, place.i,
        exemplar.inclusion_probability, collection.corpus_id,
        hex(substr(exemplar.spans, 4 * place.i + 1, 4)) AS s,
        hex(substr(exemplar.peaks, 2 * place.i + 1, 2)) AS p,
        hex(substr(exemplar.peak_positions, 2 * place.i + 1, 2)) AS t,
        hex(substr(exemplar.exponents, place.i + 1, 1)) AS x
    FROM exemplar
    JOIN collection ON collection.id = exemplar.collection_id AND collection.current = 1
    CROSS JOIN place
    WHERE place.i < exemplar.n
),
numbers AS (
    SELECT
        *,
        (instr('123456789ABCDEF', substr(s, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(s, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(s, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(s, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(s, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(s, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(s, 7, 1)) << 4) + instr('123456789ABCDEF', substr(s, 8, 1)) AS number,
        (instr('123456789ABCDEF', substr(p, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(p, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(p, 3, 1)) << 4) + instr('123456789ABCDEF', substr(p, 4, 1)) AS bits,
        (instr('123456789ABCDEF', substr(t, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(t, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(t, 3, 1)) << 4) + instr('123456789ABCDEF', substr(t, 4, 1)) AS token,
        (instr('123456789ABCDEF', substr(x, 1, 1)) << 4) + instr('123456789ABCDEF', substr(x, 2, 1)) AS exponent
    FROM digits
)
SELECT
    numbers.neuron_id AS neuron_id, -- see v_neurons
    numbers.polarity AS polarity, -- 1 upper side, -1 lower side, 0 random spans, which serve both
    CASE numbers.split WHEN 0 THEN 'explain' WHEN 1 THEN 'select' ELSE 'test' END AS split, -- explain, select or test
    CASE numbers.kind WHEN 0 THEN 'top' WHEN 1 THEN 'quantile' ELSE 'random' END AS kind, -- top, quantile or random
    numbers.i AS rank, -- 0 for the strongest peak; random spans are in the order of the sample
    document.position AS document, -- place of the document in its corpus, from 0
    span.start AS start, -- first token within the document
    CASE numbers.bits >> 15 WHEN 1 THEN -1.0 ELSE 1.0 END
    * (1 << min(numbers.exponent, 60)) * (1 << max(numbers.exponent - 60, 0))
    * CASE (numbers.bits >> 10) & 31
        WHEN 0 THEN (numbers.bits & 1023) * 2
        ELSE (1024 + (numbers.bits & 1023)) << ((numbers.bits >> 10) & 31)
    END
    / 33554432 AS peak, -- largest activation on the polarity's side, signed, as stored (float16); upper side for polarity 0
    numbers.token AS peak_position, -- token of the peak within the span
    numbers.inclusion_probability AS inclusion_probability, -- chance that the sampling keeps the span as this kind
    substr(document.text, span.char_start + 1, span.char_end - span.char_start) AS text, -- of the span
    numbers.number AS span -- number of the span in its corpus
FROM numbers
CROSS JOIN span ON span.corpus_id = numbers.corpus_id AND span.number = numbers.number
CROSS JOIN document ON document.id = span.document_id;

CREATE VIEW v_explanations AS
    -- Explanations and the records of failed ones, from all collections.
SELECT
    explanation.id AS explanation_id, -- identifies the explanation in this file
    explanation.neuron_id AS neuron_id, -- see v_neurons
    subject.name AS subject, -- first part of a neuron's address
    neuron.layer AS layer, -- from 0
    neuron.idx AS idx, -- place in the layer, from 0
    explanation.polarity AS polarity, -- 1 upper side of the activation, -1 lower side
    explanation.explainer AS explainer, -- plug-in that wrote it
    explanation.llm AS llm, -- language model that wrote the text, NULL where none did
    explanation.prompt_sha256 AS prompt_sha256, -- of the rendered prompt
    explanation.text AS text, -- one sentence; empty when it failed
    explanation.status AS status, -- ok or failed
    explanation.reason AS reason, -- short code of the failure, NULL when ok
    explanation.parent_id AS parent_id, -- explanation that this one revises
    explanation.created_at AS created_at, -- ISO time, UTC
    explanation.run_id AS run_id -- see v_runs
FROM explanation
JOIN neuron ON neuron.id = explanation.neuron_id
JOIN subject ON subject.id = neuron.subject_id;

CREATE VIEW v_scores AS
    -- Scores of explanations.
SELECT
    score.id AS score_id, -- identifies the score in this file
    score.explanation_id AS explanation_id, -- see v_explanations
    score.scorer AS scorer, -- plug-in that computed it
    score.simulator AS simulator, -- plug-in whose predictions were scored
    score.llm AS llm, -- language model of the simulator, NULL where none
    score.split AS split, -- spans that were scored: select or test
    score.value AS value, -- NULL where undefined
    score.ci_low AS ci_low, -- 2.5 % point of the bootstrap over spans
    score.ci_high AS ci_high, -- 97.5 % point
    score.null_mean AS null_mean, -- mean score of explanations of other neurons of the layer
    score.p_value AS p_value, -- (1 + null scores >= null_own) / (1 + null_n)
    score.floor AS floor, -- score of the neuron's own token table on the same spans
    score.n_tokens AS n_tokens, -- scored tokens
    score.n_nonzero AS n_nonzero, -- scored tokens with the neuron above 0 on the polarity's side
    score.coverage AS coverage, -- share of the tokens that the simulator answered for
    score.reason AS reason, -- why the value is NULL
    score.null_own AS null_own, -- own value on the spans that the null covers; compare null_mean with this
    score.null_n AS null_n, -- explanations of other neurons that were tried
    score.null_reason AS null_reason, -- why there is no null
    score.run_id AS run_id -- see v_runs
FROM score;

CREATE VIEW v_llm_calls AS
    -- Calls of language models.
SELECT
    llm_call.id AS call_id, -- identifies the call in this file
    llm_call.request_sha256 AS request_sha256, -- of the model, the messages and every sampling setting
    llm_call.run_id AS run_id, -- see v_runs
    llm_call.purpose AS purpose, -- explain, simulate or repair
    llm_call.model AS model, -- spec of the language model
    llm_call.prompt_tokens AS prompt_tokens, -- read by the model, NULL where unknown
    llm_call.completion_tokens AS completion_tokens, -- written by the model, NULL where unknown
    llm_call.cost_usd AS cost_usd, -- NULL where unknown
    llm_call.latency_ms AS latency_ms, -- from request to reply
    llm_call.status AS status, -- ok or failed
    llm_call.error AS error, -- what went wrong, NULL when ok
    llm_call.created_at AS created_at -- ISO time, UTC
FROM llm_call;

CREATE VIEW v_ngrams AS
    -- N-grams that neurons of the current collections answer to.
SELECT
    ngram.neuron_id AS neuron_id, -- see v_neurons
    ngram.rank AS rank, -- 0 for the strongest
    ngram.ngram AS ngram, -- its text
    ngram.mean_response AS mean_response, -- mean over its occurrences, in the subject's activation units
    ngram.max_response AS max_response, -- largest over its occurrences
    ngram.count AS count, -- occurrences
    ngram.polarity AS polarity -- 1 upper side of the activation, -1 lower side
FROM ngram
JOIN collection ON collection.id = ngram.collection_id AND collection.current = 1;

-- A float32 is s eeeeeeee m, where m has 23 bits: (2^23 + m) * 2^(e - 150), and 2m * 2^-150 where e is 0.
-- SQLite may lack a power function, and shifts by 63 bits at most, so that 2^(e - 150) takes several of them.
CREATE VIEW v_quantiles AS
    -- Quantiles of the neurons of the current collections, over sampled tokens of all splits.
WITH place (i, level) AS (
    VALUES (0, 0.001), (1, 0.005), (2, 0.01), (3, 0.025), (4, 0.05), (5, 0.1), (6, 0.25), (7, 0.5),
    (8, 0.75), (9, 0.9), (10, 0.95), (11, 0.975), (12, 0.99), (13, 0.995), (14, 0.999)
),
digits AS (
    SELECT statistics.neuron_id, place.level, hex(substr(statistics.quantiles, 4 * place.i + 1, 4)) AS v
    FROM statistics
    JOIN collection ON collection.id = statistics.collection_id AND collection.current = 1
    CROSS JOIN place
    WHERE statistics.quantiles IS NOT NULL
),
numbers AS (
    SELECT
        neuron_id, level,
        (instr('123456789ABCDEF', substr(v, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(v, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(v, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(v, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(v, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(v, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(v, 7, 1)) << 4) + instr('123456789ABCDEF', substr(v, 8, 1)) AS bits
    FROM digits
),
parts AS (SELECT *, (bits >> 23) & 255 AS e FROM numbers)
SELECT
    parts.neuron_id AS neuron_id, -- see v_neurons
    parts.level AS level, -- share of tokens
    CASE parts.bits >> 31 WHEN 1 THEN -1.0 ELSE 1.0 END
    * CASE parts.e WHEN 0 THEN (parts.bits & 8388607) * 2 ELSE 8388608 + (parts.bits & 8388607) END
    * (1 << max(min(parts.e - 150, 60), 0)) * (1 << max(parts.e - 210, 0))
    / (1 << max(min(150 - parts.e, 60), 0)) / (1 << max(min(90 - parts.e, 60), 0)) / (1 << max(30 - parts.e, 0)) AS value -- activation that this share of the tokens does not exceed, in the subject's units
FROM parts;

CREATE VIEW v_token_responses AS
    -- Token ids on which neurons of the current collections are strongest on average, over sampled tokens of the explain split.
WITH RECURSIVE place (i) AS (
    SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE i + 1 < (SELECT max(responses) FROM collection)
),
digits AS (
    SELECT
        token_response.neuron_id, token_response.polarity, place.i, collection.corpus_id,
        hex(substr(token_response.token_ids, 4 * place.i + 1, 4)) AS t,
        hex(substr(token_response.means, 4 * place.i + 1, 4)) AS m,
        hex(substr(token_response.extremes, 4 * place.i + 1, 4)) AS x,
        hex(substr(token_response.counts, 4 * place.i + 1, 4)) AS c
    FROM token_response
    JOIN collection ON collection.id = token_response.collection_id AND collection.current = 1
    CROSS JOIN place
    WHERE place.i < token_response.n
),
numbers AS (
    SELECT
        *,
        (instr('123456789ABCDEF', substr(t, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(t, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(t, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(t, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(t, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(t, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(t, 7, 1)) << 4) + instr('123456789ABCDEF', substr(t, 8, 1)) AS token_id,
        (instr('123456789ABCDEF', substr(m, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(m, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(m, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(m, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(m, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(m, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(m, 7, 1)) << 4) + instr('123456789ABCDEF', substr(m, 8, 1)) AS mean,
        (instr('123456789ABCDEF', substr(x, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(x, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(x, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(x, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(x, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(x, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(x, 7, 1)) << 4) + instr('123456789ABCDEF', substr(x, 8, 1)) AS extreme,
        (instr('123456789ABCDEF', substr(c, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(c, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(c, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(c, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(c, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(c, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(c, 7, 1)) << 4) + instr('123456789ABCDEF', substr(c, 8, 1)) AS count
    FROM digits
),
parts AS (SELECT *, (mean >> 23) & 255 AS me, (extreme >> 23) & 255 AS xe FROM numbers)
SELECT
    parts.neuron_id AS neuron_id, -- see v_neurons
    parts.polarity AS polarity, -- 1 upper side of the activation, -1 lower side
    parts.i AS rank, -- 0 for the strongest
    parts.token_id AS token_id, -- of the corpus's tokenizer
    token.text AS token, -- characters of its first occurrence in the corpus
    CASE parts.mean >> 31 WHEN 1 THEN -1.0 ELSE 1.0 END
    * CASE parts.me WHEN 0 THEN (parts.mean & 8388607) * 2 ELSE 8388608 + (parts.mean & 8388607) END
    * (1 << max(min(parts.me - 150, 60), 0)) * (1 << max(parts.me - 210, 0))
    / (1 << max(min(150 - parts.me, 60), 0)) / (1 << max(min(90 - parts.me, 60), 0)) / (1 << max(30 - parts.me, 0)) AS mean, -- mean activation on the token, in the subject's units
    CASE parts.extreme >> 31 WHEN 1 THEN -1.0 ELSE 1.0 END
    * CASE parts.xe WHEN 0 THEN (parts.extreme & 8388607) * 2 ELSE 8388608 + (parts.extreme & 8388607) END
    * (1 << max(min(parts.xe - 150, 60), 0)) * (1 << max(parts.xe - 210, 0))
    / (1 << max(min(150 - parts.xe, 60), 0)) / (1 << max(min(90 - parts.xe, 60), 0)) / (1 << max(30 - parts.xe, 0)) AS extreme, -- largest activation on the polarity's side, signed
    parts.count AS count -- sampled occurrences that these are taken over
FROM parts
LEFT JOIN token ON token.corpus_id = parts.corpus_id AND token.token_id = parts.token_id;

CREATE VIEW v_runs AS
    -- Commands that wrote results.
SELECT
    run.id AS run_id, -- identifies the run in this file
    run.run_key AS run_key, -- hash of the settings; equal keys mean equal results
    run.command AS command, -- for example explain
    run.state AS state, -- running, done, interrupted or failed
    run.started_at AS started_at, -- ISO time, UTC
    run.finished_at AS finished_at, -- ISO time, UTC; NULL while running
    run.versions AS versions, -- of the packages that matter, JSON
    run.message AS message -- what to know about the end
FROM run;

CREATE VIEW v_reviews AS
    -- What people think of explanations.
SELECT
    review.id AS review_id, -- identifies the review in this file
    review.explanation_id AS explanation_id, -- see v_explanations
    review.reviewer AS reviewer, -- who
    review.verdict AS verdict, -- what they decided
    review.note AS note, -- in their words
    review.seconds AS seconds, -- time that it took
    review.created_at AS created_at -- ISO time, UTC
FROM review;
