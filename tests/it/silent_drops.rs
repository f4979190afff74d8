//! What a request asks for is written, or reported as lost: nothing is dropped in silence.

use routeplane::wire::ProtocolId::{self, AnthropicMessages, BedrockConverse, Gemini, OpenAiChat};
use routeplane::wire::json::{self, Ext};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;

use crate::laws::fixtures::{destination, head, inbound, outbound};

/// Members of a Chat Completions request, a mark that each leaves in what is written, and the field of its loss.
const MEMBERS: [(&str, &str, &str); 16] = [
    (r#""temperature":0.25"#, "0.25", "temperature"),
    (r#""top_p":0.75"#, "0.75", "top_p"),
    (r#""top_k":77"#, "77", "top_k"),
    (r#""stop":["MARK"]"#, "MARK", "stop"),
    (r#""seed":77"#, "77", "seed"),
    (r#""frequency_penalty":0.25"#, "0.25", "frequency_penalty"),
    (r#""presence_penalty":0.25"#, "0.25", "presence_penalty"),
    (r#""n":7"#, "7", "n"),
    (r#""logprobs":true"#, "ogprobs\":true", "logprobs"),
    (r#""top_logprobs":7"#, "7", "top_logprobs"),
    (r#""max_completion_tokens":77"#, "77", "max_tokens"),
    (r#""parallel_tool_calls":false"#, "parallel", "parallel_tool_calls"),
    (r#""user":"MARK""#, "MARK", "user"),
    (r#""metadata":{"k":"MARK"}"#, "MARK", "metadata"),
    (r#""response_format":{"type":"json_object"}"#, "json", "response_format"),
    (r#""logit_bias":{"77":1}"#, "logit_bias", "logit_bias"),
];

#[test]
fn every_member_is_written_or_reported() {
    for (member, mark, field) in MEMBERS {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{member},
                "tools":[{{"type":"function","function":{{"name":"f","parameters":{{"type":"object"}}}}}}]}}"#
        );
        let chat = inbound(OpenAiChat.codec().unwrap());
        let mut request = chat.decode_request(&head(false), body.as_bytes()).unwrap();
        // As if a protocol had brought it that is none of the targets.
        request.origin = ProtocolId::OpenAiResponses;
        request.ext.0.extend(Ext(vec![("unheard_of".to_owned(), json::raw("1").unwrap())]).0);
        for target in [OpenAiChat, AnthropicMessages, Gemini, BedrockConverse] {
            let (mut out, mut losses, quirks) = (Vec::new(), Losses::default(), Quirks::default());
            let codec = outbound(target.codec().unwrap());
            codec.encode_request(&request, &destination("m", &quirks), &mut out, &mut losses).unwrap();
            let written = String::from_utf8(out).unwrap();
            let lost = |field: &str| losses.iter().any(|loss| loss.field.contains(field));
            assert!(lost("unheard_of"), "{target}: {losses}");
            assert!(written.contains(mark) || lost(field), "{target}: `{member}` is gone: {written}; losses: {losses}");
        }
    }
}

/// What becomes of a Chat Completions request with these members at `target`, and its losses.
fn written(target: ProtocolId, members: &str) -> (serde_json::Value, String) {
    let body = format!(r#"{{"model":"m",{members}}}"#);
    let request = inbound(OpenAiChat.codec().unwrap()).decode_request(&head(false), body.as_bytes()).unwrap();
    let (mut out, mut losses, quirks) = (Vec::new(), Losses::default(), Quirks::default());
    let codec = outbound(target.codec().unwrap());
    codec.encode_request(&request, &destination("m", &quirks), &mut out, &mut losses).unwrap();
    (serde_json::from_slice(&out).unwrap(), losses.to_string())
}

#[test]
fn members_that_differ_in_case_are_different_members() {
    let members = r#""messages":[{"role":"user","content":"x","Content":"y"}],"Temperature":0.9,"temperature":0.25,"TEMPERATURE":0.8"#;
    for (target, place) in [(AnthropicMessages, "/temperature"), (Gemini, "/generationConfig/temperature")] {
        let (body, losses) = written(target, members);
        assert_eq!(body.pointer(place), Some(&serde_json::json!(0.25)), "{target}: {body}");
        for lost in ["Temperature=dropped", "TEMPERATURE=dropped", "messages.Content=dropped"] {
            assert!(losses.contains(lost), "{target}: no {lost} in {losses}");
        }
    }
}

#[test]
fn calls_of_the_history_without_arguments_have_an_empty_object() {
    for arguments in ["", "null", "{}"] {
        let members = format!(
            r#""messages":[{{"role":"user","content":"x"}},
                {{"role":"assistant","content":null,"tool_calls":[
                    {{"id":"call_1","type":"function","function":{{"name":"now","arguments":"{arguments}"}}}}]}},
                {{"role":"tool","tool_call_id":"call_1","content":"noon"}}]"#
        );
        let empty = serde_json::json!({});
        let messages = written(AnthropicMessages, &members).0;
        assert_eq!(messages["messages"][1]["content"][0]["input"], empty, "`{arguments}`: {messages}");
        let gemini = written(Gemini, &members).0;
        let call = &gemini["contents"][1]["parts"][0]["functionCall"];
        assert!(
            call["name"] == "now" && (call["args"] == empty || call.get("args").is_none()),
            "`{arguments}`: {call}"
        );
    }
}
