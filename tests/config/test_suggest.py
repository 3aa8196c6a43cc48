from meshproxy.config.suggest import suggestion


def test_a_near_word_is_suggested_whatever_its_case() -> None:
    assert suggestion("Port", ["port", "ip"]) == "did you mean port?"
    assert suggestion("bindingTimoutMs", ["bindingTimeoutMs", "dtab"]) == (
        "did you mean bindingTimeoutMs?"
    )


def test_without_a_near_word_all_are_named() -> None:
    assert suggestion("zebra", ["port", "ip"]) == "known here: ip, port"
    assert suggestion("zebra", []) == "nothing may be written here"
