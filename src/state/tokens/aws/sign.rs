//! AWS Signature Version 4.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as signature};
use aws_sigv4::sign::v4;
use http::Request;
use http::header::CONTENT_TYPE;

use crate::provider::AwsScope;
use crate::upstream::Pieces;

/// Signs a request, of which nothing may change any more but headers that carry no meaning for AWS.
///
/// Host, date, content type and every `x-amz-` header are signed: what is between here and AWS may add others.
///
/// # Errors
/// What cannot be signed.
pub fn sign(
    request: &mut Request<Pieces>,
    keys: &Credentials,
    scope: &AwsScope,
    now: SystemTime,
) -> Result<(), String> {
    let failed = |error: &dyn std::error::Error| format!("the request cannot be signed: {error}");
    let identity = keys.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&scope.region)
        .name(&scope.service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let signed = |name: &str| name == CONTENT_TYPE.as_str() || name.starts_with("x-amz-");
    let headers = request.headers().iter().filter(|(name, _)| signed(name.as_str()));
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let body = SignableBody::Precomputed(digest(request.body()));
    let signable = SignableRequest::new(request.method().as_str(), request.uri().to_string(), headers, body)
        .map_err(|error| failed(&error))?;
    let (instructions, _) = signature(signable, &parameters).map_err(|error| failed(&error))?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// SHA-256 of a body, in hexadecimal.
fn digest(body: &Pieces) -> String {
    use std::fmt::Write as _;
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for slice in body.slices() {
        hash.update(slice);
    }
    hash.finish().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderValue, Method};

    use super::*;

    /// AWS's published example key.
    fn example(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test")
    }

    /// The `authorization` of a request at the moment of AWS's published examples.
    fn signed(method: Method, uri: &str, service: &str, body: &'static str, token: Option<&str>) -> String {
        let mut request = Request::new(Pieces::from(body.as_bytes().to_vec()));
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().unwrap();
        if !body.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.headers_mut().insert("user-agent", HeaderValue::from_static("not signed"));
        let scope = AwsScope { region: "us-east-1".into(), service: service.into() };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        sign(&mut request, &example(token), &scope, now).unwrap();
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
        assert_eq!(request.headers().get("x-amz-security-token").map(|value| value.to_str().unwrap()), token);
        request.headers()["authorization"].to_str().unwrap().to_owned()
    }

    fn signature(authorization: &str) -> &str {
        authorization.rsplit_once("Signature=").unwrap().1
    }

    /// Signatures that AWS publishes with its test suite.
    #[test]
    fn published_signatures_come_out() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let host = "https://example.amazonaws.com";
        let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let cases = [
            (Method::GET, "/".to_owned(), None, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (Method::POST, "/".to_owned(), None, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                Method::GET,
                "/?Param2=value2&Param1=value1".to_owned(),
                None,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                Method::GET,
                format!("/{unreserved}"),
                None,
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            (
                Method::GET,
                "/".to_owned(),
                Some(token),
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
        ];
        for (method, path, token, expected) in cases {
            let authorization = signed(method, &format!("{host}{path}"), "service", "", token);
            assert_eq!(signature(&authorization), expected, "{path}");
        }
    }

    /// As botocore signs the same requests: the escaped `:` of a model's id is escaped once more.
    #[test]
    fn ids_of_models_are_signed_as_botocore_does() {
        let host = "https://bedrock-runtime.us-east-1.amazonaws.com";
        let path = "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse";
        let plain = signed(Method::POST, &format!("{host}{path}"), "bedrock", "{\"messages\":[]}", None);
        assert_eq!(
            plain,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=b103ed8afc3664d93d04d6a557c1a620a6e218225be2abad17ceda3e1569a3ec"
        );
        let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse-stream";
        let session = signed(Method::POST, &format!("{host}{path}"), "bedrock", "{}", Some("TOKEN/1+="));
        assert!(session.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"), "{session}");
        assert_eq!(signature(&session), "074509f1eb1354d5dd7d264fa04be0f344fe39dee56265d49c42b7c918538e37");
    }
}
