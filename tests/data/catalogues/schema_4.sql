-- A catalogue of schema 4; see README.md here.
PRAGMA application_id = 1853386860;
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
, host TEXT, pid INTEGER, seen_at TEXT, progress TEXT, waiting INTEGER NOT NULL DEFAULT 0);
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
CREATE VIRTUAL TABLE explanation_fts USING fts5 (
    text, content = 'explanation', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
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
CREATE TABLE llm_source (
    -- Where calls went: a language model as the ledger knows it, and the address that answered.
    id INTEGER NOT NULL PRIMARY KEY,
    model TEXT NOT NULL, -- identity of the language model, part of every request's hash
    endpoint TEXT NOT NULL, -- base URL that answered; empty where there is none, as in process
    UNIQUE (model, endpoint)
);
CREATE TABLE llm_call (
    -- The ledger: every call of a language model, with what it answered.
    id INTEGER NOT NULL PRIMARY KEY,
    request BLOB NOT NULL CHECK (length(request) = 32), -- SHA-256 of the model, the messages and every sampling setting
    prompt BLOB NOT NULL CHECK (length(prompt) = 32), -- SHA-256 of the rendered prompt
    source_id INTEGER NOT NULL REFERENCES llm_source (id),
    run_id INTEGER REFERENCES run (id),
    purpose TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('ok', 'failed')),
    retired INTEGER NOT NULL CHECK (retired IN (0, 1)), -- 1: the reply is kept, and the next such request is sent again
    messages BLOB NOT NULL, -- zlib of the rendered messages as JSON; plain JSON in rows of older versions
    reply TEXT, -- of a failed call what came back, where anything did
    finish_reason TEXT,
    error TEXT,
    prompt_tokens INTEGER, -- NULL where nobody said
    completion_tokens INTEGER,
    cached_tokens INTEGER, -- prompt tokens that the server had in its cache
    reasoning_tokens INTEGER, -- completion tokens that are not in the reply
    cost_nano INTEGER, -- billionths of a dollar; NULL where no price is known
    latency_ms REAL NOT NULL,
    attempts INTEGER NOT NULL,
    served_model TEXT, -- the model's name in the server's answer
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
CREATE TABLE llm_probe (
    -- What a server was found to be able to do when a run began to use it.
    id INTEGER NOT NULL PRIMARY KEY,
    run_id INTEGER REFERENCES run (id),
    source_id INTEGER NOT NULL REFERENCES llm_source (id),
    capabilities TEXT NOT NULL, -- JSON
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
);
CREATE TABLE batch_request (
    -- Requests that wait for an offline answer; with the answer they move into llm_call.
    request BLOB NOT NULL PRIMARY KEY CHECK (length(request) = 32), -- as in llm_call; the custom_id in request files
    prompt BLOB NOT NULL CHECK (length(prompt) = 32), -- as in llm_call
    source_id INTEGER NOT NULL REFERENCES llm_source (id),
    run_id INTEGER REFERENCES run (id), -- the last that wanted it, and pays for it
    purpose TEXT NOT NULL,
    body BLOB NOT NULL, -- zlib of the request as JSON
    file TEXT, -- name of the request file that it stands in; NULL until there is one
    tries INTEGER NOT NULL, -- request files that came back without an answer to it
    call_id INTEGER REFERENCES llm_call (id), -- an answer that cannot be used; stands until a run that met it is done
    created_ms INTEGER NOT NULL -- milliseconds since 1970, UTC
) WITHOUT ROWID;
CREATE TABLE batch_result (
    -- Result files that have been read.
    path TEXT NOT NULL PRIMARY KEY, -- of the file, and the model whose answers were read
    size INTEGER NOT NULL -- bytes of it that have been read: whole lines
) WITHOUT ROWID;
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
CREATE TABLE vocabulary (
    -- Token ids of a subject's tokenizer that are in a row of output_token.
    subject_id INTEGER NOT NULL REFERENCES subject (id),
    token_id INTEGER NOT NULL,
    text TEXT NOT NULL, -- within a text, with the spaces that belong to it; bytes that are no whole character as <0xE6>
    PRIMARY KEY (subject_id, token_id)
) WITHOUT ROWID;
INSERT INTO schema_migration VALUES (1, '0001_initial.sql', 'a9232b95a87f0f48fce404b358431514bd1d21434b5a8d5acc73742f819bc5c0', '2026-11-25T03:23:35+00:00');
INSERT INTO schema_migration VALUES (2, '0002_engine.sql', '7cb4e44b57c41f96452c2f1a42df93549210ed4b15fe6cc8c547d8d481311481', '2026-11-25T03:23:35+00:00');
INSERT INTO schema_migration VALUES (3, '0003_ngrams.sql', '41cad409e3c3dad2b0cf87722929a40a666479f58be1992d808e199672208cc3', '2026-11-25T03:23:35+00:00');
INSERT INTO schema_migration VALUES (4, '0004_evidence.sql', 'a80d471ff9cc747a6db2907fb0c79bd759acaa7336d3fab5d2205e5958c0f1fa', '2026-11-25T03:23:35+00:00');
INSERT INTO subject VALUES (1, 'tiny', 'dir/tiny', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bert');
INSERT INTO corpus VALUES (1, 'd649af10092110285642f34071b5774203b6ebbf624e6bffd632e793d5fcc7db', 'made', 'tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt', 6, 1, 9, 144, 1, 2);
INSERT INTO document VALUES (1, 1, 0, 'bc2f43032a68b84c3b32fa82920f4aaec6c50dd8557852601f84c2d2bda6edb6', 0, 'made:0', 'flows; über ''quotes'' in Paris the river the froze flows; "ice" 🧊 ''quotes'' über melts 河', X'780105c1210e40000000c06be6018a0788e61f9e2291353f309b79806613458daca836c5e613dcdd1363473c307f9c39d145b9b0622ba85eda9e3424396876ea8720e30762c910ed', X'78010dc33b0e44500000c05751ac92d090d090d050adc6a7a4a0b17bffa3984926841022633f26a666e6169656d636b676f60e8e4e7e9d5d5cdddc3d3cbdbc7dfcf9f705ff5005a2');
INSERT INTO document VALUES (2, 1, 1, '336c2fad38db779d3360ebcbab7c63da2b0a29442fb760c06f40a3e12c7832c7', 1, 'made:1', 'river 🧊 the ''quotes'' river Paris naïve – – the the river the "ice" ''quotes'' "ice"', X'7801014000bfff5a46000044a80000ebd00000e9680000087e0000ac1001001ddc0000320c0100c667000073bb0000cb030100dcb10000c5e500003fbc000080c00000586a000012a71072', X'78010dc33b0e44500000c0d7b0124a1a1a1adf642534243494b6d9fb5fc64c3221841019fb31313533b7b0b4b2b6b1b5b3777074f2ebece2eae6eee1e9e5ede3cfbf2fd9ec04dd');
INSERT INTO document VALUES (3, 1, 2, '4246f26cb65056aa59ac1d3ea9251439932725f04f7d7c10c90578ca3c355e10', 2, 'made:2', '🧊 river über 河 flows; ''quotes'' – Paris – naïve 河 🧊 river melts ''quotes'' –', X'780105c1a11140500000d07776102d6008cdf92370a73a41308368072788165048749348baf3debb514ccc3951c971312c3c234dcd771377ec15fd4b1a4832c249bbf20340561053', X'78010dc3271283400000c00313044581a4188a09cd800149f2ff0fb13bb321841019fb31313533b7b0b4b2b6b1b5b3777074f2ebece2eae6eee1e9e5ede3cfbf2fc4140479');
INSERT INTO document VALUES (4, 1, 3, '26712ab51162315ca84fc27d228e78ffca021bbcf27f69a4680f3ec032be2489', 0, 'made:3', 'the river – flows; – flows; Paris in flows; 🧊 river the "ice" Paris über froze', X'7801014000bfff2aeb0000237b0000b9f40000bed90000ddc00000103f0000bad10000390e0000e29b00009e6e00008510010047360000d0020100d018000066aa0000af9e000040a4106a', X'78010dc33b0e44500000c097d02c2a9f8a8650b11a121a1a0adbecfd8f6326991042888cfd98989a995b585a59dbd8dad93b383af97576717573f7f0f4f2f6f1e7df17cc1404ac');
INSERT INTO document VALUES (5, 1, 4, '8bc548c77e20e8f3e491966d9f8bef1ebc2541806a1cf12edea8bb9f9b9e35bd', 1, 'made:4', '🧊 Paris 🧊 "ice" 🧊 froze 河 melts the – über river ''quotes'' über 河 🧊', X'7801e32f6060c8aa606058d5c8c0c0cacac8d066cac0b0a1838161012f03835b090343351323c3b4950c0c33e2191824041819c49632305431333294b330309cae6560000089240bcb', X'78010dc33b1243500000c04713343e8d4fc30c51d0505220b9ffa1ecce6c082144c67e4c4ccdcc2d2cadac6d6cedec1d1c9dfc3abbb8bab97b787a79fbf8f3ef0baaac0404');
INSERT INTO document VALUES (6, 1, 5, '58085c4d765cc9b7313c3ea2418775de1a92e0b15aad175ec335c279e6c940ea', 2, 'made:5', 'flows; 河 – naïve – ''quotes'' in flows; river – in 河 河 "ice" 🧊 melts', X'7801ab356260c895676030546160083fcec010c4c9c830fd2f03c38e6d0c0cab3818196cde3130b0b23030cc526060507bc3c0d02ac6c0e0cd03147fc4c0b08795910100a3680c92', X'78010dc33b1243500000c05711343e254345438c6f8334b9ffa1ecce6c082144c67e4c4ccdcc2d2cadac6d6cedec1d1c9dfc3abbb8bab97b787a79fbf8f3ef0bc288044a');
INSERT INTO document VALUES (7, 1, 6, 'a7489dea08019889d5397708ed73d2bb7dfc74486434c59cb8fa4d542deea639', 0, 'made:6', '– froze ''quotes'' melts – 🧊 – flows; in naïve Paris in 🧊 flows; river 🧊', X'780105c1210e40500000d02799293659ff45d1dcc025dc42d154597202b3916441b03985a398f786247237cc1dedc47690f5ec81e9a33ec953d697f050547c0be5c815f303f3e40ee0', X'78010dc33b1243500000c04713258dbf8aa18986f1a96824f73f92dd990d2184c8d88f89a999b985a595b58dad9dbd83a3935f67175737770f4f2f6f1f7ffe7d01c87c0478');
INSERT INTO document VALUES (8, 1, 7, 'd8d241c1d18bb13e35c06e02006e61fb353203532565953f0185b91d757e6694', 1, 'made:7', '🧊 河 Paris the river 河 froze ''quotes'' 🧊 melts in the naïve flows; über the', X'78013bbe918141358e81e1b62d03c38a52068653ef18183438181926aa3130ec99c9c060718181e1841b03439f170383a8130343a02503c38d4f0c0cc7ad19180e01f5000018a90fc0', X'78010dc33b0e44500000c0c76a48687c1a4a9f668584868ac2267bff0b994926841022633f26a666e6169656d636b676f60e8e4e7e9d5d5cdddc3d3cbdbc7dfcf9f705b0c0043f');
INSERT INTO document VALUES (9, 1, 8, '67d68d4ee97186519c61b99c739bcc9992f5e61b0e0518bf2b216105eefa9ff7', 2, 'made:8', 'river river 河 Paris flows; über 🧊 ''quotes'' 河 flows; the ''quotes'' naïve Paris naïve –', X'7801ab6e6360d8729f8161c7430606ffd50c0c16871818ecd91819d4d7313030a5323014893130484d6760f0b26760485bc4c0c0cecec0f0e53903833b1323c37175060600f17a0d8f', X'78010dc3ab1244500000d05b288b422278448fb46688140ac5eeff7f8b73664e082144c67e4c4ccdcc2d2cadac6d6cedec1d1c9dfc3abbb8bab97b787a79fbf8f3ef0be6880540');
INSERT INTO span VALUES (1, 0, 1, 0, 6, 0, 33, 0);
INSERT INTO span VALUES (1, 1, 1, 6, 6, 34, 64, 0);
INSERT INTO span VALUES (1, 2, 1, 12, 4, 65, 86, 0);
INSERT INTO span VALUES (1, 3, 2, 0, 6, 0, 32, 1);
INSERT INTO span VALUES (1, 4, 2, 6, 6, 33, 56, 1);
INSERT INTO span VALUES (1, 5, 2, 12, 4, 57, 81, 1);
INSERT INTO span VALUES (1, 6, 3, 0, 6, 0, 30, 2);
INSERT INTO span VALUES (1, 7, 3, 6, 6, 31, 50, 2);
INSERT INTO span VALUES (1, 8, 3, 12, 4, 51, 73, 2);
INSERT INTO span VALUES (1, 9, 4, 0, 6, 0, 27, 0);
INSERT INTO span VALUES (1, 10, 4, 6, 6, 28, 55, 0);
INSERT INTO span VALUES (1, 11, 4, 12, 4, 56, 78, 0);
INSERT INTO span VALUES (1, 12, 5, 0, 6, 0, 23, 1);
INSERT INTO span VALUES (1, 13, 5, 6, 6, 24, 48, 1);
INSERT INTO span VALUES (1, 14, 5, 12, 4, 49, 66, 1);
INSERT INTO span VALUES (1, 15, 6, 0, 6, 0, 27, 2);
INSERT INTO span VALUES (1, 16, 6, 6, 6, 28, 50, 2);
INSERT INTO span VALUES (1, 17, 6, 12, 4, 51, 66, 2);
INSERT INTO span VALUES (1, 18, 7, 0, 6, 0, 26, 0);
INSERT INTO span VALUES (1, 19, 7, 6, 6, 27, 53, 0);
INSERT INTO span VALUES (1, 20, 7, 12, 4, 54, 70, 0);
INSERT INTO span VALUES (1, 21, 8, 0, 6, 0, 21, 1);
INSERT INTO span VALUES (1, 22, 8, 6, 6, 22, 51, 1);
INSERT INTO span VALUES (1, 23, 8, 12, 4, 52, 73, 1);
INSERT INTO span VALUES (1, 24, 9, 0, 6, 0, 31, 2);
INSERT INTO span VALUES (1, 25, 9, 6, 6, 32, 64, 2);
INSERT INTO span VALUES (1, 26, 9, 12, 4, 65, 84, 2);
INSERT INTO token VALUES (1, 191, 'the');
INSERT INTO token VALUES (1, 1029, '–');
INSERT INTO token VALUES (1, 1143, '河');
INSERT INTO token VALUES (1, 1799, 'naïve');
INSERT INTO token VALUES (1, 1985, '🧊');
INSERT INTO token VALUES (1, 2350, '🧊');
INSERT INTO token VALUES (1, 2835, 'naïve');
INSERT INTO token VALUES (1, 3488, '河');
INSERT INTO token VALUES (1, 3641, 'in');
INSERT INTO token VALUES (1, 5746, '河');
INSERT INTO token VALUES (1, 5765, '河');
INSERT INTO token VALUES (1, 6352, 'Paris');
INSERT INTO token VALUES (1, 8045, '河');
INSERT INTO token VALUES (1, 8346, 'in');
INSERT INTO token VALUES (1, 9265, '–');
INSERT INTO token VALUES (1, 9873, 'froze');
INSERT INTO token VALUES (1, 10183, '–');
INSERT INTO token VALUES (1, 10413, '–');
INSERT INTO token VALUES (1, 12295, '河');
INSERT INTO token VALUES (1, 12829, '🧊');
INSERT INTO token VALUES (1, 12925, 'flows;');
INSERT INTO token VALUES (1, 13702, '🧊');
INSERT INTO token VALUES (1, 13895, 'the');
INSERT INTO token VALUES (1, 14673, 'naïve');
INSERT INTO token VALUES (1, 15303, 'über');
INSERT INTO token VALUES (1, 15810, 'the');
INSERT INTO token VALUES (1, 15835, 'Paris');
INSERT INTO token VALUES (1, 15901, 'melts');
INSERT INTO token VALUES (1, 16144, 'flows;');
INSERT INTO token VALUES (1, 16202, 'the');
INSERT INTO token VALUES (1, 16917, 'the');
INSERT INTO token VALUES (1, 17822, 'über');
INSERT INTO token VALUES (1, 18010, 'river');
INSERT INTO token VALUES (1, 18120, 'melts');
INSERT INTO token VALUES (1, 18474, 'river');
INSERT INTO token VALUES (1, 18629, 'froze');
INSERT INTO token VALUES (1, 19086, 'in');
INSERT INTO token VALUES (1, 19414, 'Paris');
INSERT INTO token VALUES (1, 22530, '河');
INSERT INTO token VALUES (1, 22972, '河');
INSERT INTO token VALUES (1, 23653, 'Paris');
INSERT INTO token VALUES (1, 24101, '河');
INSERT INTO token VALUES (1, 24472, 'über');
INSERT INTO token VALUES (1, 25858, '''quotes''');
INSERT INTO token VALUES (1, 26566, '–');
INSERT INTO token VALUES (1, 26857, '''quotes''');
INSERT INTO token VALUES (1, 27224, '"ice"');
INSERT INTO token VALUES (1, 27413, 'naïve');
INSERT INTO token VALUES (1, 27590, 'froze');
INSERT INTO token VALUES (1, 28318, '🧊');
INSERT INTO token VALUES (1, 28687, '🧊');
INSERT INTO token VALUES (1, 29766, 'melts');
INSERT INTO token VALUES (1, 29849, '''quotes''');
INSERT INTO token VALUES (1, 30120, 'the');
INSERT INTO token VALUES (1, 30826, 'Paris');
INSERT INTO token VALUES (1, 30992, '🧊');
INSERT INTO token VALUES (1, 31523, 'river');
INSERT INTO token VALUES (1, 32203, '🧊');
INSERT INTO token VALUES (1, 32264, 'river');
INSERT INTO token VALUES (1, 33194, '🧊');
INSERT INTO token VALUES (1, 34427, 'river');
INSERT INTO token VALUES (1, 34992, 'froze');
INSERT INTO token VALUES (1, 35117, 'river');
INSERT INTO token VALUES (1, 35309, '–');
INSERT INTO token VALUES (1, 37725, 'melts');
INSERT INTO token VALUES (1, 38053, 'über');
INSERT INTO token VALUES (1, 38682, 'flows;');
INSERT INTO token VALUES (1, 38802, '"ice"');
INSERT INTO token VALUES (1, 39194, '''quotes''');
INSERT INTO token VALUES (1, 39356, '''quotes''');
INSERT INTO token VALUES (1, 39906, 'flows;');
INSERT INTO token VALUES (1, 40007, 'river');
INSERT INTO token VALUES (1, 40623, 'froze');
INSERT INTO token VALUES (1, 41574, '''quotes''');
INSERT INTO token VALUES (1, 41601, '''quotes''');
INSERT INTO token VALUES (1, 42262, '''quotes''');
INSERT INTO token VALUES (1, 43006, 'flows;');
INSERT INTO token VALUES (1, 43076, '🧊');
INSERT INTO token VALUES (1, 43414, '–');
INSERT INTO token VALUES (1, 43622, 'über');
INSERT INTO token VALUES (1, 43623, '–');
INSERT INTO token VALUES (1, 43855, 'Paris');
INSERT INTO token VALUES (1, 44258, 'flows;');
INSERT INTO token VALUES (1, 44583, '🧊');
INSERT INTO token VALUES (1, 45511, '🧊');
INSERT INTO token VALUES (1, 45532, 'river');
INSERT INTO token VALUES (1, 45996, '–');
INSERT INTO token VALUES (1, 46776, 'in');
INSERT INTO token VALUES (1, 46961, 'river');
INSERT INTO token VALUES (1, 47091, '🧊');
INSERT INTO token VALUES (1, 47987, 'the');
INSERT INTO token VALUES (1, 48191, '"ice"');
INSERT INTO token VALUES (1, 48441, 'in');
INSERT INTO token VALUES (1, 49280, '''quotes''');
INSERT INTO token VALUES (1, 49373, '–');
INSERT INTO token VALUES (1, 49720, 'flows;');
INSERT INTO token VALUES (1, 49992, '''quotes''');
INSERT INTO token VALUES (1, 50365, 'flows;');
INSERT INTO token VALUES (1, 51031, 'naïve');
INSERT INTO token VALUES (1, 51075, 'über');
INSERT INTO token VALUES (1, 51240, 'in');
INSERT INTO token VALUES (1, 53246, '–');
INSERT INTO token VALUES (1, 53304, '🧊');
INSERT INTO token VALUES (1, 53483, 'the');
INSERT INTO token VALUES (1, 53542, '''quotes''');
INSERT INTO token VALUES (1, 53690, 'Paris');
INSERT INTO token VALUES (1, 55742, 'flows;');
INSERT INTO token VALUES (1, 56349, 'naïve');
INSERT INTO token VALUES (1, 57001, 'Paris');
INSERT INTO token VALUES (1, 57109, 'the');
INSERT INTO token VALUES (1, 57268, 'river');
INSERT INTO token VALUES (1, 57784, '河');
INSERT INTO token VALUES (1, 57916, '🧊');
INSERT INTO token VALUES (1, 58821, 'the');
INSERT INTO token VALUES (1, 59260, 'melts');
INSERT INTO token VALUES (1, 59380, 'Paris');
INSERT INTO token VALUES (1, 60018, 'flows;');
INSERT INTO token VALUES (1, 60202, 'the');
INSERT INTO token VALUES (1, 60454, '河');
INSERT INTO token VALUES (1, 60988, 'river');
INSERT INTO token VALUES (1, 61130, 'river');
INSERT INTO token VALUES (1, 62168, 'flows;');
INSERT INTO token VALUES (1, 62319, '🧊');
INSERT INTO token VALUES (1, 62649, '–');
INSERT INTO token VALUES (1, 64919, '''quotes''');
INSERT INTO token VALUES (1, 65171, 'flows;');
INSERT INTO token VALUES (1, 65455, 'in');
INSERT INTO token VALUES (1, 66119, 'naïve');
INSERT INTO token VALUES (1, 66171, 'the');
INSERT INTO token VALUES (1, 66256, '"ice"');
INSERT INTO token VALUES (1, 66426, 'über');
INSERT INTO token VALUES (1, 66507, 'the');
INSERT INTO token VALUES (1, 66821, '"ice"');
INSERT INTO token VALUES (1, 67004, 'melts');
INSERT INTO token VALUES (1, 67135, 'über');
INSERT INTO token VALUES (1, 67624, '河');
INSERT INTO token VALUES (1, 67754, 'flows;');
INSERT INTO token VALUES (1, 67922, '–');
INSERT INTO token VALUES (1, 67968, '–');
INSERT INTO token VALUES (1, 68658, '–');
INSERT INTO token VALUES (1, 68683, '"ice"');
INSERT INTO token VALUES (1, 69656, 'river');
INSERT INTO token VALUES (1, 69765, 'river');
INSERT INTO token VALUES (1, 69804, 'Paris');
INSERT INTO collection VALUES (1, 'older-collection', 1, 1, 'mlp', '[4, 4, 4]', '[0]', 4, 5, '{"top_k": 2}', 0, '2026-11-25T03:23:36.065+00:00');
INSERT INTO collection VALUES (2, 'fa7496e4ae840306df41bd658800392e24db8ac4767159d6bdf8a23b28c44ea0', 1, 1, 'mlp', '[4, 4, 4]', '[0]', 4, 5, '{"top_k": 4}', 1, '2026-11-25T03:23:36.115+00:00');
INSERT INTO neuron VALUES (1, 1, 'mlp', 0, 0);
INSERT INTO neuron VALUES (2, 1, 'mlp', 0, 1);
INSERT INTO neuron VALUES (3, 1, 'mlp', 0, 2);
INSERT INTO neuron VALUES (4, 1, 'mlp', 0, 3);
INSERT INTO statistics VALUES (1, 1, 144, 27, 0.1257302210933933, 0.8132702392002724, -0.543624997138977, 0.8574042916297913, 0.05, 0, 1, X'bfa254a3bf84395fbf3a125cbf2eb0f2bf217432bf169322befd6c40be3e7360be3caf09bd834b3e3e0af8283eaed5e03ec6334c3f18440c3f5cd02e');
INSERT INTO statistics VALUES (1, 2, 144, 27, 0.1257302210933933, 0.8132702392002724, -0.543624997138977, 0.8574042916297913, 0.05, 0, 1, X'bfa254a3bf84395fbf3a125cbf2eb0f2bf217432bf169322befd6c40be3e7360be3caf09bd834b3e3e0af8283eaed5e03ec6334c3f18440c3f5cd02e');
INSERT INTO statistics VALUES (2, 1, 144, 27, -0.1321048632913019, 0.9127555772777217, -0.9350724220275879, 0.033585574477910995, 0.25, 1, 2, X'bfa9dedabfa2bde5bf24111bbec051f3bea4dc8fbe871c4bbe74a2273e2839f73e4173a73ec195533efd219b3f82a7ed3fbe35733ffefce14005aae9');
INSERT INTO statistics VALUES (2, 2, 144, 27, -0.1321048632913019, 0.9127555772777217, -0.9350724220275879, 0.033585574477910995, 0.25, 1, 2, X'bfa9dedabfa2bde5bf24111bbec051f3bea4dc8fbe871c4bbe74a2273e2839f73e4173a73ec195533efd219b3f82a7ed3fbe35733ffefce14005aae9');
INSERT INTO statistics VALUES (3, 1, 90, 27, 0.6404226504432821, 0.6066357757671799, -0.8158535361289978, 0.7296554446220398, 0.5, 2, 3, X'bfbbc6d7bf589b7dbf150991bf14d240bedff131bed09effbece855fbb97f9b0b9a2e2c13e6ded1c3e7e53963ef694933f7e13693f897a54400198a1');
INSERT INTO statistics VALUES (3, 2, 90, 27, 0.6404226504432821, 0.6066357757671799, -0.8158535361289978, 0.7296554446220398, 0.5, 2, 3, X'bfbbc6d7bf589b7dbf150991bf14d240bedff131bed09effbece855fbb97f9b0b9a2e2c13e6ded1c3e7e53963ef694933f7e13693f897a54400198a1');
INSERT INTO statistics VALUES (4, 1, 12, 27, 0.10490011715303971, 0.7294965609839984, -0.0027385002467781305, 0.17565561830997467, 1.0, 3, 4, X'c0180422bfde5091bfd1d6afbf705b20bf5e9407bf54baa7bf41a8ffbf2d8cd9befe68a4be43072fbe0123223eba5fd83ecc3d523f178ab73f9efed6');
INSERT INTO statistics VALUES (4, 2, 12, 27, 0.10490011715303971, 0.7294965609839984, -0.0027385002467781305, 0.17565561830997467, 1.0, 3, 4, X'c0180422bfde5091bfd1d6afbf705b20bf5e9407bf54baa7bf41a8ffbf2d8cd9befe68a4be43072fbe0123223eba5fd83ecc3d523f178ab73f9efed6');
INSERT INTO exemplar VALUES (1, 1, 1, 0, 0, 1, 4, X'0000000b000000000000000900000002', X'39abb4ef3ba62cf3', X'0001000400010003', X'00000000', X'7801012800d7ff5eb0ab39253919bcc33d42b627bc75b6efb488bcefbaa63b18ba1fc03f38ceb65abf9527c827f32c9518142c', 1.0);
INSERT INTO exemplar VALUES (2, 2, 1, 0, 0, 1, 3, X'000000120000000100000000', X'3e543c713ce4', X'000500030005', X'000000', X'7801f3daf76d73d15e3b6dcf032176e27b6698f29817da886d11b38c33787440c3da6a07cbee2736001ffb0ef2', 1.0);
INSERT INTO exemplar VALUES (3, 3, 1, 0, 0, 1, 4, X'0000000a000000130000000900000001', X'3bde379a402a3dc4', X'0001000500010002', X'00040000', X'7801013000cfff533bde3bf0bbbcaf46b54334893a3db96937b433032f9a37dcb72a40be3e03b890b7183927abf337c43d022c36bc633913a31478', 1.0);
INSERT INTO exemplar VALUES (4, 4, 1, 0, 0, 1, 4, X'0000001200000013000000020000000b', X'3137371a3d633a41', X'0004000100030002', X'00000000', X'7801012800d7ff25baf1bf88b597bb3731b430f3ba1a37a2b62bbb40b3ba2c37b88bbbd5b6633d97c03db7413a4d32b4bf1425', 1.0);
INSERT INTO exemplar VALUES (5, 1, 1, 0, 0, -1, 4, X'0000000a0000000b0000000200000012', X'bb60bc0ab93bb506', X'0004000100010004', X'00000000', X'78015b606a65cda2f77967c2eee0ed3cc65c7b366d92d8b8c1d47aa7da06372b3ebb245b072b6b13b6ad576d0146cd0f50', 1.0);
INSERT INTO exemplar VALUES (6, 2, 1, 0, 0, -1, 3, X'000000020000001400000009', X'35b8bd27bcae', X'000300010002', X'000000', X'7801bb6e6f6aef6cbbc3d4c1527d6f90d94333ef9d7fb6addbf3d5eefd76675300ad6f0d65', 1.0);
INSERT INTO exemplar VALUES (7, 3, 1, 0, 0, -1, 4, X'00000014000000000000000b0000000a', X'b8f1b911bd1cb9e2', X'0002000400010004', X'00040000', X'7801012800d7ff7839043cf1b84a3f7b3b472a0140083211b90bb65dbc1cbd0b39a638c23e99b44c3eedb6e2b9fe3324f710ab', 1.0);
INSERT INTO exemplar VALUES (8, 4, 1, 0, 0, -1, 4, X'00000002000000130000000900000012', X'bd5dbd1fc080ba11', X'0003000400010002', X'00000000', X'7801012c00d3ff203c2731afb85dbdeb3b42b14cbcfc3a1fbdb4b9f83880c02f36a7b8fe2ed8ac78328e3911baaf3dcf39c03ae4f015e4', 1.0);
INSERT INTO exemplar VALUES (9, 1, 1, 0, 1, 1, 4, X'00000013000000140000000000000009', X'3abc392a38a73f9e', X'0002000100050002', X'00000000', X'7801012c00d3ff523581bcbc3ac29d0ab56033a22b2a3933bbbd361bb73cb5edbc07bd7830a738d5b3d6359e3fca3c4aaba93ac03b1482', 0.25);
INSERT INTO exemplar VALUES (10, 2, 1, 0, 1, 1, 3, X'000000120000000000000002', X'3cb93d443918', X'000200020003', X'000000', X'7801abb25db66fa70db7cdbd0315c627f76819b8d8265bdeddb94f8f6db9e4767e23094b00ef420d2e', 0.25);
INSERT INTO exemplar VALUES (11, 3, 1, 0, 1, 1, 4, X'00000013000000000000001400000002', X'3b063eab3c84bb0f', X'0003000100020001', X'00040000', X'7801012800d7ffa5a59eb54fb9063ba6bcc7b0913fab3e24b8a73949b4c239af33ad33843c8e391f3d0fbb2cbdb4c097aa12f9', 0.25);
INSERT INTO exemplar VALUES (12, 4, 1, 0, 1, 1, 4, X'00000009000000140000000a0000000b', X'40b23dcf3a7a3eeb', X'0003000100010002', X'00000000', X'7801012800d7ffd2391f3943b9b2405f3acb3959bdcf3d14b8043d97bf7a3a22bbc0c2bab8bcb45338c833eb3efb3a713b134d', 0.25);
INSERT INTO exemplar VALUES (13, 1, 1, 0, 1, -1, 4, X'0000000b000000010000001200000009', X'c078b81ebd7abeb8', X'0002000300010004', X'00000000', X'7801012c00d3ff4d36deb478c09639aebde8b7c7b41eb8cd2225b65e387abdfebbf6ba81b9f6b69ab227b116b925bdb8be183f3ce21900', 0.25);
INSERT INTO exemplar VALUES (14, 2, 1, 0, 1, -1, 3, X'000000140000000a00000001', X'bfd5be65b714', X'000100010003', X'000000', X'7801012000dfff892fd5bfedb31234a03c65bef3b8de2f6033f2395ab5f4adcf3614b74538193c1c360ffa', 0.25);
INSERT INTO exemplar VALUES (15, 3, 1, 0, 1, -1, 4, X'00000014000000120000000b0000000a', X'bc7eb9f335babdba', X'0001000100020005', X'00040000', X'7801012800d7ff59367ebc37bb65370e37f3b957b1133eca38ab2a1435c940ba35a73936b31539eba560b2b92fbabd590c11d2', 0.25);
INSERT INTO exemplar VALUES (16, 4, 1, 0, 1, -1, 4, X'0000000b000000090000001200000001', X'acfabe81be71be24', X'0002000200030005', X'00000000', X'7801012c00d3ff24b4413cfaac5a3a0c34253481be2f3a0d3a74bb1a34ea3b173471be44bab62e943ac53c6b3d33b4a0b424be757211aa', 0.25);
INSERT INTO exemplar VALUES (17, 1, 1, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'bb503c103a213826', X'0003000200020001', X'00000000', X'7801012800d7ff9cbda2bc5bc250bb583cc3b0103c3e3ae6b2c1b6b8b5b2bc213a4dbd78b3263845beebb9261cb431b4a81451', 0.25);
INSERT INTO exemplar VALUES (18, 2, 1, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'35823f713c5538dc', X'0002000200010004', X'00000000', X'7801012800d7ff7d3c3bbc8235b7a0d8390bb3713f9e360938e43bbab5553c75bac4b90832f3b4433193bddc38b4b574bf1340', 0.25);
INSERT INTO exemplar VALUES (19, 3, 1, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'39bc335340563fa8', X'0002000500020003', X'00040000', X'7801012800d7ffa7b0e1a6bc3972bb8bba08a32eacb4b107bb533386b6b33156408a376735e23c7234a83f7d3d9eb9a6e71347', 0.25);
INSERT INTO exemplar VALUES (20, 4, 1, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'34da3d7c38013722', X'0003000200010004', X'00000000', X'7801012800d7ff60ac0f3328bdda34a43e83bf7c3d063b4a3bf13432b8013863bc1fbdbab9abb905be31bd22373db852fa10fe', 0.25);
INSERT INTO exemplar VALUES (21, 1, 1, 1, 0, 1, 4, X'000000030000000c0000001500000005', X'396e3d1c41413a05', X'0004000400020001', X'00000000', X'7801012c00d3ff7f3c7ebcac3749b96e3939b737bf1fb5cf390ca41c3d9aa44fb923a5414119b7802e0e3b27a8053af1bda3baa67b12bd', 1.0);
INSERT INTO exemplar VALUES (22, 2, 1, 1, 0, 1, 3, X'000000050000000c0000000d', X'413ab86d3ae6', X'000100010003', X'000000', X'7801012000dfffd78c3a41a22b24bd08b96db867b92db9f8b862bd5235acadb9b2e63a60b33fb707bc10bc', 1.0);
INSERT INTO exemplar VALUES (23, 3, 1, 1, 0, 1, 4, X'000000150000000d000000050000000c', X'3e723c8f3f023900', X'0003000300010005', X'00040000', X'7801012c00d3ff91bc513cfc39723e53b48db94ab8e5c0f6ae8f3c27b312aa30bc023f8cbc572e563897be79b61ebb1eb90039f14a14ae', 1.0);
INSERT INTO exemplar VALUES (24, 4, 1, 1, 0, 1, 4, X'00000016000000170000000300000005', X'394e39613ea6b5b4', X'0005000200030002', X'00000000', X'7801012800d7ff233b24bb2931f2b945b44e3946bc99b161394136433a32259ab8a63ea3be34bbd73c6db9b4b599bf54031274', 1.0);
INSERT INTO exemplar VALUES (25, 1, 1, 1, 0, -1, 4, X'000000040000000c0000001500000016', X'bfefbe8ab2fbb968', X'0005000100010003', X'00000000', X'7801013000cfffa3bdda347f3ddb3b8bb8efbf94ba8abe20ac733b1342d034cfbcfbb24e37aea01eb0fb2ca53c31b7a7b468b92430313e83b618a3', 1.0);
INSERT INTO exemplar VALUES (26, 2, 1, 1, 0, -1, 3, X'000000170000000300000015', X'38edc012bc77', X'000200010002', X'000000', X'7801012000dffff934d43eed38f93ce63512c03737a5350fb9d5b91f39ff3977bcf4ac7cafa0390fa8108c', 1.0);
INSERT INTO exemplar VALUES (27, 3, 1, 1, 0, -1, 4, X'0000000c000000170000000400000016', X'b909b573bd50c0d8', X'0004000200040002', X'00040000', X'7801012c00d3ff5ec2d2384cb10a3209b9a03231b19c3c73b5e1405f3b3f36d63c353c50bdea2c8e3834bdd8c0573a31b4df38ad64138c', 1.0);
INSERT INTO exemplar VALUES (28, 4, 1, 1, 0, -1, 4, X'00000004000000030000000e0000000d', X'bbadb931b7d4c072', X'0001000100020005', X'00000000', X'7801012c00d3ff343cadbbbab95d3c83b30737c7c131b96c3a5fb83db8543b4aaccc30d4b7c63eb239f234ab380e3d2b3972c0d67e1462', 1.0);
INSERT INTO exemplar VALUES (29, 1, 1, 1, 1, 1, 4, X'00000003000000160000000500000004', X'3dea40903bcc39bc', X'0003000400010001', X'00000000', X'7801012c00d3ff2cb8e9360ebdea3df2bc9e3a72319c39553d8d3b9040b3bbb9b9cc3bceb2a0391334bc39acb942b2e63112a9ed4d15c5', 0.25);
INSERT INTO exemplar VALUES (30, 2, 1, 1, 1, 1, 3, X'0000000d0000000e0000000c', X'3eb23c29b39d', X'000200010003', X'000000', X'7801012000dfff033b35bbb23e87b8a037eb36c23f293c792bd8392a29f4b5c1bd9db307b405bce5c60eb7', 0.25);
INSERT INTO exemplar VALUES (31, 3, 1, 1, 1, 1, 4, X'00000005000000040000000c0000000e', X'396d3b762d8fbb61', X'0003000300020002', X'00040000', X'7801012800d7ff9c396fa582386d3959ad94b50abc763b0c355a3814be60b98f2de4bdbdb447bf493384bd61bbdbbf67361315', 0.25);
INSERT INTO exemplar VALUES (32, 4, 1, 1, 1, 1, 4, X'00000016000000030000000c0000000e', X'3ab53ff63c933613', X'0002000500010003', X'00000000', X'7801012c00d3ff8bb4aa38b53a16396fba8db329ba0fb6713ac49dd8a4f63ff238933c29bcd5aac89da4bd5331c6a453b81336f7b61693', 0.25);
INSERT INTO exemplar VALUES (33, 1, 1, 1, 1, -1, 4, X'00000005000000030000000d00000004', X'b6e1b90fc003b9b6', X'0001000400020004', X'00000000', X'7801012c00d3ff1e3fe1b6133a8c38a73e3035f5b22b3c0fb90ab68b3545b503c0f0bf652a8a35fc2c3d3c49a26931b6b900399705122e', 0.25);
INSERT INTO exemplar VALUES (34, 2, 1, 1, 1, -1, 3, X'00000005000000150000000c', X'b55bbc05c029', X'000200030001', X'000000', X'7801012000dfffbe3c95ad5bb529b52e38f7b5403405bc843c1db50ebe29c0eb3decba6fbb5239f8e00f3c', 0.25);
INSERT INTO exemplar VALUES (35, 3, 1, 1, 1, -1, 4, X'0000000e0000000d0000001500000017', X'be41bc9bbb5bb898', X'0001000200030001', X'00040000', X'7801012800d7ffc8bd41be152f2a341db8b1b89bbcacb539b6de3b34baacba22315bbb7538b339d3b698b84a389c3894b413aa', 0.25);
INSERT INTO exemplar VALUES (36, 4, 1, 1, 1, -1, 4, X'0000000d0000000e0000001500000005', X'babdbd77b8c6b41a', X'0004000100020001', X'00000000', X'7801012800d7ff86b5d93555b68329bdba5e409c3e77bdb731bcb8e724e933c6b8a7375ab2c2ab7b3b1ab46dafc634b3991516', 0.25);
INSERT INTO exemplar VALUES (37, 1, 1, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'40be3f6b3878384b', X'0002000200010002', X'00000000', X'7801012c00d3ff1ebe5c32be4092368fb7f23e572fdf3c6b3f85a1963bf03adc3478389932ccbd58b9a42bd3b6be334b388e30cefc14c2', 0.25);
INSERT INTO exemplar VALUES (38, 2, 1, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'404138c8331d3a2c', X'0001000100020002', X'00000000', X'7801012c00d3ffdabb41401c30083aef3b4131aa3ac83895bb9c18c4b71cbd5e2bdcbd1d3373b59c2b98b2963972ad2c3a96bcaca813ce', 0.25);
INSERT INTO exemplar VALUES (39, 3, 1, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'40953b273396391e', X'0001000500050001', X'00040000', X'7801012c00d3ff8a38954028b705384238a736c23459bdd1b53fbb5436273b1536e7b7aab96abc0532963373b61e39513580bd91e81238', 0.25);
INSERT INTO exemplar VALUES (40, 4, 1, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'3b993fc83fd63d6b', X'0005000200040003', X'00000000', X'7801012c00d3ff5f3c51b317ba48bd1039993bad30b4b0c83f86bd963eaeb740bee2b74b3b3831d63f203707b973b8e4b56b3dc23c1475', 0.25);
INSERT INTO exemplar VALUES (41, 1, 1, 2, 0, 1, 4, X'00000010000000190000000800000006', X'38643c184077b039', X'0001000100020001', X'00000000', X'7801012c00d3ff12b8643890bd292f65a79bab3435183c4cbd01a9cf38d0364a90983b7740c7b71bb939b02ab9f9b0d4b541b8a3ef1488', 1.0);
INSERT INTO exemplar VALUES (42, 2, 1, 2, 0, 1, 3, X'000000080000001000000018', X'3ee6418d3cab', X'000200040002', X'000000', X'78019bb13bcbf8995dadf90d8394ed6b2c9577f73a4ededfbaedd68ed536561bc22c236c00089e0f90', 1.0);
INSERT INTO exemplar VALUES (43, 3, 1, 2, 0, 1, 4, X'0000000700000018000000110000000f', X'38ac32d23ab83e34', X'0005000300020005', X'00040000', X'7801012c00d3ff6531b5b783bdc9b58bb7ac384140b3b507bfd232e5bdf8bea93366a4b83afd2ca3bdb23ac5bcb0b78c3d343e2dea1862', 1.0);
INSERT INTO exemplar VALUES (44, 4, 1, 2, 0, 1, 4, X'000000060000001a0000001100000010', X'29a73d3938d83f31', X'0005000100010003', X'00000000', X'7801012800d7fff3312bbc99258ca9a0b8a7299339393d10b9cfb97ec0d8386aba34b98336993ad43c313fb2b724ba9364136c', 1.0);
INSERT INTO exemplar VALUES (45, 1, 1, 2, 0, -1, 4, X'0000001a000000080000000700000006', X'3a3dba36bef6bd18', X'0001000200050001', X'00000000', X'7801012800d7ff4bb93d3abe3e0c3d91ba12b736ba2cb15f3d102fb2b6943982baf6be673c18bd9cad05b1fc3570a05e8c125a', 1.0);
INSERT INTO exemplar VALUES (46, 2, 1, 2, 0, -1, 3, X'000000180000001a00000011', X'1da6c1c133ff', X'000200030001', X'000000', X'78015bbc77b1c5325971cbc516f7ad18f66a6bd51c387870a3d97f630bbb405b00b5890c30', 1.0);
INSERT INTO exemplar VALUES (47, 3, 1, 2, 0, -1, 4, X'00000007000000060000001800000010', X'bd35bd53be4dbe49', X'0001000300020005', X'00040000', X'7801bbe560ba57cbd2c9287a4fb06dc3fe34db53d6c17b156d769b7158b5ecf5dda7b4bbd2e88f9ef0be149b45665db6ed969efb00e2f813e7', 1.0);
INSERT INTO exemplar VALUES (48, 4, 1, 2, 0, -1, 4, X'0000001a000000100000001900000007', X'2defbb9bb43abc1c', X'0003000500040003', X'00000000', X'7801012c00d3ffad3d9037f53def2d5933f6ba84b805b578389bbba3389a37753539383ab44e3e24bd4db990b51cbc41b4223ad46713ce', 1.0);
INSERT INTO exemplar VALUES (49, 1, 1, 2, 1, 1, 4, X'00000010000000180000001900000008', X'3ef53b893d313f37', X'0003000100020001', X'00000000', X'7801012c00d3ff49b3492ea8b7f53e0db864bbbf34893bdfb3c5b415b9c63ad0b3213c313da0b61caaf9b425b7373f9eb66f2af39915d0', 0.25);
INSERT INTO exemplar VALUES (50, 2, 1, 2, 1, 1, 3, X'0000000f000000110000001a', X'38563e523c83', X'000100010002', X'000000', X'7801cbb30eb3b8b7317dafe98e3c53878d4176cf2d32f64cdd36d7acd9e6e81e00bbfd0d9d', 0.25);
INSERT INTO exemplar VALUES (51, 3, 1, 2, 1, 1, 4, X'0000000f000000190000000600000011', X'41cc3f433af93fc4', X'0001000500010001', X'00040000', X'7801012c00d3ff5d3ecc410db88d3c5b3e073c4e3f2439dc21e0bfabbb433fa8b3f93a2eb60230a7bd2fbcd734c43fc2ba6fb899e11425', 0.25);
INSERT INTO exemplar VALUES (52, 4, 1, 2, 1, 1, 4, X'00000007000000060000001000000018', X'a9a13c46b0ad3e4b', X'0005000200050003', X'00000000', X'7801013000cfff13b897af8fb1a3b7aeb9a1a9fa40b3b3463c1ab63f3a3d37db369db6cfb686ba67bdadb0953d25b45dba4b3e5bbc55bf7f26195c', 0.25);
INSERT INTO exemplar VALUES (53, 1, 1, 2, 1, -1, 4, X'000000190000001a0000000800000011', X'b8b630efbd17bee4', X'0002000100010002', X'00000000', X'7801012400dbff60394db6b6b85db87cb4c63944b6ef30d13b6434103417bd9641bbb8653e7d31e4be3d35424810d3', 0.25);
INSERT INTO exemplar VALUES (54, 2, 1, 2, 1, -1, 3, X'00000008000000060000001a', X'bd4fc0abb857', X'000200050003', X'000000', X'78014b329e6fe7bfb744f7f8ee844d1c36020efa16ab0f889a67aff96012be0300a46b0bb0', 0.25);
INSERT INTO exemplar VALUES (55, 3, 1, 2, 1, -1, 4, X'0000000800000019000000060000001a', X'bca3b83fc19ebf2c', X'0001000500030002', X'00040000', X'7801012800d7ffbeaca3bcdbb4ad39abbb3e38d2b61c34b4323fb869bc643fd9bc9ec1c0b7ae38793fd3392cbf5739cc341528', 0.25);
INSERT INTO exemplar VALUES (56, 4, 1, 2, 1, -1, 4, X'00000008000000100000001800000007', X'bca8b977c03abdd6', X'0003000100030001', X'00000000', X'7801012c00d3ff402892b6df38a8bc623677b9953bdd3444ae213b82be92be3ebd3ac00f24052c56bed6bd3fbadebcd634c0b6d3c015c6', 0.25);
INSERT INTO exemplar VALUES (57, 1, 1, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'b8bd39ee3df135db', X'0001000300030001', X'00000000', X'7801012c00d3ff49babdb830bc0fbc60ba6cba47b00133a8bcee39633144bdd7b589bc76bbf13ddfb3bab8aabedb35fac09ab411f9196f', 0.25);
INSERT INTO exemplar VALUES (58, 2, 1, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'40213a012f873c93', X'0005000300030001', X'00000000', X'7801012c00d3ff1a321dbe1bbe7732fd3821400dbfafbc35b1013aa5bd68bf753321acf4b0872febb27cbe15b7933c7c398428a64f13c3', 0.25);
INSERT INTO exemplar VALUES (59, 3, 1, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'2e9d387432ed3a78', X'0004000300020001', X'00040000', X'7801012c00d3ffd93bf9b882b5a2be9d2e8eb4d4b7eeb62c2c743839b484bdcf370eb5ed3261b57ebbf5b111bf783a74bfa6b13ad818b4', 0.25);
INSERT INTO exemplar VALUES (60, 4, 1, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'32733ed528203fc0', X'0004000400030003', X'00000000', X'7801012c00d3ff56bbddb7d6bb4db77332db3048386eb7a3b39b36d53ea83d89b8beb811ba202871bed72392bc17b45239c03f10761645', 0.25);
INSERT INTO exemplar VALUES (61, 1, 2, 0, 0, 1, 4, X'0000000b000000000000000900000002', X'39abb4ef3ba62cf3', X'0001000400010003', X'00000000', X'7801012800d7ff5eb0ab39253919bcc33d42b627bc75b6efb488bcefbaa63b18ba1fc03f38ceb65abf9527c827f32c9518142c', 1.0);
INSERT INTO exemplar VALUES (62, 2, 2, 0, 0, 1, 3, X'000000120000000100000000', X'3e543c713ce4', X'000500030005', X'000000', X'7801f3daf76d73d15e3b6dcf032176e27b6698f29817da886d11b38c33787440c3da6a07cbee2736001ffb0ef2', 1.0);
INSERT INTO exemplar VALUES (63, 3, 2, 0, 0, 1, 4, X'0000000a000000130000000900000001', X'3bde379a402a3dc4', X'0001000500010002', X'00040000', X'7801013000cfff533bde3bf0bbbcaf46b54334893a3db96937b433032f9a37dcb72a40be3e03b890b7183927abf337c43d022c36bc633913a31478', 1.0);
INSERT INTO exemplar VALUES (64, 4, 2, 0, 0, 1, 4, X'0000001200000013000000020000000b', X'3137371a3d633a41', X'0004000100030002', X'00000000', X'7801012800d7ff25baf1bf88b597bb3731b430f3ba1a37a2b62bbb40b3ba2c37b88bbbd5b6633d97c03db7413a4d32b4bf1425', 1.0);
INSERT INTO exemplar VALUES (65, 1, 2, 0, 0, -1, 4, X'0000000a0000000b0000000200000012', X'bb60bc0ab93bb506', X'0004000100010004', X'00000000', X'78015b606a65cda2f77967c2eee0ed3cc65c7b366d92d8b8c1d47aa7da06372b3ebb245b072b6b13b6ad576d0146cd0f50', 1.0);
INSERT INTO exemplar VALUES (66, 2, 2, 0, 0, -1, 3, X'000000020000001400000009', X'35b8bd27bcae', X'000300010002', X'000000', X'7801bb6e6f6aef6cbbc3d4c1527d6f90d94333ef9d7fb6addbf3d5eefd76675300ad6f0d65', 1.0);
INSERT INTO exemplar VALUES (67, 3, 2, 0, 0, -1, 4, X'00000014000000000000000b0000000a', X'b8f1b911bd1cb9e2', X'0002000400010004', X'00040000', X'7801012800d7ff7839043cf1b84a3f7b3b472a0140083211b90bb65dbc1cbd0b39a638c23e99b44c3eedb6e2b9fe3324f710ab', 1.0);
INSERT INTO exemplar VALUES (68, 4, 2, 0, 0, -1, 4, X'00000002000000130000000900000012', X'bd5dbd1fc080ba11', X'0003000400010002', X'00000000', X'7801012c00d3ff203c2731afb85dbdeb3b42b14cbcfc3a1fbdb4b9f83880c02f36a7b8fe2ed8ac78328e3911baaf3dcf39c03ae4f015e4', 1.0);
INSERT INTO exemplar VALUES (69, 1, 2, 0, 1, 1, 4, X'00000013000000140000000000000009', X'3abc392a38a73f9e', X'0002000100050002', X'00000000', X'7801012c00d3ff523581bcbc3ac29d0ab56033a22b2a3933bbbd361bb73cb5edbc07bd7830a738d5b3d6359e3fca3c4aaba93ac03b1482', 0.25);
INSERT INTO exemplar VALUES (70, 2, 2, 0, 1, 1, 3, X'000000120000000000000002', X'3cb93d443918', X'000200020003', X'000000', X'7801abb25db66fa70db7cdbd0315c627f76819b8d8265bdeddb94f8f6db9e4767e23094b00ef420d2e', 0.25);
INSERT INTO exemplar VALUES (71, 3, 2, 0, 1, 1, 4, X'00000013000000000000001400000002', X'3b063eab3c84bb0f', X'0003000100020001', X'00040000', X'7801012800d7ffa5a59eb54fb9063ba6bcc7b0913fab3e24b8a73949b4c239af33ad33843c8e391f3d0fbb2cbdb4c097aa12f9', 0.25);
INSERT INTO exemplar VALUES (72, 4, 2, 0, 1, 1, 4, X'00000009000000140000000a0000000b', X'40b23dcf3a7a3eeb', X'0003000100010002', X'00000000', X'7801012800d7ffd2391f3943b9b2405f3acb3959bdcf3d14b8043d97bf7a3a22bbc0c2bab8bcb45338c833eb3efb3a713b134d', 0.25);
INSERT INTO exemplar VALUES (73, 1, 2, 0, 1, -1, 4, X'0000000b000000010000001200000009', X'c078b81ebd7abeb8', X'0002000300010004', X'00000000', X'7801012c00d3ff4d36deb478c09639aebde8b7c7b41eb8cd2225b65e387abdfebbf6ba81b9f6b69ab227b116b925bdb8be183f3ce21900', 0.25);
INSERT INTO exemplar VALUES (74, 2, 2, 0, 1, -1, 3, X'000000140000000a00000001', X'bfd5be65b714', X'000100010003', X'000000', X'7801012000dfff892fd5bfedb31234a03c65bef3b8de2f6033f2395ab5f4adcf3614b74538193c1c360ffa', 0.25);
INSERT INTO exemplar VALUES (75, 3, 2, 0, 1, -1, 4, X'00000014000000120000000b0000000a', X'bc7eb9f335babdba', X'0001000100020005', X'00040000', X'7801012800d7ff59367ebc37bb65370e37f3b957b1133eca38ab2a1435c940ba35a73936b31539eba560b2b92fbabd590c11d2', 0.25);
INSERT INTO exemplar VALUES (76, 4, 2, 0, 1, -1, 4, X'0000000b000000090000001200000001', X'acfabe81be71be24', X'0002000200030005', X'00000000', X'7801012c00d3ff24b4413cfaac5a3a0c34253481be2f3a0d3a74bb1a34ea3b173471be44bab62e943ac53c6b3d33b4a0b424be757211aa', 0.25);
INSERT INTO exemplar VALUES (77, 1, 2, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'bb503c103a213826', X'0003000200020001', X'00000000', X'7801012800d7ff9cbda2bc5bc250bb583cc3b0103c3e3ae6b2c1b6b8b5b2bc213a4dbd78b3263845beebb9261cb431b4a81451', 0.25);
INSERT INTO exemplar VALUES (78, 2, 2, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'35823f713c5538dc', X'0002000200010004', X'00000000', X'7801012800d7ff7d3c3bbc8235b7a0d8390bb3713f9e360938e43bbab5553c75bac4b90832f3b4433193bddc38b4b574bf1340', 0.25);
INSERT INTO exemplar VALUES (79, 3, 2, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'39bc335340563fa8', X'0002000500020003', X'00040000', X'7801012800d7ffa7b0e1a6bc3972bb8bba08a32eacb4b107bb533386b6b33156408a376735e23c7234a83f7d3d9eb9a6e71347', 0.25);
INSERT INTO exemplar VALUES (80, 4, 2, 0, 2, 0, 4, X'00000014000000090000000b0000000a', X'34da3d7c38013722', X'0003000200010004', X'00000000', X'7801012800d7ff60ac0f3328bdda34a43e83bf7c3d063b4a3bf13432b8013863bc1fbdbab9abb905be31bd22373db852fa10fe', 0.25);
INSERT INTO exemplar VALUES (81, 1, 2, 1, 0, 1, 4, X'000000030000000c0000001500000005', X'396e3d1c41413a05', X'0004000400020001', X'00000000', X'7801012c00d3ff7f3c7ebcac3749b96e3939b737bf1fb5cf390ca41c3d9aa44fb923a5414119b7802e0e3b27a8053af1bda3baa67b12bd', 1.0);
INSERT INTO exemplar VALUES (82, 2, 2, 1, 0, 1, 3, X'000000050000000c0000000d', X'413ab86d3ae6', X'000100010003', X'000000', X'7801012000dfffd78c3a41a22b24bd08b96db867b92db9f8b862bd5235acadb9b2e63a60b33fb707bc10bc', 1.0);
INSERT INTO exemplar VALUES (83, 3, 2, 1, 0, 1, 4, X'000000150000000d000000050000000c', X'3e723c8f3f023900', X'0003000300010005', X'00040000', X'7801012c00d3ff91bc513cfc39723e53b48db94ab8e5c0f6ae8f3c27b312aa30bc023f8cbc572e563897be79b61ebb1eb90039f14a14ae', 1.0);
INSERT INTO exemplar VALUES (84, 4, 2, 1, 0, 1, 4, X'00000016000000170000000300000005', X'394e39613ea6b5b4', X'0005000200030002', X'00000000', X'7801012800d7ff233b24bb2931f2b945b44e3946bc99b161394136433a32259ab8a63ea3be34bbd73c6db9b4b599bf54031274', 1.0);
INSERT INTO exemplar VALUES (85, 1, 2, 1, 0, -1, 4, X'000000040000000c0000001500000016', X'bfefbe8ab2fbb968', X'0005000100010003', X'00000000', X'7801013000cfffa3bdda347f3ddb3b8bb8efbf94ba8abe20ac733b1342d034cfbcfbb24e37aea01eb0fb2ca53c31b7a7b468b92430313e83b618a3', 1.0);
INSERT INTO exemplar VALUES (86, 2, 2, 1, 0, -1, 3, X'000000170000000300000015', X'38edc012bc77', X'000200010002', X'000000', X'7801012000dffff934d43eed38f93ce63512c03737a5350fb9d5b91f39ff3977bcf4ac7cafa0390fa8108c', 1.0);
INSERT INTO exemplar VALUES (87, 3, 2, 1, 0, -1, 4, X'0000000c000000170000000400000016', X'b909b573bd50c0d8', X'0004000200040002', X'00040000', X'7801012c00d3ff5ec2d2384cb10a3209b9a03231b19c3c73b5e1405f3b3f36d63c353c50bdea2c8e3834bdd8c0573a31b4df38ad64138c', 1.0);
INSERT INTO exemplar VALUES (88, 4, 2, 1, 0, -1, 4, X'00000004000000030000000e0000000d', X'bbadb931b7d4c072', X'0001000100020005', X'00000000', X'7801012c00d3ff343cadbbbab95d3c83b30737c7c131b96c3a5fb83db8543b4aaccc30d4b7c63eb239f234ab380e3d2b3972c0d67e1462', 1.0);
INSERT INTO exemplar VALUES (89, 1, 2, 1, 1, 1, 4, X'00000003000000160000000500000004', X'3dea40903bcc39bc', X'0003000400010001', X'00000000', X'7801012c00d3ff2cb8e9360ebdea3df2bc9e3a72319c39553d8d3b9040b3bbb9b9cc3bceb2a0391334bc39acb942b2e63112a9ed4d15c5', 0.25);
INSERT INTO exemplar VALUES (90, 2, 2, 1, 1, 1, 3, X'0000000d0000000e0000000c', X'3eb23c29b39d', X'000200010003', X'000000', X'7801012000dfff033b35bbb23e87b8a037eb36c23f293c792bd8392a29f4b5c1bd9db307b405bce5c60eb7', 0.25);
INSERT INTO exemplar VALUES (91, 3, 2, 1, 1, 1, 4, X'00000005000000040000000c0000000e', X'396d3b762d8fbb61', X'0003000300020002', X'00040000', X'7801012800d7ff9c396fa582386d3959ad94b50abc763b0c355a3814be60b98f2de4bdbdb447bf493384bd61bbdbbf67361315', 0.25);
INSERT INTO exemplar VALUES (92, 4, 2, 1, 1, 1, 4, X'00000016000000030000000c0000000e', X'3ab53ff63c933613', X'0002000500010003', X'00000000', X'7801012c00d3ff8bb4aa38b53a16396fba8db329ba0fb6713ac49dd8a4f63ff238933c29bcd5aac89da4bd5331c6a453b81336f7b61693', 0.25);
INSERT INTO exemplar VALUES (93, 1, 2, 1, 1, -1, 4, X'00000005000000030000000d00000004', X'b6e1b90fc003b9b6', X'0001000400020004', X'00000000', X'7801012c00d3ff1e3fe1b6133a8c38a73e3035f5b22b3c0fb90ab68b3545b503c0f0bf652a8a35fc2c3d3c49a26931b6b900399705122e', 0.25);
INSERT INTO exemplar VALUES (94, 2, 2, 1, 1, -1, 3, X'00000005000000150000000c', X'b55bbc05c029', X'000200030001', X'000000', X'7801012000dfffbe3c95ad5bb529b52e38f7b5403405bc843c1db50ebe29c0eb3decba6fbb5239f8e00f3c', 0.25);
INSERT INTO exemplar VALUES (95, 3, 2, 1, 1, -1, 4, X'0000000e0000000d0000001500000017', X'be41bc9bbb5bb898', X'0001000200030001', X'00040000', X'7801012800d7ffc8bd41be152f2a341db8b1b89bbcacb539b6de3b34baacba22315bbb7538b339d3b698b84a389c3894b413aa', 0.25);
INSERT INTO exemplar VALUES (96, 4, 2, 1, 1, -1, 4, X'0000000d0000000e0000001500000005', X'babdbd77b8c6b41a', X'0004000100020001', X'00000000', X'7801012800d7ff86b5d93555b68329bdba5e409c3e77bdb731bcb8e724e933c6b8a7375ab2c2ab7b3b1ab46dafc634b3991516', 0.25);
INSERT INTO exemplar VALUES (97, 1, 2, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'40be3f6b3878384b', X'0002000200010002', X'00000000', X'7801012c00d3ff1ebe5c32be4092368fb7f23e572fdf3c6b3f85a1963bf03adc3478389932ccbd58b9a42bd3b6be334b388e30cefc14c2', 0.25);
INSERT INTO exemplar VALUES (98, 2, 2, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'404138c8331d3a2c', X'0001000100020002', X'00000000', X'7801012c00d3ffdabb41401c30083aef3b4131aa3ac83895bb9c18c4b71cbd5e2bdcbd1d3373b59c2b98b2963972ad2c3a96bcaca813ce', 0.25);
INSERT INTO exemplar VALUES (99, 3, 2, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'40953b273396391e', X'0001000500050001', X'00040000', X'7801012c00d3ff8a38954028b705384238a736c23459bdd1b53fbb5436273b1536e7b7aab96abc0532963373b61e39513580bd91e81238', 0.25);
INSERT INTO exemplar VALUES (100, 4, 2, 1, 2, 0, 4, X'0000000c000000040000001600000017', X'3b993fc83fd63d6b', X'0005000200040003', X'00000000', X'7801012c00d3ff5f3c51b317ba48bd1039993bad30b4b0c83f86bd963eaeb740bee2b74b3b3831d63f203707b973b8e4b56b3dc23c1475', 0.25);
INSERT INTO exemplar VALUES (101, 1, 2, 2, 0, 1, 4, X'00000010000000190000000800000006', X'38643c184077b039', X'0001000100020001', X'00000000', X'7801012c00d3ff12b8643890bd292f65a79bab3435183c4cbd01a9cf38d0364a90983b7740c7b71bb939b02ab9f9b0d4b541b8a3ef1488', 1.0);
INSERT INTO exemplar VALUES (102, 2, 2, 2, 0, 1, 3, X'000000080000001000000018', X'3ee6418d3cab', X'000200040002', X'000000', X'78019bb13bcbf8995dadf90d8394ed6b2c9577f73a4ededfbaedd68ed536561bc22c236c00089e0f90', 1.0);
INSERT INTO exemplar VALUES (103, 3, 2, 2, 0, 1, 4, X'0000000700000018000000110000000f', X'38ac32d23ab83e34', X'0005000300020005', X'00040000', X'7801012c00d3ff6531b5b783bdc9b58bb7ac384140b3b507bfd232e5bdf8bea93366a4b83afd2ca3bdb23ac5bcb0b78c3d343e2dea1862', 1.0);
INSERT INTO exemplar VALUES (104, 4, 2, 2, 0, 1, 4, X'000000060000001a0000001100000010', X'29a73d3938d83f31', X'0005000100010003', X'00000000', X'7801012800d7fff3312bbc99258ca9a0b8a7299339393d10b9cfb97ec0d8386aba34b98336993ad43c313fb2b724ba9364136c', 1.0);
INSERT INTO exemplar VALUES (105, 1, 2, 2, 0, -1, 4, X'0000001a000000080000000700000006', X'3a3dba36bef6bd18', X'0001000200050001', X'00000000', X'7801012800d7ff4bb93d3abe3e0c3d91ba12b736ba2cb15f3d102fb2b6943982baf6be673c18bd9cad05b1fc3570a05e8c125a', 1.0);
INSERT INTO exemplar VALUES (106, 2, 2, 2, 0, -1, 3, X'000000180000001a00000011', X'1da6c1c133ff', X'000200030001', X'000000', X'78015bbc77b1c5325971cbc516f7ad18f66a6bd51c387870a3d97f630bbb405b00b5890c30', 1.0);
INSERT INTO exemplar VALUES (107, 3, 2, 2, 0, -1, 4, X'00000007000000060000001800000010', X'bd35bd53be4dbe49', X'0001000300020005', X'00040000', X'7801bbe560ba57cbd2c9287a4fb06dc3fe34db53d6c17b156d769b7158b5ecf5dda7b4bbd2e88f9ef0be149b45665db6ed969efb00e2f813e7', 1.0);
INSERT INTO exemplar VALUES (108, 4, 2, 2, 0, -1, 4, X'0000001a000000100000001900000007', X'2defbb9bb43abc1c', X'0003000500040003', X'00000000', X'7801012c00d3ffad3d9037f53def2d5933f6ba84b805b578389bbba3389a37753539383ab44e3e24bd4db990b51cbc41b4223ad46713ce', 1.0);
INSERT INTO exemplar VALUES (109, 1, 2, 2, 1, 1, 4, X'00000010000000180000001900000008', X'3ef53b893d313f37', X'0003000100020001', X'00000000', X'7801012c00d3ff49b3492ea8b7f53e0db864bbbf34893bdfb3c5b415b9c63ad0b3213c313da0b61caaf9b425b7373f9eb66f2af39915d0', 0.25);
INSERT INTO exemplar VALUES (110, 2, 2, 2, 1, 1, 3, X'0000000f000000110000001a', X'38563e523c83', X'000100010002', X'000000', X'7801cbb30eb3b8b7317dafe98e3c53878d4176cf2d32f64cdd36d7acd9e6e81e00bbfd0d9d', 0.25);
INSERT INTO exemplar VALUES (111, 3, 2, 2, 1, 1, 4, X'0000000f000000190000000600000011', X'41cc3f433af93fc4', X'0001000500010001', X'00040000', X'7801012c00d3ff5d3ecc410db88d3c5b3e073c4e3f2439dc21e0bfabbb433fa8b3f93a2eb60230a7bd2fbcd734c43fc2ba6fb899e11425', 0.25);
INSERT INTO exemplar VALUES (112, 4, 2, 2, 1, 1, 4, X'00000007000000060000001000000018', X'a9a13c46b0ad3e4b', X'0005000200050003', X'00000000', X'7801013000cfff13b897af8fb1a3b7aeb9a1a9fa40b3b3463c1ab63f3a3d37db369db6cfb686ba67bdadb0953d25b45dba4b3e5bbc55bf7f26195c', 0.25);
INSERT INTO exemplar VALUES (113, 1, 2, 2, 1, -1, 4, X'000000190000001a0000000800000011', X'b8b630efbd17bee4', X'0002000100010002', X'00000000', X'7801012400dbff60394db6b6b85db87cb4c63944b6ef30d13b6434103417bd9641bbb8653e7d31e4be3d35424810d3', 0.25);
INSERT INTO exemplar VALUES (114, 2, 2, 2, 1, -1, 3, X'00000008000000060000001a', X'bd4fc0abb857', X'000200050003', X'000000', X'78014b329e6fe7bfb744f7f8ee844d1c36020efa16ab0f889a67aff96012be0300a46b0bb0', 0.25);
INSERT INTO exemplar VALUES (115, 3, 2, 2, 1, -1, 4, X'0000000800000019000000060000001a', X'bca3b83fc19ebf2c', X'0001000500030002', X'00040000', X'7801012800d7ffbeaca3bcdbb4ad39abbb3e38d2b61c34b4323fb869bc643fd9bc9ec1c0b7ae38793fd3392cbf5739cc341528', 0.25);
INSERT INTO exemplar VALUES (116, 4, 2, 2, 1, -1, 4, X'00000008000000100000001800000007', X'bca8b977c03abdd6', X'0003000100030001', X'00000000', X'7801012c00d3ff402892b6df38a8bc623677b9953bdd3444ae213b82be92be3ebd3ac00f24052c56bed6bd3fbadebcd634c0b6d3c015c6', 0.25);
INSERT INTO exemplar VALUES (117, 1, 2, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'b8bd39ee3df135db', X'0001000300030001', X'00000000', X'7801012c00d3ff49babdb830bc0fbc60ba6cba47b00133a8bcee39633144bdd7b589bc76bbf13ddfb3bab8aabedb35fac09ab411f9196f', 0.25);
INSERT INTO exemplar VALUES (118, 2, 2, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'40213a012f873c93', X'0005000300030001', X'00000000', X'7801012c00d3ff1a321dbe1bbe7732fd3821400dbfafbc35b1013aa5bd68bf753321acf4b0872febb27cbe15b7933c7c398428a64f13c3', 0.25);
INSERT INTO exemplar VALUES (119, 3, 2, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'2e9d387432ed3a78', X'0004000300020001', X'00040000', X'7801012c00d3ffd93bf9b882b5a2be9d2e8eb4d4b7eeb62c2c743839b484bdcf370eb5ed3261b57ebbf5b111bf783a74bfa6b13ad818b4', 0.25);
INSERT INTO exemplar VALUES (120, 4, 2, 2, 2, 0, 4, X'000000180000000f0000001900000011', X'32733ed528203fc0', X'0004000400030003', X'00000000', X'7801012c00d3ff56bbddb7d6bb4db77332db3048386eb7a3b39b36d53ea83d89b8beb811ba202871bed72392bc17b45239c03f10761645', 0.25);
INSERT INTO peak_token VALUES (1, 1, -1, 'Paris', 1);
INSERT INTO peak_token VALUES (1, 1, -1, 'river', 1);
INSERT INTO peak_token VALUES (1, 1, -1, 'über', 1);
INSERT INTO peak_token VALUES (1, 1, -1, '–', 1);
INSERT INTO peak_token VALUES (1, 1, 1, 'Paris', 2);
INSERT INTO peak_token VALUES (1, 1, 1, 'river', 1);
INSERT INTO peak_token VALUES (1, 1, 1, '河', 1);
INSERT INTO peak_token VALUES (1, 2, -1, 'flows;', 1);
INSERT INTO peak_token VALUES (1, 2, -1, '–', 1);
INSERT INTO peak_token VALUES (1, 2, -1, '河', 1);
INSERT INTO peak_token VALUES (1, 2, 1, 'flows;', 1);
INSERT INTO peak_token VALUES (1, 2, 1, 'the', 1);
INSERT INTO peak_token VALUES (1, 2, 1, '🧊', 1);
INSERT INTO peak_token VALUES (1, 3, -1, 'Paris', 2);
INSERT INTO peak_token VALUES (1, 3, -1, 'river', 2);
INSERT INTO peak_token VALUES (1, 3, 1, 'froze', 1);
INSERT INTO peak_token VALUES (1, 3, 1, 'in', 2);
INSERT INTO peak_token VALUES (1, 3, 1, 'river', 1);
INSERT INTO peak_token VALUES (1, 4, -1, '''quotes''', 1);
INSERT INTO peak_token VALUES (1, 4, -1, 'Paris', 1);
INSERT INTO peak_token VALUES (1, 4, -1, 'river', 1);
INSERT INTO peak_token VALUES (1, 4, -1, '河', 1);
INSERT INTO peak_token VALUES (1, 4, 1, 'flows;', 1);
INSERT INTO peak_token VALUES (1, 4, 1, 'über', 1);
INSERT INTO peak_token VALUES (1, 4, 1, '–', 1);
INSERT INTO peak_token VALUES (1, 4, 1, '河', 1);
INSERT INTO peak_token VALUES (2, 1, -1, 'Paris', 1);
INSERT INTO peak_token VALUES (2, 1, -1, 'river', 1);
INSERT INTO peak_token VALUES (2, 1, -1, 'über', 1);
INSERT INTO peak_token VALUES (2, 1, -1, '–', 1);
INSERT INTO peak_token VALUES (2, 1, 1, 'Paris', 2);
INSERT INTO peak_token VALUES (2, 1, 1, 'river', 1);
INSERT INTO peak_token VALUES (2, 1, 1, '河', 1);
INSERT INTO peak_token VALUES (2, 2, -1, 'flows;', 1);
INSERT INTO peak_token VALUES (2, 2, -1, '–', 1);
INSERT INTO peak_token VALUES (2, 2, -1, '河', 1);
INSERT INTO peak_token VALUES (2, 2, 1, 'flows;', 1);
INSERT INTO peak_token VALUES (2, 2, 1, 'the', 1);
INSERT INTO peak_token VALUES (2, 2, 1, '🧊', 1);
INSERT INTO peak_token VALUES (2, 3, -1, 'Paris', 2);
INSERT INTO peak_token VALUES (2, 3, -1, 'river', 2);
INSERT INTO peak_token VALUES (2, 3, 1, 'froze', 1);
INSERT INTO peak_token VALUES (2, 3, 1, 'in', 2);
INSERT INTO peak_token VALUES (2, 3, 1, 'river', 1);
INSERT INTO peak_token VALUES (2, 4, -1, '''quotes''', 1);
INSERT INTO peak_token VALUES (2, 4, -1, 'Paris', 1);
INSERT INTO peak_token VALUES (2, 4, -1, 'river', 1);
INSERT INTO peak_token VALUES (2, 4, -1, '河', 1);
INSERT INTO peak_token VALUES (2, 4, 1, 'flows;', 1);
INSERT INTO peak_token VALUES (2, 4, 1, 'über', 1);
INSERT INTO peak_token VALUES (2, 4, 1, '–', 1);
INSERT INTO peak_token VALUES (2, 4, 1, '河', 1);
INSERT INTO token_response VALUES (1, 1, -1, 5, X'0000dea90000aa660000eb2a00000e390000d9be', X'3f3401f6bfb42d55bfa45e3cbf0266a7be9bcc9d', X'bf0bd478bf07a2773f6a84ecbd8935de3e1982b4', X'0000000400000001000000080000000100000001');
INSERT INTO token_response VALUES (1, 1, 1, 5, X'0000935d0000d12600009792000048c50000d1ba', X'bf2d08d73e048cf03fc62b383e9f27023fda87a7', X'3ec7ee2c3f9ac48c3f8691dabfa9f3723d9d305c', X'0000000500000008000000080000000500000003');
INSERT INTO token_response VALUES (1, 2, -1, 5, X'0000dea90000aa660000eb2a00000e390000d9be', X'3f3401f6bfb42d55bfa45e3cbf0266a7be9bcc9d', X'bf0bd478bf07a2773f6a84ecbd8935de3e1982b4', X'0000000400000001000000080000000100000001');
INSERT INTO token_response VALUES (1, 2, 1, 5, X'0000935d0000d12600009792000048c50000d1ba', X'bf2d08d73e048cf03fc62b383e9f27023fda87a7', X'3ec7ee2c3f9ac48c3f8691dabfa9f3723d9d305c', X'0000000500000008000000080000000500000003');
INSERT INTO token_response VALUES (2, 1, -1, 5, X'00003647000028ad0000c8280000d9be0000f4b9', X'beff24f93fc4ae61c04bb2013f1a4ee6be298d1e', X'befa70123fd8b25abf6457ddbec476cd3f36381f', X'0000000200000002000000070000000100000008');
INSERT INTO token_response VALUES (2, 1, 1, 3, X'0000c0dd00000b13000000bf', X'3f1d99093f9f224d3f863e2e', X'3f11b36abfa675cdc01afe14', X'000000070000000200000008');
INSERT INTO token_response VALUES (2, 2, -1, 5, X'00003647000028ad0000c8280000d9be0000f4b9', X'beff24f93fc4ae61c04bb2013f1a4ee6be298d1e', X'befa70123fd8b25abf6457ddbec476cd3f36381f', X'0000000200000002000000070000000100000008');
INSERT INTO token_response VALUES (2, 2, 1, 3, X'0000c0dd00000b13000000bf', X'3f1d99093f9f224d3f863e2e', X'3f11b36abfa675cdc01afe14', X'000000070000000200000008');
INSERT INTO token_response VALUES (3, 1, 1, 5, X'000018d00000c0dd0000aa660000092e0000f4b9', X'c00232ab3ee6de263eb49483bf21d8f7bf3aa96a', X'3f1be2f23f867ce5bf75a897bf3732de3f8b9b03', X'0000000100000002000000030000000700000003');
INSERT INTO token_response VALUES (3, 2, 1, 5, X'000018d00000c0dd0000aa660000092e0000f4b9', X'c00232ab3ee6de263eb49483bf21d8f7bf3aa96a', X'3f1be2f23f867ce5bf75a897bf3732de3f8b9b03', X'0000000100000002000000030000000700000003');
INSERT INTO token_response VALUES (4, 1, -1, 5, X'00003f100000321d0000ffaf0000a7fe0000321d', X'beae6167401c28c1bf1588e5bfb5a6463f6bd25b', X'bea035f13d6299644013eadebd93d426bd016ef5', X'0000000300000004000000010000000600000003');
INSERT INTO token_response VALUES (4, 1, 1, 5, X'0000d126000102d00000eb2a00007910000018d0', X'3f23e3b83f3fde8ebf8ee2fbbd9e7094bdef767c', X'be706c4f3ee0ee94c038e536bf2622503f4d8da7', X'0000000100000001000000060000000800000005');
INSERT INTO token_response VALUES (4, 2, -1, 5, X'00003f100000321d0000ffaf0000a7fe0000321d', X'beae6167401c28c1bf1588e5bfb5a6463f6bd25b', X'bea035f13d6299644013eadebd93d426bd016ef5', X'0000000300000004000000010000000600000003');
INSERT INTO token_response VALUES (4, 2, 1, 5, X'0000d126000102d00000eb2a00007910000018d0', X'3f23e3b83f3fde8ebf8ee2fbbd9e7094bdef767c', X'be706c4f3ee0ee94c038e536bf2622503f4d8da7', X'0000000100000001000000060000000800000005');
INSERT INTO layer_sketch VALUES (1, 0, 100, X'1a07f1f006171de8d8121aed25e3d9d2fb1f2217261734202905fbedcfec0204eddbfafc2fe9fa1906fc10f5f0062bfefff52016fb0710360910def3ed09020c1cfc0715ef01e80c37fe260c190cf6dc07010afc121303f021d7ea1a27f6e724e7180208ec24211b342be1de12141b0913e30afb2117ef08e5f3f005f22e17db250dd7df061703da010030eafa02f60dd7efe2080d150430e0e7eff730fde916fb0a0dffe0fe0c0d0701010408d92c05f8e7eaed050af611fef3f1ff021ee8e8da01023bf2e21502f1ca120df3df18011101d315dd100be600e9e1e40904d7f4e80dfaebfe0e231f140def0e010300f711f230320a0aeb07360bdc0bfbe6270317e323f41ccaf8e1f7ee02e8e616e8d3270e000e37ef0bf304030816e0201ae1e0f10f1a0be71309f0f5cf04e310f0f1ea0226e4e91c18ed24ef091beb0b121223fc3104f9e9f221fa0cba1ccc0ed9ec041bf8f1f71aeafbe8d60312fac4e241f5fade123106fa02da0c17fcf31009ff1507bfdd050cf3fb04dfe521d9f80cf514e220e631e0fde8f034e0faf53e1ecc2ffcd51917fcdbe4341e13ff0201b5f71911140119e01cfcf610f401fde90903efe1f00cf234dfe6f814fde8db13fd0012dcf21a0d06df061efefbf1e3e5e7fd200af6030429b60be913fffbf3f0f8e7ee03e405171f0ace02ffc3f3f13df1e60d08d134fbf0da17ff18f817021801ea01df0005b700140a0f13efe722ed0f06f5e3fcf42128f6d30b01fe08e6dafd201ef6f6f0fe0016e0dc04eff220df0f08e7b7100719e9e609f21704f03102d7ea16d80224eed9faef0febbcf71ae9d118c9091ef92ce809e2e9ea1308f20805e507fb05f01ccae51a09d3fff8111f0feb3212f213f6f32910cf210b08f52a1607ee0ff7f70ffff9010e0704e60704200a0a4ff807eee0f43510d60a080214fff9fae209de0fef102714cfe4b914effc030bf0e2d8d8f7073207ed18f93ae919100b11faf2d714121a05f5f30915fa1b13f8c0e7e60c340703ff021519fe0d06e8e40cee11fcfcf32815fdeaf8d6e3ee11f81b20f0fdf6eedd13e7fa0cebf6ff1100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO layer_sketch VALUES (2, 0, 100, X'1a07f1f006171de8d8121aed25e3d9d2fb1f2217261734202905fbedcfec0204eddbfafc2fe9fa1906fc10f5f0062bfefff52016fb0710360910def3ed09020c1cfc0715ef01e80c37fe260c190cf6dc07010afc121303f021d7ea1a27f6e724e7180208ec24211b342be1de12141b0913e30afb2117ef08e5f3f005f22e17db250dd7df061703da010030eafa02f60dd7efe2080d150430e0e7eff730fde916fb0a0dffe0fe0c0d0701010408d92c05f8e7eaed050af611fef3f1ff021ee8e8da01023bf2e21502f1ca120df3df18011101d315dd100be600e9e1e40904d7f4e80dfaebfe0e231f140def0e010300f711f230320a0aeb07360bdc0bfbe6270317e323f41ccaf8e1f7ee02e8e616e8d3270e000e37ef0bf304030816e0201ae1e0f10f1a0be71309f0f5cf04e310f0f1ea0226e4e91c18ed24ef091beb0b121223fc3104f9e9f221fa0cba1ccc0ed9ec041bf8f1f71aeafbe8d60312fac4e241f5fade123106fa02da0c17fcf31009ff1507bfdd050cf3fb04dfe521d9f80cf514e220e631e0fde8f034e0faf53e1ecc2ffcd51917fcdbe4341e13ff0201b5f71911140119e01cfcf610f401fde90903efe1f00cf234dfe6f814fde8db13fd0012dcf21a0d06df061efefbf1e3e5e7fd200af6030429b60be913fffbf3f0f8e7ee03e405171f0ace02ffc3f3f13df1e60d08d134fbf0da17ff18f817021801ea01df0005b700140a0f13efe722ed0f06f5e3fcf42128f6d30b01fe08e6dafd201ef6f6f0fe0016e0dc04eff220df0f08e7b7100719e9e609f21704f03102d7ea16d80224eed9faef0febbcf71ae9d118c9091ef92ce809e2e9ea1308f20805e507fb05f01ccae51a09d3fff8111f0feb3212f213f6f32910cf210b08f52a1607ee0ff7f70ffff9010e0704e60704200a0a4ff807eee0f43510d60a080214fff9fae209de0fef102714cfe4b914effc030bf0e2d8d8f7073207ed18f93ae919100b11faf2d714121a05f5f30915fa1b13f8c0e7e60c340703ff021519fe0d06e8e40cee11fcfcf32815fdeaf8d6e3ee11f81b20f0fdf6eedd13e7fa0cebf6ff1100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO ngram VALUES (1, 2, 1, 0, 'river', 1.5, 2.5, 7);
INSERT INTO ngram VALUES (1, 2, 1, 1, 'the river', 1.25, 2.0, 3);
INSERT INTO run VALUES (1, 'run-key', 'sweep', 'done', '{"a": 1}', '{"numpy": "2"}', '{"explained": 4, "failed: parse_failed": 1}', '', '2026-11-25T03:23:36.144+00:00', '2026-11-25T03:23:36.187+00:00', '', 0, '2026-11-25T03:23:36.187+00:00', NULL, 0);
INSERT INTO run VALUES (2, 'other-key', 'score', 'running', '{"b": [2]}', '{"numpy": "2"}', '{}', '', '2026-11-25T03:23:36.188+00:00', NULL, '', 0, '2026-11-25T03:23:36.188+00:00', '{"done": 1, "total": 2}', 1);
INSERT INTO explanation VALUES (1, 'tiny/0/0 ngram rivers and the ice', 2, 1, 1, 'ngram', NULL, '{"k": 2}', NULL, NULL, 'rivers and the ice', '{"n": [1]}', 1.5, 'ok', NULL, NULL, NULL, NULL, 1, '2026-11-25T03:23:36.155+00:00');
INSERT INTO explanation VALUES (2, 'tiny/0/0 token-activation rivers that freeze – naïve “ice”', 2, 1, 1, 'token-activation', 'openai:m@http://here/v1', '{"k": 2}', NULL, NULL, 'rivers that freeze – naïve “ice”', '{"n": [1]}', 1.5, 'ok', NULL, NULL, NULL, NULL, 1, '2026-11-25T03:23:36.156+00:00');
INSERT INTO explanation VALUES (3, 'tiny/0/1- ngram the city of Paris', 2, 2, -1, 'ngram', NULL, '{"k": 2}', NULL, NULL, 'the city of Paris', '{"n": [1]}', 1.5, 'ok', NULL, NULL, NULL, NULL, 1, '2026-11-25T03:23:36.156+00:00');
INSERT INTO explanation VALUES (4, 'failed-key', 2, 3, 1, 'ngram', NULL, '{}', NULL, NULL, '', NULL, 1.5, 'failed', 'parse_failed', 'no sentence', '<raw �>', NULL, 1, '2026-11-25T03:23:36.156+00:00');
INSERT INTO explanation VALUES (5, 'other-failure', 2, 4, -1, 'ngram', NULL, '{}', NULL, NULL, '', NULL, 1.5, 'failed', 'dead_neuron', 'no sentence', '<raw �>', NULL, 1, '2026-11-25T03:23:36.163+00:00');
INSERT INTO explanation VALUES (6, 'failed-key', 2, 3, 1, 'ngram', NULL, '{}', NULL, NULL, 'a river, mended', NULL, 1.5, 'ok', NULL, NULL, NULL, NULL, 1, '2026-11-25T03:23:36.163+00:00');
INSERT INTO explanation VALUES (7, 'tiny/0/1- ngram the city of Paris', 2, 2, -1, 'ngram', NULL, '{"k": 2}', NULL, NULL, 'Paris, the city of lights', '{"n": [1]}', 1.5, 'ok', NULL, NULL, NULL, NULL, 1, '2026-11-25T03:23:36.164+00:00');
INSERT INTO explanation VALUES (8, 'ddc9e669194254cef019a29d3619a2c16592e5d52e1a81e98b01bd52319149a3', 2, 1, 1, 'token-activation', 'openai:m@http://here/v1', '{"k": 3}', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'revised: rivers', NULL, 2.5, 'ok', NULL, NULL, NULL, 2, 1, '2026-11-25T03:23:36.164+00:00');
INSERT INTO simulation VALUES (1, 1, '1 sparse test', 'test', 'sparse', 'openai:m', '{"repair": 1}', 3, X'0000001a0000000800000007', X'7801636058edb4da8dc193014e333830b830b83178307802005dbd05aa', 1, '2026-11-25T03:23:36.171+00:00');
INSERT INTO simulation VALUES (2, 1, 'newer', 'test', 'ngram', 'openai:m', '{"repair": 1}', 3, X'0000001a0000000800000007', X'7801636058edb4da8dc193014e333830b830b83178307802005dbd05aa', 1, '2026-11-25T03:23:36.172+00:00');
INSERT INTO simulation VALUES (3, 2, '2 sparse select', 'select', 'sparse', 'openai:m', '{"repair": 1}', 3, X'000000170000000500000004', X'7801636058edb4da8dc193014e333830b830b83178307802005dbd05aa', 1, '2026-11-25T03:23:36.179+00:00');
INSERT INTO simulation VALUES (4, 2, '2 sparse test', 'test', 'sparse', 'openai:m', '{"repair": 1}', 3, X'0000001a0000000800000007', X'7801636058edb4da8dc193014e333830b830b83178307802005dbd05aa', 1, '2026-11-25T03:23:36.179+00:00');
INSERT INTO simulation VALUES (5, 7, '7 sparse test', 'test', 'sparse', 'openai:m', '{"repair": 1}', 3, X'0000001a0000000800000007', X'7801636058edb4da8dc193014e333830b830b83178307802005dbd05aa', 1, '2026-11-25T03:23:36.180+00:00');
INSERT INTO simulation VALUES (6, 8, 'partial', 'test', 'sparse', 'openai:m', '{"repair": 1}', 2, X'0000000800000007', X'7801636058edb4da8dc1938181c181c185c18dc183c1130029960383', 1, '2026-11-25T03:23:36.180+00:00');
INSERT INTO simulation_failure VALUES (6, 26, 'bad_levels', 'eleven', '11');
INSERT INTO score VALUES (1, 1, 1, '1 sparse test', 'correlation', 'sparse', 'openai:m', 'test', 0.5, NULL, 0.25, 0.75, 0.05, 0.4, 20, 0.25, NULL, 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.172+00:00');
INSERT INTO score VALUES (2, 1, 1, '1 sparse test', 'explained_variance', 'sparse', 'openai:m', 'test', NULL, 'constant_simulation', NULL, NULL, 0.05, NULL, 20, 0.25, NULL, 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.172+00:00');
INSERT INTO score VALUES (3, 1, 2, 'newer', 'correlation', 'ngram', 'openai:m', 'test', 0.125, NULL, NULL, NULL, 0.05, NULL, 20, 0.25, NULL, 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.173+00:00');
INSERT INTO score VALUES (4, 2, 3, '2 sparse select', 'correlation', 'sparse', 'openai:m', 'select', -0.25, NULL, NULL, NULL, NULL, NULL, 0, NULL, 'no_others', 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.179+00:00');
INSERT INTO score VALUES (5, 2, 3, '2 sparse select', 'correlation_random', 'sparse', 'openai:m', 'select', 0.75, NULL, NULL, NULL, 0.05, NULL, 20, 0.25, NULL, 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.179+00:00');
INSERT INTO score VALUES (6, 2, 4, '2 sparse test', 'correlation', 'sparse', 'openai:m', 'test', 0.875, NULL, NULL, NULL, 0.05, NULL, 20, 0.25, NULL, 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.179+00:00');
INSERT INTO score VALUES (7, 2, 4, '2 sparse test', 'correlation_random', 'sparse', 'openai:m', 'test', 0.75, NULL, NULL, NULL, 0.05, NULL, 20, 0.25, NULL, 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.179+00:00');
INSERT INTO score VALUES (8, 7, 5, '7 sparse test', 'correlation', 'sparse', 'openai:m', 'test', NULL, 'constant_simulation', NULL, NULL, 0.05, NULL, 20, 0.25, NULL, 0.3, 24, 7, 1.0, 1, '2026-11-25T03:23:36.180+00:00');
INSERT INTO score VALUES (9, 8, 6, 'partial', 'correlation', 'sparse', 'openai:m', 'test', 1.0, NULL, NULL, NULL, 0.05, NULL, 20, 0.25, NULL, 0.3, 24, 7, 0.5, 1, '2026-11-25T03:23:36.181+00:00');
INSERT INTO review VALUES (1, 1, 'ada', 'good', 'says it – all', 12.5, '2026-03-01T12:34:56.789+00:00');
INSERT INTO review VALUES (2, 1, 'bob', 'partly', '', NULL, '2026-03-01T12:34:56.789+00:00');
INSERT INTO review VALUES (3, 3, 'ada', 'wrong', 'of the older version', 3.0, '2026-03-01T12:34:56.789+00:00');
INSERT INTO llm_source VALUES (1, 'openai:m@http://here/v1', 'http://here/v1');
INSERT INTO llm_source VALUES (2, 'local:x', '');
INSERT INTO llm_call VALUES (1, X'1111111111111111111111111111111111111111111111111111111111111111', X'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 1, 1, 'explain', 'ok', 0, X'78018bae562acacf4955b252502aae2c2e49cd55d251504acecf2b49cd2b010946e6972a149794a6542ae4a59616e5e715eb29d5ea2820349516a716a169492b3abc0d68524e494c89654cdea3863999c9a98f1ae6c694181a28d5c6020080c12870', 'rivers that freeze', 'stop', NULL, 21, 3, 4, 1, 123457, 12.5, 2, 'm-2', 1772368496789);
INSERT INTO llm_call VALUES (2, X'2222222222222222222222222222222222222222222222222222222222222222', X'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 2, NULL, 'explain', 'failed', 0, X'78018bae562acacf4955b252502aae2c2e49cd55d251504acecf2b49cd2b010946e6972a149794a6542ae4a59616e5e715eb29d5ea2820349516a716a169492b3abc0d68524e494c89654cdea3863999c9a98f1ae6c694181a28d5c6020080c12870', '<html>', NULL, 'broken', NULL, 3, 4, 1, NULL, 12.5, 2, 'm-2', 1772368496789);
INSERT INTO llm_call VALUES (3, X'3333333333333333333333333333333333333333333333333333333333333333', X'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 1, 1, 'explain', 'ok', 1, '[{"role": "system", "content": "You study neurons."}, {"role": "user", "content": "fröstelt\t9\n“ice”\t10"}]', 'no sentence', 'length', NULL, 21, 3, 4, 1, 123457, 12.5, 2, 'm-2', 1772368496789);
INSERT INTO llm_probe VALUES (1, 1, 1, '{"logprobs": true}', 1772368496789);
INSERT INTO batch_request VALUES (X'4444444444444444444444444444444444444444444444444444444444444444', X'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 1, 2, 'explain', X'7801ab56ca53b25230ac05000a330236', 'requests-1.jsonl', 1, 3, 1772368496789);
INSERT INTO batch_result VALUES ('results-1.jsonl m', 120);
INSERT INTO ngram_set VALUES (1, 1, '5555555555555555555555555555555555555555555555555555555555555555', 15);
INSERT INTO ngram_text VALUES (1, 0, 'the', 15);
INSERT INTO ngram_text VALUES (1, 1, 'river', 14);
INSERT INTO ngram_text VALUES (1, 2, 'the river', 13);
INSERT INTO ngram_text VALUES (1, 3, 'naïve', 12);
INSERT INTO ngram_text VALUES (1, 4, 'the river froze', 11);
INSERT INTO ngram_text VALUES (1, 5, 'in', 10);
INSERT INTO ngram_text VALUES (1, 6, 'in paris', 9);
INSERT INTO ngram_text VALUES (1, 7, '''quotes''', 8);
INSERT INTO ngram_text VALUES (1, 8, '河', 7);
INSERT INTO ngram_text VALUES (1, 9, 'ice 🧊', 6);
INSERT INTO ngram_text VALUES (1, 10, 'ice', 5);
INSERT INTO ngram_text VALUES (1, 11, 'cold ice', 4);
INSERT INTO ngram_text VALUES (1, 12, 'the ice', 3);
INSERT INTO ngram_text VALUES (1, 13, 'of the ice', 2);
INSERT INTO ngram_text VALUES (1, 14, 'ice melts', 1);
INSERT INTO ngram_word VALUES (1, '''', 1);
INSERT INTO ngram_word VALUES (1, 'cold', 1);
INSERT INTO ngram_word VALUES (1, 'froze', 1);
INSERT INTO ngram_word VALUES (1, 'ice', 6);
INSERT INTO ngram_word VALUES (1, 'in', 2);
INSERT INTO ngram_word VALUES (1, 'melts', 1);
INSERT INTO ngram_word VALUES (1, 'naïve', 1);
INSERT INTO ngram_word VALUES (1, 'of', 1);
INSERT INTO ngram_word VALUES (1, 'paris', 1);
INSERT INTO ngram_word VALUES (1, 'quotes', 1);
INSERT INTO ngram_word VALUES (1, 'river', 3);
INSERT INTO ngram_word VALUES (1, 'the', 5);
INSERT INTO ngram_word VALUES (1, '河', 1);
INSERT INTO ngram_word VALUES (1, '🧊', 1);
INSERT INTO ngram_pass VALUES (1, 'pass-key', 2, 1, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'd649af10092110285642f34071b5774203b6ebbf624e6bffd632e793d5fcc7db', '5555555555555555555555555555555555555555555555555555555555555555', '{"splits": ["explain"], "orders": 3}', 6, 1, '2026-11-25T03:23:36.221+00:00');
INSERT INTO ngram_list VALUES (1, 1, -1, 0, 6, X'0000000c0000000000000005000000040000000a00000007', 0, X'3bdb3bd33a2e38b838921e90', X'3e583de83db73db23d913c4c');
INSERT INTO ngram_list VALUES (1, 1, -1, 1, 6, X'000000070000000000000001000000040000000200000006', 0, X'3b533b4d3a2130142cb52c80', X'3f743ee83e5b3d1f3cc33c82');
INSERT INTO ngram_list VALUES (1, 1, 1, 0, 6, X'000000020000000b000000030000000a0000000000000004', 0, X'3aa33a9536a535d729832119', X'3fa83f413f343e9f3e693ded');
INSERT INTO ngram_list VALUES (1, 1, 1, 1, 6, X'0000000a0000000700000006000000000000000e00000005', 0, X'3bf63b0a3a803582350e31d9', X'3f683efa3e2a3da13c733c00');
INSERT INTO ngram_list VALUES (2, 1, -1, 0, 4, X'000000010000000a000000040000000d', 0, X'396138d1389f351d', X'3fbc3f963f4c3ebc');
INSERT INTO ngram_list VALUES (2, 1, -1, 1, 4, X'0000000d0000000c000000080000000b', 0, X'3af33964391337f2', X'3f983ec93e423df0');
INSERT INTO ngram_list VALUES (2, 1, 1, 0, 4, X'000000020000000b0000000e00000005', 0, X'3b8d399f39393462', X'3ffa3f573f203d87');
INSERT INTO ngram_list VALUES (2, 1, 1, 1, 4, X'000000050000000b0000000700000000', 0, X'3bab3b683ae339fc', X'3fed3f603f493ed1');
INSERT INTO ngram_list VALUES (3, 1, -1, 0, 6, X'00000006000000080000000d00000005000000010000000b', 0, X'3bb339f43800363631ac2ca0', X'3f4e3f413ed93e473e213c29');
INSERT INTO ngram_list VALUES (3, 1, -1, 1, 6, X'0000000a000000080000000d000000060000000900000005', 0, X'3a5139b038a1380f375e2df0', X'3fc63eb33d743d523ccc3cb4');
INSERT INTO ngram_list VALUES (3, 1, 1, 0, 6, X'0000000c0000000200000007000000080000000e00000004', 0, X'3bd03aeb37d236e036182b9d', X'3f833f283ed53df13db13c59');
INSERT INTO ngram_list VALUES (3, 1, 1, 1, 6, X'00000007000000030000000a000000050000000600000008', 0, X'3b4839b8395c36543158b400', X'3feb3fe53fa83f043e043de8');
INSERT INTO ngram_list VALUES (4, 1, -1, 0, 0, X'', 0, X'', X'');
INSERT INTO ngram_list VALUES (4, 1, -1, 1, 0, X'', 0, X'', X'');
INSERT INTO ngram_list VALUES (4, 1, 1, 0, 6, X'000000060000000c00000007000000040000000200000003', 0, X'3b0d3ae83a35381634f13451', X'3f323f303dab3d733d4a3ce7');
INSERT INTO ngram_list VALUES (4, 1, 1, 1, 6, X'00000002000000090000000b000000010000000e00000006', 0, X'38a0387e3835383032362db1', X'3f753f123ece3e483d2d3c60');
INSERT INTO ngram_moments VALUES (1, 1, -0.27754660400863973, 0.7167506805637281, -0.25359403094902444, 0.9237453573751813, -0.3634565856991139, 0.34174265020613526, 13, 3);
INSERT INTO ngram_moments VALUES (2, 1, 0.057747582621306415, 0.6460450235663548, 0.07437804809793191, 0.15200790252253704, -0.18740435289882873, 0.2389437116912806, 13, 3);
INSERT INTO ngram_moments VALUES (3, 1, -0.48785347388638745, 0.6113386842752012, -0.10581323397110243, 0.5899605926495307, 0.21591784692549432, 0.8217920027302146, 7, 1);
INSERT INTO ngram_moments VALUES (4, 1, 0.21299363093792067, 0.07371643262453753, 0.492023228581445, 0.6962151061034566, 0.4011080934228366, 0.5849826802256783, 13, 9);
INSERT INTO look_alike VALUES (1, 2, -1, 3, 0.25, 1, X'00000001', X'3c00', X'b9b5', X'0002', X'00', X'7801e3dc797efbd69db9165c6bb6ef0000299f0681', NULL);
INSERT INTO look_alike VALUES (2, 2, -1, 3, 0.25, 0, X'', X'', X'', X'', X'', X'7801030000000001', 'no_quiet_span');
INSERT INTO look_alike VALUES (4, 2, -1, 3, 0.25, 3, X'000000120000000000000009', X'3a003800b000', X'bd4cbcefbeee', X'000100050003', X'000400', X'7801012400dbff6aba4cbdf3b3ba368b3c052f6cb847bafd398a3e5d34efbcabbb663e7e32eebe5bada7bc553112ef', NULL);
INSERT INTO output_token VALUES (1, 2, 2, X'0000000300000004', X'00010000', X'0001117000000005', X'bd00bc00', NULL);
INSERT INTO output_token VALUES (2, 2, 0, X'', X'', X'', X'', 'encoder');
INSERT INTO output_token VALUES (3, 2, 2, X'0001117000000003', X'41003c00', X'0000000500000004', X'fbffb800', NULL);
INSERT INTO vocabulary VALUES (1, 3, '
');
INSERT INTO vocabulary VALUES (1, 4, '<0xE6>');
INSERT INTO vocabulary VALUES (1, 5, 'naïve');
INSERT INTO vocabulary VALUES (1, 70000, ' river');
INSERT INTO explanation_fts (explanation_fts) VALUES ('rebuild');
CREATE UNIQUE INDEX collection_current ON collection (subject_id) WHERE current = 1;
CREATE INDEX peak_token_token ON peak_token (token);
CREATE INDEX explanation_key ON explanation ("key");
CREATE INDEX explanation_neuron_id ON explanation (neuron_id);
CREATE INDEX explanation_collection_id ON explanation (collection_id);
CREATE INDEX explanation_run_id ON explanation (run_id);
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
CREATE INDEX simulation_key ON simulation ("key");
CREATE INDEX simulation_explanation_id ON simulation (explanation_id);
CREATE INDEX simulation_run_id ON simulation (run_id);
CREATE INDEX score_explanation_id ON score (explanation_id, scorer);
CREATE INDEX score_run_id ON score (run_id);
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
CREATE INDEX llm_call_request ON llm_call (request);
CREATE INDEX llm_call_run_id ON llm_call (run_id, purpose, prompt_tokens, completion_tokens, cached_tokens, cost_nano);
CREATE INDEX llm_probe_run_id ON llm_probe (run_id);
CREATE INDEX batch_request_file ON batch_request (file);
CREATE INDEX run_run_key ON run (run_key);
CREATE INDEX explanation_failed ON explanation (run_id, reason) WHERE status = 'failed';
CREATE VIEW v_llm_calls AS
    -- Calls of language models.
SELECT
    llm_call.id AS call_id, -- identifies the call in this file
    lower(hex(llm_call.request)) AS request_sha256, -- of the model, the messages and every sampling setting
    llm_call.run_id AS run_id, -- see v_runs
    llm_call.purpose AS purpose, -- explain, simulate, repair or probe
    llm_source.model AS model, -- identity of the language model
    llm_call.prompt_tokens AS prompt_tokens, -- read by the model, NULL where unknown
    llm_call.completion_tokens AS completion_tokens, -- written by the model, NULL where unknown
    llm_call.cost_nano / 1e9 AS cost_usd, -- NULL where unknown
    llm_call.latency_ms AS latency_ms, -- from request to reply
    llm_call.status AS status, -- ok or failed
    llm_call.error AS error, -- what went wrong, NULL when ok
    strftime('%Y-%m-%dT%H:%M:%f+00:00', llm_call.created_ms / 1000.0, 'unixepoch') AS created_at, -- ISO time, UTC
    llm_source.endpoint AS endpoint, -- base URL that answered, empty where there is none
    llm_call.served_model AS served_model, -- the model's name in the server's answer
    llm_call.cached_tokens AS cached_tokens, -- prompt tokens that the server had in its cache, NULL where unknown
    llm_call.reasoning_tokens AS reasoning_tokens, -- completion tokens that are not in the reply, NULL where unknown
    llm_call.attempts AS attempts, -- requests that it took, retries included
    llm_call.finish_reason AS finish_reason, -- length where the reply was cut off
    lower(hex(llm_call.prompt)) AS prompt_sha256, -- of the rendered prompt
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
CREATE UNIQUE INDEX ngram_pass_current ON ngram_pass (collection_id) WHERE current = 1;
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
CREATE INDEX look_alike_n ON look_alike (n);
CREATE INDEX output_token_n ON output_token (n);
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
