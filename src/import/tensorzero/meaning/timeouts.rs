//! Timeouts: none is longer than a call to a provider may take at all. TensorZero refuses such a file; here both bounds hold, so
//! that it is a warning.

use super::{Judge, section_of};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::import::toml::Node;

/// The longest that a call may take where the file does not say.
const LONGEST_MS: i64 = 900_000;

impl Judge<'_, '_> {
    /// Of models, their providers, and variants. Those of embedding models are not looked at by TensorZero.
    pub(super) fn timeouts(&mut self) {
        let root = self.root;
        let own = root.get("gateway").and_then(|gateway| gateway.get("global_outbound_http_timeout_ms"));
        let longest = own.and_then(Node::whole).unwrap_or(LONGEST_MS);
        for model in section_of(root, "models") {
            self.timeouts_of(&model.node, longest);
            for provider in section_of(&model.node, "providers") {
                self.timeouts_of(&provider.node, longest);
            }
        }
        for variant in section_of(root, "functions").iter().flat_map(|function| section_of(&function.node, "variants"))
        {
            self.timeouts_of(&variant.node, longest);
        }
    }

    fn timeouts_of(&mut self, node: &Node, longest: i64) {
        let within = |table: &str, key: &str| node.get("timeouts")?.get(table)?.get(key);
        let milliseconds = [("non_streaming", "total_ms"), ("streaming", "total_ms"), ("streaming", "ttft_ms")];
        let too_long = milliseconds.into_iter().filter_map(|(table, key)| within(table, key));
        let too_long: Vec<&Node> = too_long.filter(|leaf| leaf.whole().is_some_and(|bound| bound > longest)).collect();
        #[expect(clippy::cast_precision_loss, reason = "timeouts are far below 2^52 milliseconds")]
        let seconds = node.get("timeout_s").filter(|leaf| leaf.number().is_some_and(|s| s * 1000.0 > longest as f64));
        for leaf in too_long.into_iter().chain(seconds) {
            let message =
                format!("this timeout is longer than a call may take at all, {longest} ms: TensorZero refuses it");
            self.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                ..Diagnostic::new(Code::SettingValue, message)
                    .label(leaf.span, "will not be reached")
                    .help("write less, or raise `gateway.global_outbound_http_timeout_ms`")
            });
        }
    }
}
