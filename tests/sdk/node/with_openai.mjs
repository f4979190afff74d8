// Drives a gateway with the official `openai` package and prints what the package made of the answers, as JSON.
//
// Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, a model for embeddings (or `-`).

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [address, model, embedder] = process.argv.slice(2);
const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "not-needed", maxRetries: 0 });

const user = (text) => [{ role: "user", content: text }];
const tool = (name, argument) => ({
  type: "function",
  function: {
    name,
    description: name,
    parameters: { type: "object", properties: { [argument]: { type: "string" } }, required: [argument] },
  },
});
const tools = [tool("get_weather", "city"), tool("get_time", "zone")];
const create = (messages, more = {}) => client.chat.completions.create({ model, messages, ...more });

const usageOf = (usage) => [
  usage.prompt_tokens,
  usage.prompt_tokens_details?.cached_tokens ?? 0,
  usage.completion_tokens,
];

const heard = (answer) => {
  const { message, finish_reason: stop } = answer.choices[0];
  const calls = (message.tool_calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  const reasoning = message.reasoning_content ?? "";
  return { text: message.content ?? "", reasoning, calls, stop, usage: usageOf(answer.usage) };
};

// The package's own accumulator, which is stricter about tool calls than a loop over chunks.
const heardInStream = async (messages, more = {}) => {
  const stream = client.chat.completions.stream({
    model,
    messages,
    stream_options: { include_usage: true },
    ...more,
  });
  let reasoning = "";
  for await (const chunk of stream) reasoning += chunk.choices[0]?.delta.reasoning_content ?? "";
  return { ...heard(await stream.finalChatCompletion()), reasoning };
};

const toolResults = async () => {
  const messages = user("case:tools");
  const asked = (await create(messages, { tools })).choices[0].message;
  const results = ["sunny", "rainy", "noon"];
  messages.push(asked, ...asked.tool_calls.map(({ id }, at) => ({ role: "tool", tool_call_id: id, content: results[at] })));
  return heard(await create(messages, { tools })).text;
};

const seeImage = async () => {
  const parts = [
    { type: "text", text: "case:image" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${image}` } },
  ];
  return heard(await create([{ role: "user", content: parts }])).text;
};

const structured = async () => {
  const response_format = zodResponseFormat(z.object({ answer: z.number().int(), unit: z.string() }), "answer");
  const messages = user("case:structured");
  return (await client.chat.completions.parse({ model, messages, response_format })).choices[0].message.parsed;
};

const error = async (text, asked = model) => {
  try {
    await client.chat.completions.create({ model: asked, messages: user(text) });
  } catch (caught) {
    if (!(caught instanceof OpenAI.APIError)) throw caught;
    return { class: caught.constructor.name, status: caught.status, message: caught.message };
  }
  return null;
};

const cancel = async () => {
  let words = 0;
  for await (const chunk of await create(user("case:long"), { stream: true })) {
    if (chunk.choices[0]?.delta.content) words += 1;
    if (words === 3) break;
  }
  return words;
};

const embeddings = async () =>
  (await client.embeddings.create({ model: embedder, input: ["one", "three"] })).data.map((item) => item.embedding);

const models = [];
for await (const { id } of client.models.list()) models.push(id);

const results = {
  text: heard(await create(user("case:text"))),
  stream: await heardInStream(user("case:text")),
  tools: heard(await create(user("case:tools"), { tools })),
  tools_stream: await heardInStream(user("case:tools"), { tools }),
  tool_results: await toolResults(),
  image: await seeImage(),
  structured: await structured(),
  reasoning: heard(await create(user("case:reasoning"), { reasoning_effort: "medium" })),
  reasoning_stream: await heardInStream(user("case:reasoning"), { reasoning_effort: "medium" }),
  not_found: await error("case:error-404"),
  unknown_model: await error("hello", "@nothing"),
  rate_limited: await error("case:error-429"),
  cancel: await cancel(),
  models,
};
if (embedder !== "-") results.embeddings = await embeddings();
console.log(JSON.stringify(results));
