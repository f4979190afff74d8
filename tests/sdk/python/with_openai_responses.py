"""Drives a gateway with `client.responses` of the official `openai` package and prints what the package made of the answers,
as JSON.

Arguments: the gateway's address (`http://127.0.0.1:4356`), a model, and `kept` where the gateway keeps the answers.
"""

import json
import sys

import openai
from pydantic import BaseModel

ADDRESS, MODEL, KEPT = sys.argv[1:4]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

client = openai.OpenAI(base_url=f"{ADDRESS}/v1", api_key="not-needed", max_retries=0)


def tool(name, argument):
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "name": name, "description": name, "parameters": schema, "strict": False}


TOOLS = [tool("get_weather", "city"), tool("get_time", "zone")]


def create(given, **more):
    return client.responses.create(model=MODEL, input=given, **more)


def heard(answer):
    reasoning = [part.text for item in answer.output if item.type == "reasoning" for part in item.summary]
    calls = [[item.name, json.loads(item.arguments)] for item in answer.output if item.type == "function_call"]
    usage = answer.usage
    return {
        "text": answer.output_text,
        "reasoning": "".join(reasoning),
        "calls": calls,
        "stop": answer.status,
        "usage": [usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens],
    }


def heard_in_stream(given, **more):
    """The package's own accumulator, which refuses events that are out of order."""
    with client.responses.stream(model=MODEL, input=given, **more) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        answer = heard(stream.get_final_response())
    assert text == answer["text"], (text, answer)
    return answer


def tool_results():
    asked = create("case:tools", tools=TOOLS)
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": result}
        for call, result in zip(asked.output, ["sunny", "rainy", "noon"])
    ]
    given = [{"role": "user", "content": "case:tools"}, *[item.model_dump() for item in asked.output], *results]
    told = create(given, tools=TOOLS).output_text
    if KEPT == "kept":
        again = create(results, tools=TOOLS, previous_response_id=asked.id).output_text
        assert again == told, (again, told)
    return told


def image():
    parts = [
        {"type": "input_text", "text": "case:image"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{IMAGE}", "detail": "auto"},
    ]
    return create([{"role": "user", "content": parts}]).output_text


def structured():
    class Answer(BaseModel):
        answer: int
        unit: str

    return client.responses.parse(model=MODEL, input="case:structured", text_format=Answer).output_parsed.model_dump()


def kept():
    first = create("case:text", metadata={"team": "lab"})
    second = create("case:text again", previous_response_id=first.id)
    shown = client.responses.retrieve(second.id)
    items = [item.content[0].text for item in client.responses.input_items.list(second.id, order="asc", limit=1)]
    client.responses.delete(second.id)
    try:
        client.responses.retrieve(second.id)
    except openai.NotFoundError:
        return {"shown": shown.to_dict() == second.to_dict(), "items": items, "team": first.metadata["team"]}
    return None


def error(text, model=MODEL):
    try:
        client.responses.create(model=model, input=text)
    except openai.APIStatusError as caught:
        return {"class": type(caught).__name__, "status": caught.status_code, "message": str(caught)}
    return None


def cancel():
    words = 0
    with create("case:long", stream=True) as stream:
        for event in stream:
            words += event.type == "response.output_text.delta"
            if words == 3:
                break
    return words


results = {
    "text": heard(create("case:text")),
    "stream": heard_in_stream("case:text"),
    "tools": heard(create("case:tools", tools=TOOLS)),
    "tools_stream": heard_in_stream("case:tools", tools=TOOLS),
    "tool_results": tool_results(),
    "image": image(),
    "structured": structured(),
    "reasoning": heard(create("case:reasoning", reasoning={"effort": "medium", "summary": "auto"})),
    "reasoning_stream": heard_in_stream("case:reasoning", reasoning={"effort": "medium", "summary": "auto"}),
    "not_found": error("case:error-404"),
    "unknown_model": error("hello", model="@nothing"),
    "rate_limited": error("case:error-429"),
    "cancel": cancel(),
    "count_tokens": client.responses.input_tokens.count(model=MODEL, input="hello").input_tokens,
}
if KEPT == "kept":
    results["kept"] = kept()
print(json.dumps(results))
