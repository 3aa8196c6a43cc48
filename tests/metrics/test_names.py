from meshproxy.metrics.names import PLACES, patterns


def test_no_name_is_listed_twice() -> None:
    names = [name for name, _ in patterns()]
    assert len(names) == len(set(names))


def test_every_meaning_is_a_sentence() -> None:
    texts = [place.about for place in PLACES] + [metric.meaning for _, metric in patterns()]
    assert [text for text in texts if not text.endswith(".") or "|" in text] == []
