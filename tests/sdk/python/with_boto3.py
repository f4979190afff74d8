"""Drives a gateway with AWS's `boto3` and prints what the package made of the answers, as JSON.

Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, and `-`.
"""

import base64
import json
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ADDRESS, MODEL = sys.argv[1:3]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

client = boto3.client(
    "bedrock-runtime",
    endpoint_url=ADDRESS,
    region_name="us-east-1",
    aws_access_key_id="not-needed",
    aws_secret_access_key="not-needed",
    config=Config(retries={"total_max_attempts": 1}),
)


def user(text):
    return [{"role": "user", "content": [{"text": text}]}]


def tool(name, argument):
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"toolSpec": {"name": name, "description": name, "inputSchema": {"json": schema}}}


TOOLS = {"toolConfig": {"tools": [tool("get_weather", "city"), tool("get_time", "zone")]}}
THINKING = {
    "inferenceConfig": {"maxTokens": 4000},
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
}


def create(messages, **more):
    return client.converse(modelId=MODEL, messages=messages, **more)


def heard(answer):
    content = answer["output"]["message"]["content"]
    thoughts = [block["reasoningContent"] for block in content if "reasoningContent" in block]
    calls = [block["toolUse"] for block in content if "toolUse" in block]
    usage = answer["usage"]
    cached = usage.get("cacheReadInputTokens", 0)
    prompt = usage["inputTokens"] + cached + usage.get("cacheWriteInputTokens", 0)
    assert usage["totalTokens"] == prompt + usage["outputTokens"], usage
    return {
        "text": "".join(block["text"] for block in content if "text" in block),
        "reasoning": "".join(thought["reasoningText"]["text"] for thought in thoughts if "reasoningText" in thought),
        "calls": [[call["name"], call["input"]] for call in calls],
        "stop": answer["stopReason"],
        "usage": [prompt, cached, usage["outputTokens"]],
    }


def heard_in_stream(messages, **more):
    blocks, answer = {}, {}
    for event in client.converse_stream(modelId=MODEL, messages=messages, **more)["stream"]:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            blocks[start["contentBlockIndex"]] = {"toolUse": {**start["start"]["toolUse"], "input": ""}}
        elif "contentBlockDelta" in event:
            delta = event["contentBlockDelta"]["delta"]
            block = blocks.setdefault(event["contentBlockDelta"]["contentBlockIndex"], {})
            if "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "reasoningContent" in delta:
                thought = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
                thought["text"] += delta["reasoningContent"].get("text", "")
            else:
                block["text"] = block.get("text", "") + delta["text"]
        elif "messageStop" in event:
            answer.update(event["messageStop"])
        elif "metadata" in event:
            answer.update(event["metadata"])
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return heard({**answer, "output": {"message": {"content": [blocks[index] for index in sorted(blocks)]}}})


def tool_results():
    messages = user("case:tools")
    asked = create(messages, **TOOLS)["output"]["message"]
    calls = [block["toolUse"] for block in asked["content"] if "toolUse" in block]
    results = [
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": result}]}}
        for call, result in zip(calls, ["sunny", "rainy", "noon"])
    ]
    return heard(create([*messages, asked, {"role": "user", "content": results}], **TOOLS))["text"]


def image():
    block = {"image": {"format": "png", "source": {"bytes": base64.b64decode(IMAGE)}}}
    return heard(create([{"role": "user", "content": [block, {"text": "case:image"}]}]))["text"]


def document():
    block = {"document": {"format": "txt", "name": "notes", "source": {"bytes": b"Water is wet."}}}
    return heard(create([{"role": "user", "content": [block, {"text": "case:text"}]}]))["text"]


def structured():
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}, "unit": {"type": "string"}},
        "required": ["answer", "unit"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "structure": {"jsonSchema": {"name": "answer", "schema": json.dumps(schema)}}}
    return json.loads(heard(create(user("case:structured"), outputConfig={"textFormat": form}))["text"])


def error(text, model=MODEL):
    try:
        client.converse(modelId=model, messages=user(text))
    except ClientError as caught:
        status = caught.response["ResponseMetadata"]["HTTPStatusCode"]
        return {"class": type(caught).__name__, "status": status, "message": str(caught)}
    return None


def cancel():
    words = 0
    stream = client.converse_stream(modelId=MODEL, messages=user("case:long"))["stream"]
    for event in stream:
        words += "contentBlockDelta" in event
        if words == 3:
            stream.close()
            break
    return words


def models():
    with urllib.request.urlopen(f"{ADDRESS}/v1/models") as answer:
        return [model["id"] for model in json.load(answer)["data"]]


print(json.dumps({
    "text": heard(create(user("case:text"))),
    "stream": heard_in_stream(user("case:text")),
    "tools": heard(create(user("case:tools"), **TOOLS)),
    "tools_stream": heard_in_stream(user("case:tools"), **TOOLS),
    "tool_results": tool_results(),
    "image": image(),
    "document": document(),
    "structured": structured(),
    "reasoning": heard(create(user("case:reasoning"), **THINKING)),
    "reasoning_stream": heard_in_stream(user("case:reasoning"), **THINKING),
    "not_found": error("case:error-404"),
    "unknown_model": error("hello", model="@nothing"),
    "rate_limited": error("case:error-429"),
    "cancel": cancel(),
    "models": models(),
    "count_tokens": client.count_tokens(modelId=MODEL, input={"converse": {"messages": user("hello")}})["inputTokens"],
}))
