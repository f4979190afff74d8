"""Drives a gateway with Mistral's `mistralai` and prints what the package made of the answers, as JSON.

Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, and a word that it ignores.
"""

import json
import sys

from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from pydantic import BaseModel

ADDRESS, MODEL = sys.argv[1:3]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

client = Mistral(api_key="not-needed", server_url=ADDRESS)


def user(text):
    return [{"role": "user", "content": text}]


def tool(name, argument):
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


TOOLS = [tool("get_weather", "city"), tool("get_time", "zone")]


def create(messages, **more):
    return client.chat.complete(model=MODEL, messages=messages, **more)


def usage_of(usage):
    details = (usage.additional_properties or {}).get("prompt_tokens_details") or {}
    return [usage.prompt_tokens, details.get("cached_tokens") or 0, usage.completion_tokens]


def heard(answer):
    choice = answer.choices[0]
    calls = [[call.function.name, json.loads(call.function.arguments)] for call in choice.message.tool_calls or []]
    return {
        "text": choice.message.content or "",
        "reasoning": "",
        "calls": calls,
        "stop": choice.finish_reason,
        "usage": usage_of(answer.usage),
    }


# Without tools: the package wants the name of a function in every piece of a call, which only whole calls have.
def heard_in_stream(messages):
    text, stop, usage = "", "", None
    with client.chat.stream(model=MODEL, messages=messages) as stream:
        for event in stream:
            if event.data.usage:
                usage = usage_of(event.data.usage)
            for choice in event.data.choices:
                text += choice.delta.content or ""
                stop = choice.finish_reason or stop
    return {"text": text, "reasoning": "", "calls": [], "stop": stop, "usage": usage}


def tool_results():
    asked = create(user("case:tools"), tools=TOOLS).choices[0].message
    results = [
        {"role": "tool", "name": call.function.name, "tool_call_id": call.id, "content": result}
        for call, result in zip(asked.tool_calls, ["sunny", "rainy", "noon"])
    ]
    return heard(create([*user("case:tools"), asked, *results], tools=TOOLS))["text"]


def image():
    # Mistral also takes the address as a bare text; other providers take it only within an object.
    url = {"url": f"data:image/png;base64,{IMAGE}"}
    parts = [{"type": "text", "text": "case:image"}, {"type": "image_url", "image_url": url}]
    return heard(create([{"role": "user", "content": parts}]))["text"]


class Answer(BaseModel):
    answer: int
    unit: str


def structured():
    parsed = client.chat.parse(response_format=Answer, model=MODEL, messages=user("case:structured"))
    return parsed.choices[0].message.parsed.model_dump()


def error(text, model=MODEL):
    try:
        client.chat.complete(model=model, messages=user(text))
    except SDKError as caught:
        return {"class": type(caught).__name__, "status": caught.status_code, "message": str(caught)}
    return None


def cancel():
    words = 0
    with client.chat.stream(model=MODEL, messages=user("case:long")) as stream:
        for event in stream:
            if event.data.choices and event.data.choices[0].delta.content:
                words += 1
            if words == 3:
                break
    return words


results = {
    "text": heard(create(user("case:text"))),
    "stream": heard_in_stream(user("case:text")),
    "tools": heard(create(user("case:tools"), tools=TOOLS)),
    "tool_results": tool_results(),
    "image": image(),
    "structured": structured(),
    "not_found": error("case:error-404"),
    "unknown_model": error("hello", model="@nothing"),
    "rate_limited": error("case:error-429"),
    "cancel": cancel(),
}
print(json.dumps(results))
