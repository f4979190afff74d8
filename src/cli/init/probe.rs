//! Model servers on this machine, found by asking the ports that they usually listen on. Loopback only, without a key.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::discover::LocalServer;

/// Providers with the ports of their default base URLs.
const USUAL: [(&str, u16); 5] =
    [("ollama", 11434), ("lmstudio", 1234), ("vllm", 8000), ("llamacpp", 8080), ("sglang", 30000)];

/// Connecting, asking and answering together.
const PATIENCE: Duration = Duration::from_millis(300);

/// Most bytes of a list of models that are read.
const MOST: usize = 1 << 20;

/// Every server that lists its models, in the order of [`USUAL`]. Takes [`PATIENCE`] at most.
pub(super) async fn servers() -> Vec<LocalServer> {
    let [ollama, lmstudio, vllm, llamacpp, sglang] = USUAL.map(|(provider, port)| server(provider, port));
    let answers = tokio::join!(ollama, lmstudio, vllm, llamacpp, sglang);
    [answers.0, answers.1, answers.2, answers.3, answers.4].into_iter().flatten().collect()
}

async fn server(provider: &'static str, port: u16) -> Option<LocalServer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let models = tokio::time::timeout(PATIENCE, models(address)).await.ok()??;
    Some(LocalServer { provider: provider.to_owned(), port, models })
}

/// The ids that `GET /v1/models` lists; `None` where nobody answers, or something that is not a model server.
pub(super) async fn models(address: SocketAddr) -> Option<Vec<String>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request =
        Request::get("/v1/models").header(http::header::HOST, address.to_string()).body(Empty::<Bytes>::new());
    let answer = async {
        let response = sender.send_request(request.ok()?).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = Limited::new(response.into_body(), MOST).collect().await.ok()?.to_bytes();
        ids(&body)
    };
    tokio::pin!(answer);
    // The connection only moves while it is polled; it may end, with the whole answer read, before the answer is taken.
    tokio::select! {
        models = &mut answer => models,
        _ = connection => answer.await,
    }
}

/// `{"data": [{"id": ...}, ...]}`.
fn ids(body: &[u8]) -> Option<Vec<String>> {
    let list: serde_json::Value = serde_json::from_slice(body).ok()?;
    let models = list.get("data")?.as_array()?;
    Some(models.iter().filter_map(|model| model.get("id")?.as_str()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::models;

    async fn ask(answer: &str) -> Option<Vec<String>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /v1/models HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        tokio::join!(models(address), serve).0
    }

    #[tokio::test]
    async fn a_model_server_lists_its_models() {
        let body = r#"{"data":[{"id":"qwen3:8b"},{"id":"b"},{"name":"c"}]}"#;
        let list = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        assert_eq!(ask(&list).await, Some(vec!["qwen3:8b".to_owned(), "b".to_owned()]));
    }

    #[tokio::test]
    async fn other_servers_are_not_taken_for_one() {
        assert_eq!(ask("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await, None);
        assert_eq!(ask("HTTP/1.1 401 Unauthorized\r\ncontent-length: 11\r\n\r\n{\"data\":[]}").await, None);
        assert_eq!(ask("HTTP/1.1 302 Found\r\nlocation: http://example.com/\r\ncontent-length: 0\r\n\r\n").await, None);
        assert_eq!(ask("220 smtp.example.com\r\n").await, None);
    }
}
