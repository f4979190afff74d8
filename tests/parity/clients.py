"""TensorZero's client and OpenAI's SDK against a gateway: everything that they offer here works as it does there."""

import asyncio
import sys

import openai
import tensorzero

URL = sys.argv[1]
INPUT = {"messages": [{"role": "user", "content": "hi"}]}


def native(client):
    answer = client.inference(function_name="draft", input=INPUT, tags={"a": "b"})
    assert answer.variant_name == "v1" and answer.content[0].text, answer
    assert answer.usage.input_tokens and answer.finish_reason.value == "stop", answer
    chunks = list(client.inference(function_name="draft", input=INPUT, stream=True))
    assert "".join(block.text for chunk in chunks for block in chunk.content) == answer.content[0].text
    assert chunks[-1].usage.output_tokens == answer.usage.output_tokens
    value = client.inference(function_name="extract", input=INPUT)
    assert value.output.raw and value.output.parsed is None, value
    feedback = client.feedback(metric_name="thumbs", value=True, inference_id=answer.inference_id)
    assert feedback.feedback_id
    client.feedback(metric_name="score", value=0.5, episode_id=answer.episode_id)
    try:
        client.inference(function_name="nobody", input=INPUT)
    except tensorzero.TensorZeroError as error:
        assert error.status_code == 404, error
    else:
        raise AssertionError("an unknown function was answered")


async def asynchronous():
    client = await tensorzero.AsyncTensorZeroGateway.build_http(gateway_url=URL)
    answer = await client.inference(model_name="small", input=INPUT)
    assert answer.variant_name == "small", answer


def chat(client):
    messages = INPUT["messages"]
    name = "tensorzero::function_name::draft"
    extra = {"tensorzero::tags": {"a": "b"}, "tensorzero::variant_name": "v2"}
    answer = client.chat.completions.create(model=name, messages=messages, extra_body=extra)
    assert answer.model == f"{name}::variant_name::v2" and answer.choices[0].message.content, answer
    assert answer.episode_id and answer.usage.prompt_tokens, answer
    options = {"include_usage": True}
    stream = client.chat.completions.create(model=name, messages=messages, stream=True, stream_options=options)
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == answer.choices[0].message.content and chunks[-1].usage.prompt_tokens, chunks[-1]
    vectors = client.embeddings.create(model="tensorzero::embedding_model_name::e", input=["a", "b"])
    assert len(vectors.data) == 2, vectors
    assert name in [model.id for model in client.models.list()]
    try:
        client.chat.completions.create(model="draft", messages=messages)
    except openai.BadRequestError as error:
        assert "tensorzero::" in error.message, error
    else:
        raise AssertionError("a name without a prefix was answered")


native(tensorzero.TensorZeroGateway.build_http(gateway_url=URL))
asyncio.run(asynchronous())
chat(openai.OpenAI(base_url=f"{URL}/openai/v1", api_key="any", max_retries=0))
print("all well")
