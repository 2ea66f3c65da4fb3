"""The query language: what a text means, where a mistake is, and that no text does anything else."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from neuroexplain.catalogue.language import fields, grammar
from neuroexplain.catalogue.language.fields import HELP, SORTS
from neuroexplain.catalogue.language.grammar import (
    FIELDS,
    MAX_DEPTH,
    MAX_LENGTH,
    All,
    Either,
    Node,
    Not,
    Query,
    Term,
    Words,
    parse,
    pointer,
    unparse,
)
from neuroexplain.catalogue.language.query import leaves
from neuroexplain.errors import QueryError

ROOT = Path(__file__).parents[2]
HUGE = 2**63 - 1


# Columns say nothing about the meaning and are not compared; they have a test of their own.
def word(text: str) -> Words:
    return Words(text, "word", 0)


def words(text: str) -> list[Node]:
    return [word(w) for w in text.split()]


def phrase(text: str, *, star: bool = False) -> Words:
    return Words(text, "phrase", 0, star=star)


def prefix(text: str) -> Words:
    return Words(text, "prefix", 0)


def part(text: str) -> Words:
    return Words(text, "part", 0)


def term(field: str, value: str, op: str = ":") -> Term:
    return Term(field, op, value, 0, by="activations" if field == "similar" else "")


def both(*parts: Node) -> All:
    return All(parts)


def either(*parts: Node) -> Either:
    return Either(parts)


A, B, C, D = words("a b c d")

TREES: list[tuple[str, list[Node]]] = [
    # Words
    ("", []),
    (" \t\n\u3000\x1c", []),
    ("river", [word("river")]),
    ("RIVERS  and\nlakes", words("RIVERS and lakes")),
    ("or not", words("or not")),
    ("it's 50%", words("it's 50%")),
    ("well-known", words("well-known")),
    ("ORDER ANDY NOTE", words("ORDER ANDY NOTE")),
    ("+a a,", words("+a a,")),
    ("naïve 河 🧊", words("naïve 河 🧊")),
    ('5" lakes"rivers', words('5" lakes"rivers')),
    ("10:30 3:x 2001:db8::1", words("10:30 3:x 2001:db8::1")),
    ("a.b:c e.g.:x", words("a.b:c e.g.:x")),
    ("x=3 <b> <|endoftext|>", words("x=3 <b> <|endoftext|>")),
    ("\u202elakes", words("\u202elakes")),
    ('"river"', [phrase("river")]),
    ('"of ice"', [phrase("of ice")]),
    ('"of ice"*', [phrase("of ice", star=True)]),
    ('"b ""c"""', [phrase('b "c"')]),
    ('"(a OR b) layer:3 -x*"', [phrase("(a OR b) layer:3 -x*")]),
    ('"http://x" "AND"', [phrase("http://x"), phrase("AND")]),
    ('"two\nlines"', [phrase("two\nlines")]),
    ("riv* riv**", [prefix("riv"), prefix("riv")]),
    ("snow-wh* 50%*", [prefix("snow-wh"), prefix("50%")]),
    ("AND*", [prefix("AND")]),
    ("*ive* *ive **ive**", [part("ive"), part("ive"), part("ive")]),
    ("*été* *foo_bar*", [part("été"), part("foo_bar")]),
    ("a\0b", words("a b")),
    ('"a\0b"', [phrase("a b")]),
    ("a\ud800b", words("a\ufffdb")),
    # Fields
    ("layer:3", [term("layer", "3")]),
    ("layer:3..8 layer:0,2,5..6", [term("layer", "3..8"), term("layer", "0,2,5..6")]),
    ("idx>=2 run<9 layer>1", [term("idx", "2", ">="), term("run", "9", "<"), term("layer", "1", ">")]),
    ("layer:-1 layer:+1", [term("layer", "-1"), term("layer", "+1")]),
    (f"run:{HUGE}", [term("run", str(HUGE))]),
    ("score>=0.4 p<=.05 density<1e-3", [term("score", "0.4", ">="), term("p", ".05", "<="), term("density", "1e-3", "<")]),
    ("score:-0.2..0.4 score>-1.", [term("score", "-0.2..0.4"), term("score", "-1.", ">")]),
    ('layer:"3"', [term("layer", "3")]),
    ("explainer:ngram,fixed llm:openai:m", [term("explainer", "ngram,fixed"), term("llm", "openai:m")]),
    ('subject:"my model (2)" simulator:sparse', [term("subject", "my model (2)"), term("simulator", "sparse")]),
    ('token:"it ""is""" token:it"s', [term("token", 'it "is"'), term("token", 'it"s')]),
    ('token:" " ngram:" the ice" ngram:%', [term("token", " "), term("ngram", " the ice"), term("ngram", "%")]),
    ('token:"\0"', [term("token", " ")]),
    ("polarity:- polarity:+", [term("polarity", "-"), term("polarity", "+")]),
    ("state:failed state:reviewed,failed state:any", [term("state", "failed"), term("state", "reviewed,failed"), term("state", "any")]),
    ("verdict:good,bad tag:geography", [term("verdict", "good,bad"), term("tag", "geography")]),
    ('meaning:"frozen water" activates:"The river"', [term("meaning", "frozen water"), term("activates", "The river")]),
    ("similar:minilm/3/17+ similar:a/b/0/1", [term("similar", "minilm/3/17+"), term("similar", "a/b/0/1")]),
    # Negation
    ("-a", [Not(A)]),
    ("NOT a", [Not(A)]),
    ("NOT NOT a --a -(-a) NOT -(NOT (-a))", [A, A, A, A]),
    ("---a", [Not(A)]),
    ('-"of ice" -riv* -*ive*', [Not(phrase("of ice")), Not(prefix("riv")), Not(part("ive"))]),
    ("-layer:3 NOT score>0.4", [Not(term("layer", "3")), Not(term("score", "0.4", ">"))]),
    ("-5 -10:30", [Not(word("5")), Not(word("10:30"))]),
    ("-(a b)", [Not(both(A, B))]),
    ("-(a)", [Not(A)]),
    ("NOT(a OR b)", [Not(either(A, B))]),
    ("NOT a b", [Not(A), B]),
    # AND, OR and parentheses
    ("a AND b", [A, B]),
    ("a b AND c", [A, B, C]),
    ("a OR b", [either(A, B)]),
    ("a OR b OR c", [either(A, B, C)]),
    ("a OR b c", [either(A, both(B, C))]),
    ("a b OR c AND d", [either(both(A, B), both(C, D))]),
    ("(a OR b) c", [either(A, B), C]),
    ("a (b OR c) d", [A, either(B, C), D]),
    ("a(b OR c)d", [A, either(B, C), D]),
    ("(a)OR(b)", [either(A, B)]),
    ("NOT a OR b", [either(Not(A), B)]),
    ("a OR NOT b c", [either(A, both(Not(B), C))]),
    ("(a OR (b OR c)) (d (a b))", [either(A, B, C), D, A, B]),
    ("a OR -(-(b OR c))", [either(A, B, C)]),
    ("((((a))))", [A]),
    ("(a b) OR (c OR d)", [either(both(A, B), C, D)]),
    ("a OR -(b OR c (d OR -a))", [either(A, Not(either(B, both(C, either(D, Not(A))))))]),
    ("(layer:3 OR explainer:ngram)-token:x", [either(term("layer", "3"), term("explainer", "ngram")), Not(term("token", "x"))]),
    ("layer:3(a)", [term("layer", "3"), A]),
    ('"a"("bc"*)', [phrase("a"), phrase("bc", star=True)]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "parts"), TREES)
