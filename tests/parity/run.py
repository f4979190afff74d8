"""The same requests to the real TensorZero gateway, which the package `tensorzero` embeds, and to Routeplane with the same
configuration, both in front of one upstream. What differs, in what reaches the upstream and in what comes back, is printed.

Usage: run.py ROUTEPLANE OUT [CASE...]; OUT gets the findings as JSON."""

import dataclasses
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import uuid

import forms
import httpx
import tensorzero
from upstream import Upstream

HERE = pathlib.Path(__file__).parent
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")
# Headers that say something of the request, and not of the client that sends it.
HEADERS = re.compile(r"^(authorization|x-(?!stainless).*)$")
# The vendors whose address cannot be set in a `tensorzero.toml`: by what variable it is set here, and the path after the host.
VENDORS = {
    "DEEPSEEK_BASE_URL": "",
    "FIREWORKS_BASE_URL": "/inference/v1",
    "GEMINI_BASE_URL": "",
    "GROQ_BASE_URL": "",
    "HYPERBOLIC_BASE_URL": "/v1",
    "MISTRAL_BASE_URL": "/v1",
    "OPENROUTER_BASE_URL": "/api/v1",
    "TOGETHER_BASE_URL": "/v1",
    "XAI_BASE_URL": "/v1",
}
# Members of chunks that tell what the upstream said.
RAW = ("raw_chunk", "raw_usage", "raw_response", "original_chunk")
NO_DATABASES = {"clickhouse_url": None, "postgres_url": None, "valkey_url": None}


def main():
    binary, out, wanted = sys.argv[1], sys.argv[2], sys.argv[3:]
    upstream = Upstream()
    # The real gateway reaches them through the upstream, which is a proxy that has a certificate for every host.
    with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as roots:
        roots.write(upstream.authority.cert_pem.bytes())
    os.environ["SSL_CERT_FILE"] = roots.name
    os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{upstream.port}"
    # It would report its use through the upstream in the middle of some other request.
    os.environ["TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS"] = "1"
    found, requests, configurations = [], 0, 0
    for case in sorted(path.parent for path in HERE.glob("*/requests.json")):
        if wanted and case.name not in wanted:
            continue
        configurations += 1
        with tempfile.TemporaryDirectory() as folder:
            done, differences = run(case, pathlib.Path(folder), binary, upstream)
        requests += done
        found += differences
    findings = {"configurations": configurations, "requests": requests, "differences": found}
    pathlib.Path(out).write_text(json.dumps(findings, indent=1))


def run(case, folder, binary, upstream):
    """Runs one configuration's requests; how many, and what differs."""
    for path in case.rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(case)
            target.parent.mkdir(parents=True, exist_ok=True)
            root = f"http://127.0.0.1:{upstream.port}"
            text = path.read_text().replace("{upstream}", f"{root}/v1").replace("{root}", root)
            target.write_text(text)
    toml = str(folder / "tensorzero.toml")
    requests = json.loads((folder / "requests.json").read_text())
    os.environ["PARITY_KEY"] = "sk-parity"
    real = tensorzero.tensorzero._start_http_gateway(config_file=toml, async_setup=False, **NO_DATABASES)
    embedded = None
    if any(request["kind"] == "native" for request in requests):
        embedded = tensorzero.TensorZeroGateway.build_embedded(config_file=toml)
    gateway = Gateway(binary, folder, upstream.port)
    differences = []
    try:
        client = tensorzero.TensorZeroGateway.build_http(gateway_url=gateway.url)
        for request in requests:
            upstream.take()
            theirs = ask(request, real.base_url, embedded)
            theirs["upstream"] = [called(one) for one in upstream.take()]
            ours = ask(request, f"{gateway.url}/openai/v1", client)
            ours["upstream"] = [called(one) for one in upstream.take()]
            for pointer, tensorzeros, routeplanes in diff(theirs, ours, ""):
                place = {"case": case.name, "request": request["name"], "at": pointer}
                differences.append(place | {"tensorzero": tensorzeros, "routeplane": routeplanes})
    finally:
        gateway.stop()
    return len(requests), differences


