from __future__ import annotations

from neuroexplain.recent import Recent


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.find("a") == 1
    recent.put("c", 3)
    assert [recent.find(key) for key in "abc"] == [1, None, 3]
    assert recent.get("b", lambda: 4) == 4
    assert (recent.find("a"), len(recent)) == (None, 2)


def test_values_may_weigh_more_or_less() -> None:
    recent: Recent[str, bytes] = Recent(10, weigh=len)
    for key, size in (("a", 4), ("b", 4), ("a", 2), ("c", 4)):
        recent.put(key, bytes(size))
    assert [recent.find(key) for key in "abc"] == [bytes(2), bytes(4), bytes(4)], "ten in all"
    recent.put("d", bytes(5))
    assert [len(recent.find(key) or b"") for key in "abcd"] == [0, 0, 4, 5]
    recent.put("e", bytes(99))
    assert (len(recent), recent.find("e")) == (1, bytes(99)), "the newest stays, whatever it weighs"
    recent.put("f", bytes(1))
    assert (recent.find("e"), recent.find("f")) == (None, bytes(1))
