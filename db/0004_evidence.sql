-- Evidence that takes a pass of its own: look-alikes, and what neurons write towards the vocabulary.

CREATE TABLE look_alike (
    -- Spans of the explain split that look like a neuron's strongest ones, on which it stays quiet; v_look_alikes unpacks them.
    neuron_id INTEGER NOT NULL REFERENCES neuron (id),
    collection_id INTEGER NOT NULL REFERENCES collection (id),
    polarity INTEGER NOT NULL CHECK (polarity IN (-1, 1)),
    wanted INTEGER NOT NULL, -- spans that were sought
    quiet REAL NOT NULL CHECK (quiet > 0 AND quiet <= 1), -- share of the neuron's largest activation that it stays below on them
    n INTEGER NOT NULL, -- spans that were found, the most alike first
    spans BLOB NOT NULL CHECK (length(spans) = 4 * n), -- big-endian uint32: number of the span
    likeness BLOB NOT NULL CHECK (length(likeness) = 2 * n), -- big-endian float16
    peaks BLOB NOT NULL CHECK (length(peaks) = 2 * n), -- big-endian float16, times 2^exponent
    peak_positions BLOB NOT NULL CHECK (length(peak_positions) = 2 * n), -- big-endian uint16: token within the span
    exponents BLOB NOT NULL CHECK (length(exponents) = n), -- uint8; 0 unless float16 would overflow
    activations BLOB NOT NULL, -- zlib of little-endian float16, the spans' tokens one after another, times 2^exponent
    reason TEXT CHECK ((reason IS NULL) = (n > 0)), -- why there are none: dead_neuron, no_quiet_span
    PRIMARY KEY (neuron_id, collection_id, polarity)
);
CREATE INDEX look_alike_n ON look_alike (n);

CREATE TABLE output_token (
    -- Token ids that a neuron's output weights promote and suppress most, on its upper side; v_output_tokens unpacks them.
    neuron_id INTEGER NOT NULL PRIMARY KEY REFERENCES neuron (id),
    wanted INTEGER NOT NULL, -- token ids of either sort that were sought
    n INTEGER NOT NULL, -- token ids of either sort
    promoted BLOB NOT NULL CHECK (length(promoted) = 4 * n), -- big-endian uint32: token id, largest logit first
    promoted_logits BLOB NOT NULL CHECK (length(promoted_logits) = 2 * n), -- big-endian float16
    suppressed BLOB NOT NULL CHECK (length(suppressed) = 4 * n), -- big-endian uint32: token id, smallest logit first
    suppressed_logits BLOB NOT NULL CHECK (length(suppressed_logits) = 2 * n), -- big-endian float16
    reason TEXT CHECK ((reason IS NULL) = (n > 0)) -- why there are none, for example encoder
);
CREATE INDEX output_token_n ON output_token (n);

CREATE TABLE vocabulary (
    -- Token ids of a subject's tokenizer that are in a row of output_token.
    subject_id INTEGER NOT NULL REFERENCES subject (id),
    token_id INTEGER NOT NULL,
    text TEXT NOT NULL, -- within a text, with the spaces that belong to it; bytes that are no whole character as <0xE6>
    PRIMARY KEY (subject_id, token_id)
) WITHOUT ROWID;

-- Numbers are read from blobs as in v_exemplars.
CREATE VIEW v_look_alikes AS
    -- Spans that look like the strongest ones of neurons of the current collections, on which these stay quiet.
