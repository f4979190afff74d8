//! Pictures that a model made reach callers of every protocol that has a place for them, whole and streamed; media that an
//! upstream's protocol has no part for are refused.

use routeplane::wire::ProtocolId;
use routeplane::wire::ir::{MediaSource, Part, Response, fold};
use routeplane::wire::loss::Losses;
use routeplane::wire::quirk::Quirks;

use crate::laws::fixtures::{
    both_roles, cases, destination, encode_stream, events, head, inbound, outbound, streaming_request,
};

/// The types and the bytes of an answer's pictures.
fn pictures(answer: &Response) -> Vec<(String, String)> {
    let parts = answer.candidates.iter().flat_map(|candidate| &candidate.parts);
    let picture = |part: &Part| match part {
        Part::Media(media) => match &media.source {
            MediaSource::Base64 { media_type, data } => Some((media_type.clone(), data.clone())),
            _ => None,
        },
        _ => None,
    };
    parts.filter_map(picture).collect()
}

#[test]
fn pictures_reach_every_protocol_that_has_a_place() {
    let mut cases = cases();
    cases.retain(|case| ["openai_responses/pictures", "bedrock_converse/picture"].contains(&case.name().as_str()));
    assert_eq!(cases.len(), 2);
    for case in cases {
        let body = case.read("response.json").unwrap();
        let whole = outbound(case.protocol).decode_response(&body, &Quirks::default()).unwrap();
        let stream = events(case.protocol, &[&case.stream().unwrap()]);
        let wanted = pictures(&whole);
        assert_eq!((wanted.len(), pictures(&fold(case.protocol.id(), &stream).unwrap())), (1, wanted.clone()));
        for target in both_roles() {
            let name = format!("{} to {}", case.name(), target.id());
            let (mut out, mut losses) = (Vec::new(), Losses::default());
            inbound(target).encode_response(&whole, &mut out, &mut losses);
            let back = outbound(target).decode_response(&out, &Quirks::default()).unwrap();
            let streamed = encode_stream(target, &stream, &streaming_request());
            let streamed = fold(target.id(), &events(target, &[&streamed])).unwrap();
            let found = [pictures(&back), pictures(&streamed)];
            if target.id() == ProtocolId::AnthropicMessages {
                assert!(losses.iter().any(|loss| loss.field == "content.media"), "{name}: {losses}");
                assert_eq!(found, [vec![], vec![]], "{name}");
            } else {
                assert_eq!(found, [wanted.clone(), wanted.clone()], "{name}");
            }
        }
    }
}

/// What becomes of one part of a Gemini caller's at a target.
fn asked(target: ProtocolId, part: &str) -> Result<String, String> {
    let body = format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"x"}},{part}]}}]}}"#);
    let gemini = inbound(ProtocolId::Gemini.codec().unwrap());
    let request = gemini.decode_request(&head(false), body.as_bytes()).unwrap();
    let (mut out, quirks) = (Vec::new(), Quirks::default());
    let codec = outbound(target.codec().unwrap());
    let written = codec.encode_request(&request, &destination("m", &quirks), &mut out, &mut Losses::default());
    written.map(|()| String::from_utf8(out).unwrap()).map_err(|error| {
        assert_eq!((error.status, error.code.as_deref()), (400, Some("unsupported_content")), "{target}");
        error.message
    })
}

#[test]
fn media_that_no_part_can_hold_are_refused_everywhere() {
    const SOUND: &str = r#"{"inlineData":{"mimeType":"audio/wav","data":"TUFSSw=="}}"#;
    const FILM: &str = r#"{"fileData":{"mimeType":"video/mp4","fileUri":"https://example.com/a.mp4"}}"#;
    const STORED: &str = r#"{"fileData":{"mimeType":"application/pdf","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a"}}"#;
    let others = [
        ProtocolId::OpenAiChat,
        ProtocolId::OpenAiResponses,
        ProtocolId::AnthropicMessages,
        ProtocolId::BedrockConverse,
    ];
    for target in others {
        for part in [FILM, STORED] {
            let refused = asked(target, part).unwrap_err();
            assert!(
                refused.starts_with("`messages.0.content") && refused.contains("use a model of another"),
                "{refused}"
            );
        }
        match asked(target, SOUND) {
            Ok(written) => {
                assert!(target == ProtocolId::OpenAiChat && written.contains("TUFSSw=="), "{target}: {written}")
            }
            Err(refused) => assert!(target != ProtocolId::OpenAiChat, "{refused}"),
        }
    }
}

#[test]
fn files_of_other_stores_are_refused_by_gemini() {
    let asked = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#;
    let request =
        inbound(ProtocolId::OpenAiChat.codec().unwrap()).decode_request(&head(false), asked.as_bytes()).unwrap();
    let (mut out, quirks) = (Vec::new(), Quirks::default());
    let gemini = outbound(ProtocolId::Gemini.codec().unwrap());
    let refused = gemini.encode_request(&request, &destination("m", &quirks), &mut out, &mut Losses::default());
    assert!(refused.unwrap_err().message.contains("send its bytes"));
}

/// OpenAI's two protocols share one store of files.
#[test]
fn a_stored_file_goes_between_openais_protocols() {
    let (chat, responses) = (ProtocolId::OpenAiChat.codec().unwrap(), ProtocolId::OpenAiResponses.codec().unwrap());
    let asked = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}"#;
    let request = inbound(chat).decode_request(&head(false), asked.as_bytes()).unwrap();
    let (mut out, mut losses, quirks) = (Vec::new(), Losses::default(), Quirks::default());
    outbound(responses).encode_request(&request, &destination("m", &quirks), &mut out, &mut losses).unwrap();
    assert!(String::from_utf8_lossy(&out).contains(r#"{"type":"input_file","file_id":"file-1"}"#));
    let request = inbound(responses).decode_request(&head(false), &out).unwrap();
    let mut back = Vec::new();
    outbound(chat).encode_request(&request, &destination("m", &quirks), &mut back, &mut losses).unwrap();
    let [before, after]: [serde_json::Value; 2] =
        [asked.as_bytes(), &back].map(|text| serde_json::from_slice(text).unwrap());
    assert_eq!(after["messages"], before["messages"]);
    assert!(losses.is_empty(), "{losses}");
}
