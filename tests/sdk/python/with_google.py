"""Drives a gateway with the official `google-genai` package and prints what the package made of the answers, as JSON.

Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, a model for embeddings (or `-`).
The package calls `/v1/...` unless it is told `v1beta`; the environment variable `GOOGLE_API_VERSION` picks.
"""

import base64
import json
import os
import sys

from google import genai
from google.genai import errors, types

ADDRESS, MODEL, EMBEDDER = sys.argv[1:4]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

options = types.HttpOptions(base_url=ADDRESS, api_version=os.environ.get("GOOGLE_API_VERSION"))
client = genai.Client(api_key="not-needed", http_options=options)


def declaration(name, argument):
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return types.FunctionDeclaration(name=name, description=name, parameters_json_schema=schema)


TOOLS = [types.Tool(function_declarations=[declaration("get_weather", "city"), declaration("get_time", "zone")])]
NO_CALLING = types.AutomaticFunctionCallingConfig(disable=True)
WITH_TOOLS = types.GenerateContentConfig(tools=TOOLS, automatic_function_calling=NO_CALLING)
THINKING = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))


def create(contents, config=None):
    return client.models.generate_content(model=MODEL, contents=contents, config=config)


def heard(answers):
    text, reasoning, calls, stop, usage = "", "", [], "", None
    for answer in answers:
        candidate = answer.candidates[0]
        for part in (candidate.content and candidate.content.parts) or []:
            if part.function_call:
                calls.append([part.function_call.name, part.function_call.args])
            elif part.thought:
                reasoning += part.text or ""
            else:
                text += part.text or ""
        if candidate.finish_reason:
            stop = candidate.finish_reason.value
        if answer.usage_metadata:
            counts = answer.usage_metadata
            output = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
            usage = [counts.prompt_token_count, counts.cached_content_token_count or 0, output]
    return {"text": text, "reasoning": reasoning, "calls": calls, "stop": stop, "usage": usage}


def heard_in_stream(contents, config=None):
    return heard(client.models.generate_content_stream(model=MODEL, contents=contents, config=config))


def tool_results():
    asked = create("case:tools", WITH_TOOLS)
    calls = [part.function_call for part in asked.candidates[0].content.parts if part.function_call]
    parts = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": result}))
        for call, result in zip(calls, ["sunny", "rainy", "noon"])
    ]
    turns = [
        types.Content(role="user", parts=[types.Part(text="case:tools")]),
        asked.candidates[0].content,
        types.Content(role="user", parts=parts),
    ]
    return heard([create(turns, WITH_TOOLS)])["text"]


def image():
    part = types.Part.from_bytes(data=base64.b64decode(IMAGE), mime_type="image/png")
    return heard([create([part, "case:image"])])["text"]


def structured():
    from pydantic import BaseModel

    class Answer(BaseModel):
        answer: int
        unit: str

    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Answer)
    return create("case:structured", config).parsed.model_dump()


def error(text, model=MODEL):
    try:
        client.models.generate_content(model=model, contents=text)
    except errors.APIError as caught:
        return {"class": type(caught).__name__, "status": caught.code, "message": str(caught)}
    return None


def cancel():
    words = 0
    stream = client.models.generate_content_stream(model=MODEL, contents="case:long")
    for chunk in stream:
        if chunk.text:
            words += 1
        if words == 3:
            break
    stream.close()
    client.close()
    return words


def embeddings():
    answer = client.models.embed_content(model=EMBEDDER, contents=["one", "three"])
    return [item.values for item in answer.embeddings]


results = {
    "text": heard([create("case:text")]),
    "stream": heard_in_stream("case:text"),
    "tools": heard([create("case:tools", WITH_TOOLS)]),
    "tools_stream": heard_in_stream("case:tools", WITH_TOOLS),
    "tool_results": tool_results(),
    "image": image(),
    "structured": structured(),
    "reasoning": heard([create("case:reasoning", THINKING)]),
    "reasoning_stream": heard_in_stream("case:reasoning", THINKING),
    "not_found": error("case:error-404"),
    "unknown_model": error("hello", model="@nothing"),
    "rate_limited": error("case:error-429"),
    "models": [model.name for model in client.models.list()],
    "count_tokens": client.models.count_tokens(model=MODEL, contents="hello").total_tokens,
}
if EMBEDDER != "-":
    results["embeddings"] = embeddings()
results["cancel"] = cancel()
print(json.dumps(results))
