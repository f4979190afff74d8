//! Which way leads to a model, decided by what the endpoints of its provider serve.

use routeplane::rule::request::RequestShape;
use routeplane::table::select::AllUp;
use routeplane::table::{Attempt, Draw, Lane, Outcome, RoutingTable};
use routeplane::wire::{Operation, ProtocolId};

use crate::table::table;

#[test]
fn the_lane_depends_on_the_model_where_endpoints_serve_some_only() {
    let lane = |table: &RoutingTable, model: &str, caller: ProtocolId| {
        let request = RequestShape::new(model);
        let decision = table.select(&request, &AllUp, Draw(0.0));
        let Outcome::Attempts { attempts, .. } = &decision.outcome else { panic!("{model}: {decision:?}") };
        match attempts[0].lane(caller, Operation::Generate) {
            Lane::Passthrough { endpoint } => format!("as it is to {}", endpoint_of(&attempts[0], *endpoint)),
            Lane::Translate { endpoint } => format!("translated to {}", endpoint_of(&attempts[0], *endpoint)),
            Lane::Refused(why) => why.to_string(),
        }
    };
    fn endpoint_of(attempt: &Attempt<'_>, at: u8) -> &'static str {
        attempt.provider.endpoints[usize::from(at)].protocol.fact()
    }
    use ProtocolId::{AnthropicMessages, OpenAiChat, OpenAiResponses};
    // Listed, so that they are targets of their own, and not, so that they go by the wildcard.
    for listed in ["", "presets: { a: openai/gpt-5, b: openai/o1-pro, c: openai/gpt-4o-audio-preview }\n"] {
        let openai = table(&format!("version: 1\n{listed}"), &[("OPENAI_API_KEY", "k")]);
        for (model, caller, expected) in [
            ("openai/gpt-5", OpenAiChat, "as it is to chat"),
            ("openai/gpt-5", OpenAiResponses, "as it is to responses"),
            ("openai/gpt-5", AnthropicMessages, "translated to chat"),
            ("openai/ft:gpt-4o:me::x", OpenAiResponses, "as it is to responses"),
            ("openai/o1-pro", OpenAiChat, "translated to responses"),
            ("openai/o1-pro-2025-03-19", AnthropicMessages, "translated to responses"),
            ("openai/gpt-5.9-codex-max", OpenAiResponses, "as it is to responses"),
            ("openai/gpt-4o-audio-preview", OpenAiResponses, "translated to chat"),
        ] {
            assert_eq!(lane(&openai, model, caller), expected, "{model}, {caller}");
        }
    }
    let picky = "version: 1\nproviders:\n  up:\n    protocols: [anthropic-messages, openai-chat]\n    base_url: http://h/v1\n    \
                 endpoints:\n      anthropic-messages: { models: [\"claude-*\", \"!claude-2*\"] }\n      openai-chat: { models: \"gpt-*\" }\n";
    let picky = table(picky, &[]);
    assert_eq!(lane(&picky, "up/claude-sonnet", OpenAiChat), "translated to messages");
    assert_eq!(lane(&picky, "up/gpt-x", AnthropicMessages), "translated to chat");
    for nobodys in ["up/claude-2.1", "up/llama"] {
        let why = lane(&picky, nobodys, OpenAiChat);
        assert!(why.contains("`up`") && why.contains("`models:`"), "{why}");
    }
}
