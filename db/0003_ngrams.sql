-- The n-gram pass: n-grams by themselves through a subject, for all of its neurons at once.

CREATE TABLE ngram_set (
    -- Distinct n-grams of some splits of a corpus.
    id INTEGER NOT NULL PRIMARY KEY,
    corpus_id INTEGER NOT NULL REFERENCES corpus (id),
    sha256 TEXT NOT NULL, -- of the texts and token ids, in order
    n INTEGER NOT NULL, -- n-grams
    UNIQUE (corpus_id, sha256)
);

CREATE TABLE ngram_text (
    -- The n-grams of a set, commonest first.
    set_id INTEGER NOT NULL REFERENCES ngram_set (id),
    number INTEGER NOT NULL, -- place in the set, from 0
    text TEXT NOT NULL, -- as first met in the corpus; in lower case where the tokenizer knows no other
    count INTEGER NOT NULL, -- occurrences in the splits
    PRIMARY KEY (set_id, number)
) WITHOUT ROWID;

CREATE TABLE ngram_word (
    -- The words of a set's n-grams, for how common a word is among them.
    set_id INTEGER NOT NULL REFERENCES ngram_set (id),
    word TEXT NOT NULL,
    n INTEGER NOT NULL, -- n-grams of the set that hold it
    PRIMARY KEY (set_id, word)
) WITHOUT ROWID;

CREATE TABLE ngram_pass (
    -- One run of a set's n-grams through the subject of a collection.
    id INTEGER NOT NULL PRIMARY KEY,
    "key" TEXT NOT NULL UNIQUE, -- hash of everything that determines the result
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    set_id INTEGER NOT NULL REFERENCES ngram_set (id),
    weights_sha256 TEXT NOT NULL, -- of the subject that answered
    corpus_sha256 TEXT NOT NULL, -- of the corpus that the n-grams are from
    set_sha256 TEXT NOT NULL, -- of the set that the lists' numbers are of
    config TEXT NOT NULL, -- settings, JSON
    kept INTEGER NOT NULL, -- most n-grams in any of its lists
    current INTEGER NOT NULL CHECK (current IN (0, 1)), -- 1 for the newest of its collection
    created_at TEXT NOT NULL -- ISO time, UTC
);
CREATE UNIQUE INDEX ngram_pass_current ON ngram_pass (collection_id) WHERE current = 1;

CREATE TABLE ngram_list (
    -- N-grams that a neuron answers to most strongly, packed, strongest first; v_ngrams unpacks them.
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    pass_id INTEGER NOT NULL REFERENCES ngram_pass (id),
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    aggregator INTEGER NOT NULL CHECK (aggregator IN (0, 1)), -- what they are ordered by: 0 mean, 1 max
    n INTEGER NOT NULL, -- n-grams, all with a response above 0
    numbers BLOB NOT NULL CHECK (length(numbers) = 4 * n), -- big-endian uint32: number in the set
    exponent INTEGER NOT NULL, -- responses are times 2^exponent
    means BLOB NOT NULL CHECK (length(means) = 2 * n), -- big-endian float16: mean over tokens, on the polarity's side
    maxima BLOB NOT NULL CHECK (length(maxima) = 2 * n), -- the same for the largest over tokens
    PRIMARY KEY (neuron_id, pass_id, polarity, aggregator)
);

CREATE TABLE ngram_moments (
    -- Moments of a neuron's responses over all n-grams of a pass's set, in the subject's activation units.
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    pass_id INTEGER NOT NULL REFERENCES ngram_pass (id),
    mean_mean REAL NOT NULL, -- of the mean over tokens
    mean_std REAL NOT NULL,
    max_mean REAL NOT NULL, -- of the largest activation
    max_std REAL NOT NULL,
    min_mean REAL NOT NULL, -- of the smallest activation
    min_std REAL NOT NULL,
    peaks_excluded INTEGER NOT NULL, -- n-grams of which a token that does not count has the largest activation
    troughs_excluded INTEGER NOT NULL, -- the same for the smallest
    PRIMARY KEY (neuron_id, pass_id)
) WITHOUT ROWID;

-- A float16 is s eeeee mmmmmmmmmm: (1024 + m) * 2^e / 2^25, and m / 2^24 where e is 0.
-- SQLite may lack a power function, and shifts by 63 bits at most, so that 2^exponent takes several of them.
DROP VIEW v_ngrams;
CREATE VIEW v_ngrams AS
    -- N-grams that neurons of the current collections answer to: in context, as explainer ngram found them, and alone.