def test_a_query_is_its_tree(query: str, parts: list[Node]) -> None:
    assert parse(query) == Query(All(tuple(parts)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a sort:score", Query(both(A), sort="score", descending=True)),
        ("a -sort:score", Query(both(A), sort="score", descending=False)),
        ("sort:-score", Query(both(), sort="score", descending=False)),
        ('-sort:"score"', Query(both(), sort="score", descending=False)),
        ("sort:p", Query(both(), sort="p", descending=False)),
        ("-sort:p", Query(both(), sort="p", descending=True)),
        ("sort:layer", Query(both(), sort="layer", descending=False)),
        ("sort:density", Query(both(), sort="density", descending=False)),
        ("sort:newest", Query(both(), sort="newest", descending=True)),
        ("sort:relevance", Query(both(), sort="relevance", descending=True)),
        ("sort:similarity", Query(both(), sort="similarity", descending=True)),
        ("sort:p sort:layer", Query(both(), sort="layer", descending=False)),
        ("sort:layer (sort:p a)", Query(both(A), sort="p", descending=False)),
        ("(sort:p a) sort:layer", Query(both(A), sort="layer", descending=False)),
        ("limit:20", Query(both(), limit=20)),
        ("limit:7 a limit:003", Query(both(A), limit=3)),
        ("limit:" + "9" * 50, Query(both(), limit=HUGE - 1)),
        ("scorer:detection", Query(both(), scorer="detection")),
        ('scorer:x scorer:"my scorer"', Query(both(), scorer="my scorer")),
        ("scorer:correlation", Query(both())),
        ("a AND sort:p AND b", Query(both(A, B), sort="p", descending=False)),
        # One that stands beside an OR without parentheses holds for both sides.
        ("a OR b limit:3", Query(both(either(A, B)), limit=3)),
        ("limit:3 a OR b", Query(both(either(A, B)), limit=3)),
        ("(a (limit:3 b))", Query(both(A, B), limit=3)),
    ],
)  # fmt: skip
def test_what_holds_for_the_whole_query_is_no_condition(query: str, expected: Query) -> None:
    assert parse(query) == expected


