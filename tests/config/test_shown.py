import json

from meshproxy.config.load import read
from meshproxy.config.shown import to_json

TEXT = """
admin: {port: 0}
telemetry:
- kind: io.l5d.recentRequests
  sampleRate: 0.25
routers:
- protocol: http
  dtab: |
    /srv => /host ; # a comment
    /svc => /srv;
  servers:
  - port: 0
    ip: 0.0.0.0
  client:
    kind: io.l5d.static
    configs:
    - prefix: /$/io.buoyant.rinet/443/{service}
      tls: {commonName: "{service}"}
"""

SHOWN = {
    "admin": {"port": 0},
    "telemetry": [{"kind": "io.l5d.recentRequests", "sampleRate": 0.25}],
    "routers": [
        {
            "protocol": "http",
            "client": {
                "kind": "io.l5d.static",
                "configs": [
                    {
                        "tls": {"commonName": "{service}"},
                        "prefix": "/$/io.buoyant.rinet/443/{service}",
                    }
                ],
            },
            "dtab": "/srv=>/host;/svc=>/srv",
            "servers": [{"port": 0, "ip": "0.0.0.0"}],
        }
    ],
}


def test_what_is_written_is_shown_and_what_is_unset_is_not() -> None:
    assert to_json(read(TEXT, "f").config) == SHOWN


def test_what_is_shown_can_be_loaded_again() -> None:
    config = read(TEXT, "f").config
    assert read(json.dumps(to_json(config)), "f").config == config


def test_secrets_are_for_workers_and_not_for_people() -> None:
    namer = "namers: [{kind: io.l5d.consul, token: s3cret}]"
    config = read(f"{namer}\n{TEXT}", "f").config
    assert to_json(config)["namers"][0]["token"] == "s3cret"
    shown = to_json(config, for_people=True)
    assert shown["namers"][0] == {"kind": "io.l5d.consul", "token": "***"}
    assert shown["routers"] == SHOWN["routers"]
