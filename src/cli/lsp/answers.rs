//! The requests of an editor, each with its answer.

use std::collections::HashMap;

use lsp_types::request::{
    CodeActionRequest, Completion, DocumentSymbolRequest, Formatting, GotoDefinition, HoverRequest, Request,
};
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, CompletionItem, CompletionItemKind,
    CompletionParams, CompletionTextEdit, DocumentFormattingParams, DocumentSymbol, DocumentSymbolParams,
    Documentation, GotoDefinitionParams, Hover, HoverContents, HoverParams, Location, MarkupContent, MarkupKind,
    TextEdit, WorkspaceEdit,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::convert::{self, offset, place, range};
use super::documents::{Documents, Open};
use super::json_of;
use crate::config::format;
use crate::diagnostic::Diagnostics;
use crate::editor::complete::{ProposalKind, complete};
use crate::editor::define::{Definition, define};
use crate::editor::hover::hover;
use crate::editor::symbols::{Symbol, SymbolKind, symbols};
use crate::editor::{self, File};
use crate::live::files::folder_of;
use crate::source::SourceMap;

/// What becomes of a request.
pub(super) enum Answer {
    Result(Value),
    /// There is no such request here.
    Unknown,
    Malformed(String),
}

pub(super) fn answer(documents: &mut Documents, method: &str, parameters: Value) -> Answer {
    match method {
        HoverRequest::METHOD => with(parameters, |p: HoverParams| {
            let at = p.text_document_position_params;
            let document = documents.config(&at.text_document.uri)?;
            hovered(document, offset(&document.text, at.position))
        }),
        GotoDefinition::METHOD => with(parameters, |p: GotoDefinitionParams| {
            let at = p.text_document_position_params;
            let document = documents.config(&at.text_document.uri)?;
            defined(document, offset(&document.text, at.position))
        }),
        Completion::METHOD => with(parameters, |p: CompletionParams| {
            let at = p.text_document_position;
            let document = documents.config(&at.text_document.uri)?;
            Some(completed(document, offset(&document.text, at.position)))
        }),
        DocumentSymbolRequest::METHOD => with(parameters, |p: DocumentSymbolParams| {
            let document = documents.config(&p.text_document.uri)?;
            let found = symbols(&file(document, 0));
            Some(found.into_iter().map(|symbol| symbol_of(document, symbol)).collect::<Vec<DocumentSymbol>>())
        }),
        CodeActionRequest::METHOD => with(parameters, |p: CodeActionParams| {
            let document = documents.config(&p.text_document.uri)?;
            Some(fixes(document, p.range))
        }),
        Formatting::METHOD => {
            with(parameters, |p: DocumentFormattingParams| formatted(documents.config(&p.text_document.uri)?))
        }
        _ => Answer::Unknown,
    }
}

fn with<P: DeserializeOwned, R: serde::Serialize>(parameters: Value, answer: impl FnOnce(P) -> Option<R>) -> Answer {
    match serde_json::from_value(parameters) {
        Ok(parameters) => Answer::Result(json_of(answer(parameters))),
        Err(error) => Answer::Malformed(error.to_string()),
    }
}

fn file(document: &Open, at: usize) -> File<'_> {
    File::new(&document.text, at, document.table.as_ref())
}

fn hovered(document: &Open, at: usize) -> Option<Hover> {
    let (place, value) = hover(&file(document, at), at)?;
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
    Some(Hover { contents, range: Some(range(&document.text, place)) })
}

fn defined(document: &Open, at: usize) -> Option<Location> {
    match define(&file(document, at), at)? {
        Definition::Here(place) => Some(Location { uri: document.uri.clone(), range: range(&document.text, place) }),
        Definition::File(name) => {
            let path = folder_of(Some(&document.path)).join(name);
            let uri = convert::uri(&path).filter(|_| path.is_file())?;
            Some(Location { uri, range: lsp_types::Range::default() })
        }
    }
}

