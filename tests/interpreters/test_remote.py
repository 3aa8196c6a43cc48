"""What interpreters that ask namerd have in common; `test_namerd` and `test_mesh` drive it."""

from meshproxy.discovery.namerd import BoundName
from meshproxy.interpreters.remote import Question, shown
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import Leaf
from meshproxy.naming.path import Path


def test_a_question_is_shown_with_its_dtab_if_there_is_one() -> None:
    path = Path.parse("/svc/web")
    assert Question(Dtab(), path).show() == "/svc/web"
    assert Question(Dtab.parse("/a => /b"), path).show() == "/svc/web /a=>/b"
    assert Question(Dtab.parse("/a => /b"), path) == Question(Dtab.parse("/a=>/b"), path)


def test_a_bound_tree_is_shown_by_the_whole_names() -> None:
    assert shown(Leaf(BoundName(Path.parse("/#/x"), Path.of("rest")))) == "/#/x/rest"
