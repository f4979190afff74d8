// Drives a gateway with Mistral's `@mistralai/mistralai` and prints what the package made of the answers, as JSON.
//
// Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, and a word that it ignores.

import { Mistral } from "@mistralai/mistralai";
import { SDKError } from "@mistralai/mistralai/models/errors";
import { z } from "zod";

const [address, model] = process.argv.slice(2);
const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const client = new Mistral({ apiKey: "not-needed", serverURL: address, retryConfig: { strategy: "none" } });

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
const create = (messages, more = {}) => client.chat.complete({ model, messages, ...more });

// Members that Mistral does not have keep the names with which they came.
const usageOf = (usage) => [usage.promptTokens, usage.prompt_tokens_details?.cached_tokens ?? 0, usage.completionTokens];

const parsed = (text) => (typeof text === "string" ? JSON.parse(text) : text);
const heard = (answer) => {
  const { message, finishReason: stop } = answer.choices[0];
  const calls = (message.toolCalls ?? []).map((call) => [call.function.name, parsed(call.function.arguments)]);
  return { text: message.content ?? "", reasoning: "", calls, stop, usage: usageOf(answer.usage) };
};

// Without tools: the package wants the name of a function in every piece of a call, which only whole calls have.
const heardInStream = async (messages) => {
  let text = "";
  let stop;
  let usage = null;
  for await (const { data } of await client.chat.stream({ model, messages })) {
    if (data.usage) usage = usageOf(data.usage);
    for (const choice of data.choices) {
      text += choice.delta.content ?? "";
      stop = choice.finishReason ?? stop;
    }
  }
  return { text, reasoning: "", calls: [], stop, usage };
};

const toolResults = async () => {
  const asked = (await create(user("case:tools"), { tools })).choices[0].message;
  const words = ["sunny", "rainy", "noon"];
  const results = asked.toolCalls.map((call, at) => {
    return { role: "tool", name: call.function.name, toolCallId: call.id, content: words[at] };
  });
  return heard(await create([...user("case:tools"), { ...asked, role: "assistant" }, ...results], { tools })).text;
};

const seeImage = async () => {
  const parts = [
    { type: "text", text: "case:image" },
    { type: "image_url", imageUrl: { url: `data:image/png;base64,${image}` } },
  ];
  return heard(await create([{ role: "user", content: parts }])).text;
};

const structured = async () => {
  const responseFormat = z.object({ answer: z.number().int(), unit: z.string() });
  return (await client.chat.parse({ model, messages: user("case:structured"), responseFormat })).choices[0].message.parsed;
};

const error = async (text, asked = model) => {
  try {
    await client.chat.complete({ model: asked, messages: user(text) });
  } catch (caught) {
    if (!(caught instanceof SDKError)) throw caught;
    return { class: "SDKError", status: caught.statusCode, message: `${caught.message} ${caught.body}` };
  }
  return null;
};

const cancel = async () => {
  let words = 0;
  for await (const { data } of await client.chat.stream({ model, messages: user("case:long") })) {
    if (data.choices[0]?.delta.content) words += 1;
    if (words === 3) break;
  }
  return words;
};

const results = {
  text: heard(await create(user("case:text"))),
  stream: await heardInStream(user("case:text")),
  tools: heard(await create(user("case:tools"), { tools })),
  tool_results: await toolResults(),
  image: await seeImage(),
  structured: await structured(),
  not_found: await error("case:error-404"),
  unknown_model: await error("hello", "@nothing"),
  rate_limited: await error("case:error-429"),
  cancel: await cancel(),
};
console.log(JSON.stringify(results));