WITH RECURSIVE place (i) AS (
    SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE i + 1 < (SELECT max(n) FROM look_alike)
),
digits AS (
    SELECT
        look_alike.neuron_id, look_alike.polarity, place.i, collection.corpus_id,
        hex(substr(look_alike.spans, 4 * place.i + 1, 4)) AS s,
        hex(substr(look_alike.likeness, 2 * place.i + 1, 2)) AS l,
        hex(substr(look_alike.peaks, 2 * place.i + 1, 2)) AS p,
        hex(substr(look_alike.peak_positions, 2 * place.i + 1, 2)) AS t,
        hex(substr(look_alike.exponents, place.i + 1, 1)) AS x
    FROM look_alike
    JOIN collection ON collection.id = look_alike.collection_id AND collection.current = 1
    CROSS JOIN place
    WHERE place.i < look_alike.n
),
numbers AS (
    SELECT
        *,
        (instr('123456789ABCDEF', substr(s, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(s, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(s, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(s, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(s, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(s, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(s, 7, 1)) << 4) + instr('123456789ABCDEF', substr(s, 8, 1)) AS number,
        (instr('123456789ABCDEF', substr(l, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(l, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(l, 3, 1)) << 4) + instr('123456789ABCDEF', substr(l, 4, 1)) AS alike,
        (instr('123456789ABCDEF', substr(p, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(p, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(p, 3, 1)) << 4) + instr('123456789ABCDEF', substr(p, 4, 1)) AS bits,
        (instr('123456789ABCDEF', substr(t, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(t, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(t, 3, 1)) << 4) + instr('123456789ABCDEF', substr(t, 4, 1)) AS token,
        (instr('123456789ABCDEF', substr(x, 1, 1)) << 4) + instr('123456789ABCDEF', substr(x, 2, 1)) AS exponent
    FROM digits
)
SELECT
    numbers.neuron_id AS neuron_id, -- see v_neurons
    numbers.polarity AS polarity, -- 1 upper side of the activation, -1 lower side
    numbers.i AS rank, -- 0 for the first: spans that share a token on which the neuron peaks, then others, the most alike first
    document.position AS document, -- place of the document in its corpus, from 0
    span.start AS start, -- first token within the document
    CASE numbers.alike >> 15 WHEN 1 THEN -1.0 ELSE 1.0 END
    * CASE (numbers.alike >> 10) & 31
        WHEN 0 THEN (numbers.alike & 1023) * 2
        ELSE (1024 + (numbers.alike & 1023)) << ((numbers.alike >> 10) & 31)
    END
    / 33554432 AS likeness, -- cosine of the span's look with what the strongest spans have in common
    CASE numbers.bits >> 15 WHEN 1 THEN -1.0 ELSE 1.0 END
    * (1 << min(numbers.exponent, 60)) * (1 << max(numbers.exponent - 60, 0))
    * CASE (numbers.bits >> 10) & 31
        WHEN 0 THEN (numbers.bits & 1023) * 2
        ELSE (1024 + (numbers.bits & 1023)) << ((numbers.bits >> 10) & 31)
    END
    / 33554432 AS peak, -- largest activation on the polarity's side, signed
    numbers.token AS peak_position, -- token of the peak within the span
    substr(document.text, span.char_start + 1, span.char_end - span.char_start) AS text, -- of the span
    numbers.number AS span -- number of the span in its corpus
FROM numbers
CROSS JOIN span ON span.corpus_id = numbers.corpus_id AND span.number = numbers.number
CROSS JOIN document ON document.id = span.document_id;

CREATE VIEW v_output_tokens AS
    -- Tokens that neurons of decoders promote and suppress most: logits of the neuron's output weights by themselves.
WITH RECURSIVE place (i) AS (
    SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE i + 1 < (SELECT max(n) FROM output_token)
),
sort (polarity, effect, upper) AS (
    VALUES (1, 'promoted', 1), (1, 'suppressed', 0), (-1, 'promoted', 0), (-1, 'suppressed', 1)
),
digits AS (
    SELECT
        output_token.neuron_id, sort.polarity, sort.effect, place.i, neuron.subject_id,
        hex(substr(CASE sort.upper WHEN 1 THEN output_token.promoted ELSE output_token.suppressed END, 4 * place.i + 1, 4)) AS t,
        hex(
            substr(
                CASE sort.upper WHEN 1 THEN output_token.promoted_logits ELSE output_token.suppressed_logits END,
                2 * place.i + 1, 2
            )
        ) AS l
    FROM output_token
    JOIN neuron ON neuron.id = output_token.neuron_id
    CROSS JOIN sort
    CROSS JOIN place
    WHERE place.i < output_token.n
),
numbers AS (
    SELECT
        *,
        (instr('123456789ABCDEF', substr(t, 1, 1)) << 28) + (instr('123456789ABCDEF', substr(t, 2, 1)) << 24)
        + (instr('123456789ABCDEF', substr(t, 3, 1)) << 20) + (instr('123456789ABCDEF', substr(t, 4, 1)) << 16)
        + (instr('123456789ABCDEF', substr(t, 5, 1)) << 12) + (instr('123456789ABCDEF', substr(t, 6, 1)) << 8)
        + (instr('123456789ABCDEF', substr(t, 7, 1)) << 4) + instr('123456789ABCDEF', substr(t, 8, 1)) AS token_id,
        (instr('123456789ABCDEF', substr(l, 1, 1)) << 12) + (instr('123456789ABCDEF', substr(l, 2, 1)) << 8)
        + (instr('123456789ABCDEF', substr(l, 3, 1)) << 4) + instr('123456789ABCDEF', substr(l, 4, 1)) AS bits
    FROM digits
)
SELECT
    numbers.neuron_id AS neuron_id, -- see v_neurons
    numbers.polarity AS polarity, -- 1 upper side of the activation, -1 lower side, which promotes what the upper one suppresses
    numbers.effect AS effect, -- promoted or suppressed
    numbers.i AS rank, -- 0 for the largest of the promoted, or the smallest of the suppressed
    numbers.token_id AS token_id, -- of the subject's tokenizer
    vocabulary.text AS token, -- within a text; bytes that are no whole character as <0xE6>
    CASE numbers.bits >> 15 WHEN 1 THEN -1.0 ELSE 1.0 END * numbers.polarity
    * CASE (numbers.bits >> 10) & 31
        WHEN 0 THEN (numbers.bits & 1023) * 2
        ELSE (1024 + (numbers.bits & 1023)) << ((numbers.bits >> 10) & 31)
    END
    / 33554432 AS logit -- as stored (float16)
FROM numbers
JOIN vocabulary ON vocabulary.subject_id = numbers.subject_id AND vocabulary.token_id = numbers.token_id;
