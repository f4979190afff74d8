// Drives a gateway with the Vercel AI SDK (`ai`) and prints what it made of the answers, as JSON.
//
// Arguments: the gateway's address (`http://127.0.0.1:4356`), a model for chats, a model for embeddings (or another word).
// The environment variable `AI_SDK_PROVIDER` picks one of the SDK's packages of providers.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, embedMany, generateText, streamText, tool } from "ai";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false; // They would be printed among the results.
const [address, named, embedder] = process.argv.slice(2);
const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const apiKey = "not-needed";
const baseURL = `${address}/v1`;

// What each package needs: how a model of it is made, how it is asked to reason and to keep to a schema.
const compatible = () => {
  const name = "routeplane";
  const gateway = createOpenAICompatible({ name, baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
  const reasoning = { providerOptions: { [name]: { reasoningEffort: "medium" } } };
  return { chat: gateway, embedding: gateway.embeddingModel, reasoning };
};
const openaiChat = () => {
  const openai = createOpenAI({ baseURL, apiKey });
  return { chat: openai.chat, embedding: openai.embeddingModel };
};
const openaiResponses = () => {
  const options = { forceReasoning: true, reasoningEffort: "medium", reasoningSummary: "auto" };
  return {
    chat: createOpenAI({ baseURL, apiKey }),
    reasoning: { providerOptions: { openai: options } },
    // The package does not hand on the answer's status; these are what it makes of a completed one.
    statuses: { stop: "completed", "tool-calls": "completed" },
  };
};
const anthropic = () => {
  const thinking = { type: "enabled", budgetTokens: 2000 };
  return {
    chat: createAnthropic({ baseURL, apiKey }),
    reasoning: { maxOutputTokens: 4000, providerOptions: { anthropic: { thinking } } },
    structured: { providerOptions: { anthropic: { structuredOutputMode: "outputFormat" } } },
  };
};
const google = () => {
  const gateway = createGoogleGenerativeAI({ baseURL: `${address}/v1beta`, apiKey });
  // The package leaves a name with a slash as it is, so the path's `models/` is written out.
  return {
    chat: (name) => gateway(`models/${name}`),
    embedding: (name) => gateway.embeddingModel(`models/${name}`),
    reasoning: { providerOptions: { google: { thinkingConfig: { includeThoughts: true } } } },
  };
};
const packages = { compatible, openaiChat, openaiResponses, anthropic, google };
const provider = packages[process.env.AI_SDK_PROVIDER]();

const model = provider.chat(named);
const user = (text) => [{ role: "user", content: text }];
const described = (name, argument) => tool({ description: name, inputSchema: z.object({ [argument]: z.string() }) });
const tools = { get_weather: described("get_weather", "city"), get_time: described("get_time", "zone") };
const create = (messages, more = {}) => generateText({ model, messages, maxRetries: 0, ...more });

const heard = ({ text, reasoningText, toolCalls, rawFinishReason, finishReason, usage }) => ({
  text,
  reasoning: reasoningText ?? "",
  calls: toolCalls.map((call) => [call.toolName, call.input]),
  stop: rawFinishReason ?? provider.statuses[finishReason],
  usage: [usage.inputTokens, usage.inputTokenDetails.cacheReadTokens ?? 0, usage.outputTokens],
});

const heardInStream = async (messages, more = {}) => {
  const stream = streamText({ model, messages, maxRetries: 0, ...more });
  await stream.consumeStream();
  return heard({
    text: await stream.text,
    reasoningText: await stream.reasoningText,
    toolCalls: await stream.toolCalls,
    rawFinishReason: await stream.rawFinishReason,
    finishReason: await stream.finishReason,
    usage: await stream.usage,
  });
};

const toolResults = async () => {
  const asked = await create(user("case:tools"), { tools });
  const results = ["sunny", "rainy", "noon"];
  const content = asked.toolCalls.map(({ toolCallId, toolName }, at) => {
    return { type: "tool-result", toolCallId, toolName, output: { type: "text", value: results[at] } };
  });
  const messages = [...user("case:tools"), ...asked.response.messages, { role: "tool", content }];
  return (await create(messages, { tools })).text;
};

const seeImage = async () => {
  const content = [{ type: "image", image, mediaType: "image/png" }, { type: "text", text: "case:image" }];
  return (await create([{ role: "user", content }])).text;
};

const structured = async () => {
  const schema = z.object({ answer: z.number().int(), unit: z.string() });
  const output = Output.object({ schema });
  return (await create(user("case:structured"), { output, ...provider.structured })).output;
};

const error = async (text, asked = model) => {
  try {
    await create(user(text), { model: asked });
  } catch (caught) {
    if (!APICallError.isInstance(caught)) throw caught;
    return { class: caught.name, status: caught.statusCode, message: caught.message };
  }
  return null;
};

const cancel = async () => {
  const controller = new AbortController();
  const stream = streamText({ model, messages: user("case:long"), maxRetries: 0, abortSignal: controller.signal });
  let words = 0;
  for await (const piece of stream.textStream) {
    if (piece) words += 1;
    if (words === 3) break;
  }
  controller.abort();
  return words;
};

const embeddings = async () =>
  (await embedMany({ model: provider.embedding(embedder), values: ["one", "three"], maxRetries: 0 })).embeddings;

const results = {
  text: heard(await create(user("case:text"))),
  stream: await heardInStream(user("case:text")),
  tools: heard(await create(user("case:tools"), { tools })),
  tools_stream: await heardInStream(user("case:tools"), { tools }),
  tool_results: await toolResults(),
  image: await seeImage(),
  structured: await structured(),
  not_found: await error("case:error-404"),
  unknown_model: await error("hello", provider.chat("@nothing")),
  rate_limited: await error("case:error-429"),
  cancel: await cancel(),
};
if (provider.reasoning) {
  results.reasoning = heard(await create(user("case:reasoning"), provider.reasoning));
  results.reasoning_stream = await heardInStream(user("case:reasoning"), provider.reasoning);
}
if (provider.embedding && embedder !== "-") results.embeddings = await embeddings();
console.log(JSON.stringify(results));
