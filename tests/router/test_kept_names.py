"""Which names stay bound, how many of them, and until when."""

from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import BoundTree
from meshproxy.naming.path import Path
from meshproxy.net.turn import next_turn
from meshproxy.router.kept_names import KeptNames, Name
from meshproxy.var import PENDING, Activity, Source

TABLE = Dtab.parse("/x=>/y")


class Names:
    """Counts who follows which name."""

    def __init__(self) -> None:
        self.followed: list[str] = []

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        shown = f"{path.show()} {dtab.show()}"

        def start(_: object) -> object:
            self.followed.append(shown)
            return lambda: self.followed.remove(shown)

        return Source(start, PENDING)  # type: ignore[arg-type]


def names(*texts: str, dtab: str = "") -> list[Name]:
    return [(Path.parse(text), Dtab.parse(dtab)) for text in texts]


def test_names_are_followed_each_once_until_they_are_released() -> None:
    world = Names()
    kept = KeptNames(world, TABLE, 10)
    own = names("/svc/a", dtab="/b=>/c")
    kept.keep([*names("/svc/a", "/svc/b", "/svc/a"), *own])
    assert world.followed == ["/svc/a /x=>/y", "/svc/b /x=>/y", "/svc/a /x=>/y;/b=>/c"]
    assert list(kept) == [*names("/svc/a", "/svc/b"), *own]
    kept.release()
    assert (world.followed, list(kept)) == ([], [])
    kept.keep(own)
    assert world.followed == ["/svc/a /x=>/y;/b=>/c"]


def test_more_than_the_capacity_are_not_kept() -> None:
    world = Names()
    many = names(*(f"/svc/{number}" for number in range(30)))
    KeptNames(world, TABLE, 25).keep(many)
    assert len(world.followed) == 25
    KeptNames(world, TABLE, 0).keep(many)
    assert len(world.followed) == 25 + 30


def test_what_is_closed_while_names_come_keeps_none() -> None:
    world = Names()
    kept = KeptNames(world, TABLE, 0)

    def coming() -> object:
        for number in range(100):
            if number == 50:
                kept.close()
            yield from names(f"/svc/{number}")

    kept.keep(coming())  # type: ignore[arg-type]
    kept.close()
    next_turn()
    assert world.followed == []
    kept.keep(names("/svc/late"))
    assert world.followed == []
