"""Drives a gateway with LangChain and prints what it made of the answers, as JSON.

Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, a model for embeddings (or another word).
The environment variable `LANGCHAIN_MODEL` picks the class and how it speaks: `chat`, `responses` or `anthropic`.
"""

import json
import os
import sys

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

ADDRESS, MODEL, EMBEDDER = sys.argv[1:4]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
KIND = os.environ["LANGCHAIN_MODEL"]
OPENAI = {"base_url": f"{ADDRESS}/v1", "api_key": "not-needed", "max_retries": 0}


def llm(model=MODEL, **more):
    if KIND == "anthropic":
        more = {"max_tokens": 300, **more}
        return ChatAnthropic(model=model, base_url=ADDRESS, api_key="not-needed", max_retries=0, **more)
    return ChatOpenAI(model=model, stream_usage=True, use_responses_api=KIND == "responses", **OPENAI, **more)


# `ChatOpenAI` does not read reasoning in Chat Completions.
REASONING = {
    "responses": {"reasoning": {"effort": "medium", "summary": "auto"}},
    "anthropic": {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
}


@tool
def get_weather(city: str):
    """get_weather"""


@tool
def get_time(zone: str):
    """get_time"""


WITH_TOOLS = llm().bind_tools([get_weather, get_time])


def heard(message):
    usage, metadata = message.usage_metadata, message.response_metadata
    blocks = message.content_blocks
    stop = metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("status")
    return {
        "text": message.text,
        "reasoning": "".join(block.get("reasoning", "") for block in blocks if block["type"] == "reasoning"),
        "calls": [[call["name"], call["args"]] for call in message.tool_calls],
        "stop": stop,
        "usage": [
            usage["input_tokens"],
            usage.get("input_token_details", {}).get("cache_read") or 0,
            usage["output_tokens"],
        ],
    }


def heard_in_stream(text, model):
    whole = None
    for chunk in model.stream(text):
        whole = chunk if whole is None else whole + chunk
    return heard(whole)


def tool_results():
    asked = WITH_TOOLS.invoke("case:tools")
    results = zip(asked.tool_calls, ["sunny", "rainy", "noon"])
    told = [ToolMessage(content=result, tool_call_id=call["id"]) for call, result in results]
    return WITH_TOOLS.invoke([HumanMessage("case:tools"), asked, *told]).text


def image():
    picture = {"type": "image", "base64": IMAGE, "mime_type": "image/png"}
    return llm().invoke([HumanMessage([picture, {"type": "text", "text": "case:image"}])]).text


class Answer(BaseModel):
    answer: int
    unit: str


def structured():
    return llm().with_structured_output(Answer, method="json_schema").invoke("case:structured").model_dump()


def error(text, model=MODEL):
    try:
        llm(model).invoke(text)
    except (openai.APIStatusError, anthropic.APIStatusError) as caught:
        names = [cls.__name__ for cls in type(caught).__mro__]
        name = next(name for name in names if not name.startswith(("OpenAI", "Anthropic")))
        return {"class": name, "status": caught.status_code, "message": str(caught)}
    return None


def cancel():
    words = 0
    stream = llm().stream("case:long")
    for chunk in stream:
        if chunk.text:
            words += 1
        if words == 3:
            break
    stream.close()
    return words


def embeddings():
    # Otherwise it sends numbers of OpenAI's tokens in place of the text.
    embedder = OpenAIEmbeddings(model=EMBEDDER, check_embedding_ctx_length=False, **OPENAI)
    return embedder.embed_documents(["one", "three"])


results = {
    "text": heard(llm().invoke("case:text")),
    "stream": heard_in_stream("case:text", llm()),
    "tools": heard(WITH_TOOLS.invoke("case:tools")),
    "tools_stream": heard_in_stream("case:tools", WITH_TOOLS),
    "tool_results": tool_results(),
    "image": image(),
    "structured": structured(),
    "not_found": error("case:error-404"),
    "unknown_model": error("hello", model="@nothing"),
    "rate_limited": error("case:error-429"),
    "cancel": cancel(),
}
if KIND in REASONING:
    results["reasoning"] = heard(llm(**REASONING[KIND]).invoke("case:reasoning"))
    results["reasoning_stream"] = heard_in_stream("case:reasoning", llm(**REASONING[KIND]))
if KIND == "chat" and EMBEDDER != "-":
    results["embeddings"] = embeddings()
print(json.dumps(results))