fn completed(document: &Open, at: usize) -> Vec<CompletionItem> {
    let (place, proposals) = complete(&file(document, at), at);
    let place = range(&document.text, place);
    let item = |proposal: editor::complete::Proposal| {
        let new_text = match proposal.kind {
            ProposalKind::Key => format!("{}: ", proposal.text),
            _ => proposal.text.clone(),
        };
        CompletionItem {
            label: proposal.text,
            kind: Some(match proposal.kind {
                ProposalKind::Key => CompletionItemKind::PROPERTY,
                ProposalKind::Word => CompletionItemKind::KEYWORD,
                ProposalKind::Model => CompletionItemKind::VALUE,
                ProposalKind::Provider => CompletionItemKind::MODULE,
                ProposalKind::Preset => CompletionItemKind::REFERENCE,
                ProposalKind::Fact => CompletionItemKind::VARIABLE,
                ProposalKind::Strategy => CompletionItemKind::FUNCTION,
            }),
            detail: Some(proposal.detail).filter(|detail| !detail.is_empty()),
            documentation: Some(proposal.about).filter(|about| !about.is_empty()).map(Documentation::String),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit { range: place, new_text })),
            ..CompletionItem::default()
        }
    };
    proposals.into_iter().map(item).collect()
}

#[expect(deprecated, reason = "a field of the protocol that must be set to nothing")]
fn symbol_of(document: &Open, symbol: Symbol) -> DocumentSymbol {
    let children: Vec<DocumentSymbol> = symbol.children.into_iter().map(|child| symbol_of(document, child)).collect();
    DocumentSymbol {
        name: symbol.name,
        detail: None,
        kind: match symbol.kind {
            SymbolKind::Section => lsp_types::SymbolKind::NAMESPACE,
            SymbolKind::Preset => lsp_types::SymbolKind::FUNCTION,
            SymbolKind::Provider => lsp_types::SymbolKind::MODULE,
            SymbolKind::Key => lsp_types::SymbolKind::KEY,
            SymbolKind::Rule => lsp_types::SymbolKind::EVENT,
            SymbolKind::Test => lsp_types::SymbolKind::METHOD,
        },
        tags: None,
        deprecated: None,
        range: range(&document.text, symbol.range),
        selection_range: range(&document.text, symbol.selection),
        children: (!children.is_empty()).then_some(children),
    }
}

/// The changes that findings in `wanted` bring with them.
fn fixes(document: &Open, wanted: lsp_types::Range) -> Vec<CodeActionOrCommand> {
    let published = convert::findings(document);
    let found = document.findings.iter().zip(published);
    let fix = |(finding, published): (&crate::diagnostic::Diagnostic, lsp_types::Diagnostic)| {
        let fix = finding.fix.as_ref()?;
        let range = place(document, fix.span)?;
        let touches = |range: lsp_types::Range| range.start <= wanted.end && wanted.start <= range.end;
        if !touches(range) && !touches(published.range) {
            return None;
        }
        let edit = TextEdit { range, new_text: fix.replacement.clone() };
        #[expect(clippy::mutable_key_type, reason = "the protocol's own type; nobody changes its keys")]
        let changes = HashMap::from([(document.uri.clone(), vec![edit])]);
        Some(CodeActionOrCommand::CodeAction(CodeAction {
            title: match fix.replacement.as_str() {
                "" => "remove this".to_owned(),
                replacement => format!("write `{replacement}`"),
            },
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(vec![published]),
            edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
            is_preferred: Some(true),
            ..CodeAction::default()
        }))
    };
    found.filter_map(fix).collect()
}

/// The whole text in its one form; no change where it has it, nothing where it cannot be read.
fn formatted(document: &Open) -> Option<Vec<TextEdit>> {
    let mut sources = SourceMap::default();
    let source = sources.add(document.path.display().to_string(), document.text.as_str());
    let new_text = format::format(source, &sources, &mut Diagnostics::default())?;
    if new_text == document.text {
        return Some(Vec::new());
    }
    Some(vec![TextEdit { range: range(&document.text, 0..document.text.len()), new_text }])
}
