"""Text that is safe to print."""

from meshproxy.cli.printable import printable


def test_what_would_control_a_terminal_is_replaced() -> None:
    assert printable("a\x1b[31mé\n") == "a?[31mé?"
