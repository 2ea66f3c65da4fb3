-- Scores by texts about explanations, on which the subject runs: the texts, and scores without a simulation.

CREATE TABLE text_set (
    -- Texts that show what an explanation says, or the record of why there are none.
    id INTEGER NOT NULL PRIMARY KEY,
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    "key" TEXT NOT NULL, -- hash of everything that determines the texts
    source TEXT NOT NULL CHECK (source IN ('llm', 'corpus')), -- written by a language model, or n-grams of the test split
    llm TEXT, -- language model that wrote them
    settings TEXT NOT NULL, -- of the scorer, JSON
    template_sha256 TEXT, -- of the prompt's templates
    prompt_sha256 TEXT, -- of the rendered prompt
    wanted INTEGER NOT NULL, -- texts that were asked for
    texts TEXT NOT NULL, -- JSON list of strings, as they came; empty where it failed
    n INTEGER NOT NULL, -- texts in the list
    n_duplicates INTEGER NOT NULL, -- left out because they had come already
    n_unusable INTEGER NOT NULL, -- left out because no tokenizer reads them, or they are empty or far too long
    reason TEXT, -- short code of the failure, NULL where there are texts
    message TEXT,
    raw_reply TEXT, -- what the language model answered
    run_id INTEGER NOT NULL REFERENCES run (id),
    created_at TEXT NOT NULL -- ISO time, UTC
);
CREATE INDEX text_set_key ON text_set ("key");
CREATE INDEX text_set_explanation_id ON text_set (explanation_id);
CREATE INDEX text_set_run_id ON text_set (run_id);

DROP VIEW v_scores;
DROP INDEX score_explanation_id;
DROP INDEX score_run_id;
ALTER TABLE score RENAME TO score_4;

CREATE TABLE score (
    -- One number about one explanation; undefined is NULL with a reason.
    id INTEGER NOT NULL PRIMARY KEY,
    explanation_id INTEGER NOT NULL REFERENCES explanation (id),
    simulation_id INTEGER REFERENCES simulation (id), -- NULL where the subject ran on texts, and nothing was simulated
    "key" TEXT NOT NULL, -- hash of everything that determines the result
    scorer TEXT NOT NULL,
    simulator TEXT NOT NULL, -- plug-in that predicted; where texts come from (llm or corpus) if nothing was simulated
    llm TEXT, -- of the simulator, or that wrote the texts
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
INSERT INTO score
SELECT
    id, explanation_id, simulation_id, "key", scorer, simulator, llm, split, value, reason, ci_low, ci_high, null_mean,
    null_own, null_n, p_value, null_reason, floor, n_tokens, n_nonzero, coverage, run_id, created_at
FROM score_4
ORDER BY id;
DROP TABLE score_4;
CREATE INDEX score_explanation_id ON score (explanation_id, scorer);
CREATE INDEX score_run_id ON score (run_id);

CREATE VIEW v_scores AS
    -- Scores of explanations.
SELECT
    score.id AS score_id, -- identifies the score in this file
    score.explanation_id AS explanation_id, -- see v_explanations
    score.scorer AS scorer, -- plug-in that computed it
    score.simulator AS simulator, -- plug-in whose predictions were scored; llm or corpus where texts about the explanation were, see v_texts
    score.llm AS llm, -- language model of the simulator, or that wrote the texts; NULL where none
    score.split AS split, -- spans that were scored: select or test
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
FROM score;

CREATE VIEW v_texts AS
    -- Texts about explanations, on which the subject runs for the scores synthetic and synthetic_auroc.
SELECT
    text_set.id AS text_set_id, -- identifies texts that were made together
    text_set.explanation_id AS explanation_id, -- see v_explanations
    text_set.source AS source, -- llm: written by a language model; corpus: n-grams of the test split that hold its words
    text_set.llm AS llm, -- language model that wrote it, NULL where none did
    texts."key" AS place, -- from 0
    texts.value AS text, -- the text as it came
    text_set.run_id AS run_id -- see v_runs
FROM text_set
CROSS JOIN json_each(text_set.texts) AS texts;
