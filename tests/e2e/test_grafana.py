"""Grafana's own types, `@grafana/schema`, accept the dashboards that it imports.

They are checked by the TypeScript compiler, which knows no key that Grafana does not know:
`npm install --prefix .tox/npm @grafana/schema typescript` to run this.
"""

import subprocess
from pathlib import Path

import pytest

from tests.demo.dashboards import files
from tests.kit import npm

CHECK = """import type {{ Dashboard, DataQuery, Panel, RowPanel }} from "@grafana/schema";
type Query = DataQuery & {query};
type Drawn = Omit<Panel, "targets"> & {{ targets?: Query[] }};
export const dashboard: Omit<Dashboard, "panels"> & {{ panels: (Drawn | RowPanel)[] }} = {text};
"""
QUERIES = {
    "grafana-prometheus.json": "{ expr: string; legendFormat: string }",
    "grafana-graphite.json": "{ target: string }",
}
"""What a query of each source has besides what all queries have."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    schema, compiler = npm.package("@grafana/schema"), npm.package("typescript")
    if schema is None or compiler is None:
        pytest.skip("the npm packages @grafana/schema and typescript are not installed")
    directory = tmp_path_factory.mktemp("grafana")
    for name, package in (("@grafana/schema", schema), ("typescript", compiler)):
        link = directory / "node_modules" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(package)
    return directory


def complaints(directory: Path, name: str, text: str) -> str:
    """Return what the compiler says of the dashboard *text*."""
    source = directory / f"{name}.ts"
    source.write_text(CHECK.format(query=QUERIES[name], text=text))
    options = "--noEmit --strict --skipLibCheck --module nodenext --moduleResolution nodenext"
    done = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", *options.split(), source.name],
        cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", QUERIES)
def test_a_dashboard_is_what_grafana_takes(checked: Path, name: str) -> None:
    assert complaints(checked, name, files()[name]) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"schemaVersion": 39', '"schemaVersion": "39"'),
        ('"gridPos"', '"gridpos"'),
        ('"legendFormat"', '"legend"'),
        ('"type": "datasource"', '"type": "data source"'),
    ],
)
def test_what_grafana_does_not_know_is_found(checked: Path, right: str, wrong: str) -> None:
    text = files()["grafana-prometheus.json"]
    assert right in text
    assert "error TS" in complaints(checked, "grafana-prometheus.json", text.replace(right, wrong))
