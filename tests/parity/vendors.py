"""Answers in the forms of the vendors that do not speak OpenAI's, by the path that is asked."""

import json
import re
import struct
import zlib

GEMINI = re.compile(r"/models/([^/:]+):(generateContent|streamGenerateContent)")
CONVERSE = re.compile(r"/model/([^/]+)/(converse|converse-stream|invoke)$")
AZURE = re.compile(r"/openai/deployments/([^/]+)/")
ARGUMENTS = {"place": "Oslo"}


def model_of(path, body):
    for pattern in (GEMINI, CONVERSE, AZURE):
        if found := pattern.search(path):
            return found[1].removeprefix("amazon.")
    return body.get("model", "")


def of(path):
    """Who answers there; none where it is of OpenAI's form."""
    if path.endswith(("/messages", "/invoke")):
        return anthropic
    if path.endswith("/responses"):
        return responses
    if GEMINI.search(path):
        return gemini
    return converse if CONVERSE.search(path) else None


def dump(value):
    return json.dumps(value).encode()


def named(model, default, **reasons):
    return reasons.get(model[:4], default)


def halves(text):
    return [text[:5], text[5:]]


# === Anthropic's Messages


def anthropic(_path, body, model, text):
    finish = named(model, "end_turn", tool="tool_use", leng="max_tokens", filt="refusal", stop="stop_sequence")
    last = body["messages"][-1]
    if last["role"] == "assistant" and json.dumps(last["content"]).endswith('{"}]'):
        # Of what stands there the answer is the rest.
        text = text.removeprefix("{")
    blocks = [{"type": "text", "text": text}]
    if model.startswith("think"):
        blocks.insert(0, {"type": "thinking", "thinking": "hm", "signature": "c2ln"})
    if model.startswith("tool") or (body.get("tool_choice") or {}).get("type") == "tool":
        name = (body.get("tool_choice") or {}).get("name", "get_temperature")
        blocks = [{"type": "tool_use", "id": "toolu_1", "name": name, "input": ARGUMENTS}]
        finish = "tool_use"
    usage = {"input_tokens": 11, "output_tokens": 7}
    if model.startswith("cached"):
        usage |= {"cache_read_input_tokens": 5, "cache_creation_input_tokens": 2}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    if not body.get("stream"):
        return 200, "application/json", dump(head | {"content": blocks, "stop_reason": finish, "usage": usage})
    start = head | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    events = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        events += anthropic_block(index, block)
        if model.startswith("midcut"):
            events.append({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}})
            break
    else:
        delta = {"stop_reason": finish, "stop_sequence": None}
        events += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}}, {"type": "message_stop"}]
    data = b"".join(b"event: " + event["type"].encode() + b"\ndata: " + dump(event) + b"\n\n" for event in events)
    return 200, "text/event-stream", data


