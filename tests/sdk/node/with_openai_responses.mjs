// Drives a gateway with `client.responses` of the official `openai` package and prints what the package made of the answers,
// as JSON.
//
// Arguments: the gateway's address (`http://127.0.0.1:4356`), a model, and `kept` where the gateway keeps the answers.

import OpenAI from "openai";

const [address, model, keeps] = process.argv.slice(2);
const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "not-needed", maxRetries: 0 });

const tool = (name, argument) => ({
  type: "function",
  name,
  description: name,
  parameters: { type: "object", properties: { [argument]: { type: "string" } }, required: [argument] },
  strict: false,
});
const tools = [tool("get_weather", "city"), tool("get_time", "zone")];
const create = (input, more = {}) => client.responses.create({ model, input, ...more });

const heard = ({ output, output_text: text, status: stop, usage }) => ({
  text,
  reasoning: output.flatMap((item) => (item.type === "reasoning" ? item.summary.map((part) => part.text) : [])).join(""),
  calls: output.flatMap((item) => (item.type === "function_call" ? [[item.name, JSON.parse(item.arguments)]] : [])),
  stop,
  usage: [usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens],
});

// The package's own accumulator, which refuses events that are out of order.
const heardInStream = async (input, more = {}) => {
  const stream = client.responses.stream({ model, input, ...more });
  let text = "";
  for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
  const answer = heard(await stream.finalResponse());
  if (answer.text !== text) throw new Error(`${answer.text} is not ${text}`);
  return answer;
};

const toolResults = async () => {
  const asked = await create("case:tools", { tools });
  const said = ["sunny", "rainy", "noon"];
  const results = asked.output.map(({ call_id }, at) => ({ type: "function_call_output", call_id, output: said[at] }));
  const input = [{ role: "user", content: "case:tools" }, ...asked.output, ...results];
  const told = (await create(input, { tools })).output_text;
  if (keeps === "kept") {
    const again = (await create(results, { tools, previous_response_id: asked.id })).output_text;
    if (again !== told) throw new Error(`${again} is not ${told}`);
  }
  return told;
};

const seeImage = async () => {
  const content = [
    { type: "input_text", text: "case:image" },
    { type: "input_image", image_url: `data:image/png;base64,${image}`, detail: "auto" },
  ];
  return (await create([{ role: "user", content }])).output_text;
};

const structured = async () => {
  const schema = {
    type: "object",
    properties: { answer: { type: "integer" }, unit: { type: "string" } },
    required: ["answer", "unit"],
    additionalProperties: false,
  };
  const format = { type: "json_schema", name: "answer", schema, strict: true };
  return (await client.responses.parse({ model, input: "case:structured", text: { format } })).output_parsed;
};

const kept = async () => {
  const first = await create("case:text", { metadata: { team: "lab" } });
  const second = await create("case:text again", { previous_response_id: first.id });
  const shown = await client.responses.retrieve(second.id);
  const items = [];
  for await (const item of client.responses.inputItems.list(second.id, { order: "asc", limit: 1 })) {
    items.push(item.content[0].text);
  }
  await client.responses.delete(second.id);
  const gone = await client.responses.retrieve(second.id).catch((caught) => caught.status);
  if (gone !== 404) throw new Error("a deleted response is still there");
  return { shown: JSON.stringify(shown) === JSON.stringify(second), items, team: first.metadata.team };
};

const error = async (input, asked = model) => {
  try {
    await client.responses.create({ model: asked, input });
  } catch (caught) {
    if (!(caught instanceof OpenAI.APIError)) throw caught;
    return { class: caught.constructor.name, status: caught.status, message: caught.message };
  }
  return null;
};

const cancel = async () => {
  let words = 0;
  for await (const event of await create("case:long", { stream: true })) {
    if (event.type === "response.output_text.delta") words += 1;
    if (words === 3) break;
  }
  return words;
};

const reasoning = { effort: "medium", summary: "auto" };
const results = {
  text: heard(await create("case:text")),
  stream: await heardInStream("case:text"),
  tools: heard(await create("case:tools", { tools })),
  tools_stream: await heardInStream("case:tools", { tools }),
  tool_results: await toolResults(),
  image: await seeImage(),
  structured: await structured(),
  reasoning: heard(await create("case:reasoning", { reasoning })),
  reasoning_stream: await heardInStream("case:reasoning", { reasoning }),
  not_found: await error("case:error-404"),
  unknown_model: await error("hello", "@nothing"),
  rate_limited: await error("case:error-429"),
  cancel: await cancel(),
  count_tokens: (await client.responses.inputTokens.count({ model, input: "hello" })).input_tokens,
};
if (keeps === "kept") results.kept = await kept();
console.log(JSON.stringify(results));