class Gateway:
    """Routeplane with the imported configuration; one that lies beside the original wins."""

    def __init__(self, binary, folder, port):
        file = folder / "routeplane.yaml"
        if not file.exists():
            imported = folder / "imported"
            command = [binary, "import-tensorzero", str(folder / "tensorzero.toml"), "--out", str(imported)]
            result = subprocess.run(command, capture_output=True, text=True)
            file = imported / "routeplane.yaml"
            assert file.exists(), f"{folder}: {result.stdout}{result.stderr}"
        environment = {name: f"http://127.0.0.1:{port}{path}" for name, path in VENDORS.items()}
        environment |= {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PARITY_KEY": "sk-parity"}
        command = [binary, "start", "--config", str(file), "--listen", "127.0.0.1:0"]
        self.log = open(folder / "log", "w+")
        self.child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = None
        for line in self.child.stdout:
            if line.strip().startswith("listening"):
                self.url = line.split()[-1]
                break
        assert self.url, (folder / "log").read_text()

    def stop(self):
        self.child.terminate()
        self.child.wait()


def ask(request, openai_url, client):
    """The answer of one of the gateways, without what differs from call to call."""
    if request["kind"] == "native":
        return native(request["body"], client)
    path = "/embeddings" if request["kind"] == "embeddings" else "/chat/completions"
    if "text" in request:
        answer = httpx.post(openai_url + path, content=request["text"], headers={"content-type": "application/json"})
    else:
        answer = httpx.post(openai_url + path, json=request["body"], timeout=30)
    kind = answer.headers.get("content-type", "").split(";")[0]
    if kind == "text/event-stream":
        return {"status": answer.status_code, "stream": folded(answer.text)}
    return {"status": answer.status_code, "answer": plain(json.loads(answer.text))}


def native(body, client):
    try:
        answer = client.inference(**body)
        if body.get("stream"):
            return {"stream": native_stream(list(answer))}
        return {"status": 200, "answer": plain(fields(answer))}
    except Exception as error:  # the client's own error, of either form
        status = getattr(error, "status_code", None)
        return {"status": status} if status else {"exception": type(error).__name__}


def fields(value):
    if dataclasses.is_dataclass(value):
        return {field.name: fields(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list):
        return [fields(one) for one in value]
    if isinstance(value, uuid.UUID):
        return str(value)
    if hasattr(value, "value"):
        return value.value
    if value is None or isinstance(value, (str, int, float, bool, dict)):
        return value
    # The client's own classes, which show what they hold as members.
    names = [name for name in dir(value) if not name.startswith("_") and not callable(getattr(value, name))]
    return {name: fields(getattr(value, name)) for name in names}


def plain(value):
    """Ids, times and the words of errors are not compared; that they are there is."""
    if isinstance(value, dict):
        if set(value) == {"message"}:
            return {"message": "..."}
        return {key: 0 if key == "created" else plain(forms.of_arguments(key, one)) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return "uuid" if isinstance(value, str) and UUID.match(value) else value


def folded(text):
    """A stream of OpenAI's form, whatever its chunks were cut into: its head, what was said, its end."""
    chunks = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    done = chunks[-1:] == ["[DONE]"]
    chunks = [json.loads(chunk) for chunk in chunks if chunk != "[DONE]"]
    errors = [plain(chunk) for chunk in chunks if "error" in chunk]
    chunks = [chunk for chunk in chunks if "choices" in chunk]
    body = ("choices", "usage") + tuple("tensorzero_" + name for name in RAW)
    heads = [plain({key: value for key, value in chunk.items() if key not in body}) for chunk in chunks]
    out = {"done": done, "errors": errors, "content": "", "calls": {}, "thoughts": "", "head": heads[0] if heads else None}
    out["one_head"] = all(head == heads[0] for head in heads)
    out["roles"] = [choice["delta"].get("role") for chunk in chunks for choice in chunk["choices"]][:1]
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            out["content"] += delta.get("content") or ""
            for call in delta.get("tool_calls") or []:
                known = out["calls"].setdefault(str(call["index"]), {"id": call["id"], "type": call["type"], "name": "", "arguments": ""})
                known["name"] += call["function"]["name"]
                known["arguments"] += call["function"]["arguments"]
            for block in delta.get("tensorzero_extra_content") or []:
                out["thoughts"] += block.get("text") or ""
    whole_arguments(out["calls"])
    out["content"] = forms.of_arguments("content", out["content"])
    out |= raws(chunks, "tensorzero_")
    out["usages"] = [chunk["usage"] for chunk in chunks if chunk["usage"] is not None]
    out["usage_in_last"] = bool(chunks) and chunks[-1]["usage"] is not None
    out["finishes"] = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    out["last_delta"] = chunks[-1]["choices"][0]["delta"] if chunks else None
    out["choice"] = sorted({key for chunk in chunks for choice in chunk["choices"] for key in choice})
    return out


def native_stream(chunks):
    chunks = [fields(chunk) for chunk in chunks]
    out = {"variants": sorted({chunk["variant_name"] for chunk in chunks}), "raw": "", "text": "", "thoughts": "", "calls": {}}
    out["ids"] = len({(chunk["inference_id"], chunk["episode_id"]) for chunk in chunks})
    for chunk in chunks:
        out["raw"] += chunk.get("raw") or ""
        for block in chunk.get("content") or []:
            if "raw_arguments" in block:
                known = out["calls"].setdefault(block["id"], {"name": "", "arguments": ""})
                known["name"] += block["raw_name"]
                known["arguments"] += block["raw_arguments"]
            elif block["type"] == "thought":
                out["thoughts"] += block["text"] or ""
            else:
                out["text"] += block["text"] or ""
    whole_arguments(out["calls"])
    out |= raws(chunks, "")
    out["usages"] = [chunk["usage"] for chunk in chunks if chunk["usage"] is not None]
    out["finishes"] = [chunk["finish_reason"] for chunk in chunks if chunk["finish_reason"] is not None]
    out["kinds"] = sorted({"json" if "raw" in chunk else "chat" for chunk in chunks})
    return out


def raws(chunks, prefix):
    """What chunks tell of the upstream's own words, each kind in its order."""
    told = {name: [chunk.get(prefix + name) for chunk in chunks] for name in RAW}
    return {name: plain([value for value in values if value is not None]) for name, values in told.items()}


def whole_arguments(calls):
    for call in calls.values():
        call["arguments"] = forms.of_arguments("arguments", call["arguments"])


def called(request):
    headers = {name: value for name, value in request["headers"].items() if HEADERS.match(name)}
    path = request["path"]
    return {"path": path, "headers": headers, "body": forms.of_request(path, request["body"])}


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def diff(theirs, ours, at):
    """Pairs of values that differ, with the place. Numbers that are one in 32 bits are marked as such."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(set(theirs) | set(ours), key=str):
            place = f"{at}/{key}"
            if key not in theirs:
                yield place, "(absent)", ours[key]
            elif key not in ours:
                yield place, theirs[key], "(absent)"
            else:
                yield from diff(theirs[key], ours[key], place)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours)):
            yield from diff(one, other, f"{at}/{index}")
    elif isinstance(theirs, float) and isinstance(ours, (float, int)) and single(theirs) == single(ours):
        if theirs != ours:
            yield f"{at}#32-bit", theirs, ours
    elif theirs != ours or type(theirs) is not type(ours):
        yield at, theirs, ours


if __name__ == "__main__":
    main()
