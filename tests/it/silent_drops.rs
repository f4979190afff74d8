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
    (r#""response_format":{"type":"json_object"}"#, "application/json", "response_format"),
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
