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


FILES = {
    "1,000 rules as people write them": rules(realistic(at) for at in range(1000)),
    "10,000 rules about as many headers": rules(f'when header("x-{at}") == "v{at}" -> @a' for at in range(10_000)),
    "10,000 rules about a model and a size": rules(
        f'when model == "m{at}" and input_tokens > {at} -> @a' for at in range(10_000)
    ),
    "200 facts in one condition": rules(
        ["when " + " or ".join(f'(header("x-{at}") == "v" and tag("t{at}") ~ "p{at}*")' for at in range(100)) + " -> @a"]
    ),
    "1 MiB of parentheses": rules(["when " + "(" * ((1 << 20) - 4096) + " -> @a"]),
    "20 rules of 40 alternatives each": rules(nest(at) for at in range(20)),
    "a chain of 60 exclusive choices": rules(["when " + " and ".join(either(at) for at in range(60)) + " -> @a"]),
    "60,000 facts in one condition": rules(
        ["when " + " and ".join(f"(stream or images > {at})" for at in range(30_000)) + " -> @a"]
    ),
}


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


FILES["rules of 8 KB with one fact each hundred bytes"] = many(8_000, lambda at: f'header("{at:080}") == "v"', " or ")
FILES["rules of 8 KB with the shortest facts"] = many(8_000, lambda at: "stream", " or ")
FILES["rules of 8 KB with pairs of facts"] = many(8_000, lambda at: f"(stream or images > {at})", " and ")
FILES["rules of 60 KB with pairs of facts"] = many(60_000, lambda at: f"(stream or images > {at})", " and ")
FILES["rules of 8 KB with lists"] = many(8_000, lambda at: f"hour in [{','.join(['1'] * 100)}]", " or ")
FILES["57,000 of the shortest rules"] = rules(["when stream->@a"] * 57_000)


def measured(program, path):
    began = time.monotonic()
    child = subprocess.Popen([program, "check", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdout.read()
    _, _, usage = os.wait4(child.pid, 0)
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "target/release/routeplane"
    print("| file | size | CPU | wall | peak memory |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = os.path.join(folder, "routeplane.yaml")
            with open(path, "w") as file:
                file.write(text)
            runs = [measured(program, path) for _ in range(5)]
            cpu, wall = min(run[0] for run in runs), min(run[1] for run in runs)
            memory = max(run[2] for run in runs)
            print(f"| {name} | {len(text) // 1024} KiB | {cpu * 1000:.0f} ms | {wall * 1000:.0f} ms | {memory:.0f} MiB |")


main()