def test_by_says_what_similar_means() -> None:
    assert [t.by for t in parse("similar:m/0/1 layer:3").terms()] == ["activations", ""]
    assert [t.by for t in parse("by:text similar:m/0/1 -similar:m/0/2").terms()] == ["text"] * 2
    assert [t.by for t in parse("similar:m/0/1 by:activations").terms()] == ["activations"]


def test_terms_are_those_of_any_depth_in_order() -> None:
    query = parse("layer:1 a -(layer:2 OR (b layer:3)) NOT layer:4 sort:p")
    assert [t.value for t in query.terms()] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("a", [1]),
        ("  a\tb", [3, 5]),
        ('-a "b c" NOT d', [2, 4, 14]),
        ("(a OR(layer:3)) *ive*", [2, 7, 17]),
        ('河 token:"x y" score>0', [1, 3, 15]),
        ("\0a", [2]),
    ],
)
def test_words_and_terms_know_their_columns(query: str, columns: list[int]) -> None:
    assert [leaf.column for leaf in leaves(parse(query).where)] == columns


UNKNOWN = 'unknown field "{}"; known: activates, by, density, .*token, verdict'
MISTAKES: list[tuple[str, int, str]] = [
    # Fields and values
    ("lakes laier:3", 7, UNKNOWN.format("laier") + '; did you mean "layer"\\?; put it in quotes'),
    ("http://x", 1, UNKNOWN.format("http") + "; put it in quotes to look for the words"),
    ("-layr:3", 2, UNKNOWN.format("layr")),
    ("Layer:3", 1, 'did you mean "layer"'),
    ("my_field2:x", 1, UNKNOWN.format("my_field2")),
    ("a>b", 1, UNKNOWN.format("a")),
    ("layer:x", 1, 'layer: bad value "x"; valid: a whole number, for example 3, 3..8 or 3,5'),
    ("(a layer:3..)", 4, 'layer: bad value "3..";'),
    ("layer:..3", 1, 'bad value "..3"'),
    ("layer:8..3", 1, "valid: a range from the smaller to the larger number"),
    ("layer:1.5", 1, "a whole number"),
    ("layer:3,", 1, "a whole number"),
    ("layer:1_0", 1, "a whole number"),
    ("layer:٣", 1, "a whole number"),
    ("layer>=1,2", 1, "a whole number"),
    (f"layer:{HUGE + 1}", 1, "a whole number"),
    ("layer:" + "9" * 1900, 1, 'bad value "9{40}…"; valid: a whole number'),
    ("score>=nan", 1, "valid: a number, for example 0.4 or 0.2..0.4"),
    ("score>=inf", 1, "a number"),
    ("score>=1e999", 1, "a number"),
    ("score>=0.1..0.2", 1, "a number"),
    ("score:0.1,0.2", 1, "a number"),
    ("score>=", 1, "score has no value; write score>=VALUE without a space between"),
    ('score>=""', 1, "score has no value"),
    ("a layer: 3", 3, "layer has no value; write layer:VALUE without a space"),
    ("explainer:(a)", 1, "explainer has no value"),
    ("layer=3", 1, 'layer is compared without "="; write layer:VALUE, or -layer:VALUE'),
    ("a score!=3", 3, 'score is compared without "="'),
    ("-score=3", 2, 'score is compared without "="'),
    ("layer :3", 7, '":3" stands directly behind a field, as in layer:3'),
    ("score >= 0.4", 7, '">=" stands directly behind a field'),
    ("score >0.4", 7, '">0.4" stands directly behind a field'),
    ("layer = 3", 7, '"=" stands directly behind a field'),
    ("explainer>=x", 1, "explainer cannot be compared; write explainer:VALUE"),
    ("polarity>+", 1, "polarity cannot be compared"),
    ("limit<3", 1, "limit cannot be compared"),
    ("similar>m/0/1", 1, "similar cannot be compared"),
    ("explainer:, ", 1, "valid: a name, or several with commas between"),
    ("polarity:up", 1, 'polarity: bad value "up"; valid: \\+ and -'),
    ("state:done", 1, "valid: unreviewed, reviewed, failed, any, or several with commas between"),
    ("state:failed,done", 1, 'bad value "failed,done"'),
    ("sort:text", 1, "valid: score, p, layer, newest, density, relevance, similarity, -score"),
    ("-sort:-score", 1, 'sort: bad value "--score"'),
    ("limit:0", 1, "valid: a whole number from 1"),
    ("limit:many", 1, "a whole number from 1"),
    ("limit:-3", 1, "a whole number from 1"),
    ("limit:1..3", 1, "a whole number from 1"),
    ("similar:minilm/3", 1, "valid: SUBJECT/LAYER/INDEX with \\+ or - behind it, for example"),
    (f"similar:m/0/{HUGE + 1}", 1, "SUBJECT/LAYER/INDEX"),
    ('a meaning:" "', 3, 'meaning: bad value " "; valid: a text'),
    ('tag:" "', 1, "valid: a text"),
    ("by:text", 1, "write similar:SUBJECT/LAYER/INDEX too"),
    ("similar:m/0/1 by:words", 15, 'by: bad value "words"; valid: activations, text'),
    ("similar:m/0/1 by:text by:text", 23, "by may stand once only"),
    # Words
    ('river "lakes', 7, 'this quote is never closed; put a " behind the last word'),
    ('"', 1, "never closed"),
    ('"""', 1, "never closed"),
    ('a token:"it', 9, "never closed"),
    ('"a"b', 4, 'a space is missing behind the quote; a " within quotes is written twice'),
    ('token:"a",b', 10, "a space is missing"),
    ('"a b"*c', 7, "a space is missing"),
    ("a + b", 3, '"\\+" has no letter or digit, so it finds nothing; leave it out'),
    ("a - b", 3, "a minus stands directly before what must not be there, as in -river"),
    ("--", 2, "a minus stands directly"),
    ("(a -)", 4, "a minus stands directly"),
    ("*", 1, '"\\*" has no letter or digit'),
    ('""', 1, '"" has no letter or digit'),
    ('""""', 1, "has no letter or digit"),
    ("a " + "%" * 50, 3, f'"{"%" * 40}…" has no letter'),
    ("\u200f", 1, "has no letter or digit"),
    ("\ud800", 1, "has no letter or digit"),
    ("r*v*r", 1, 'a \\* goes before or behind a word, not within it'),
    ("r*", 1, "the beginning of a word is 2 or more letters and digits"),
    ("snow-w*", 1, "the beginning of a word"),
    ('"of i"*', 1, "the beginning of a word"),
    ("\uff9e*", 1, "the beginning of a word"),
    ("a *iv*", 3, "a part of a word is 3 or more letters and digits, such as \\*ive\\*"),
    ("*it's*", 1, "a part of a word"),
    # Structure
    ("a OR", 3, "OR has no condition behind it; in quotes it is a word"),
    ("OR a", 1, "OR has no condition before it"),
    ("OR OR", 1, "OR has no condition before it"),
    ("a OR OR b", 3, "OR has no condition behind it"),
    ("a AND", 3, "AND has no condition behind it"),
    ("AND a", 1, "AND has no condition before it"),
    ("a AND AND b", 7, "AND has no condition before it"),
    ("a AND OR b", 3, "AND has no condition behind it"),
    ("a OR AND b", 6, "AND has no condition before it"),
    ("NOT", 1, "NOT has no condition behind it"),
    ("a NOT NOT", 7, "NOT has no condition behind it"),
    ("NOT OR a", 1, "NOT has no condition behind it"),
    ("-AND", 1, "- has no condition behind it"),
    ("(a OR)", 4, "OR has no condition behind it"),
    ("(NOT)", 2, "NOT has no condition behind it"),
    ("b (a", 3, "this parenthesis is never closed"),
    ("((a)", 1, "never closed"),
    ("a) b", 2, "this parenthesis closes none"),
    ("a (b))", 6, "closes none"),
    (")", 1, "closes none"),
    ("a ()", 3, "there is nothing between the parentheses"),
    ("( )", 1, "nothing between"),
    ("a OR sort:p", 3, "OR has no condition behind it; sort, limit, scorer and by are none"),
    ("sort:p OR a", 8, "OR has no condition before it; sort, limit, scorer and by are none"),
    ("(a OR sort:p)", 7, "sort holds for the whole query; put it outside the parentheses"),
    ("(a limit:3) OR b", 4, "limit holds for the whole query"),
    ("NOT sort:p", 5, "sort holds for the whole query"),
    ("--sort:p", 2, "sort holds for the whole query"),
    ("-limit:3", 2, "limit holds for the whole query"),
    ("-(a scorer:x)", 5, "scorer holds for the whole query"),
    ("similar:m/0/1 -by:text", 16, "by holds for the whole query"),
    ("(" * 21 + "a" + ")" * 21, 21, "parentheses nest at most 20 deep"),
    ("-(" * 900, 42, "parentheses nest at most 20 deep"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "column", "message"), MISTAKES)
