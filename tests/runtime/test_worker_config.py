import json

from meshproxy.config.load import load
from meshproxy.runtime.worker_config import received, sent

TEXT = """
routers:
- protocol: http
  dtab: |
    /svc   => /#/a ;
    /svc/b => /#/b | /#/c & 2 * /#/d ;
  servers: [{port: 0}]
- protocol: http
  label: other
  servers: [{port: 0}]
namers: [{kind: io.l5d.consul, token: s3cret}]
"""


def test_a_worker_receives_what_was_written_and_where_its_rules_stand() -> None:
    config = load(TEXT, "proxy.yaml")
    got = received(json.loads(json.dumps(sent(config))))
    assert got == config
    places = [[entry.place for entry in router.dtab] for router in got.routers]
    assert places == [["proxy.yaml:5:5", "proxy.yaml:6:5"], []]
