// Drives a gateway with the official `@anthropic-ai/sdk` package and prints what it made of the answers, as JSON.
//
// Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, and `-`.

import Anthropic from "@anthropic-ai/sdk";

const [address, model] = process.argv.slice(2);
const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const client = new Anthropic({ baseURL: address, apiKey: "not-needed", maxRetries: 0 });

const user = (text) => [{ role: "user", content: text }];
const tool = (name, argument) => ({
  name,
  description: name,
  input_schema: { type: "object", properties: { [argument]: { type: "string" } }, required: [argument] },
});
const tools = [tool("get_weather", "city"), tool("get_time", "zone")];
const thinking = { max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 2000 } };
const create = (messages, more = {}) => client.messages.create({ model, messages, max_tokens: 300, ...more });

const heard = ({ content, stop_reason: stop, usage }) => {
  const [cached, created] = [usage.cache_read_input_tokens ?? 0, usage.cache_creation_input_tokens ?? 0];
  const all = (type, member) => content.filter((block) => block.type === type).map((block) => block[member]).join("");
  return {
    text: all("text", "text"),
    reasoning: all("thinking", "thinking"),
    calls: content.filter(({ type }) => type === "tool_use").map(({ name, input }) => [name, input]),
    stop,
    usage: [usage.input_tokens + cached + created, cached, usage.output_tokens],
  };
};

const heardInStream = async (messages, more = {}) =>
  heard(await client.messages.stream({ model, messages, max_tokens: 300, ...more }).finalMessage());

const toolResults = async () => {
  const asked = await create(user("case:tools"), { tools });
  const results = ["sunny", "rainy", "noon"];
  const blocks = asked.content
    .filter(({ type }) => type === "tool_use")
    .map(({ id }, at) => ({ type: "tool_result", tool_use_id: id, content: results[at] }));
  const turns = [...user("case:tools"), { role: "assistant", content: asked.content }, { role: "user", content: blocks }];
  return heard(await create(turns, { tools })).text;
};

const seeImage = async () => {
  const source = { type: "base64", media_type: "image/png", data: image };
  const parts = [{ type: "image", source }, { type: "text", text: "case:image" }];
  return heard(await create([{ role: "user", content: parts }])).text;
};

const structured = async () => {
  const schema = {
    type: "object",
    properties: { answer: { type: "integer" }, unit: { type: "string" } },
    required: ["answer", "unit"],
    additionalProperties: false,
  };
  const output_config = { format: { type: "json_schema", schema } };
  return JSON.parse(heard(await create(user("case:structured"), { output_config })).text);
};

const error = async (text, asked = model) => {
  try {
    await client.messages.create({ model: asked, max_tokens: 10, messages: user(text) });
  } catch (caught) {
    if (!(caught instanceof Anthropic.APIError)) throw caught;
    return { class: caught.constructor.name, status: caught.status, message: caught.message };
  }
  return null;
};

const cancel = async () => {
  let words = 0;
  for await (const event of await create(user("case:long"), { stream: true })) {
    if (event.type === "content_block_delta") words += 1;
    if (words === 3) break;
  }
  return words;
};

const models = [];
for await (const { id } of client.models.list()) models.push(id);

console.log(JSON.stringify({
  text: heard(await create(user("case:text"))),
  stream: await heardInStream(user("case:text")),
  tools: heard(await create(user("case:tools"), { tools })),
  tools_stream: await heardInStream(user("case:tools"), { tools }),
  tool_results: await toolResults(),
  image: await seeImage(),
  structured: await structured(),
  reasoning: heard(await create(user("case:reasoning"), thinking)),
  reasoning_stream: await heardInStream(user("case:reasoning"), thinking),
  not_found: await error("case:error-404"),
  unknown_model: await error("hello", "@nothing"),
  rate_limited: await error("case:error-429"),
  cancel: await cancel(),
  models,
  count_tokens: (await client.messages.countTokens({ model, messages: user("hello") })).input_tokens,
}));
