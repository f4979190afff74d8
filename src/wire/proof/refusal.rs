//! How upstreams say that they do not take a proof, or miss one.

use crate::wire::ir::Error;

/// Words that all must be in an error's message, in small letters. Vendors have no code for it but OpenAI, and services
/// that sell their models wrap the words in their own.
const WORDS: [&[&str]; 16] = [
    // Anthropic, at home, at Vertex and at Bedrock.
    &["invalid `signature` in `thinking` block"],
    &["invalid", "signature", "thinking"],
    &["thinking", "blocks", "cannot be modified"],
    &["expected `thinking` or `redacted_thinking`"],
    &["must start with a thinking block"],
    &["signature: field required"],
    // Bedrock Converse, in its own member names.
    &["reasoningcontent", "signature"],
    &["invalid", "redacted", "thinking"],
    // Google.
    &["thought_signature"],
    &["thought signature"],
    &["thoughtsignature"],
    // OpenAI and Azure.
    &["encrypted content", "could not be verified"],
    &["encrypted content", "could not be decrypted"],
    &["item with id 'rs_", "not found"],
    // Strict servers of Chat Completions, of thoughts that a laxer one gave.
    &["additional properties are not allowed", "reasoning"],
    &["unrecognized", "reasoning_"],
];

/// Whether an upstream's error is about a proof of reasoning, so that the same request without any might do.
pub fn is_refusal(error: &Error) -> bool {
    if matches!(error.code.as_deref(), Some("invalid_encrypted_content" | "thinking_signature_invalid")) {
        return true;
    }
    let message = error.message.to_ascii_lowercase();
    WORDS.iter().any(|words| words.iter().all(|word| message.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendor_s_words_are_known() {
        for message in [
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            "The model returned the following errors: messages.3.content.0: Invalid `signature` in `thinking` block",
            "messages.1.content.0: Invalid signature in thinking block",
            "messages.1.content.0.thinking.signature: Field required",
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
            "messages.5.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
            "The value at messages.1.content.0.reasoningContent.reasoningText.signature is not valid",
            "Function call is missing a thought_signature in functionCall parts.",
            "Corrupted thought signature.",
            "Thought signature is not valid",
            "The encrypted content gAAA could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
            "Item with id 'rs_68af' not found. Items are not persisted when `store` is set to false.",
            "Additional properties are not allowed ('reasoning_content' was unexpected) - 'messages.1'",
            "Unrecognized request argument supplied: reasoning_details",
        ] {
            assert!(is_refusal(&Error::invalid(message)), "{message}");
        }
        assert!(is_refusal(&Error::invalid("x").with_code("invalid_encrypted_content")));
    }

    #[test]
    fn other_errors_are_not_taken_for_it() {
        for message in [
            "invalid x-api-key",
            "The request signature we calculated does not match the signature you provided",
            "max_tokens must be greater than thinking.budget_tokens",
            "prompt is too long",
            "Item with id 'msg_1' not found",
            "Additional properties are not allowed ('tool_calls' was unexpected)",
            "Unrecognized request argument supplied: reasoning",
        ] {
            assert!(!is_refusal(&Error::invalid(message)), "{message}");
        }
    }
}