def anthropic_block(index, block):
    match block["type"]:
        case "text":
            empty, deltas = {"text": ""}, [{"type": "text_delta", "text": half} for half in halves(block["text"])]
        case "thinking":
            empty = {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "c2ln"}]
        case _:
            text = json.dumps(block["input"])
            empty, deltas = {"input": {}}, [{"type": "input_json_delta", "partial_json": half} for half in halves(text)]
    yield {"type": "content_block_start", "index": index, "content_block": block | empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


# === Google's Gemini


def gemini(path, _body, model, text):
    finish = named(model, "STOP", leng="MAX_TOKENS", filt="SAFETY")
    parts = [{"text": text}]
    if model.startswith("think"):
        parts = [{"text": "hm", "thought": True}, {"text": text, "thoughtSignature": "c2ln"}]
    if model.startswith("tool"):
        parts = [{"functionCall": {"name": "get_temperature", "args": ARGUMENTS}}]
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
    if model.startswith("cached"):
        usage["cachedContentTokenCount"] = 5
    if model.startswith("think"):
        usage |= {"thoughtsTokenCount": 3, "totalTokenCount": 21}

    def chunk(parts, finish=None):
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        head = {"modelVersion": model, "responseId": "r1"}
        return head | {"candidates": [candidate]} | ({"usageMetadata": usage} if finish else {})

    if ":generateContent" in path:
        return 200, "application/json", dump(chunk(parts, finish))
    if "text" in parts[-1]:
        first, second = halves(parts[-1].pop("text"))
        parts[-1:] = [{"text": first}, parts[-1] | {"text": second}]
    chunks = [chunk([part]) for part in parts[:-1]] + [chunk(parts[-1:], finish)]
    if model.startswith("midcut"):
        chunks[-1:] = [{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}]
    return 200, "text/event-stream", b"".join(b"data: " + dump(one) + b"\r\n\r\n" for one in chunks)


# === Amazon's Converse


def converse(path, body, model, text):
    finish = named(model, "end_turn", tool="tool_use", leng="max_tokens", filt="guardrail_intervened")
    blocks = [{"text": text}]
    if model.startswith("tool") or "tool" in (body.get("toolConfig") or {}).get("toolChoice", {}):
        choice = (body.get("toolConfig") or {}).get("toolChoice", {}).get("tool", {})
        blocks = [{"toolUse": {"toolUseId": "t1", "name": choice.get("name", "get_temperature"), "input": ARGUMENTS}}]
        finish = "tool_use"
    usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}
    if model.startswith("cached"):
        usage |= {"cacheReadInputTokens": 5, "cacheWriteInputTokens": 2}
    if path.endswith("/converse"):
        message = {"role": "assistant", "content": blocks}
        answer = {"output": {"message": message}, "stopReason": finish, "usage": usage, "metrics": {"latencyMs": 5}}
        return 200, "application/json", dump(answer)
    events = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(blocks):
        if call := block.get("toolUse"):
            start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
            events.append(("contentBlockStart", {"contentBlockIndex": index, "start": start}))
            deltas = [{"toolUse": {"input": half}} for half in halves(json.dumps(call["input"]))]
        else:
            deltas = [{"text": half} for half in halves(text)]
        events += [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    events += [("messageStop", {"stopReason": finish}), ("metadata", {"usage": usage, "metrics": {"latencyMs": 5}})]
    return 200, "application/vnd.amazon.eventstream", b"".join(frame(*event) for event in events)


def frame(event, payload):
    """One message of Amazon's event stream."""
    kinds = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    headers = b""
    for name, value in kinds.items():
        headers += struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
    data = dump(payload)
    head = struct.pack("!II", 16 + len(headers) + len(data), len(headers))
    head += struct.pack("!I", zlib.crc32(head))
    message = head + headers + data
    return message + struct.pack("!I", zlib.crc32(message))


# === OpenAI's Responses


def responses(_path, body, model, text):
    begun = {"id": "resp_1", "object": "response", "created_at": 1700000000, "model": "up", "output": [], "usage": None}
    items = [message_item(text)]
    if model.startswith("tool"):
        items = [{"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "get_temperature", "status": "completed"}]
        items[0]["arguments"] = json.dumps(ARGUMENTS)
    usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    whole = begun | {"status": "completed", "output": items, "usage": usage}
    if not body.get("stream"):
        return 200, "application/json", dump(whole)
    events = [("response.created", {"response": begun}), ("response.in_progress", {"response": begun})]
    for index, item in enumerate(items):
        events += item_events(index, item)
    events.append(("response.completed", {"response": whole}))
    frames = [dump({"type": name, "sequence_number": at} | event) for at, (name, event) in enumerate(events)]
    names = [name.encode() for name, _ in events]
    stream = [b"event: " + name + b"\ndata: " + frame + b"\n\n" for name, frame in zip(names, frames)]
    return 200, "text/event-stream", b"".join(stream)


def message_item(text):
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def item_events(index, item):
    at = {"item_id": item["id"], "output_index": index}
    begin, kind = {"status": "in_progress"}, "function_call_arguments"
    if item["type"] == "message":
        [part], begin, kind = item["content"], begin | {"content": []}, "output_text"
        at |= {"content_index": 0}
        yield "response.output_item.added", {"output_index": index, "item": item | begin}
        yield "response.content_part.added", at | {"part": part | {"text": ""}}
        for delta in halves(part["text"]):
            yield f"response.{kind}.delta", at | {"delta": delta}
        yield f"response.{kind}.done", at | {"text": part["text"]}
        yield "response.content_part.done", at | {"part": part}
    else:
        yield "response.output_item.added", {"output_index": index, "item": item | begin | {"arguments": ""}}
        for delta in halves(item["arguments"]):
            yield f"response.{kind}.delta", at | {"delta": delta}
        yield f"response.{kind}.done", at | {"arguments": item["arguments"]}
    yield "response.output_item.done", {"output_index": index, "item": item}
