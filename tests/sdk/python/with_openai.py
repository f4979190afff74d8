"""Drives a gateway with the official `openai` package and prints what the package made of the answers, as JSON.

Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, a model for embeddings (or `-`).
"""

import json
import sys

import openai

ADDRESS, MODEL, EMBEDDER = sys.argv[1:4]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

client = openai.OpenAI(base_url=f"{ADDRESS}/v1", api_key="not-needed", max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def tool(name, argument):
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


TOOLS = [tool("get_weather", "city"), tool("get_time", "zone")]


def create(messages, **more):
    return client.chat.completions.create(model=MODEL, messages=messages, **more)


def usage_of(usage):
    return [usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens or 0, usage.completion_tokens]


def heard(answer):
    choice = answer.choices[0]
    calls = [[call.function.name, json.loads(call.function.arguments)] for call in choice.message.tool_calls or []]
    return {
        "text": choice.message.content or "",
        "reasoning": getattr(choice.message, "reasoning_content", None) or "",
        "calls": calls,
        "stop": choice.finish_reason,
        "usage": usage_of(answer.usage),
    }


def heard_in_stream(messages, **more):
    text, reasoning, stop, usage, calls = "", "", "", None, {}
    stream = create(messages, stream=True, stream_options={"include_usage": True}, **more)
    for chunk in stream:
        if chunk.usage:
            usage = usage_of(chunk.usage)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            stop = choice.finish_reason or stop
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, ["", ""])
                call[0] += piece.function.name or ""
                call[1] += piece.function.arguments or ""
    calls = [[name, json.loads(arguments)] for name, arguments in calls.values()]
    return {"text": text, "reasoning": reasoning, "calls": calls, "stop": stop, "usage": usage}


def tool_results():
    messages = user("case:tools")
    asked = create(messages, tools=TOOLS).choices[0].message
    messages.append(asked.model_dump(exclude_none=True))
    for call, result in zip(asked.tool_calls, ["sunny", "rainy", "noon"]):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return heard(create(messages, tools=TOOLS))["text"]


def image():
    url = {"url": f"data:image/png;base64,{IMAGE}"}
    parts = [{"type": "text", "text": "case:image"}, {"type": "image_url", "image_url": url}]
    return heard(create([{"role": "user", "content": parts}]))["text"]


def structured():
    from pydantic import BaseModel

    class Answer(BaseModel):
        answer: int
        unit: str

    parsed = client.chat.completions.parse(model=MODEL, messages=user("case:structured"), response_format=Answer)
    return parsed.choices[0].message.parsed.model_dump()


def error(text, model=MODEL):
    try:
        client.chat.completions.create(model=model, messages=user(text))
    except openai.APIStatusError as caught:
        return {"class": type(caught).__name__, "status": caught.status_code, "message": str(caught)}
    return None


def cancel():
    words = 0
    with create(user("case:long"), stream=True) as stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                words += 1
            if words == 3:
                break
    return words


def embeddings():
    answer = client.embeddings.create(model=EMBEDDER, input=["one", "three"])
    return [item.embedding for item in answer.data]


results = {
    "text": heard(create(user("case:text"))),
    "stream": heard_in_stream(user("case:text")),
    "tools": heard(create(user("case:tools"), tools=TOOLS)),
    "tools_stream": heard_in_stream(user("case:tools"), tools=TOOLS),
    "tool_results": tool_results(),
    "image": image(),
    "structured": structured(),
    "reasoning": heard(create(user("case:reasoning"), reasoning_effort="medium")),
    "reasoning_stream": heard_in_stream(user("case:reasoning"), reasoning_effort="medium"),
    "not_found": error("case:error-404"),
    "unknown_model": error("hello", model="@nothing"),
    "rate_limited": error("case:error-429"),
    "cancel": cancel(),
    "models": [model.id for model in client.models.list()],
}
if EMBEDDER != "-":
    results["embeddings"] = embeddings()
print(json.dumps(results))