WITH RECURSIVE place (i) AS (
    SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE i + 1 < (SELECT max(kept) FROM ngram_pass)
),
digits AS (
    SELECT
        ngram_list.neuron_id, ngram_list.polarity, ngram_list.aggregator, ngram_list.exponent AS x, place.i,
        ngram_pass.set_id, ngram_pass.corpus_sha256, ngram_pass.set_sha256,
        hex(substr(ngram_list.numbers, 4 * place.i + 1, 4)) AS s,
        hex(substr(ngram_list.means, 2 * place.i + 1, 2)) AS m,
        hex(substr(ngram_list.maxima, 2 * place.i + 1, 2)) AS h
    FROM ngram_list
    JOIN ngram_pass ON ngram_pass.id = ngram_list.pass_id AND ngram_pass.current = 1
    JOIN ngram_set ON ngram_set.id = ngram_pass.set_id AND ngram_set.sha256 = ngram_pass.set_sha256
    JOIN collection ON collection.id = ngram_pass.collection_id AND collection.current = 1
    JOIN corpus ON corpus.id = collection.corpus_id AND corpus.sha256 = ngram_pass.corpus_sha256
    CROSS JOIN place
    WHERE place.i < ngram_list.n
),
numbers AS (
    SELECT
        *,
        (instr('123456789ABCDEF', substr(s, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(s, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(s, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(s, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(s, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(s, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(s, 7, 1)) << 4) + instr('123456789ABCDEF', substr(s, 8, 1)) AS number,
        (instr('123456789ABCDEF', substr(m, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(m, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(m, 3, 1)) << 4) + instr('123456789ABCDEF', substr(m, 4, 1)) AS mean,
        (instr('123456789ABCDEF', substr(h, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(h, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(h, 3, 1)) << 4) + instr('123456789ABCDEF', substr(h, 4, 1)) AS highest,
        1.0 * (1 << max(min(x, 60), 0)) * (1 << max(min(x - 60, 60), 0)) * (1 << max(x - 120, 0))
        / (1 << max(min(-x, 60), 0)) / (1 << max(min(-x - 60, 60), 0)) / (1 << max(-x - 120, 0)) AS unit
    FROM digits
)
SELECT
    ngram.neuron_id AS neuron_id, -- see v_neurons
    ngram.rank AS rank, -- 0 for the strongest of its source, polarity and aggregator
    ngram.ngram AS ngram, -- its text
    ngram.mean_response AS mean_response, -- on the polarity's side, in the subject's units; in context the mean over its occurrences, alone the mean over its tokens
    ngram.max_response AS max_response, -- the same for the largest
    ngram.count AS count, -- occurrences; alone those in the corpus's splits that it is from
    ngram.polarity AS polarity, -- 1 upper side of the activation, -1 lower side
    'context' AS source, -- context: in running text; alone: nothing else in the subject's input
    NULL AS aggregator, -- mean or max: what the list is ordered by; NULL in context
    corpus.sha256 AS corpus_sha256, -- of the corpus that it is from
    NULL AS set_sha256 -- of the n-gram set; NULL in context
FROM ngram
JOIN collection ON collection.id = ngram.collection_id AND collection.current = 1
JOIN corpus ON corpus.id = collection.corpus_id
UNION ALL
SELECT
    numbers.neuron_id,
    numbers.i,
    ngram_text.text,
    CASE numbers.mean >> 15 WHEN 1 THEN -1.0 ELSE 1.0 END * numbers.unit
    * CASE (numbers.mean >> 10) & 31
        WHEN 0 THEN (numbers.mean & 1023) * 2
        ELSE (1024 + (numbers.mean & 1023)) << ((numbers.mean >> 10) & 31)
    END / 33554432,
    CASE numbers.highest >> 15 WHEN 1 THEN -1.0 ELSE 1.0 END * numbers.unit
    * CASE (numbers.highest >> 10) & 31
        WHEN 0 THEN (numbers.highest & 1023) * 2
        ELSE (1024 + (numbers.highest & 1023)) << ((numbers.highest >> 10) & 31)
    END / 33554432,
    ngram_text.count,
    numbers.polarity,
    'alone',
    CASE numbers.aggregator WHEN 0 THEN 'mean' ELSE 'max' END,
    numbers.corpus_sha256,
    numbers.set_sha256
FROM numbers
CROSS JOIN ngram_text ON ngram_text.set_id = numbers.set_id AND ngram_text.number = numbers.number;

CREATE VIEW v_ngram_moments AS
    -- Moments of responses to n-grams alone, by neuron of the current collections and their newest n-gram pass.
SELECT
    ngram_moments.neuron_id AS neuron_id, -- see v_neurons
    ngram_set.n AS n_ngrams, -- n-grams that these are taken over
    ngram_moments.mean_mean AS mean_mean, -- mean of the mean over tokens, in the subject's activation units
    ngram_moments.mean_std AS mean_std, -- its standard deviation: the unit of SASC's scores by the mean
    ngram_moments.max_mean AS max_mean, -- mean of the largest activation
    ngram_moments.max_std AS max_std, -- its standard deviation
    ngram_moments.min_mean AS min_mean, -- mean of the smallest activation
    ngram_moments.min_std AS min_std, -- its standard deviation
    ngram_moments.peaks_excluded AS peaks_excluded, -- n-grams of which a special or first token has the largest activation
    ngram_moments.troughs_excluded AS troughs_excluded, -- the same for the smallest
    ngram_pass.corpus_sha256 AS corpus_sha256, -- of the corpus that the n-grams are from
    ngram_pass.set_sha256 AS set_sha256 -- of the n-gram set
FROM ngram_moments
JOIN ngram_pass ON ngram_pass.id = ngram_moments.pass_id AND ngram_pass.current = 1
JOIN ngram_set ON ngram_set.id = ngram_pass.set_id AND ngram_set.sha256 = ngram_pass.set_sha256
JOIN collection ON collection.id = ngram_pass.collection_id AND collection.current = 1;
