from __future__ import annotations

from neuroexplain.lifts import PRIOR, holding, lifts


def test_an_ngram_holds_a_word_once() -> None:
    assert holding(["the river", "the the", "stream, the"]) == {
        "the": 3, "river": 1, "stream": 1, ",": 1,
    }  # fmt: skip


def test_what_is_as_common_as_elsewhere_has_lift_one() -> None:
    found = lifts(
        ["a x", "a y", "b z", "b w"], {"a": 500, "b": 500, **dict.fromkeys("xyzw", 250)}, 1000
    )
    assert found == dict.fromkeys("abxyzw", 1.0)


def test_the_frequent_telling_word_beats_the_one_that_is_merely_rare() -> None:
    texts = ["about five", "about ten", "about us", "about it", "the about", "the zygote"]
    common = (
        {"about": 200, "the": 40_000}
        | dict.fromkeys(("five", "ten", "us", "it"), 90)
        | {"zygote": 1}
    )
    found = lifts(texts, common, 237_500)
    assert max(found, key=lambda word: found[word]) == "about"
    expected = len(texts) * 200 / 237_500
    assert found["about"] == (5 + PRIOR) / (expected + PRIOR)
    assert found["the"] < found["zygote"] < found["about"]
    bare = lifts(texts, common, 237_500, prior=1e-9)
    assert bare["zygote"] > bare["about"], "which is what the prior is for"
