//! How a collector and the gateway know each other: PEM files of the file's `tls`, else of the standard variables
//! (OpenTelemetry Specification 1.x, "OTLP exporter": `CERTIFICATE`, `CLIENT_CERTIFICATE` and `CLIENT_KEY`).

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::table::telemetry::OtlpTls;

/// What has been read. No `Debug`: a private key is in it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM of the authorities that vouch for the collector, in place of those that everybody trusts.
    pub authorities: Option<Vec<u8>>,
    pub identity: Option<Identity>,
}

/// What the gateway shows to a collector that asks who calls, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// A path, and where it is written.
struct Written {
    path: PathBuf,
    place: String,
}

impl Tls {
    /// `variable`: the value and the name of what is set for one signal or for all, by the end of its name.
    ///
    /// # Errors
    /// A file that cannot be read or is none of these, in words for its writer.
    pub(super) fn resolve<'e>(
        file: &OtlpTls,
        folder: &Path,
        variable: impl Fn(&str) -> Option<(&'e str, String)>,
    ) -> Result<Tls, String> {
        let of_file = |key: &str, path: Option<&str>| {
            path.map(|path| Written { path: folder.join(path), place: format!("telemetry.otlp.tls.{key}: {path}") })
        };
        let of_variable = |what: &str| {
            variable(what).map(|(path, name)| Written { path: path.into(), place: format!("{name}={path}") })
        };
        let authorities = of_file("ca_file", file.ca_file.as_deref()).or_else(|| of_variable("CERTIFICATE"));
        let pair = match (&file.cert_file, &file.key_file) {
            // One without the other has been refused.
            (Some(certificate), Some(key)) => [of_file("cert_file", Some(certificate)), of_file("key_file", Some(key))],
            _ => [of_variable("CLIENT_CERTIFICATE"), of_variable("CLIENT_KEY")],
        };
        let identity = match pair {
            [None, None] => None,
            [Some(certificate), Some(key)] => Some(identity(&certificate, &key)?),
            [Some(Written { place, .. }), None] | [None, Some(Written { place, .. })] => {
                return Err(format!(
                    "`{place}` is half of what a collector asks for; set both `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`"
                ));
            }
        };
        Ok(Tls { authorities: authorities.map(|written| certificates(&written)).transpose()?, identity })
    }
}

/// The text of a file that holds certificates.
fn certificates(written: &Written) -> Result<Vec<u8>, String> {
    let pem = read(written, "certificates")?;
    let place = &written.place;
    match chain(&pem) {
        Ok(found) if !found.is_empty() => Ok(pem),
        _ => Err(format!("`{place}` holds no certificate; write the path of a PEM file")),
    }
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// A certificate and the key that belongs to it.
fn identity(certificate: &Written, key: &Written) -> Result<Identity, String> {
    let read_key = read(key, "a private key")?;
    let private = PrivateKeyDer::from_pem_slice(&read_key).map_err(|_| {
        format!(
            "`{}` holds no private key; write the path of a PEM file with one, which no password protects",
            key.place
        )
    })?;
    let certificate_pem = certificates(certificate)?;
    let chain = chain(&certificate_pem).unwrap_or_default();
    match CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider()) {
        Ok(_) => Ok(Identity { certificate: certificate_pem, key: read_key }),
        // The error repeats nothing of the key.
        Err(error) => Err(format!(
            "`{}` and `{}` cannot be used together: {error}; write a certificate and its own private key",
            certificate.place, key.place
        )),
    }
}

fn read(written: &Written, what: &str) -> Result<Vec<u8>, String> {
    std::fs::read(&written.path).map_err(|error| {
        format!("`{}` cannot be read: {error}; write the path of a PEM file with {what}", written.place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(name: &str) -> String {
        format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn problem(variables: &[(&str, &str)]) -> String {
        let find = |what: &str| {
            let found = variables.iter().find(|(name, _)| *name == what);
            found.map(|(name, path)| (*path, format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let Err(problem) = Tls::resolve(&OtlpTls::default(), Path::new("."), find) else { panic!("{variables:?}") };
        problem
    }

    #[test]
    fn the_file_wins_and_its_paths_begin_in_its_folder() {
        let file = OtlpTls {
            ca_file: Some("throwaway-authority.pem".into()),
            cert_file: Some("throwaway-127.0.0.1.pem".into()),
            key_file: Some("throwaway-127.0.0.1.key.pem".into()),
        };
        let folder = pem("");
        let tls = Tls::resolve(&file, Path::new(&folder), |_| Some(("no/such.pem", String::new()))).ok().unwrap();
        assert_eq!(tls.authorities, std::fs::read(pem("throwaway-authority.pem")).ok());
        assert_eq!(tls.identity.map(|identity| identity.key), std::fs::read(pem("throwaway-127.0.0.1.key.pem")).ok());
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_its_place() {
        let (certificate, key) = (pem("throwaway-127.0.0.1.pem"), pem("throwaway-127.0.0.1.key.pem"));
        let said = |certificate: &str, key: &str| problem(&[("CLIENT_CERTIFICATE", certificate), ("CLIENT_KEY", key)]);
        assert!(said(&certificate, "no/key.pem").contains("`OTEL_EXPORTER_OTLP_CLIENT_KEY=no/key.pem` cannot be read"));
        assert!(said(&certificate, &certificate).contains("holds no private key"));
        assert!(said(&key, &key).contains("holds no certificate"));
        assert!(said(&pem("throwaway-authority.pem"), &key).contains("cannot be used together"));
        assert!(problem(&[("CLIENT_KEY", &key)]).contains("set both"));
        assert!(problem(&[("CERTIFICATE", "no/such.pem")]).contains("with certificates"));
    }
}
