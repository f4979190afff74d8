//! What `check` has looked at, a line each: that something was checked, and how much of it, is the news of a clean file.

use std::collections::BTreeSet;

use crate::config::{Coverage, Env};
use crate::diagnostic::{Code, Diagnostics};
use crate::live::candidate::Compiled;
use crate::provider::{SecretRef, Transport};
use crate::table::RoutingTable;

/// The lines of a file that compiles.
pub(super) fn lines(compiled: &Compiled, text: &str, diagnostics: &Diagnostics, env: &Env) -> Vec<String> {
    let table = &compiled.table;
    let found = |code| diagnostics.iter().filter(|diagnostic| diagnostic.code == code).count();
    let (repeated, unreachable) = (found(Code::DuplicateTarget), found(Code::UnreachableRule));
    vec![
        format!("syntax   {}", counted(text.lines().count(), "line")),
        format!("names    {}", names(table)),
        format!(
            "routes   {} over {}{}",
            counted(table.routes.len(), "route"),
            counted(table.targets.iter().filter(|target| target.model.is_some()).count(), "known model"),
            but(repeated, "repeated")
        ),
        format!("rules    {}{}{}", counted(table.rules.len(), "rule"), but(unreachable, "unreachable"), met(compiled)),
        format!("secrets  {}", secret_references(table, env)),
        match compiled.tests {
            0 => "tests    none".to_owned(),
            count => format!("tests    {} passed", counted(count, "test")),
        },
    ]
}

/// Whether there are requests that no rule meets.
fn met(compiled: &Compiled) -> &'static str {
    match compiled.proof.coverage {
        Coverage::Unknown => "",
        Coverage::Complete => "; every request meets one",
        Coverage::Without(_) => "; requests that meet none go as requested",
    }
}

fn names(table: &RoutingTable) -> String {
    let providers = table.providers.iter().filter(|provider| provider.transport != Transport::Demo).count();
    [counted(providers, "provider"), counted(table.presets.len(), "preset"), counted(table.keys.len(), "client key")]
        .join(", ")
}

fn secret_references(table: &RoutingTable, env: &Env) -> String {
    let (mut variables, mut files, mut literals) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for secret in table.secrets() {
        match secret {
            SecretRef::Env(name) => drop(variables.insert(name)),
            SecretRef::File(path) => drop(files.insert(path)),
            SecretRef::Literal(at) => drop(literals.insert(at)),
        }
    }
    let unset = variables.iter().filter(|name| env.get(name).is_none()).count();
    let kinds = [(variables.len(), "variable"), (files.len(), "file"), (literals.len(), "key in the file")];
    let there: Vec<String> =
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| counted(count, what)).collect();
    if there.is_empty() { "none".to_owned() } else { format!("{}{}", there.join(", "), but(unset, "not set")) }
}

fn counted(count: usize, what: &str) -> String {
    match (count, what.split_once(' ')) {
        (1, _) => format!("1 {what}"),
        // `keys in the file`, but `client keys`.
        (_, Some((noun, rest))) if rest.starts_with("in ") => format!("{count} {noun}s {rest}"),
        _ => format!("{count} {what}s"),
    }
}

fn but(count: usize, what: &str) -> String {
    if count == 0 { String::new() } else { format!(", {count} {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_nouns() {
        assert_eq!(counted(1, "rule"), "1 rule");
        assert_eq!(counted(0, "client key"), "0 client keys");
        assert_eq!(counted(2, "key in the file"), "2 keys in the file");
    }
}
