//! How a collector and the gateway know each other, as written.

use crate::config::decode::leaf::Text;
use crate::config::decode::mapping;
use crate::config::decode::texts::Any;
use crate::source::Spanned;

mapping! {
    /// How a collector and the gateway know each other over TLS. Paths are looked for in the folder of this file; what changes in
    /// them counts from the next reload on.
    #[called = "the certificates of the collector"]
    #[derive(Debug, Clone, Default)]
    pub struct OtlpTlsEntry {
        /// A PEM file with the authorities that may vouch for the collector, in place of those that everybody trusts.
        "ca_file" => ca_file: Option<Spanned<String>> as Text<Any>,
        /// A PEM file with the certificate that the gateway shows to the collector, and those between it and its authority.
        "cert_file" => cert_file: Option<Spanned<String>> as Text<Any>,
        /// A PEM file with the private key of `cert_file`.
        "key_file" => key_file: Option<Spanned<String>> as Text<Any>,
    }
}
