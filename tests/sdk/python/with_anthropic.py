"""Drives a gateway with the official `anthropic` package and prints what the package made of the answers, as JSON.

Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, and `-`.
"""

import json
import sys

import anthropic

ADDRESS, MODEL = sys.argv[1:3]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

client = anthropic.Anthropic(base_url=ADDRESS, api_key="not-needed", max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def tool(name, argument):
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"name": name, "description": name, "input_schema": schema}


TOOLS = [tool("get_weather", "city"), tool("get_time", "zone")]
THINKING = {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}}


def create(messages, **more):
    return client.messages.create(model=MODEL, messages=messages, **{"max_tokens": 300, **more})


def heard(answer):
    usage = answer.usage
    cached, created = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return {
        "text": "".join(block.text for block in answer.content if block.type == "text"),
        "reasoning": "".join(block.thinking for block in answer.content if block.type == "thinking"),
        "calls": [[block.name, block.input] for block in answer.content if block.type == "tool_use"],
        "stop": answer.stop_reason,
        "usage": [usage.input_tokens + cached + created, cached, usage.output_tokens],
    }


def heard_in_stream(messages, **more):
    with client.messages.stream(model=MODEL, messages=messages, **{"max_tokens": 300, **more}) as stream:
        for _ in stream:
            pass
        return heard(stream.get_final_message())


def tool_results():
    messages = user("case:tools")
    asked = create(messages, tools=TOOLS)
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in asked.content]})
    calls = [block for block in asked.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": result}
        for call, result in zip(calls, ["sunny", "rainy", "noon"])
    ]
    messages.append({"role": "user", "content": results})
    return heard(create(messages, tools=TOOLS))["text"]


def image():
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "case:image"}]
    return heard(create([{"role": "user", "content": parts}]))["text"]


def structured():
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}, "unit": {"type": "string"}},
        "required": ["answer", "unit"],
        "additionalProperties": False,
    }
    output = {"format": {"type": "json_schema", "schema": schema}}
    return json.loads(heard(create(user("case:structured"), output_config=output))["text"])


def error(text, model=MODEL):
    try:
        client.messages.create(model=model, max_tokens=10, messages=user(text))
    except anthropic.APIStatusError as caught:
        return {"class": type(caught).__name__, "status": caught.status_code, "message": str(caught)}
    return None


def cancel():
    words = 0
    with client.messages.stream(model=MODEL, max_tokens=300, messages=user("case:long")) as stream:
        for _ in stream.text_stream:
            words += 1
            if words == 3:
                break
    return words


print(json.dumps({
    "text": heard(create(user("case:text"))),
    "stream": heard_in_stream(user("case:text")),
    "tools": heard(create(user("case:tools"), tools=TOOLS)),
    "tools_stream": heard_in_stream(user("case:tools"), tools=TOOLS),
    "tool_results": tool_results(),
    "image": image(),
    "structured": structured(),
    "reasoning": heard(create(user("case:reasoning"), **THINKING)),
    "reasoning_stream": heard_in_stream(user("case:reasoning"), **THINKING),
    "not_found": error("case:error-404"),
    "unknown_model": error("hello", model="@nothing"),
    "rate_limited": error("case:error-429"),
    "cancel": cancel(),
    "models": [model.id for model in client.models.list()],
    "count_tokens": client.messages.count_tokens(model=MODEL, messages=user("hello")).input_tokens,
}))
