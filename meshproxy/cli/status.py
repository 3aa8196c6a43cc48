"""`meshproxy status`: what a running proxy says is wrong, which its admin page shows first."""

import sys
from argparse import Namespace

from urllib3.exceptions import HTTPError

from meshproxy.cli.asking import ask, cause_of
from meshproxy.cli.printable import printable


def run(given: Namespace) -> int:
    """Prints the problems, or that there are none; 0 if there are none, 1 if any or no answer."""
    url = f"{given.admin.rstrip('/')}/overview.json?limit=0"
    try:
        overview = ask(url)
        problems = [str(one["what"]) for one in overview["problems"]]
        count = max(int(overview["problem_count"]), len(problems))
        labels = [str(one["label"]) for one in overview["routers"]]
    except (HTTPError, ValueError) as error:
        print(f"meshproxy: {url}: {printable(cause_of(error))}", file=sys.stderr)
        return 1
    except (KeyError, TypeError):
        print(f"meshproxy: {url}: this is not an overview of meshproxy's", file=sys.stderr)
        return 1
    for problem in problems:
        print(printable(problem))
    if count > len(problems):
        print(f"and {count - len(problems)} problems more")
    if count:
        return 1
    print(printable(f"ok: {', '.join(labels)}"))
    return 0
