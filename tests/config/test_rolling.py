"""What Linkerd's roll policies mean."""

import pytest

from meshproxy.config.rolling import RollPolicy, roll_policy


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("never", RollPolicy()),
        ("sighup", RollPolicy()),
        ("Hourly", RollPolicy("hour")),
        ("DAILY", RollPolicy("day")),
        ("weekly(1)", RollPolicy("week", weekday=1)),
        ("Weekly(7)", RollPolicy("week", weekday=7)),
        ("1.byte", RollPolicy(size=1)),
        ("512.kilobytes", RollPolicy(size=512 * 1024)),
        ("10.MegaBytes", RollPolicy(size=10 * 1024**2)),
        ("1.gigabyte", RollPolicy(size=1024**3)),
    ],
)
def test_a_policy_in_any_case(text: str, policy: RollPolicy) -> None:
    assert roll_policy(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        *("", "never mind", "monthly", "weekly", "weekly(0)", "weekly(8)", "weekly(1);daily"),
        *("10megabytes", "10.parsecs", "0.bytes", "-1.bytes", "1.5.megabytes", "٣.bytes"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a roll policy, write never, hourly"):
        roll_policy(text)
