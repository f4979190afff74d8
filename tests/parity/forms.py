"""What a vendor takes for the same thing, put into one form: a text and a list with one text in it, a default and its absence, a name in
snake case and in camel case. Nothing is left out that a vendor could tell apart."""

import json
import re

# Members of what models are asked at Gemini that TensorZero writes in snake case; Google reads both.
CAMEL = {"function_call": "functionCall", "function_response": "functionResponse", "inline_data": "inlineData", "mime_type": "mimeType"}
ARGUMENTS = {"arguments", "raw_arguments", "content", "raw"}


def of_request(path, body):
    if path.endswith("/messages"):
        return messages(body)
    if re.search(":(stream)?[gG]enerateContent", path):
        return gemini(body)
    if re.search("/converse(-stream)?$", path):
        return converse(body)
    return chat(body) if path.endswith("/chat/completions") else body


def without(table, **defaults):
    return {key: value for key, value in table.items() if key not in defaults or value != defaults[key]}


def blocks(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def merged(turns, key):
    """Turns of one role after another are one turn, at Anthropic, Google and Amazon alike."""
    out = []
    for turn in turns:
        if out and out[-1]["role"] == turn["role"]:
            out[-1] = out[-1] | {key: out[-1][key] + turn[key]}
        else:
            out.append(turn)
    return out


def messages(body):
    body = without(body, stream=False)
    turns = [turn | {"content": [result(block) for block in blocks(turn["content"])]} for turn in body["messages"]]
    body["messages"] = merged(turns, "content")
    if "system" in body:
        body["system"] = blocks(body["system"])
    if "tools" in body:
        body["tools"] = [without(tool, strict=False) for tool in body["tools"]]
    if "tool_choice" in body:
        body["tool_choice"] = without(body["tool_choice"], disable_parallel_tool_use=False)
    return body


def result(block):
    return block | {"content": blocks(block["content"])} if block["type"] == "tool_result" else block


def gemini(body):
    body = without(body, tools=None, generationConfig={})
    body["contents"] = merged([camel(turn) for turn in body["contents"]], "parts")
    if "systemInstruction" in body:
        body["systemInstruction"] = {key: value for key, value in body["systemInstruction"].items() if key != "role"}
    choice = body.get("toolConfig", {}).get("functionCallingConfig")
    if choice:
        choice["mode"] = choice["mode"].upper()
    return body


def camel(value):
    if isinstance(value, dict):
        return {CAMEL.get(key, key): camel(one) for key, one in value.items()}
    return [camel(one) for one in value] if isinstance(value, list) else value


def converse(body):
    body = without(body, inferenceConfig={})
    body["messages"] = merged(body["messages"], "content")
    return body


def chat(body):
    body = without(body, response_format={"type": "text"})
    body["messages"] = [turn | {"content": text_alone(turn["content"])} if "content" in turn else turn for turn in body["messages"]]
    return body


def text_alone(content):
    match content:
        case [{"type": "text", "text": text}] if set(content[0]) == {"type", "text"}:
            return text
    return content


def of_arguments(key, value):
    """Arguments of calls are JSON in a text, and so may answers be; where blanks stand in it is of no matter."""
    if key in ARGUMENTS and isinstance(value, str) and value.startswith("{"):
        try:
            return json.dumps(json.loads(value))
        except ValueError:
            pass
    return value
