"""What members are can be said without kazoo, which is an extra."""

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["kazoo"] = None
import meshproxy.namers.curator, meshproxy.namers.serversets, meshproxy.namers.system
from meshproxy.discovery.zookeeper.membership import Found, Membership
membership = Membership(lambda node, children: children[:1], lambda name, data: data.decode())
print(membership.choose((), ["a", "b"]), membership.read("a", b"x"), Found("a", {"b": 1}).members)
"""


def test_no_kazoo_is_needed_to_say_what_members_are() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "['a'] x {'b': 1}\n"
