//! The gateway's own section.

use super::Judge;
use crate::diagnostic::Code;
use crate::import::toml::Node;

const BUCKETS: &str = "tensorzero_inference_latency_overhead_seconds_buckets";

impl Judge<'_, '_> {
    /// An address, and bounds that ascend.
    pub(super) fn gateway(&mut self) {
        let Some(node) = self.root.get("gateway") else { return };
        if let Some(leaf) = node.get("bind_address") {
            let text = leaf.text().unwrap_or_default();
            if text.parse::<std::net::SocketAddr>().is_err() {
                self.say(
                    Code::SettingValue,
                    format!("`{text}` is no address to listen at"),
                    leaf.span,
                    "not an IP address and a port",
                    "write e.g. `127.0.0.1:3000`; names such as `localhost` are not looked up",
                );
            }
        }
        let buckets = node.get("metrics").and_then(|metrics| metrics.get(BUCKETS));
        let bounds: Vec<&Node> = buckets.map(Node::items).unwrap_or_default().iter().collect();
        for pair in bounds.windows(2) {
            if let [before, after] = pair
                && before.number() >= after.number()
            {
                self.say(
                    Code::SettingValue,
                    "the bounds of a histogram ascend".to_owned(),
                    after.span,
                    "not more than the one before",
                    "write them in order, each once",
                );
            }
        }
    }
}
