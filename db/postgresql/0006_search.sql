-- The whole schema as the migrations up to this number leave it on SQLite; the tables and views have the same columns.
-- Differences: 64 bit integers and floats, texts that compare by their bytes as SQLite's do, full text by a generated column.

CREATE FUNCTION next_id(named TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
    -- One more than the largest id, as SQLite numbers rows; writers come one after the other.
DECLARE last BIGINT;
BEGIN
    EXECUTE format('SELECT max(id) FROM %I', named) INTO last;
    RETURN coalesce(last, 0) + 1;
END $$;

CREATE FUNCTION plain_words(written TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- Without accents and punctuation, so that the parser finds no addresses, numbers with a sign or hyphenated words.
SELECT left(
    regexp_replace(
        regexp_replace(normalize(written, NFKD), '[\u0300-\u036f]+', '', 'g'),
        '[!-/:-@[-`{-~\u2000-\u206f\u3000-\u303f]+', ' ', 'g'
    ),
    100000
)
$$;

CREATE FUNCTION instr(written TEXT, part TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- Place of a part in a text, from 1; 0 where it is not in it.
SELECT strpos(written, part)
$$;

CREATE TEXT SEARCH DICTIONARY explanation_stem (TEMPLATE = snowball, LANGUAGE = english); -- without stop words: phrases have them
CREATE TEXT SEARCH CONFIGURATION explanation_words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION explanation_words ALTER MAPPING FOR asciiword, word, numword WITH explanation_stem;

CREATE FUNCTION unsigned(packed BYTEA, width INTEGER, place BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- A big-endian number of `width` bytes.
SELECT ('x' || lpad(encode(substring(packed FROM (place * width + 1)::INTEGER FOR width), 'hex'), 16, '0'))::BIT(64)::BIGINT
$$;

CREATE FUNCTION float16(packed BYTEA, place BIGINT) RETURNS DOUBLE PRECISION LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- s eeeee m, where m has 10 bits: (2^10 + m) * 2^(e - 25), and 2m * 2^-25 where e is 0.
SELECT
    CASE bits >> 15 WHEN 1 THEN -1 ELSE 1 END
    * CASE (bits >> 10) & 31 WHEN 0 THEN (bits & 1023) * 2 ELSE 1024 + (bits & 1023) END
    * power(2::DOUBLE PRECISION, ((bits >> 10) & 31) - 25)
FROM unsigned(packed, 2, place) AS bits
$$;

CREATE FUNCTION float32(packed BYTEA, place BIGINT) RETURNS DOUBLE PRECISION LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- s eeeeeeee m, where m has 23 bits: (2^23 + m) * 2^(e - 150), and 2m * 2^-150 where e is 0.
SELECT
    CASE bits >> 31 WHEN 1 THEN -1 ELSE 1 END
    * CASE (bits >> 23) & 255 WHEN 0 THEN (bits & 8388607) * 2 ELSE 8388608 + (bits & 8388607) END
    * power(2::DOUBLE PRECISION, ((bits >> 23) & 255) - 150)
FROM unsigned(packed, 4, place) AS bits
$$;

CREATE FUNCTION iso(ms BIGINT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- The ISO text of milliseconds since 1970.
SELECT to_char(TIMESTAMP 'epoch' + ms * INTERVAL '1 millisecond', 'YYYY-MM-DD"T"HH24:MI:SS.MS"+00:00"')
$$;

CREATE TABLE schema_migration (
    -- A migration that this file has been through.
    number BIGINT NOT NULL PRIMARY KEY, -- number of the file in db/
    name TEXT COLLATE "C" NOT NULL, -- name of the file in db/
    sha256 TEXT COLLATE "C" NOT NULL, -- of the file's text, as hex
    applied_at TEXT COLLATE "C" NOT NULL -- ISO time, UTC
);

CREATE TABLE subject (
    -- A model whose neurons are explained.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('subject'),
    name TEXT COLLATE "C" NOT NULL UNIQUE, -- first part of a neuron's address
    spec TEXT COLLATE "C" NOT NULL, -- as the user first wrote it
    weights_sha256 TEXT COLLATE "C" NOT NULL, -- of the weights; one name stands for one set of weights
    architecture TEXT COLLATE "C" NOT NULL -- model type of its configuration
);

CREATE TABLE corpus (
    -- Texts, cut into spans of tokens by one tokenizer.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('corpus'),
    sha256 TEXT COLLATE "C" NOT NULL UNIQUE, -- of the documents, the tokenizer and the span length
    spec TEXT COLLATE "C" NOT NULL, -- as the user first wrote it
    tokenizer_sha256 TEXT COLLATE "C" NOT NULL,
    seq_len BIGINT NOT NULL, -- most tokens in a span
    first BIGINT NOT NULL, -- leading tokens of every span that count for nothing
    n_documents BIGINT NOT NULL,
    n_tokens BIGINT NOT NULL,
    n_exact_duplicates BIGINT NOT NULL, -- documents left out
    n_near_duplicates BIGINT NOT NULL -- documents that share a split with a similar one
);

CREATE TABLE document (
    -- One text of a corpus, with its tokens.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('document'),
    corpus_id BIGINT NOT NULL REFERENCES corpus (id),
    position BIGINT NOT NULL, -- place in the corpus, from 0
    sha256 TEXT COLLATE "C" NOT NULL, -- of the text's UTF-8 bytes, as hex
    split BIGINT NOT NULL CHECK (split BETWEEN 0 AND 2), -- 0 explain, 1 select, 2 test
    source TEXT COLLATE "C" NOT NULL, -- where the text came from
    text TEXT COLLATE "C" NOT NULL,
    token_ids BYTEA NOT NULL, -- zlib of little-endian uint32, one per token
    offsets BYTEA NOT NULL, -- zlib of little-endian uint32 pairs: first and one-past-last character of every token
    UNIQUE (corpus_id, position)
);

CREATE TABLE span (
    -- Consecutive tokens of one document: what a simulator is shown at a time.
    corpus_id BIGINT NOT NULL REFERENCES corpus (id),
    number BIGINT NOT NULL, -- place in the corpus, from 0
    document_id BIGINT NOT NULL REFERENCES document (id),
    start BIGINT NOT NULL, -- first token within the document
    length BIGINT NOT NULL, -- tokens
    char_start BIGINT NOT NULL, -- first character within the document's text
    char_end BIGINT NOT NULL, -- one past its last character
    split BIGINT NOT NULL CHECK (split BETWEEN 0 AND 2), -- 0 explain, 1 select, 2 test
    PRIMARY KEY (corpus_id, number)
);

CREATE TABLE token (
    -- The token ids that occur in a corpus.
    corpus_id BIGINT NOT NULL REFERENCES corpus (id),
    token_id BIGINT NOT NULL, -- of the corpus's tokenizer
    text TEXT COLLATE "C" NOT NULL, -- characters of its first occurrence, with the spaces that belong to it
    PRIMARY KEY (corpus_id, token_id)
);

CREATE TABLE collection (
    -- One pass over a corpus: which spans make which neurons fire.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('collection'),
    "key" TEXT COLLATE "C" NOT NULL UNIQUE, -- hash of everything that determines the result
    subject_id BIGINT NOT NULL REFERENCES subject (id),
    corpus_id BIGINT NOT NULL REFERENCES corpus (id),
    site TEXT COLLATE "C" NOT NULL, -- what a neuron is, for example mlp
    widths TEXT COLLATE "C" NOT NULL, -- neurons of every layer of the subject, JSON
    layers TEXT COLLATE "C" NOT NULL, -- layers that were recorded, JSON
    kept BIGINT NOT NULL, -- most spans in any of its exemplar rows
    responses BIGINT NOT NULL, -- most token ids in any of its token_response rows
    config TEXT COLLATE "C" NOT NULL, -- settings, JSON
    current BIGINT NOT NULL CHECK (current IN (0, 1)), -- 1 for the newest of its subject
    created_at TEXT COLLATE "C" NOT NULL -- ISO time, UTC
);
CREATE UNIQUE INDEX collection_current ON collection (subject_id) WHERE current = 1;

CREATE TABLE neuron (
    -- One unit of one layer of a subject.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('neuron'),
    subject_id BIGINT NOT NULL REFERENCES subject (id),
    site TEXT COLLATE "C" NOT NULL, -- what a neuron is, for example mlp
    layer BIGINT NOT NULL,
    idx BIGINT NOT NULL, -- place in the layer, from 0
    UNIQUE (subject_id, site, layer, idx)
);

CREATE TABLE exemplar (
    -- Spans kept for a neuron, packed into one row per split, kind and polarity; v_exemplars unpacks them.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('exemplar'),
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    split BIGINT NOT NULL CHECK (split BETWEEN 0 AND 2), -- 0 explain, 1 select, 2 test
    kind BIGINT NOT NULL CHECK (kind BETWEEN 0 AND 2), -- 0 top, 1 quantile, 2 random
    polarity BIGINT NOT NULL CHECK (polarity BETWEEN -1 AND 1), -- 0: random spans, which serve both sides
    n BIGINT NOT NULL, -- spans, in order of rank
    spans BYTEA NOT NULL CHECK (length(spans) = 4 * n), -- big-endian uint32: number of the span
    peaks BYTEA NOT NULL CHECK (length(peaks) = 2 * n), -- big-endian float16, times 2^exponent
    peak_positions BYTEA NOT NULL CHECK (length(peak_positions) = 2 * n), -- big-endian uint16: token within the span
    exponents BYTEA NOT NULL CHECK (length(exponents) = n), -- uint8; 0 unless float16 would overflow
    activations BYTEA NOT NULL, -- zlib of little-endian float16, the spans' tokens one after another, times 2^exponent
    inclusion_probability DOUBLE PRECISION NOT NULL CHECK (inclusion_probability BETWEEN 0 AND 1),
    unit DOUBLE PRECISION, -- activation of one step; NULL where they are float16
    UNIQUE (neuron_id, collection_id, split, kind, polarity)
);

CREATE TABLE peak_token (
    -- Token texts on which a neuron peaks in its strongest spans of the explain split.
    token TEXT COLLATE "C" NOT NULL, -- without the spaces around it
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    polarity BIGINT NOT NULL,
    n BIGINT NOT NULL, -- spans
    PRIMARY KEY (token, collection_id, neuron_id, polarity)
);

CREATE TABLE token_response (
    -- Token ids on which a neuron is strongest on average, over sampled tokens of the explain split; v_token_responses unpacks them.
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    polarity BIGINT NOT NULL CHECK (polarity IN (-1, 1)),
    n BIGINT NOT NULL, -- token ids, strongest first
    token_ids BYTEA NOT NULL CHECK (length(token_ids) = 4 * n), -- big-endian uint32
    means BYTEA NOT NULL CHECK (length(means) = 4 * n), -- big-endian float32: mean activation, signed
    extremes BYTEA NOT NULL CHECK (length(extremes) = 4 * n), -- big-endian float32: largest activation on the side, signed
    counts BYTEA NOT NULL CHECK (length(counts) = 4 * n), -- big-endian uint32: sampled occurrences
    PRIMARY KEY (neuron_id, collection_id, polarity)
);

CREATE TABLE layer_sketch (
    -- Directions of a layer's neurons: the cosine of two estimates the correlation of two neurons.
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    layer BIGINT NOT NULL,
    n_tokens BIGINT NOT NULL, -- sampled tokens, of all splits
    directions BYTEA NOT NULL, -- int8, 256 per neuron in order of idx; all 0 where undefined
    PRIMARY KEY (collection_id, layer)
);

CREATE TABLE ngram (
    -- N-grams that a neuron answers to, strongest first.
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    polarity BIGINT NOT NULL CHECK (polarity IN (-1, 1)),
    rank BIGINT NOT NULL, -- 0 for the strongest
    ngram TEXT COLLATE "C" NOT NULL,
    mean_response DOUBLE PRECISION NOT NULL,
    max_response DOUBLE PRECISION NOT NULL,
    count BIGINT NOT NULL, -- occurrences that the responses were taken over
    PRIMARY KEY (neuron_id, collection_id, polarity, rank)
);

CREATE TABLE run (
    -- One command that wrote results.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('run'),
    run_key TEXT COLLATE "C" NOT NULL, -- hash of the settings; equal keys mean equal results
    command TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('running', 'done', 'interrupted', 'failed')),
    config TEXT COLLATE "C" NOT NULL, -- JSON
    versions TEXT COLLATE "C" NOT NULL, -- of the packages that matter, JSON
    counts TEXT COLLATE "C" NOT NULL, -- what was done, JSON
    message TEXT COLLATE "C" NOT NULL,
    started_at TEXT COLLATE "C" NOT NULL, -- ISO time, UTC
    finished_at TEXT COLLATE "C", -- ISO time, UTC
    host TEXT COLLATE "C", -- machine of the process
    pid BIGINT, -- the process
    seen_at TEXT COLLATE "C", -- ISO time, UTC, of its last sign of life
    progress TEXT COLLATE "C", -- JSON
    waiting BIGINT NOT NULL DEFAULT 0 -- requests that wait for an offline answer
);
CREATE INDEX run_run_key ON run (run_key);

CREATE TABLE llm_source (
    -- Where calls went: a language model as the ledger knows it, and the address that answered.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('llm_source'),
    model TEXT COLLATE "C" NOT NULL, -- identity of the language model, part of every request's hash
    endpoint TEXT COLLATE "C" NOT NULL, -- base URL that answered; empty where there is none, as in process
    UNIQUE (model, endpoint)
);

CREATE TABLE llm_call (
    -- The ledger: every call of a language model, with what it answered.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('llm_call'),
    request BYTEA NOT NULL CHECK (length(request) = 32), -- SHA-256 of the model, the messages and every sampling setting
    prompt BYTEA NOT NULL CHECK (length(prompt) = 32), -- SHA-256 of the rendered prompt
    source_id BIGINT NOT NULL REFERENCES llm_source (id),
    run_id BIGINT REFERENCES run (id),
    purpose TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('ok', 'failed')),
    retired BIGINT NOT NULL CHECK (retired IN (0, 1)), -- 1: the reply is kept, and the next such request is sent again
    messages BYTEA NOT NULL, -- zlib of the rendered messages as JSON; plain JSON in rows of older versions
    reply TEXT COLLATE "C", -- of a failed call what came back, where anything did
    finish_reason TEXT COLLATE "C",
    error TEXT COLLATE "C",
    prompt_tokens BIGINT, -- NULL where nobody said
    completion_tokens BIGINT,
    cached_tokens BIGINT, -- prompt tokens that the server had in its cache
    reasoning_tokens BIGINT, -- completion tokens that are not in the reply
    cost_nano BIGINT, -- billionths of a dollar; NULL where no price is known
    latency_ms DOUBLE PRECISION NOT NULL,
    attempts BIGINT NOT NULL,
    served_model TEXT COLLATE "C", -- the model's name in the server's answer
    created_ms BIGINT NOT NULL -- milliseconds since 1970, UTC
);
CREATE INDEX llm_call_request ON llm_call (request);
CREATE INDEX llm_call_run_id ON llm_call (run_id, purpose, prompt_tokens, completion_tokens, cached_tokens, cost_nano);

CREATE TABLE llm_probe (
    -- What a server was found to be able to do when a run began to use it.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('llm_probe'),
    run_id BIGINT REFERENCES run (id),
    source_id BIGINT NOT NULL REFERENCES llm_source (id),
    capabilities TEXT COLLATE "C" NOT NULL, -- JSON
    created_ms BIGINT NOT NULL -- milliseconds since 1970, UTC
);
CREATE INDEX llm_probe_run_id ON llm_probe (run_id);

CREATE TABLE batch_request (
    -- Requests that wait for an offline answer; with the answer they move into llm_call.
    request BYTEA NOT NULL PRIMARY KEY CHECK (length(request) = 32), -- as in llm_call; the custom_id in request files
    prompt BYTEA NOT NULL CHECK (length(prompt) = 32), -- as in llm_call
    source_id BIGINT NOT NULL REFERENCES llm_source (id),
    run_id BIGINT REFERENCES run (id), -- the last that wanted it, and pays for it
    purpose TEXT COLLATE "C" NOT NULL,
    body BYTEA NOT NULL, -- zlib of the request as JSON
    file TEXT COLLATE "C", -- name of the request file that it stands in; NULL until there is one
    tries BIGINT NOT NULL, -- request files that came back without an answer to it
    call_id BIGINT REFERENCES llm_call (id), -- an answer that cannot be used; stands until a run that met it is done
    created_ms BIGINT NOT NULL -- milliseconds since 1970, UTC
);
CREATE INDEX batch_request_file ON batch_request (file);

CREATE TABLE batch_result (
    -- Result files that have been read.
    path TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- of the file, and the model whose answers were read
    size BIGINT NOT NULL -- bytes of it that have been read: whole lines
);

CREATE TABLE ngram_set (
    -- Distinct n-grams of some splits of a corpus.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('ngram_set'),
    corpus_id BIGINT NOT NULL REFERENCES corpus (id),
    sha256 TEXT COLLATE "C" NOT NULL, -- of the texts and token ids, in order
    n BIGINT NOT NULL, -- n-grams
    UNIQUE (corpus_id, sha256)
);

CREATE TABLE ngram_text (
    -- The n-grams of a set, commonest first.
    set_id BIGINT NOT NULL REFERENCES ngram_set (id),
    number BIGINT NOT NULL, -- place in the set, from 0
    text TEXT COLLATE "C" NOT NULL, -- as first met in the corpus; in lower case where the tokenizer knows no other
    count BIGINT NOT NULL, -- occurrences in the splits
    PRIMARY KEY (set_id, number)
);

CREATE TABLE ngram_word (
    -- The words of a set's n-grams, for how common a word is among them.
    set_id BIGINT NOT NULL REFERENCES ngram_set (id),
    word TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL, -- n-grams of the set that hold it
    PRIMARY KEY (set_id, word)
);

CREATE TABLE ngram_pass (
    -- One run of a set's n-grams through the subject of a collection.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('ngram_pass'),
    "key" TEXT COLLATE "C" NOT NULL UNIQUE, -- hash of everything that determines the result
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    set_id BIGINT NOT NULL REFERENCES ngram_set (id),
    weights_sha256 TEXT COLLATE "C" NOT NULL, -- of the subject that answered
    corpus_sha256 TEXT COLLATE "C" NOT NULL, -- of the corpus that the n-grams are from
    set_sha256 TEXT COLLATE "C" NOT NULL, -- of the set that the lists' numbers are of
    config TEXT COLLATE "C" NOT NULL, -- settings, JSON
    kept BIGINT NOT NULL, -- most n-grams in any of its lists
    current BIGINT NOT NULL CHECK (current IN (0, 1)), -- 1 for the newest of its collection
    created_at TEXT COLLATE "C" NOT NULL -- ISO time, UTC
);
CREATE UNIQUE INDEX ngram_pass_current ON ngram_pass (collection_id) WHERE current = 1;

CREATE TABLE ngram_list (
    -- N-grams that a neuron answers to most strongly, packed, strongest first; v_ngrams unpacks them.
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    pass_id BIGINT NOT NULL REFERENCES ngram_pass (id),
    polarity BIGINT NOT NULL CHECK (polarity IN (-1, 1)),
    aggregator BIGINT NOT NULL CHECK (aggregator IN (0, 1)), -- what they are ordered by: 0 mean, 1 max
    n BIGINT NOT NULL, -- n-grams, all with a response above 0
    numbers BYTEA NOT NULL CHECK (length(numbers) = 4 * n), -- big-endian uint32: number in the set
    exponent BIGINT NOT NULL, -- responses are times 2^exponent
    means BYTEA NOT NULL CHECK (length(means) = 2 * n), -- big-endian float16: mean over tokens, on the polarity's side
    maxima BYTEA NOT NULL CHECK (length(maxima) = 2 * n), -- the same for the largest over tokens
    PRIMARY KEY (neuron_id, pass_id, polarity, aggregator)
);

CREATE TABLE ngram_moments (
    -- Moments of a neuron's responses over all n-grams of a pass's set, in the subject's activation units.
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    pass_id BIGINT NOT NULL REFERENCES ngram_pass (id),
    mean_mean DOUBLE PRECISION NOT NULL, -- of the mean over tokens
    mean_std DOUBLE PRECISION NOT NULL,
    max_mean DOUBLE PRECISION NOT NULL, -- of the largest activation
    max_std DOUBLE PRECISION NOT NULL,
    min_mean DOUBLE PRECISION NOT NULL, -- of the smallest activation
    min_std DOUBLE PRECISION NOT NULL,
    peaks_excluded BIGINT NOT NULL, -- n-grams of which a token that does not count has the largest activation
    troughs_excluded BIGINT NOT NULL, -- the same for the smallest
    PRIMARY KEY (neuron_id, pass_id)
);

CREATE TABLE look_alike (
    -- Spans of the explain split that look like a neuron's strongest ones, on which it stays quiet; v_look_alikes unpacks them.
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    polarity BIGINT NOT NULL CHECK (polarity IN (-1, 1)),
    wanted BIGINT NOT NULL, -- spans that were sought
    quiet DOUBLE PRECISION NOT NULL CHECK (quiet > 0 AND quiet <= 1), -- share of the neuron's largest activation that it stays below on them
    n BIGINT NOT NULL, -- spans that were found, the most alike first
    spans BYTEA NOT NULL CHECK (length(spans) = 4 * n), -- big-endian uint32: number of the span
    likeness BYTEA NOT NULL CHECK (length(likeness) = 2 * n), -- big-endian float16
    peaks BYTEA NOT NULL CHECK (length(peaks) = 2 * n), -- big-endian float16, times 2^exponent
    peak_positions BYTEA NOT NULL CHECK (length(peak_positions) = 2 * n), -- big-endian uint16: token within the span
    exponents BYTEA NOT NULL CHECK (length(exponents) = n), -- uint8; 0 unless float16 would overflow
    activations BYTEA NOT NULL, -- zlib of little-endian float16, the spans' tokens one after another, times 2^exponent
    reason TEXT COLLATE "C" CHECK ((reason IS NULL) = (n > 0)), -- why there are none: dead_neuron, no_quiet_span
    PRIMARY KEY (neuron_id, collection_id, polarity)
);
CREATE INDEX look_alike_n ON look_alike (n);

CREATE TABLE output_token (
    -- Token ids that a neuron's output weights promote and suppress most, on its upper side; v_output_tokens unpacks them.
    neuron_id BIGINT NOT NULL PRIMARY KEY REFERENCES neuron (id),
    wanted BIGINT NOT NULL, -- token ids of either sort that were sought
    n BIGINT NOT NULL, -- token ids of either sort
    promoted BYTEA NOT NULL CHECK (length(promoted) = 4 * n), -- big-endian uint32: token id, largest logit first
    promoted_logits BYTEA NOT NULL CHECK (length(promoted_logits) = 2 * n), -- big-endian float16
    suppressed BYTEA NOT NULL CHECK (length(suppressed) = 4 * n), -- big-endian uint32: token id, smallest logit first
    suppressed_logits BYTEA NOT NULL CHECK (length(suppressed_logits) = 2 * n), -- big-endian float16
    reason TEXT COLLATE "C" CHECK ((reason IS NULL) = (n > 0)) -- why there are none, for example encoder
);
CREATE INDEX output_token_n ON output_token (n);

CREATE TABLE vocabulary (
    -- Token ids of a subject's tokenizer that are in a row of output_token.
    subject_id BIGINT NOT NULL REFERENCES subject (id),
    token_id BIGINT NOT NULL,
    text TEXT COLLATE "C" NOT NULL, -- within a text, with the spaces that belong to it; bytes that are no whole character as <0xE6>
    PRIMARY KEY (subject_id, token_id)
);

CREATE TABLE method (
    -- How something was made: a plug-in with its language model, settings and prompt.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('method'),
    plugin TEXT COLLATE "C" NOT NULL, -- explainer of an explanation, simulator of a simulation
    llm TEXT COLLATE "C", -- language model that it asked
    settings TEXT COLLATE "C" NOT NULL, -- JSON
    template_sha256 TEXT COLLATE "C" -- of the prompt's templates
);
CREATE UNIQUE INDEX method_content ON method (plugin, coalesce(llm, ''), md5(settings), coalesce(template_sha256, ''));

CREATE TABLE scorer (
    -- Names of scorers.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('scorer'),
    name TEXT COLLATE "C" NOT NULL UNIQUE
);
INSERT INTO scorer (id, name) VALUES (1, 'correlation');

CREATE TABLE measure (
    -- What a score is of: whose predictions, by which scorer, on which split.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('measure'),
    scorer_id BIGINT NOT NULL REFERENCES scorer (id),
    simulator TEXT COLLATE "C" NOT NULL, -- plug-in that predicted; where texts come from (llm or corpus) if nothing was simulated
    llm TEXT COLLATE "C", -- of the simulator, or that wrote the texts
    split TEXT COLLATE "C" NOT NULL CHECK (split IN ('explain', 'select', 'test'))
);
CREATE UNIQUE INDEX measure_content ON measure (scorer_id, simulator, coalesce(llm, ''), split);

CREATE TABLE explanation (
    -- Hypotheses and the records of why there is none; rows are added, never changed.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('explanation'),
    "key" BYTEA NOT NULL CHECK (length("key") = 32), -- SHA-256 of everything that determines the result; a retry has the same
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    polarity BIGINT NOT NULL CHECK (polarity IN (-1, 1)),
    method_id BIGINT NOT NULL REFERENCES method (id), -- explainer, language model, settings and template
    prompt_sha256 BYTEA CHECK (length(prompt_sha256) = 32), -- of the rendered prompt
    text TEXT COLLATE "C" NOT NULL, -- empty when it failed
    data BYTEA, -- zlib of the same hypothesis for a program as JSON; plain JSON in rows of older versions
    scale DOUBLE PRECISION NOT NULL CHECK (scale BETWEEN 0 AND 1.7976931348623157e308), -- activation of level 10
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('ok', 'failed')),
    reason TEXT COLLATE "C" CHECK ((reason IS NULL) = (status = 'ok')), -- short code of the failure
    message TEXT COLLATE "C",
    raw_reply TEXT COLLATE "C", -- what the language model answered
    parent_id BIGINT REFERENCES explanation (id), -- the explanation that this one revises
    run_id BIGINT NOT NULL REFERENCES run (id),
    created_ms BIGINT NOT NULL, -- milliseconds since 1970, UTC
    words TSVECTOR NOT NULL GENERATED ALWAYS AS (to_tsvector('explanation_words', plain_words(text))) STORED -- for the full-text search
);
CREATE INDEX explanation_key ON explanation ("key");
CREATE INDEX explanation_neuron_id ON explanation (neuron_id);
CREATE INDEX explanation_run_id ON explanation (run_id);
CREATE INDEX explanation_failed ON explanation (run_id, reason) WHERE status = 'failed';
CREATE INDEX explanation_words ON explanation USING gin (words);

CREATE TABLE review (
    -- What a person thinks of an explanation.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('review'),
    explanation_id BIGINT NOT NULL REFERENCES explanation (id),
    reviewer TEXT COLLATE "C" NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    seconds DOUBLE PRECISION, -- time that it took
    created_at TEXT COLLATE "C" NOT NULL -- ISO time, UTC
);
CREATE INDEX review_explanation_id ON review (explanation_id);
CREATE INDEX review_verdict ON review (verdict);

CREATE TABLE text_set (
    -- Texts that show what an explanation says, or the record of why there are none.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('text_set'),
    explanation_id BIGINT NOT NULL REFERENCES explanation (id),
    "key" TEXT COLLATE "C" NOT NULL, -- hash of everything that determines the texts
    source TEXT COLLATE "C" NOT NULL CHECK (source IN ('llm', 'corpus')), -- written by a language model, or n-grams of the test split
    llm TEXT COLLATE "C", -- language model that wrote them
    settings TEXT COLLATE "C" NOT NULL, -- of the scorer, JSON
    template_sha256 TEXT COLLATE "C", -- of the prompt's templates
    prompt_sha256 TEXT COLLATE "C", -- of the rendered prompt
    wanted BIGINT NOT NULL, -- texts that were asked for
    texts TEXT COLLATE "C" NOT NULL, -- JSON list of strings, as they came; empty where it failed
    n BIGINT NOT NULL, -- texts in the list
    n_duplicates BIGINT NOT NULL, -- left out because they had come already
    n_unusable BIGINT NOT NULL, -- left out because no tokenizer reads them, or they are empty or far too long
    reason TEXT COLLATE "C", -- short code of the failure, NULL where there are texts
    message TEXT COLLATE "C",
    raw_reply TEXT COLLATE "C", -- what the language model answered
    run_id BIGINT NOT NULL REFERENCES run (id),
    created_at TEXT COLLATE "C" NOT NULL -- ISO time, UTC
);
CREATE INDEX text_set_key ON text_set ("key");
CREATE INDEX text_set_explanation_id ON text_set (explanation_id);
CREATE INDEX text_set_run_id ON text_set (run_id);

CREATE TABLE explanation_word (
    -- The words of explanations, for searches for a part of a word.
    word TEXT COLLATE "C" NOT NULL PRIMARY KEY -- in lower case, without accents
);

CREATE TABLE simulation (
    -- What a simulator predicts from an explanation on spans that its author never saw.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('simulation'),
    explanation_id BIGINT NOT NULL REFERENCES explanation (id),
    "key" BYTEA NOT NULL CHECK (length("key") = 32), -- SHA-256 of everything that determines the result
    split TEXT COLLATE "C" NOT NULL CHECK (split IN ('explain', 'select', 'test')),
    method_id BIGINT NOT NULL REFERENCES method (id), -- simulator, language model and settings
    n BIGINT NOT NULL, -- spans that worked; the others are in simulation_failure
    spans BYTEA NOT NULL CHECK (length(spans) = 4 * n), -- big-endian uint32: number of the span
    expected BYTEA NOT NULL, -- zlib of little-endian float16: levels 0-10, the spans' tokens one after another
    run_id BIGINT NOT NULL REFERENCES run (id),
    created_ms BIGINT NOT NULL -- milliseconds since 1970, UTC
);
CREATE INDEX simulation_key ON simulation ("key");
CREATE INDEX simulation_explanation_id ON simulation (explanation_id);
CREATE INDEX simulation_run_id ON simulation (run_id);

CREATE TABLE simulation_failure (
    -- A span that a simulator gave no levels for.
    simulation_id BIGINT NOT NULL REFERENCES simulation (id),
    span BIGINT NOT NULL, -- number of the span
    reason TEXT COLLATE "C" NOT NULL, -- short code
    message TEXT COLLATE "C" NOT NULL,
    raw_reply TEXT COLLATE "C", -- what the language model answered
    PRIMARY KEY (simulation_id, span)
);

CREATE TABLE score (
    -- One number about one explanation; undefined is NULL with a reason.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('score'),
    explanation_id BIGINT NOT NULL REFERENCES explanation (id),
    simulation_id BIGINT REFERENCES simulation (id), -- NULL where the subject ran on texts, and nothing was simulated
    "key" BYTEA NOT NULL CHECK (length("key") = 32), -- SHA-256 of everything that determines the result
    measure_id BIGINT NOT NULL REFERENCES measure (id), -- scorer, simulator, language model and split
    value DOUBLE PRECISION CHECK (value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    reason TEXT COLLATE "C" CHECK ((reason IS NULL) = (value IS NOT NULL)), -- why the value is undefined
    ci_low DOUBLE PRECISION CHECK (ci_low BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    ci_high DOUBLE PRECISION CHECK (ci_high BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    null_mean DOUBLE PRECISION CHECK (null_mean BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    null_own DOUBLE PRECISION CHECK (null_own BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308), -- own value on the spans that the null covers
    null_n BIGINT NOT NULL, -- explanations of other neurons that were tried
    p_value DOUBLE PRECISION CHECK (p_value BETWEEN 0 AND 1),
    null_reason TEXT COLLATE "C", -- why there is no null
    floor DOUBLE PRECISION CHECK (floor BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308),
    n_tokens BIGINT NOT NULL,
    n_nonzero BIGINT NOT NULL,
    coverage DOUBLE PRECISION NOT NULL CHECK (coverage BETWEEN 0 AND 1),
    run_id BIGINT NOT NULL REFERENCES run (id),
    created_ms BIGINT NOT NULL -- milliseconds since 1970, UTC
);
CREATE INDEX score_run_id ON score (run_id);
CREATE INDEX score_explanation_id ON score (explanation_id, measure_id);

CREATE TABLE review_tag (
    -- Words that a reviewer filed an explanation under.
    review_id BIGINT NOT NULL REFERENCES review (id),
    tag TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (review_id, tag)
);
CREATE INDEX review_tag_tag ON review_tag (tag);

CREATE TABLE statistics (
    -- Moments of a neuron over all counted tokens, in the subject's activation units; NULL where an import does not tell.
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    n_tokens BIGINT, -- counted tokens; of an expert's neurons those that were routed to it
    n_spans BIGINT,
    mean DOUBLE PRECISION,
    std DOUBLE PRECISION,
    min DOUBLE PRECISION,
    max DOUBLE PRECISION,
    frac_positive DOUBLE PRECISION CHECK (frac_positive BETWEEN 0 AND 1), -- share of tokens above 0
    peaks_excluded BIGINT NOT NULL, -- spans whose maximum sat on a token that does not count
    troughs_excluded BIGINT NOT NULL, -- the same for the minimum
    quantiles BYTEA CHECK (length(quantiles) = 60), -- big-endian float32, one per level of v_quantiles; NULL where no tokens were sampled
    PRIMARY KEY (neuron_id, collection_id)
);

CREATE TABLE entry (
    -- What a search filters and sorts by: a row per explanation, or failed one, that no other of its key supersedes.
    id BIGINT NOT NULL PRIMARY KEY REFERENCES explanation (id),
    neuron_id BIGINT NOT NULL REFERENCES neuron (id),
    subject_id BIGINT NOT NULL REFERENCES subject (id),
    layer BIGINT NOT NULL,
    idx BIGINT NOT NULL, -- place in the layer, from 0
    polarity BIGINT NOT NULL CHECK (polarity IN (-1, 1)),
    method_id BIGINT NOT NULL REFERENCES method (id),
    state BIGINT NOT NULL CHECK (state BETWEEN 0 AND 2), -- 0 unreviewed, 1 reviewed, 2 failed
    run_id BIGINT NOT NULL REFERENCES run (id), -- that wrote the explanation
    density DOUBLE PRECISION, -- share of tokens with the neuron above 0
    score DOUBLE PRECISION, -- newest correlation on the test split
    p_value DOUBLE PRECISION, -- of that score
    cell BIGINT NOT NULL -- subject, layer, method, state, polarity and score, rounded, in one number for counting
);
CREATE INDEX entry_score ON entry (score, id);
CREATE INDEX entry_layer ON entry (layer, score, id);
CREATE INDEX entry_place ON entry (layer, idx, id);
CREATE INDEX entry_cell ON entry (cell);
CREATE INDEX entry_state ON entry (state) WHERE state <> 0;

CREATE TABLE standing (
    -- The newest score of an explanation by every other scorer, on the test split; those of correlation are in entry.
    scorer_id BIGINT NOT NULL REFERENCES scorer (id),
    explanation_id BIGINT NOT NULL REFERENCES explanation (id),
    score_id BIGINT NOT NULL REFERENCES score (id),
    value DOUBLE PRECISION,
    p_value DOUBLE PRECISION,
    PRIMARY KEY (scorer_id, explanation_id)
);
CREATE INDEX standing_value ON standing (scorer_id, value, explanation_id);

CREATE TABLE embedding (
    -- Explanations as vectors of a sentence model, many in a row, for searches by meaning.
    id BIGINT NOT NULL PRIMARY KEY DEFAULT next_id('embedding'),
    model TEXT COLLATE "C" NOT NULL, -- of the sentence model, with the hash of its weights
    n BIGINT NOT NULL, -- explanations
    explanations BYTEA NOT NULL, -- little-endian uint64: their ids, ascending
    signs BYTEA NOT NULL, -- 48 bytes each: signs of a fixed projection to 384 dimensions
    vectors BYTEA NOT NULL -- int8, as many for each as the model has dimensions
);
CREATE INDEX embedding_model ON embedding (model, id);

CREATE TABLE import_batch (
    -- Files, or parts of them, whose contents are in this catalogue, so that an import goes on where it was cut off.
    collection_id BIGINT NOT NULL REFERENCES collection (id),
    name TEXT COLLATE "C" NOT NULL, -- of the file within what was imported, and the place in it
    sha256 TEXT COLLATE "C" NOT NULL, -- of its bytes
    PRIMARY KEY (collection_id, name)
);
CREATE INDEX span_document_id ON span (document_id); -- spans are imported document by document

CREATE FUNCTION review_counts() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    -- An explanation that has a review is in state 1, and its cell 128 further.
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE entry SET state = 1, cell = cell + 128 WHERE id = NEW.explanation_id AND state = 0;
    ELSIF NOT EXISTS (SELECT 1 FROM review WHERE explanation_id = OLD.explanation_id) THEN
        UPDATE entry SET state = 0, cell = cell - 128 WHERE id = OLD.explanation_id AND state = 1;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER review_counts AFTER INSERT OR DELETE ON review FOR EACH ROW EXECUTE FUNCTION review_counts();

CREATE VIEW v_exemplars AS
    -- Spans kept for the neurons of the current collections, one row per span.
SELECT
    exemplar.neuron_id AS neuron_id, -- see v_neurons
    exemplar.polarity AS polarity, -- 1 upper side, -1 lower side, 0 random spans, which serve both
    CASE exemplar.split WHEN 0 THEN 'explain' WHEN 1 THEN 'select' ELSE 'test' END AS split, -- explain, select or test
    CASE exemplar.kind WHEN 0 THEN 'top' WHEN 1 THEN 'quantile' ELSE 'random' END AS kind, -- top, quantile or random
    place.i AS rank, -- 0 for the strongest peak; random spans are in the order of the sample
    document.position AS document, -- place of the document in its corpus, from 0
    span.start AS start, -- first token within the document
    float16(exemplar.peaks, place.i)
    * power(2::DOUBLE PRECISION, unsigned(exemplar.exponents, 1, place.i)) AS peak, -- largest activation on the polarity's side, signed, as stored (float16); upper side for polarity 0
    unsigned(exemplar.peak_positions, 2, place.i) AS peak_position, -- token of the peak within the span
    exemplar.inclusion_probability AS inclusion_probability, -- chance that the sampling keeps the span as this kind
    substr(document.text, span.char_start::INTEGER + 1, (span.char_end - span.char_start)::INTEGER) AS text, -- of the span
    span.number AS span -- number of the span in its corpus
FROM exemplar
JOIN collection ON collection.id = exemplar.collection_id AND collection.current = 1
CROSS JOIN generate_series(0, exemplar.n - 1) AS place (i)
JOIN span ON span.corpus_id = collection.corpus_id AND span.number = unsigned(exemplar.spans, 4, place.i)
JOIN document ON document.id = span.document_id;

CREATE VIEW v_token_responses AS
    -- Token ids on which neurons of the current collections are strongest on average, over sampled tokens of the explain split.
SELECT
    token_response.neuron_id AS neuron_id, -- see v_neurons
    token_response.polarity AS polarity, -- 1 upper side of the activation, -1 lower side
    place.i AS rank, -- 0 for the strongest
    unsigned(token_response.token_ids, 4, place.i) AS token_id, -- of the corpus's tokenizer
    token.text AS token, -- characters of its first occurrence in the corpus
    float32(token_response.means, place.i) AS mean, -- mean activation on the token, in the subject's units
    float32(token_response.extremes, place.i) AS extreme, -- largest activation on the polarity's side, signed
    unsigned(token_response.counts, 4, place.i) AS count -- sampled occurrences that these are taken over
FROM token_response
JOIN collection ON collection.id = token_response.collection_id AND collection.current = 1
CROSS JOIN generate_series(0, token_response.n - 1) AS place (i)
LEFT JOIN token
    ON token.corpus_id = collection.corpus_id AND token.token_id = unsigned(token_response.token_ids, 4, place.i);

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

CREATE VIEW v_llm_calls AS
    -- Calls of language models.
SELECT
    llm_call.id AS call_id, -- identifies the call in this file
    encode(llm_call.request, 'hex') AS request_sha256, -- of the model, the messages and every sampling setting
    llm_call.run_id AS run_id, -- see v_runs
    llm_call.purpose AS purpose, -- explain, simulate, repair or probe
    llm_source.model AS model, -- identity of the language model
    llm_call.prompt_tokens AS prompt_tokens, -- read by the model, NULL where unknown
    llm_call.completion_tokens AS completion_tokens, -- written by the model, NULL where unknown
    llm_call.cost_nano / 1e9::DOUBLE PRECISION AS cost_usd, -- NULL where unknown
    llm_call.latency_ms AS latency_ms, -- from request to reply
    llm_call.status AS status, -- ok or failed
    llm_call.error AS error, -- what went wrong, NULL when ok
    iso(llm_call.created_ms) AS created_at, -- ISO time, UTC
    llm_source.endpoint AS endpoint, -- base URL that answered, empty where there is none
    llm_call.served_model AS served_model, -- the model's name in the server's answer
    llm_call.cached_tokens AS cached_tokens, -- prompt tokens that the server had in its cache, NULL where unknown
    llm_call.reasoning_tokens AS reasoning_tokens, -- completion tokens that are not in the reply, NULL where unknown
    llm_call.attempts AS attempts, -- requests that it took, retries included
    llm_call.finish_reason AS finish_reason, -- length where the reply was cut off
    encode(llm_call.prompt, 'hex') AS prompt_sha256, -- of the rendered prompt
    llm_call.reply AS reply, -- what was answered, byte for byte
    llm_call.retired AS retired -- 1: the next such request is sent again
FROM llm_call
JOIN llm_source ON llm_source.id = llm_call.source_id;

CREATE VIEW v_runs AS
    -- Commands that wrote results.
SELECT
    run.id AS run_id, -- identifies the run in this file
    run.run_key AS run_key, -- hash of the settings; equal keys mean equal results
    run.command AS command, -- for example explain
    CASE WHEN run.state = 'interrupted' AND run.waiting > 0 THEN 'waiting' ELSE run.state END AS state, -- running, done, interrupted, waiting (for a batch) or failed
    run.started_at AS started_at, -- ISO time, UTC
    run.finished_at AS finished_at, -- ISO time, UTC; NULL while running
    run.versions AS versions, -- of the packages that matter, JSON
    run.message AS message, -- what to know about the end
    run.host AS host, -- machine of the process
    run.pid AS pid, -- the process
    run.seen_at AS seen_at, -- ISO time, UTC, of its last sign of life
    run.waiting AS waiting -- requests that wait for the answer of an offline batch
FROM run;

CREATE VIEW v_ngrams AS
    -- N-grams that neurons of the current collections answer to: in context, as explainer ngram found them, and alone.
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
    ngram_list.neuron_id,
    place.i,
    ngram_text.text,
    float16(ngram_list.means, place.i) * power(2::DOUBLE PRECISION, ngram_list.exponent),
    float16(ngram_list.maxima, place.i) * power(2::DOUBLE PRECISION, ngram_list.exponent),
    ngram_text.count,
    ngram_list.polarity,
    'alone',
    CASE ngram_list.aggregator WHEN 0 THEN 'mean' ELSE 'max' END,
    ngram_pass.corpus_sha256,
    ngram_pass.set_sha256
FROM ngram_list
JOIN ngram_pass ON ngram_pass.id = ngram_list.pass_id AND ngram_pass.current = 1
JOIN ngram_set ON ngram_set.id = ngram_pass.set_id AND ngram_set.sha256 = ngram_pass.set_sha256
JOIN collection ON collection.id = ngram_pass.collection_id AND collection.current = 1
JOIN corpus ON corpus.id = collection.corpus_id AND corpus.sha256 = ngram_pass.corpus_sha256
CROSS JOIN generate_series(0, ngram_list.n - 1) AS place (i)
JOIN ngram_text ON ngram_text.set_id = ngram_pass.set_id AND ngram_text.number = unsigned(ngram_list.numbers, 4, place.i);

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

CREATE VIEW v_look_alikes AS
    -- Spans that look like the strongest ones of neurons of the current collections, on which these stay quiet.
SELECT
    look_alike.neuron_id AS neuron_id, -- see v_neurons
    look_alike.polarity AS polarity, -- 1 upper side of the activation, -1 lower side
    place.i AS rank, -- 0 for the first: spans that share a token on which the neuron peaks, then others, the most alike first
    document.position AS document, -- place of the document in its corpus, from 0
    span.start AS start, -- first token within the document
    float16(look_alike.likeness, place.i) AS likeness, -- cosine of the span's look with what the strongest spans have in common
    float16(look_alike.peaks, place.i)
    * power(2::DOUBLE PRECISION, unsigned(look_alike.exponents, 1, place.i)) AS peak, -- largest activation on the polarity's side, signed
    unsigned(look_alike.peak_positions, 2, place.i) AS peak_position, -- token of the peak within the span
    substr(document.text, span.char_start::INTEGER + 1, (span.char_end - span.char_start)::INTEGER) AS text, -- of the span
    span.number AS span -- number of the span in its corpus
FROM look_alike
JOIN collection ON collection.id = look_alike.collection_id AND collection.current = 1
CROSS JOIN generate_series(0, look_alike.n - 1) AS place (i)
JOIN span ON span.corpus_id = collection.corpus_id AND span.number = unsigned(look_alike.spans, 4, place.i)
JOIN document ON document.id = span.document_id;

CREATE VIEW v_output_tokens AS
    -- Tokens that neurons of decoders promote and suppress most: logits of the neuron's output weights by themselves.
WITH own (neuron_id, polarity, effect, n, token_ids, logits) AS (
    SELECT neuron_id, 1, 'promoted', n, promoted, promoted_logits FROM output_token
    UNION ALL
    SELECT neuron_id, 1, 'suppressed', n, suppressed, suppressed_logits FROM output_token
    UNION ALL
    SELECT neuron_id, -1, 'promoted', n, suppressed, suppressed_logits FROM output_token
    UNION ALL
    SELECT neuron_id, -1, 'suppressed', n, promoted, promoted_logits FROM output_token
)
SELECT
    own.neuron_id AS neuron_id, -- see v_neurons
    own.polarity AS polarity, -- 1 upper side of the activation, -1 lower side, which promotes what the upper one suppresses
    own.effect AS effect, -- promoted or suppressed
    place.i AS rank, -- 0 for the largest of the promoted, or the smallest of the suppressed
    vocabulary.token_id AS token_id, -- of the subject's tokenizer
    vocabulary.text AS token, -- within a text; bytes that are no whole character as <0xE6>
    float16(own.logits, place.i) * own.polarity AS logit -- as stored (float16)
FROM own
JOIN neuron ON neuron.id = own.neuron_id
CROSS JOIN generate_series(0, own.n - 1) AS place (i)
JOIN vocabulary
    ON vocabulary.subject_id = neuron.subject_id AND vocabulary.token_id = unsigned(own.token_ids, 4, place.i);

CREATE VIEW v_texts AS
    -- Texts about explanations, on which the subject runs for the scores synthetic and synthetic_auroc.
SELECT
    text_set.id AS text_set_id, -- identifies texts that were made together
    text_set.explanation_id AS explanation_id, -- see v_explanations
    text_set.source AS source, -- llm: written by a language model; corpus: n-grams of the test split that hold its words
    text_set.llm AS llm, -- language model that wrote it, NULL where none did
    texts.place - 1 AS place, -- from 0
    texts.value AS text, -- the text as it came
    text_set.run_id AS run_id -- see v_runs
FROM text_set
CROSS JOIN json_array_elements_text(replace(text_set.texts, '\u0000', '\u2400')::JSON) WITH ORDINALITY AS texts (value, place);

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

CREATE VIEW v_quantiles AS
    -- Quantiles of the neurons of the current collections, over sampled tokens of all splits.
WITH place (i, level) AS (
    VALUES (0, 0.001), (1, 0.005), (2, 0.01), (3, 0.025), (4, 0.05), (5, 0.1), (6, 0.25), (7, 0.5),
    (8, 0.75), (9, 0.9), (10, 0.95), (11, 0.975), (12, 0.99), (13, 0.995), (14, 0.999)
)
SELECT
    statistics.neuron_id AS neuron_id, -- see v_neurons
    place.level::DOUBLE PRECISION AS level, -- share of tokens
    float32(statistics.quantiles, place.i) AS value -- activation that this share of the tokens does not exceed, in the subject's units
FROM statistics
JOIN collection ON collection.id = statistics.collection_id AND collection.current = 1
CROSS JOIN place
WHERE statistics.quantiles IS NOT NULL;

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
    encode(explanation.prompt_sha256, 'hex') AS prompt_sha256, -- of the rendered prompt
    explanation.text AS text, -- one sentence; empty when it failed
    explanation.status AS status, -- ok or failed
    explanation.reason AS reason, -- short code of the failure, NULL when ok
    explanation.parent_id AS parent_id, -- explanation that this one revises
    iso(explanation.created_ms) AS created_at, -- ISO time, UTC
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
