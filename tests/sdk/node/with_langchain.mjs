// Drives a gateway with LangChain for JavaScript and prints what it made of the answers, as JSON.
//
// Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, a model for embeddings (or another word).
// The environment variable `LANGCHAIN_MODEL` picks the class and how it speaks: `chat`, `responses` or `anthropic`.

import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";

const [address, named, embedder] = process.argv.slice(2);
const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const kind = process.env.LANGCHAIN_MODEL;
const openai = { apiKey: "not-needed", configuration: { baseURL: `${address}/v1` }, maxRetries: 0 };

const llm = (more = {}, model = named) => {
  if (kind !== "anthropic") return new ChatOpenAI({ model, useResponsesApi: kind === "responses", ...openai, ...more });
  const anthropic = { anthropicApiUrl: address, apiKey: "not-needed", maxTokens: 300, maxRetries: 0 };
  return new ChatAnthropic({ model, ...anthropic, ...more });
};

// `ChatOpenAI` does not read reasoning in Chat Completions.
const reasoning = {
  responses: { reasoning: { effort: "medium", summary: "auto" } },
  anthropic: { maxTokens: 4000, thinking: { type: "enabled", budget_tokens: 2000 } },
}[kind];

const described = (name, argument) =>
  tool(() => "", { name, description: name, schema: z.object({ [argument]: z.string() }) });
const withTools = llm().bindTools([described("get_weather", "city"), described("get_time", "zone")]);

const heard = (message) => {
  const { usage_metadata: usage, response_metadata: metadata } = message;
  const blocks = message.contentBlocks.filter((block) => block.type === "reasoning");
  return {
    text: message.text,
    reasoning: blocks.map((block) => block.reasoning ?? "").join(""),
    calls: message.tool_calls.map((call) => [call.name, call.args]),
    stop: metadata.finish_reason ?? metadata.stop_reason ?? message.additional_kwargs.stop_reason ?? metadata.status,
    usage: [usage.input_tokens, usage.input_token_details?.cache_read ?? 0, usage.output_tokens],
  };
};

const heardInStream = async (text, model) => {
  let whole;
  for await (const chunk of await model.stream(text)) whole = whole ? whole.concat(chunk) : chunk;
  // `ChatAnthropic` reads what the prompt took in a stream's first event alone, and only Anthropic tells it there.
  return kind === "anthropic" ? { ...heard(whole), usage: null } : heard(whole);
};

const toolResults = async () => {
  const asked = await withTools.invoke("case:tools");
  const words = ["sunny", "rainy", "noon"];
  const told = asked.tool_calls.map((call, at) => new ToolMessage({ content: words[at], tool_call_id: call.id }));
  return (await withTools.invoke([new HumanMessage("case:tools"), asked, ...told])).text;
};

const seeImage = async () => {
  const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${image}` } };
  const message = new HumanMessage({ content: [picture, { type: "text", text: "case:image" }] });
  return (await llm().invoke([message])).text;
};

const structured = () => {
  const schema = z.object({ answer: z.number().int(), unit: z.string() });
  return llm().withStructuredOutput(schema, { method: "jsonSchema", name: "answer" }).invoke("case:structured");
};

const error = async (text, model = named) => {
  try {
    await llm({}, model).invoke(text);
  } catch (caught) {
    if (caught.status === undefined) throw caught;
    return { class: caught.constructor.name, status: caught.status, message: caught.message };
  }
  return null;
};

const cancel = async () => {
  const controller = new AbortController();
  let words = 0;
  for await (const chunk of await llm().stream("case:long", { signal: controller.signal })) {
    if (chunk.text) words += 1;
    if (words === 3) break;
  }
  controller.abort();
  return words;
};

const results = {
  text: heard(await llm().invoke("case:text")),
  stream: await heardInStream("case:text", llm()),
  tools: heard(await withTools.invoke("case:tools")),
  tools_stream: await heardInStream("case:tools", withTools),
  tool_results: await toolResults(),
  image: await seeImage(),
  structured: await structured(),
  not_found: await error("case:error-404"),
  unknown_model: await error("hello", "@nothing"),
  rate_limited: await error("case:error-429"),
  cancel: await cancel(),
};
if (reasoning) {
  results.reasoning = heard(await llm(reasoning).invoke("case:reasoning"));
  results.reasoning_stream = await heardInStream("case:reasoning", llm(reasoning));
}
if (kind === "chat" && embedder !== "-") {
  results.embeddings = await new OpenAIEmbeddings({ model: embedder, ...openai }).embedDocuments(["one", "three"]);
}
console.log(JSON.stringify(results));
