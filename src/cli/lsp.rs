//! `routeplane lsp`: a language server over standard input and output.
//!
//! One thread takes one message after the other. Diagnostics are made when no further message waits, so that a burst of
//! keystrokes costs one compilation.

mod answers;
mod convert;
mod documents;

use std::panic::{AssertUnwindSafe, catch_unwind};

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument, Notification as _,
    PublishDiagnostics,
};
use lsp_types::{
    CodeActionKind, CodeActionOptions, CodeActionProviderCapability, CompletionOptions, DidChangeTextDocumentParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, HoverProviderCapability, OneOf, PublishDiagnosticsParams,
    ServerCapabilities, TextDocumentSyncCapability, TextDocumentSyncKind, TextDocumentSyncOptions, Uri,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::Exit;
use super::output::complain;
use crate::config::Env;
use documents::Documents;

/// Serve editors: diagnostics while typing, completion, hover, definitions, quick fixes and formatting, over standard input
/// and output
///
/// Files whose name has `routeplane` in it, or whose language is `routeplane`, are configurations. What they name is taken
/// from the editor where it is open there, else from the disk.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What many editors pass; it is the only way there is
    #[arg(long, hide = true)]
    stdio: bool,
}

pub(super) fn run(_: &Args, env: &Env) -> Exit {
    let (connection, threads) = Connection::stdio();
    let ended = serve(&connection, env);
    drop(connection);
    match ended.map_err(|error| error.to_string()).and_then(|()| threads.join().map_err(|error| error.to_string())) {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(format_args!("the connection to the editor failed: {error}"));
            Exit::Failed
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn serve(connection: &Connection, env: &Env) -> Result<(), Failure> {
    let (id, _) = connection.initialize_start()?;
    let result = json!({
        "capabilities": capabilities(),
        "serverInfo": { "name": "routeplane", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, result)?;
    let mut documents = Documents::new(env.clone());
    for message in &connection.receiver {
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request)? {
                    return Ok(());
                }
                connection.sender.send(Message::Response(respond(&mut documents, request)))?;
            }
            Message::Notification(notification) => {
                if let Some(closed) = take(&mut documents, &notification) {
                    publish(connection, closed, Vec::new(), None)?;
                }
            }
            Message::Response(_) => {}
        }
        if connection.receiver.is_empty() {
            // A fault of the compiler costs these findings, not the server.
            let findings = catch_unwind(AssertUnwindSafe(|| documents.findings())).unwrap_or_default();
            for (uri, findings, version) in findings {
                publish(connection, uri, findings, Some(version))?;
            }
        }
    }
    Ok(())
}

fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::FULL),
            save: Some(true.into()),
            ..TextDocumentSyncOptions::default()
        })),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(["@", "/", ".", " "].map(str::to_owned).to_vec()),
            ..CompletionOptions::default()
        }),
        document_symbol_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
            ..CodeActionOptions::default()
        })),
        ..ServerCapabilities::default()
    }
}

fn publish(
    connection: &Connection,
    uri: Uri,
    diagnostics: Vec<lsp_types::Diagnostic>,
    version: Option<i32>,
) -> Result<(), Failure> {
    let parameters = PublishDiagnosticsParams { uri, diagnostics, version };
    let notification = Notification::new(PublishDiagnostics::METHOD.to_owned(), parameters);
    connection.sender.send(Message::Notification(notification))?;
    Ok(())
}

/// Takes what the editor says of its documents; the one that it has closed comes back.
fn take(documents: &mut Documents, notification: &Notification) -> Option<Uri> {
    let parameters = notification.params.clone();
    match notification.method.as_str() {
        DidOpenTextDocument::METHOD => {
            let opened: DidOpenTextDocumentParams = serde_json::from_value(parameters).ok()?;
            documents.open(opened.text_document);
            None
        }
        DidChangeTextDocument::METHOD => {
            let changed: DidChangeTextDocumentParams = serde_json::from_value(parameters).ok()?;
            // The whole text comes each time; of several the last one holds.
            let text = changed.content_changes.into_iter().next_back()?.text;
            documents.change(&changed.text_document.uri, text, changed.text_document.version);
            None
        }
        DidSaveTextDocument::METHOD => {
            documents.saved();
            None
        }
        DidCloseTextDocument::METHOD => {
            let closed: DidCloseTextDocumentParams = serde_json::from_value(parameters).ok()?;
            documents.close(&closed.text_document.uri).then_some(closed.text_document.uri)
        }
        _ => None,
    }
}

fn respond(documents: &mut Documents, request: Request) -> Response {
    let id = request.id.clone();
    let answered = catch_unwind(AssertUnwindSafe(|| answers::answer(documents, &request.method, request.params)));
    match answered {
        Ok(answers::Answer::Result(value)) => Response::new_ok(id, value),
        Ok(answers::Answer::Unknown) => {
            Response::new_err(id, ErrorCode::MethodNotFound as i32, format!("`{}` is not known here", request.method))
        }
        Ok(answers::Answer::Malformed(error)) => Response::new_err(id, ErrorCode::InvalidParams as i32, error),
        Err(_) => {
            let message = "the request failed; this is a fault of routeplane".to_owned();
            Response::new_err(id, ErrorCode::InternalError as i32, message)
        }
    }
}

/// A value of the protocol as JSON.
fn json_of(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
