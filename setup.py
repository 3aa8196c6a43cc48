"""How meshproxy is built, and what it needs; pyproject.toml holds tool settings only."""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
FOUND = re.search(
    r'^__version__ = "([^"]+)"$', (HERE / "meshproxy/__init__.py").read_text(), re.MULTILINE
)
if FOUND is None:
    raise SystemExit("meshproxy/__init__.py names no __version__")

# tests/lowest.txt pins exactly these lower bounds, and tox runs the tests on them.
NEEDED = [
    "PyYAML>=6.0.1",
    "dnspython>=2.6",
    "gevent>=24.2.1",
    "statsd>=4.0.1",
    "urllib3>=2.2,<3",
]
# It and what it brings are larger than all the rest, and needed by namers with `auth` only.
if not os.environ.get("MESHPROXY_SLIM"):
    NEEDED.append("kubernetes>=29")
DCOS = ["PyJWT[crypto]>=2.8"]
# What the namers and the announcer of ZooKeeper need.
ZOOKEEPER = ["kazoo>=2.10"]
TEST = [
    *ZOOKEEPER,
    *DCOS,
    "grpcio>=1.62",
    "grpcio-tools>=1.62",
    "h11>=0.14",
    "h2>=4.1",
    "hypothesis>=6.100",
    "line-protocol-parser>=2.0",
    "marathon>=0.13",
    "protobuf>=4.25.3",
    "py-consul>=1.7",
    "pytest>=8.2",
    "requests>=2.31",
    "setuptools>=70.1",
    "trustme>=1.1",
    "websocket-client>=1.7",
]

setup(
    name="meshproxy",
    version=FOUND.group(1),
    description="The Linkerd 1.x HTTP data plane in Python: one YAML file, egress first.",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["meshproxy", "meshproxy.*"]),
    # meshproxy/conf is a link to conf; in wheels and source distributions, a directory.
    package_data={"meshproxy": ["py.typed", "conf/**", "admin/site/*"]},
    python_requires=">=3.11",
    install_requires=NEEDED,
    extras_require={
        "dcos": DCOS,
        "zookeeper": ZOOKEEPER,
        "test": TEST,
        "dev": [*TEST, "mypy>=1.11", "ruff>=0.6", "tox>=4.20", "types-PyYAML"],
    },
    entry_points={"console_scripts": ["meshproxy = meshproxy.__main__:main"]},
    project_urls={
        "Linkerd 1.x": "https://github.com/linkerd/linkerd",
        "The egress article": (
            "https://linkerd.io/2017/06/20/a-service-mesh-for-kubernetes-part-xi-egress/"
        ),
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Environment :: No Input/Output (Daemon)",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet :: Proxy Servers",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: System :: Networking",
        "Typing :: Typed",
    ],
)
