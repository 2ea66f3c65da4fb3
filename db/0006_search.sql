-- A million explanations: narrow rows, hashes as bytes, and what searches filter, sort and count by in tables of its own.
-- Tables that others refer to are made anew and take the old name; the upgrade checks every reference before it ends.

PRAGMA legacy_alter_table = ON; -- a table that takes an old name takes the references to it

CREATE TABLE method (
    -- How something was made: a plug-in with its language model, settings and prompt.
    id INTEGER NOT NULL PRIMARY KEY,
    plugin TEXT NOT NULL, -- explainer of an explanation, simulator of a simulation
    llm TEXT, -- language model that it asked
    settings TEXT NOT NULL, -- JSON
    template_sha256 TEXT -- of the prompt's templates
);
CREATE UNIQUE INDEX method_content ON method (plugin, coalesce(llm, ''), settings, coalesce(template_sha256, ''));
INSERT INTO method (plugin, llm, settings, template_sha256)
SELECT DISTINCT explainer, llm, settings, template_sha256 FROM explanation
UNION
SELECT DISTINCT simulator, llm, settings, NULL FROM simulation;

CREATE TABLE scorer (
    -- Names of scorers.
    id INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
INSERT INTO scorer (id, name) VALUES (1, 'correlation');
INSERT INTO scorer (name) SELECT DISTINCT scorer FROM score WHERE scorer != 'correlation' ORDER BY scorer;

CREATE TABLE measure (
    -- What a score is of: whose predictions, by which scorer, on which split.
    id INTEGER NOT NULL PRIMARY KEY,
    scorer_id INTEGER NOT NULL REFERENCES scorer (id),
    simulator TEXT NOT NULL, -- plug-in that predicted; where texts come from (llm or corpus) if nothing was simulated
    llm TEXT, -- of the simulator, or that wrote the texts
    split TEXT NOT NULL CHECK (split IN ('explain', 'select', 'test'))
);
CREATE UNIQUE INDEX measure_content ON measure (scorer_id, simulator, coalesce(llm, ''), split);
INSERT INTO measure (scorer_id, simulator, llm, split)
SELECT DISTINCT scorer.id, score.simulator, score.llm, score.split
FROM score
JOIN scorer ON scorer.name = score.scorer;

DROP VIEW v_explanations;
DROP VIEW v_scores;
DROP TRIGGER explanation_added;
DROP TRIGGER explanation_removed;
DROP TRIGGER explanation_changed;
DROP TABLE explanation_fts;

CREATE TABLE explanation_6 (
    -- Hypotheses and the records of why there is none; rows are added, never changed.
    id INTEGER NOT NULL PRIMARY KEY,
    "key" BLOB NOT NULL CHECK (length("key") = 32), -- SHA-256 of everything that determines the result; a retry has the same
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    method_id INTEGER NOT NULL REFERENCES method (id), -- explainer, language model, settings and template
    prompt_sha256 BLOB CHECK (length(prompt_sha256) = 32), -- of the rendered prompt
    text TEXT NOT NULL, -- empty when it failed
    data BLOB, -- zlib of the same hypothesis for a program as JSON; plain JSON in rows of older versions
    scale REAL NOT NULL CHECK (scale BETWEEN 0 AND 1.7976931348623157e308), -- activation of level 10
    status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
    reason TEXT CHECK ((reason IS NULL) = (status = 'ok')), -- short code of the failure
    message TEXT,
    raw_reply TEXT, -- what the language model answered
    parent_id INTEGER REFERENCES explanation (id), -- the explanation that this one revises
    run_id INTEGER NOT NULL REFERENCES run (id),
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
INSERT INTO explanation_6
SELECT
    explanation.id, hash_bytes("key"), collection_id, neuron_id, polarity, method.id,
    CASE WHEN prompt_sha256 IS NULL THEN NULL ELSE hash_bytes(prompt_sha256) END, text, data, scale, status, reason, message,
    raw_reply, parent_id, run_id, CAST(round((julianday(created_at) - 2440587.5) * 86400000) AS INTEGER)
FROM explanation
JOIN method
    ON method.plugin = explanation.explainer AND coalesce(method.llm, '') = coalesce(explanation.llm, '')
    AND method.settings = explanation.settings
    AND coalesce(method.template_sha256, '') = coalesce(explanation.template_sha256, '')
ORDER BY explanation.id;
DROP TABLE explanation;
ALTER TABLE explanation_6 RENAME TO explanation;
CREATE INDEX explanation_key ON explanation ("key");
CREATE INDEX explanation_neuron_id ON explanation (neuron_id);
CREATE INDEX explanation_run_id ON explanation (run_id);
CREATE INDEX explanation_failed ON explanation (run_id, reason) WHERE status = 'failed';

CREATE VIRTUAL TABLE explanation_fts USING fts5 (
    text, content = 'explanation', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2', prefix = '3'
);
INSERT INTO explanation_fts (explanation_fts) VALUES ('rebuild');
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

CREATE TABLE explanation_word (
    -- The words of explanations, for searches for a part of a word.
    word TEXT NOT NULL PRIMARY KEY -- in lower case, without accents
) WITHOUT ROWID;
INSERT OR IGNORE INTO explanation_word
SELECT word.value FROM explanation CROSS JOIN json_each(text_words(explanation.text)) AS word;

CREATE TABLE simulation_6 (
    -- What a simulator predicts from an explanation on spans that its author never saw.
    id INTEGER NOT NULL PRIMARY KEY,
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    "key" BLOB NOT NULL CHECK (length("key") = 32), -- SHA-256 of everything that determines the result
    split TEXT NOT NULL CHECK (split IN ('explain', 'select', 'test')),
    method_id INTEGER NOT NULL REFERENCES method (id), -- simulator, language model and settings
    n INTEGER NOT NULL, -- spans that worked; the others are in simulation_failure
    spans BLOB NOT NULL CHECK (length(spans) = 4 * n), -- big-endian uint32: number of the span
    expected BLOB NOT NULL, -- zlib of little-endian float16: levels 0-10, the spans' tokens one after another
    run_id INTEGER NOT NULL REFERENCES run (id),
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
INSERT INTO simulation_6
SELECT
    simulation.id, explanation_id, hash_bytes("key"), split, method.id, n, spans, expected, run_id,
    CAST(round((julianday(created_at) - 2440587.5) * 86400000) AS INTEGER)
FROM simulation
JOIN method
    ON method.plugin = simulation.simulator AND coalesce(method.llm, '') = coalesce(simulation.llm, '')
    AND method.settings = simulation.settings AND method.template_sha256 IS NULL
ORDER BY simulation.id;
DROP TABLE simulation;
ALTER TABLE simulation_6 RENAME TO simulation;
CREATE INDEX simulation_key ON simulation ("key");
CREATE INDEX simulation_explanation_id ON simulation (explanation_id);
CREATE INDEX simulation_run_id ON simulation (run_id);

CREATE TABLE score_6 (
    -- One number about one explanation; undefined is NULL with a reason.
    id INTEGER NOT NULL PRIMARY KEY,
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    simulation_id INTEGER REFERENCES simulation (id), -- NULL where the subject ran on texts, and nothing was simulated
    "key" BLOB NOT NULL CHECK (length("key") = 32), -- SHA-256 of everything that determines the result
    measure_id INTEGER NOT NULL REFERENCES measure (id), -- scorer, simulator, language model and split
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
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
INSERT INTO score_6
SELECT
    score.id, explanation_id, simulation_id, hash_bytes("key"), measure.id, value, reason, ci_low, ci_high, null_mean, null_own,
    null_n, p_value, null_reason, floor, n_tokens, n_nonzero, coverage, run_id,
    CAST(round((julianday(created_at) - 2440587.5) * 86400000) AS INTEGER)
FROM score
JOIN scorer ON scorer.name = score.scorer
JOIN measure
    ON measure.scorer_id = scorer.id AND measure.simulator = score.simulator
    AND coalesce(measure.llm, '') = coalesce(score.llm, '') AND measure.split = score.split
ORDER BY score.id;
DROP TABLE score;
ALTER TABLE score_6 RENAME TO score;
CREATE INDEX score_explanation_id ON score (explanation_id, measure_id);
CREATE INDEX score_run_id ON score (run_id);

CREATE TABLE review_tag (
    -- Words that a reviewer filed an explanation under.
    review_id INTEGER NOT NULL REFERENCES review (id),
    tag TEXT NOT NULL,
    PRIMARY KEY (review_id, tag)
) WITHOUT ROWID;
CREATE INDEX review_tag_tag ON review_tag (tag);
CREATE INDEX review_verdict ON review (verdict);

DROP VIEW v_neurons;
DROP VIEW v_quantiles;
CREATE TABLE statistics_6 (
    -- Moments of a neuron over all counted tokens, in the subject's activation units; NULL where an import does not tell.
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    n_tokens INTEGER, -- counted tokens; of an expert's neurons those that were routed to it
    n_spans INTEGER,
    mean REAL,
    std REAL,
    min REAL,
    max REAL,
    frac_positive REAL CHECK (frac_positive BETWEEN 0 AND 1), -- share of tokens above 0
    peaks_excluded INTEGER NOT NULL, -- spans whose maximum sat on a token that does not count
    troughs_excluded INTEGER NOT NULL, -- the same for the minimum
    quantiles BLOB CHECK (length(quantiles) = 60), -- big-endian float32, one per level of v_quantiles; NULL where no tokens were sampled
    PRIMARY KEY (neuron_id, collection_id)
) WITHOUT ROWID;
INSERT INTO statistics_6 SELECT * FROM statistics;
DROP TABLE statistics;
ALTER TABLE statistics_6 RENAME TO statistics;

ALTER TABLE exemplar ADD COLUMN unit REAL; -- activation of one int8 step on the row's side, see steps.py; NULL where activations are float16

CREATE TABLE peak_token_6 (
    -- Token texts on which a neuron peaks in its strongest spans of the explain split.
    token TEXT NOT NULL, -- without the spaces around it
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    polarity INTEGER NOT NULL,
    n INTEGER NOT NULL, -- spans
    PRIMARY KEY (token, collection_id, neuron_id, polarity)
) WITHOUT ROWID;
INSERT INTO peak_token_6 SELECT token, collection_id, neuron_id, polarity, n FROM peak_token ORDER BY 1, 2, 3, 4;
DROP TABLE peak_token;
ALTER TABLE peak_token_6 RENAME TO peak_token;

CREATE TABLE entry (
    -- What a search filters and sorts by: a row per explanation, or failed one, that no other of its key supersedes.
    id INTEGER NOT NULL PRIMARY KEY REFERENCES explanation (id),
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    subject_id INTEGER NOT NULL REFERENCES subject (id),
    layer INTEGER NOT NULL,
    idx INTEGER NOT NULL, -- place in the layer, from 0
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    method_id INTEGER NOT NULL REFERENCES method (id),
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2), -- 0 unreviewed, 1 reviewed, 2 failed
    run_id INTEGER NOT NULL REFERENCES run (id), -- that wrote the explanation
    density REAL, -- share of tokens with the neuron above 0
    score REAL, -- newest correlation on the test split
    p_value REAL, -- of that score
    cell INTEGER NOT NULL -- subject, layer, method, state, polarity and score, rounded, in one number for counting
);
INSERT INTO entry
WITH newest (explanation_id, score_id) AS (
    SELECT score.explanation_id, max(score.id)
    FROM score
    JOIN measure ON measure.id = score.measure_id AND measure.split = 'test' AND measure.scorer_id = 1
    GROUP BY score.explanation_id
),
found AS (
    SELECT
        explanation.id, explanation.neuron_id, neuron.subject_id, neuron.layer, neuron.idx, explanation.polarity,
        explanation.method_id,
        CASE
            WHEN explanation.status = 'failed' THEN 2
            ELSE EXISTS (SELECT 1 FROM review WHERE review.explanation_id = explanation.id)
        END AS state,
        explanation.run_id, statistics.frac_positive, score.value, score.p_value
    FROM explanation
    JOIN neuron ON neuron.id = explanation.neuron_id
    LEFT JOIN statistics
        ON statistics.neuron_id = explanation.neuron_id AND statistics.collection_id = explanation.collection_id
    LEFT JOIN newest ON newest.explanation_id = explanation.id
    LEFT JOIN score ON score.id = newest.score_id
    WHERE NOT EXISTS (
        SELECT 1 FROM explanation AS other
        WHERE other."key" = explanation."key"
            AND (
                (other.status = explanation.status AND other.id > explanation.id)
                OR (other.status = 'ok' AND explanation.status = 'failed')
            )
    )
)
SELECT
    *,
    ((((subject_id * 4096 + layer) * 1048576 + method_id) * 4 + state) * 2 + (polarity > 0)) * 64
    + CASE WHEN value IS NULL THEN 40 ELSE min(max(CAST((value + 1) * 20 + 1e-9 AS INTEGER), 0), 39) END
FROM found;
CREATE INDEX entry_score ON entry (score, id);
CREATE INDEX entry_layer ON entry (layer, score, id);
CREATE INDEX entry_place ON entry (layer, idx, id);
CREATE INDEX entry_cell ON entry (cell);
CREATE INDEX entry_state ON entry (state) WHERE state <> 0;
CREATE TRIGGER review_added AFTER INSERT ON review BEGIN
    UPDATE entry SET state = 1, cell = cell + 128 WHERE id = new.explanation_id AND state = 0;
END;
CREATE TRIGGER review_removed AFTER DELETE ON review
WHEN NOT EXISTS (SELECT 1 FROM review WHERE explanation_id = old.explanation_id) BEGIN
    UPDATE entry SET state = 0, cell = cell - 128 WHERE id = old.explanation_id AND state = 1;
END;

CREATE TABLE standing (
    -- The newest score of an explanation by every other scorer, on the test split; those of correlation are in entry.
    scorer_id INTEGER NOT NULL REFERENCES scorer (id),
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    score_id INTEGER NOT NULL REFERENCES score (id),
    value REAL,
    p_value REAL,
    PRIMARY KEY (scorer_id, explanation_id)
) WITHOUT ROWID;
INSERT INTO standing
SELECT newest.scorer_id, newest.explanation_id, newest.score_id, score.value, score.p_value
FROM (
    SELECT measure.scorer_id, score.explanation_id, max(score.id) AS score_id
    FROM score
    JOIN measure ON measure.id = score.measure_id AND measure.split = 'test' AND measure.scorer_id != 1
    GROUP BY measure.scorer_id, score.explanation_id
) AS newest
JOIN score ON score.id = newest.score_id;
CREATE INDEX standing_value ON standing (scorer_id, value, explanation_id);

CREATE TABLE embedding (
    -- Explanations as vectors of a sentence model, many in a row, for searches by meaning.
    id INTEGER NOT NULL PRIMARY KEY,
    model TEXT NOT NULL, -- of the sentence model, with the hash of its weights
    n INTEGER NOT NULL, -- explanations
    explanations BLOB NOT NULL, -- little-endian uint64: their ids, ascending
    signs BLOB NOT NULL, -- 48 bytes each: signs of a fixed projection to 384 dimensions
    vectors BLOB NOT NULL -- int8, as many for each as the model has dimensions
);
CREATE INDEX embedding_model ON embedding (model, id);

CREATE TABLE import_batch (
    -- Files, or parts of them, whose contents are in this catalogue, so that an import goes on where it was cut off.
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    name TEXT NOT NULL, -- of the file within what was imported, and the place in it
    sha256 TEXT NOT NULL, -- of its bytes
    PRIMARY KEY (collection_id, name)
) WITHOUT ROWID;
CREATE INDEX span_document_id ON span (document_id); -- spans are imported document by document


PRAGMA legacy_alter_table = OFF;

CREATE VIEW v_neurons AS
    -- Neurons of the current collection of every subject.
SELECT
    neuron.id AS neuron_id, -- identifies the neuron in this file
    subject.name AS subject, -- first part of a neuron's address
    neuron.layer AS layer, -- from 0
    neuron.idx AS idx, -- place in the layer, from 0
    neuron.site AS site, -- what a neuron is, for example mlp
    statistics.n_tokens AS n_tokens, -- counted tokens; NULL, as all that follows, where an import does not tell
    statistics.mean AS mean, -- of the activation, in the subject's units
    statistics.std AS std, -- standard deviation, in the subject's units
    statistics.min AS min, -- smallest activation
    statistics.max AS max, -- largest activation
    statistics.frac_positive AS frac_positive -- share of tokens with an activation above 0
FROM statistics
JOIN collection ON collection.id = statistics.collection_id AND collection.current = 1
JOIN neuron ON neuron.id = statistics.neuron_id
JOIN subject ON subject.id = neuron.subject_id;

-- A float32 is s eeeeeeee m, where m has 23 bits: (2^23 + m) * 2^(e - 150), and 2m * 2^-150 where e is 0.
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

CREATE VIEW v_explanations AS
    -- Explanations and the records of failed ones, from all collections.
SELECT
    explanation.id AS explanation_id, -- identifies the explanation in this file
    explanation.neuron_id AS neuron_id, -- see v_neurons
    subject.name AS subject, -- first part of a neuron's address
    neuron.layer AS layer, -- from 0
    neuron.idx AS idx, -- place in the layer, from 0
    explanation.polarity AS polarity, -- 1 upper side of the activation, -1 lower side
    method.plugin AS explainer, -- plug-in that wrote it
    method.llm AS llm, -- language model that wrote the text, NULL where none did
    CASE WHEN explanation.prompt_sha256 IS NOT NULL THEN lower(hex(explanation.prompt_sha256)) END AS prompt_sha256, -- of the rendered prompt
    explanation.text AS text, -- one sentence; empty when it failed
    explanation.status AS status, -- ok or failed
    explanation.reason AS reason, -- short code of the failure, NULL when ok
    explanation.parent_id AS parent_id, -- explanation that this one revises
    strftime('%Y-%m-%dT%H:%M:%f+00:00', explanation.created_ms / 1000.0, 'unixepoch') AS created_at, -- ISO time, UTC
    explanation.run_id AS run_id -- see v_runs
FROM explanation
JOIN method ON method.id = explanation.method_id
JOIN neuron ON neuron.id = explanation.neuron_id
JOIN subject ON subject.id = neuron.subject_id;

CREATE VIEW v_scores AS
    -- Scores of explanations.
SELECT
    score.id AS score_id, -- identifies the score in this file
    score.explanation_id AS explanation_id, -- see v_explanations
    scorer.name AS scorer, -- plug-in that computed it
    measure.simulator AS simulator, -- plug-in whose predictions were scored; llm or corpus where texts about the explanation were, see v_texts
    measure.llm AS llm, -- language model of the simulator, or that wrote the texts; NULL where none
    measure.split AS split, -- spans that were scored: select or test
    score.value AS value, -- NULL where undefined
    score.ci_low AS ci_low, -- 2.5 % point of the bootstrap over spans, or over texts
    score.ci_high AS ci_high, -- 97.5 % point
    score.null_mean AS null_mean, -- mean score of explanations of other neurons
    score.p_value AS p_value, -- (1 + null scores >= null_own) / (1 + null_n)
    score.floor AS floor, -- the same score without a language model: of the neuron's token table on the same spans, or of its keywords
    score.n_tokens AS n_tokens, -- scored tokens
    score.n_nonzero AS n_nonzero, -- scored tokens with the neuron above 0 on the polarity's side
    score.coverage AS coverage, -- share of the tokens that the simulator answered for, or of the texts that were wanted
    score.reason AS reason, -- why the value is NULL
    score.null_own AS null_own, -- own value on the spans that the null covers; compare null_mean with this
    score.null_n AS null_n, -- explanations of other neurons that were tried
    score.null_reason AS null_reason, -- why there is no null
    score.run_id AS run_id -- see v_runs
FROM score
JOIN measure ON measure.id = score.measure_id
JOIN scorer ON scorer.id = measure.scorer_id;

CREATE VIEW v_tags AS
    -- Words that reviewers filed explanations under.
SELECT
    review.explanation_id AS explanation_id, -- see v_explanations
    review_tag.review_id AS review_id, -- see v_reviews
    review_tag.tag AS tag -- as typed
FROM review_tag
JOIN review ON review.id = review_tag.review_id;
