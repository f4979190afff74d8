//! What a preset says of everything that it leads to: `retries: { around: chain }` and `timeout: { around: preset }`.

use super::Layer;
use crate::config::document::{Document, PresetEntry};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Spanned;
use crate::table::settings::{Retries, RetryOn, Scope};

/// Moves what is said of the whole preset out of what is said of its targets.
pub(super) fn take_over(entry: &PresetEntry, layer: &mut Layer) {
    let mut scope = Scope { preset: entry.name.value.as_str().into(), ..Scope::default() };
    if says(entry.retries.as_ref().and_then(|retries| retries.around.as_ref()), "chain") {
        let usual = Retries::default();
        scope.retries = Some(Retries {
            attempts: layer.attempts.unwrap_or(usual.attempts),
            on: layer.retry_on.take().unwrap_or_else(|| Box::new([RetryOn::Any])),
            backoff: layer.backoff.take().unwrap_or(usual.backoff),
            max_backoff: layer.max_backoff.take().unwrap_or(usual.max_backoff),
        });
        layer.attempts = Some(1);
    }
    if says(entry.timeout.as_ref().and_then(|timeout| timeout.around.as_ref()), "preset") {
        let [_, first_token, _, total, _, whole, stream] = &mut layer.timeout;
        let total = total.take();
        scope.first_token = first_token.take();
        scope.whole = whole.take().or(total);
        scope.stream = stream.take().or(total);
    }
    if scope.retries.is_some() || scope.whole.or(scope.stream).or(scope.first_token).is_some() {
        layer.scopes.push(scope);
    }
}

fn says(word: Option<&Spanned<String>>, wanted: &str) -> bool {
    word.is_some_and(|word| word.value == wanted)
}

/// The defaults of the file belong to no preset that they could be about.
pub(super) fn refuse_outside_presets(document: &Document, diagnostics: &mut Diagnostics) {
    let retries = document.retries.as_ref().and_then(|retries| retries.around.as_ref());
    let timeout = document.timeout.as_ref().and_then(|timeout| timeout.around.as_ref());
    for (word, wanted) in [(retries, "chain"), (timeout, "preset")] {
        let Some(word) = word.filter(|word| word.value == wanted) else { continue };
        diagnostics.push(
            Diagnostic::new(
                Code::BadValue,
                format!("`around: {wanted}` is said of a preset, and this is for the whole file"),
            )
            .label(word.span, "around what?")
            .help("write it in the preset that it is about"),
        );
    }
}
