#!/usr/bin/env python3
"""What `routeplane check` takes for files made to cost: CPU time, wall time and peak memory of the whole process.

    cargo build --release && python3 benches/hostile.py target/release/routeplane
"""

import os
import subprocess
import sys
import tempfile
import time

FACTS = [
    "has tools",
    "images > 0",
    "stream",
    'model ~ "gpt-{}*"',
    'header("x-team") == "t{}"',
    'key.team == "k{}"',
    "input_tokens > {}",
    'tag("env") == "e{}"',
    "protocol == messages",
    "reasoning >= high",
]


def rules(lines):
    body = "".join(f"  {line}\n" for line in lines)
    return f"presets: {{ a: demo/chat }}\nrules: |\n{body}  otherwise -> as requested\n"


def realistic(at):
    first, second = FACTS[at % 10].format(at), FACTS[(at * 7 + 3) % 10].format(at)
    return f'when {first} and {second} and model != "never{at}" -> @a'


def either(at):
    one, two = f'header("a{at}") == "1"', f'header("a{at + 1}") == "1"'
    return f"(({one} and not {two}) or (not {one} and {two}))"


def nest(at):
    parts = (f'(header("a{i}") == "1" or header("b{(i + at) % 40}") != "2")' for i in range(40))
    return f"when {' and '.join(parts)} -> @a"


def many(size, part, join):
    """Rules of about `size` bytes each, as many as a file may have."""
    lines, written = [], 0
    while written < (1 << 20) - size - 4096:
        parts, length = [], 0
        while length < size:
            parts.append(part(len(parts)))
            length += len(parts[-1]) + len(join)
        lines.append(f"when {join.join(parts)} -> @a")
        written += len(lines[-1]) + 3
    return rules(lines)

RULES = "presets: { a: demo/chat }\nrules: |\n"


def most(head, line, count=1 << 20):
    """As many of these lines as one file may have, or `count`."""
    lines, written = [head], len(head)
    for at in range(count):
        lines.append(line(at))
        written += len(lines[-1])
        if written > (1 << 20) - 1024:
            lines.pop()
            break
    return "".join(lines)


def users(at):
    return ",".join(f'"{1000 * at + i:x}"' for i in range(1000))


FILES = {
    "an empty file": lambda: "presets: { a: demo/chat }\n",
    "1,000 rules as people write them": lambda: rules(realistic(at) for at in range(1000)),
    "10,000 rules about as many headers": lambda: rules(f'when header("x-{at}") == "v{at}" -> @a' for at in range(10_000)),
    "10,000 rules about a model and a size": lambda: rules(
        f'when model == "m{at}" and input_tokens > {at} -> @a' for at in range(10_000)
    ),
    "200 facts in one condition": lambda: rules(
        ["when " + " or ".join(f'(header("x-{at}") == "v" and tag("t{at}") ~ "p{at}*")' for at in range(100)) + " -> @a"]
    ),
    "1 MiB of parentheses": lambda: rules(["when " + "(" * ((1 << 20) - 4096) + " -> @a"]),
    "20 rules of 40 alternatives each": lambda: rules(nest(at) for at in range(20)),
    "a chain of 60 exclusive choices": lambda: rules(["when " + " and ".join(either(at) for at in range(60)) + " -> @a"]),
    "60,000 facts in one condition": lambda: rules(
        ["when " + " and ".join(f"(stream or images > {at})" for at in range(30_000)) + " -> @a"]
    ),
    "rules of 8 KB with one fact each hundred bytes": lambda: many(8_000, lambda at: f'header("{at:080}") == "v"', " or "),
    "rules of 8 KB with the shortest facts": lambda: many(8_000, lambda at: "stream", " or "),
    "rules of 8 KB with pairs of facts": lambda: many(8_000, lambda at: f"(stream or images > {at})", " and "),
    "rules of 60 KB with pairs of facts": lambda: many(60_000, lambda at: f"(stream or images > {at})", " and "),
    "rules of 8 KB with lists": lambda: many(8_000, lambda at: f"hour in [{','.join(['1'] * 100)}]", " or "),
    "57,000 of the shortest rules": lambda: rules(["when stream->@a"] * 57_000),
    "39,000 rules about as many models": lambda: most(RULES, lambda at: f' when model=="{at:x}"->@a\n'),
    "36,000 rules about as many headers": lambda: most(RULES, lambda at: f' when header("{at:x}")=="x"->@a\n'),
    "35,000 rules about as many patterns": lambda: most(RULES, lambda at: f' when user~"{at:x}*"->@a\n'),
    "rules with lists of 1,000 users": lambda: most(RULES, lambda at: f" when user in [{users(at)}]->@a\n"),
    "rules with chains of 60 targets": lambda: most(
        RULES, lambda at: f" when tools=={at}->{'>'.join(f'demo/{i}' for i in range(60))}\n"
    ),
    "presets of 30 strategies in each other": lambda: most(
        "presets:\n", lambda at: f" {at:x}: {'cheapest(' * 30}demo/a{')' * 30}\n"
    ),
    "5,000 presets and 36,000 rules": lambda: most(
        "presets:\n a: demo/chat\n" + "".join(f" {at:x}: demo/a\n" for at in range(4_990)) + "rules: |\n",
        lambda at: f' when model=="{at:x}"->@a\n',
    ),
    "5,000 tests and 36,000 rules": lambda: most(
        "tests:\n" + " - {expect: {rule: 1}, request: {}, given: {}}\n" * 4_990 + RULES,
        lambda at: f' when model=="{at:x}"->@a\n',
    ),
    "99,000 numbers": lambda: most("presets: { a: { route: demo/a, override: { x: [", lambda at: "1,", 99_000) + "] } } }",
    "as many presets as fit": lambda: most("presets:\n", lambda at: f" {at:x}: demo/a\n"),
    "as many tests as fit": lambda: most("tests:\n", lambda at: " - {}\n"),
    "a list of 99,000 models": lambda: most(
        "providers: { x: { base_url: 'http://a', protocol: openai-chat, models: [", lambda at: f"m{at:x},", 99_000
    )
    + "] } }",
}


def write(name, path):
    with open(path, "w") as file:
        file.write(FILES[name]())


def measured(program, path):
    began = time.monotonic()
    child = subprocess.Popen([program, "check", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdout.read()
    _, _, usage = os.wait4(child.pid, 0)
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


def main():
    if sys.argv[1:2] == ["--write"]:
        return write(*sys.argv[2:])
    program = sys.argv[1] if len(sys.argv) > 1 else "target/release/routeplane"
    print("| file | size | CPU | wall | peak memory |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            path = os.path.join(folder, "routeplane.yaml")
            # By a process of its own: what this one takes counts as the least that its children take.
            subprocess.run([sys.executable, __file__, "--write", name, path], check=True)
            runs = [measured(program, path) for _ in range(5)]
            cpu, wall = min(run[0] for run in runs), min(run[1] for run in runs)
            memory, size = max(run[2] for run in runs), os.path.getsize(path) // 1024
            print(f"| {name} | {size} KiB | {cpu * 1000:.0f} ms | {wall * 1000:.0f} ms | {memory:.0f} MiB |")


main()
