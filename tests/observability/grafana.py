"""Reads a dashboard into Grafana's own models of one release, writes it again, and says what does not come back.

    grafana.py dashboard.json

Prints one line for each member that Grafana's models do not know, or know otherwise, and ends with 1 if there is any. Panels and
queries are read by the models of their kinds, so a misspelt option of a panel is found, too.
"""

import json
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(written, read, place):
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            if name in read:
                yield from differences(value, read[name], f"{place}.{name}")
            elif value not in (None, {}, [], ""):
                yield f"{place}.{name} is not known: {json.dumps(value)[:80]}"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for at, (one, other) in enumerate(zip(written, read)):
            yield from differences(one, other, f"{place}[{at}]")
    elif written != read:
        yield f"{place} is read otherwise: {json.dumps(written)[:80]} as {json.dumps(read)[:80]}"


def main(path):
    plugins.register_default_plugins()
    with open(path, encoding="utf-8") as file:
        written = json.load(file)
    dashboard = Dashboard.from_json(written)
    read = json.loads(JSONEncoder().encode(dashboard))
    problems = list(differences(written, read, "dashboard"))
    for problem in problems:
        print(problem)
    print(f"{len(dashboard.panels)} panels")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