def test_a_mistake_is_one_line_with_its_column(query: str, column: int, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        parse(query)
    assert caught.value.column == column
    assert str(caught.value).endswith(f", at column {column}")
    assert "\n" not in str(caught.value)


def test_a_query_has_an_end() -> None:
    assert len(parse("a " * (MAX_LENGTH // 2)).where.parts) == MAX_LENGTH // 2
    message = "a query has at most 2000 characters, this one has 2001"
    with pytest.raises(QueryError, match=message) as caught:
        parse("a" * (MAX_LENGTH + 1))
    assert caught.value.column is None


def test_parentheses_nest_to_the_limit() -> None:
    text = "-(a OR b " * MAX_DEPTH + "c" + ")" * MAX_DEPTH
    query, depth = parse(text), 0
    node: Node = query.where
    while not isinstance(node, Words):
        depth += isinstance(node, Not)
        node = node.part if isinstance(node, Not) else node.parts[-1]  # type: ignore[union-attr]
    assert depth == MAX_DEPTH
    assert parse(unparse(query)) == query


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", ""),
        ("  a   b ", "a b"),
        ("NOT a AND NOT (b)", "-a -b"),
        ("((a) OR (b c))", "a OR b AND c"),
        ("(a OR b)c", "(a OR b) c"),
        ("NOT(a b)", "-(a AND b)"),
        ("*ive riv** \"ri\"*", '*ive* riv* "ri"*'),
        ('token:"x" token:"x y" token:"(" token:"""" token:it"s', 'token:x token:"x y" token:"(" token:"""" token:it"s'),
        ("sort:-score limit:9 limit:03 a", "a -sort:score limit:3"),
        ("sort:p b OR a", "b OR a sort:p"),
        ("sort:-layer", "-sort:layer"),
        ("scorer:correlation", ""),
        ('scorer:"my scorer"', 'scorer:"my scorer"'),
        ("by:text similar:m/0/1 a", "similar:m/0/1 a by:text"),
        ("by:activations similar:m/0/1", "similar:m/0/1"),
    ],
)  # fmt: skip
def test_a_meaning_has_one_text(query: str, text: str) -> None:
    assert unparse(parse(query)) == text
    assert parse(text) == parse(query)


@pytest.mark.parametrize("query", [q for q, _ in TREES])
def test_the_canonical_text_means_the_same(query: str) -> None:
    text = unparse(parse(query))
    assert parse(text) == parse(query)
    assert unparse(parse(text)) == text


@pytest.mark.parametrize(
    "query",
    ["*ive " * 400, "a(b OR c)" * 222, "a b OR " * 285 + "c", "NOT a OR " * 221 + "b", "-(a b)" * 333],
)  # fmt: skip
def test_the_canonical_text_of_a_long_query_fits(query: str) -> None:
    text = unparse(parse(query))
    assert len(text) <= MAX_LENGTH
    assert parse(text) == parse(query)


ALPHABET = [
    *('"', '""', "*", "(", ")", "-", "+", " ", " ", " ", "\t", "\n", "\0", "\x1b", "\x85", "\u200f"),
    *("\u202e", "\ud800", "\udfff", "\U0010ffff", "\u0301", "河", "🧊", "ß", "İ", "a", "b", "river"),
    *("AND", "OR", "NOT", " AND ", " OR ", " NOT ", " (", ") ", ":", "=", ">=", "<", ",", "..", "3"),
    *("layer:3", "-sort:p", "sort:", "limit:2", "by:text", "similar:m/0/1", 'token:"', "scorer:x"),
    *("state:any", "polarity:-", "score>=0.4", "%", "_", "\\", "'", ";", "^", "{", "*ive*", "riv*"),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_any_text_is_a_query_or_a_mistake(seed: int) -> None:
    chance = random.Random(seed)
    understood = 0
    for _ in range(2_500):
        text = "".join(chance.choices(ALPHABET, k=chance.randint(1, 14)))
        try:
            query = parse(text)
        except QueryError as error:
            assert error.column is not None
            assert 1 <= error.column <= len(text)
            shown, caret = pointer(text, error.column).splitlines()
            assert caret.endswith("^")
            shown.encode()
            continue
        understood += 1
        canonical = unparse(query)
        assert parse(canonical) == query
        assert len(canonical) <= 3 * len(text)
        canonical.encode()
        assert "\0" not in canonical
    assert understood > 200


@pytest.mark.parametrize("seed", range(4))
def test_any_tree_survives_its_text(seed: int) -> None:
    chance = random.Random(seed)

    def node(depth: int) -> str:
        shape = chance.random()
        if depth == 0 or shape < 0.4:
            return chance.choice(
                ["a", '"b ""c"', "riv*", "*ive*", "layer:3", "-p<1", 'token:"x )"']
            )
        parts = [node(depth - 1) for _ in range(chance.randint(1, 4))]
        joined = chance.choice([" ", " AND ", " OR "]).join(parts)
        return f"{chance.choice(['', '-', 'NOT ', 'NOT -'])}({joined})"

    for _ in range(200):
        text = node(5)
        if len(text) <= MAX_LENGTH:
            query = parse(text)
            assert parse(unparse(query)) == query
            assert unparse(parse(unparse(query))) == unparse(query)
            flat(query.where, outermost=True)


def flat(node: Node, *, outermost: bool = False) -> None:
    """Assert the form that `Query.where` promises."""
    match node:
        case All(parts) | Either(parts):
            assert outermost or len(parts) > 1
            assert not any(type(p) is type(node) for p in parts)
            for inner in parts:
                flat(inner)
        case Not(inner):
            assert not isinstance(inner, Not)
            flat(inner)


@pytest.mark.parametrize(
    "text",
    [
        "a " * 1000, "(" * 20 + "a " * 900 + ")" * 20, '"a" ' * 500, '"' * 2000, "-" * 1999 + "a",
        "*" * 2000, "NOT " * 499 + "a", "layer:" + "1," * 900 + "1", "a" * 2000, "a OR " * 399 + "a",
        "x_" * 1000, "similar:" + "/" * 1900, "similar:a" + "/1" * 900, "score:" + "1" * 1900 + "..",
    ],
)  # fmt: skip
def test_the_longest_queries_take_no_time(text: str) -> None:
    start = time.process_time()
    try:
        unparse(parse(text))
    except QueryError as error:
        pointer(text, error.column or 1)
    assert time.process_time() - start < 0.5


def test_values_are_read() -> None:
    def read(text: str) -> Term:
        return next(parse(text).terms())

    assert grammar.alternatives(read("layer:1,3..5")) == [[("=", 1)], [(">=", 3), ("<=", 5)]]
    assert grammar.alternatives(read("score:-0.5..1e-1")) == [[(">=", -0.5), ("<=", 0.1)]]
    assert grammar.alternatives(read("score<=0.4")) == [[("<=", 0.4)]]
    assert grammar.names(read('llm:"a, b,,c "')) == ["a", "b", "c"]
    assert grammar.polarity(read("polarity:-")) == -1
    assert grammar.polarity(read("polarity:+")) == 1
    assert grammar.states(read("state:failed,unreviewed,failed")) == ("unreviewed", "failed")
    assert grammar.states(read("state:failed,any")) == grammar.STATES
    assert str(grammar.neuron(read("similar:a/b/3/17-"))) == "a/b/3/17-"
    assert grammar.neuron(read("similar:m/3/17")).polarity == 1


@pytest.mark.parametrize(
    ("text", "column", "shown"),
    [
        ("river laier:3", 7, "river laier:3\n      ^"),
        ("a OR", 3, "a OR\n  ^"),
        ("", 1, "\n^"),
        ("ab", 3, "ab\n  ^"),
        ("ab", 99, "ab\n  ^"),
        ("a\tb\n\0\u202ec x:1", 8, "a b   c x:1\n       ^"),
        ("河流 x:1", 4, "河流 x:1\n     ^"),
        ("e\u0301 x:1", 4, "e\u0301 x:1\n  ^"),
        ("\ud800 x:1", 3, "  x:1\n  ^"),
    ],
)
def test_pointer_stands_under_the_place(text: str, column: int, shown: str) -> None:
    assert pointer(text, column) == shown


@pytest.mark.parametrize("column", [1, 30, 999, 1975, 2000, 2001])
def test_pointer_cuts_a_long_query_around_the_place(column: int) -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(2000))
    shown, caret = pointer(text, column).splitlines()
    place = len(caret) - 1
    assert len(shown) <= 76
    assert place <= 76
    assert shown.startswith("…") == (column > 30)
    assert shown.endswith("…") == (column < 1975)
    assert shown[place : place + 1] == text[column - 1 : column]


def test_help_has_every_field_with_an_example_that_means_it() -> None:
    assert [row.field for row in HELP if row.field] == list(FIELDS)
    for row in HELP:
        query = parse(f"similar:m/0/1 {row.example}" if row.field == "by" else row.example)
        terms = [t.field for t in query.terms()]
        if row.field in ("sort", "limit", "scorer"):
            assert unparse(query) == row.example
        elif row.field == "by":
            assert [t.by for t in query.terms()] == ["text"]
        else:
            assert terms == ([row.field] if row.field else [])
        assert row.meaning
    assert set(fields.LARGEST_FIRST) < set(SORTS)


def test_readme_names_every_field() -> None:
    section = (ROOT / "README.md").read_text().split("**Query.**")[1].split("**Report.**")[0]
    assert {name for name in FIELDS if not re.search(rf"\b{name}(:|>=|<=)", section)} == set()
    for query in re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE):
        parse(query.replace("\\|", "|"))
