"""An upstream that notes every request, and behaves as the model's name says: of OpenAI's form, and, by the path that is asked,
of the other vendors'. It is a proxy, too, that stands for every host by certificates of its own, as some addresses of vendors cannot be
set in TensorZero."""

import http.server
import json
import re
import ssl
import threading
import time

import trustme
import vendors

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
# Where an error begins in a stream.
CUT = re.compile(rb'(?:event: error\n)?data: \{(?:"type": )?"error"')
CALL = {"name": "get_temperature", "arguments": '{"place":"Oslo"}'}


class Upstream:
    def __init__(self):
        self.requests = []
        self.authority = trustme.CA()
        self.contexts = {}
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_CONNECT(self):
                self.send_response(200)
                self.end_headers()
                context = upstream.context(self.path.rsplit(":", 1)[0])
                self.connection = context.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
                headers = {name.lower(): value for name, value in self.headers.items()}
                # What TensorZero tells its makers of its use comes whenever it likes.
                if self.path != "/":
                    upstream.requests.append({"path": self.path, "headers": headers, "body": body})
                status, kind, answer = answer_to(self.path, body)
                try:
                    self.send_response(status)
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    # What breaks off does so after something of it has arrived.
                    cut = CUT.search(answer)
                    self.wfile.write(answer[: cut.start()] if cut else answer)
                    if cut:
                        self.wfile.flush()
                        time.sleep(0.3)
                        self.wfile.write(answer[cut.start() :])
                except OSError:
                    # Whoever asked did not wait.
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]

    def context(self, host):
        """TLS as that host."""
        if host not in self.contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.authority.issue_cert(host).configure_cert(context)
            self.contexts[host] = context
        return self.contexts[host]

    def take(self):
        taken, self.requests = self.requests, []
        return taken


def answer_to(path, body):
    model = vendors.model_of(path, body)
    if model.startswith("err"):
        status = int(model[3:6])
        return status, "application/json", dump({"error": {"message": f"boom {status}", "type": "x"}})
    if model.startswith("slow"):
        time.sleep(1.5)
    if model.startswith("junk"):
        return 200, "application/json", b"not json"
    if vendor := vendors.of(path):
        return vendor(path, body, model, text_of(model))
    if path.endswith("/embeddings"):
        return 200, "application/json", dump(vectors(body))
    if body.get("stream"):
        return 200, "text/event-stream", stream(model, body)
    return 200, "application/json", dump(whole(model))


def dump(value):
    return json.dumps(value).encode()


def vectors(body):
    given = body["input"]
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    # 0.5 and -1.0
    vector = "AAAAPwAAgL8=" if body.get("encoding_format") == "base64" else [0.5, -1.0]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
    return {"object": "list", "data": data, "model": "up", "usage": {"prompt_tokens": 4, "total_tokens": 4}}


def text_of(model):
    if model.startswith("json"):
        return '{"a":1}'
    return '{"b":' if model.startswith("broken") else "Hello there"


def usage_of(model):
    return USAGE | ({"prompt_tokens_details": {"cached_tokens": 5}} if model.startswith("cached") else {})


def finish_of(model):
    return {"tool": "tool_calls", "leng": "length", "filt": "content_filter"}.get(model[:4], "stop")


def whole(model):
    message = {"role": "assistant", "content": text_of(model)}
    if model.startswith("think"):
        message |= thought(model, message["content"])
    if model.startswith("tool"):
        message = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": CALL}]}
    choice = {"index": 0, "message": message, "finish_reason": finish_of(model)}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "up"}
    return head | {"choices": [choice], "usage": usage_of(model)}


def thought(model, text):
    """Thoughts, in the member that the vendor has for them."""
    if model == "think-blocks":
        thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
        return {"content": [thoughts] + ([{"type": "text", "text": text}] if text else [])}
    return {"reasoning" if model == "think-reasoning" else "reasoning_content": "hm"}


def stream(model, body):
    def chunk(delta, finish=None):
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "up", "choices": choices}

    def call(**function):
        return {"tool_calls": [{"index": 0, "function": function}]}

    if model.startswith("midcut"):
        chunks = [chunk({"role": "assistant", "content": "Hel"}), {"error": {"message": "overloaded", "type": "x"}}]
        return b"".join(b"data: " + dump(one) + b"\n\n" for one in chunks)
    if model.startswith("tool"):
        begin = {"index": 0, "id": "call_1", "type": "function", "function": {"name": CALL["name"], "arguments": ""}}
        chunks = [chunk({"role": "assistant", "content": None, "tool_calls": [begin]})]
        chunks += [chunk(call(arguments='{"place":')), chunk(call(arguments='"Oslo"}'))]
        if model == "tool-at-once":
            chunks = [chunk({"role": "assistant", "tool_calls": [begin | {"function": CALL}]})]
    else:
        text = text_of(model)
        chunks = [chunk({"role": "assistant", "content": text[:5]})]
        if model.startswith("think"):
            chunks.insert(0, chunk({"role": "assistant"} | thought(model, "")))
        chunks.append(chunk({"content": text[5:]}))
    chunks.append(chunk({}, finish_of(model)))
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append(chunk({}) | {"choices": [], "usage": usage_of(model)})
    return b"".join(b"data: " + dump(one) + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"
