//! Evaluators, of functions and in evaluations of their own: no request depends on them, and TensorZero refuses what is wrong in
//! them.

use super::{Judge, section_of};
use crate::diagnostic::{Code, did_you_mean};
use crate::import::toml::{Entry, Node};

impl Judge<'_, '_> {
    /// `[evaluations.E]`, and the evaluators of functions.
    pub(super) fn evaluations(&mut self) {
        let root = self.root;
        for function in section_of(root, "functions") {
            self.evaluators(&function.node);
        }
        for entry in section_of(root, "evaluations") {
            if let Some(leaf) = entry.node.get("function_name") {
                let name = leaf.text().unwrap_or_default();
                let functions = section_of(root, "functions");
                if functions.iter().all(|function| function.key != name) {
                    let near = did_you_mean(name, functions.iter().map(|function| function.key.as_str()));
                    let help = near.map_or_else(
                        || "name a function of the file".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    let message = format!("there is no function `{name}`");
                    self.say(Code::SettingName, message, leaf.span, "is not described", &help);
                }
            }
            self.evaluators(&entry.node);
        }
    }

    /// The evaluators of an evaluation or of a function.
    fn evaluators(&mut self, node: &Node) {
        for entry in section_of(node, "evaluators") {
            match entry.node.text_of("type") {
                Some("llm_judge") => self.judges(entry),
                Some("regex") => self.regex(entry),
                Some("tool_use") => self.tool_use(entry),
                Some("typescript") => {
                    if let Some(leaf) = entry.node.get("typescript_file") {
                        self.exists(leaf, false);
                    }
                }
                _ => {}
            }
        }
    }

    fn regex(&mut self, entry: &Entry) {
        if entry.node.get("must_match").is_none() && entry.node.get("must_not_match").is_none() {
            self.say(
                Code::SettingMissing,
                format!("the evaluator `{}` has neither `must_match` nor `must_not_match`", entry.key),
                entry.key_span,
                "needs one of both",
                "write one of them",
            );
        }
    }

    fn tool_use(&mut self, entry: &Entry) {
        let behavior = entry.node.text_of("behavior").unwrap_or_default();
        let lists = matches!(behavior, "none_of" | "any_of" | "all_of");
        match (lists, entry.node.entry("tools")) {
            (true, None) => self.say(
                Code::SettingMissing,
                format!("the evaluator `{}` has no `tools`", entry.key),
                entry.key_span,
                "needs `tools`",
                "list the names of the tools that it looks for",
            ),
            (false, Some(tools)) => self.say(
                Code::SettingUnknown,
                format!("`tools` says nothing where `behavior` is `{behavior}`"),
                tools.key_span,
                "TensorZero refuses it",
                "remove it, or write `none_of`, `any_of` or `all_of`",
            ),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// The variants of a judge: each with a model and its instructions, and of several one that is active.
    fn judges(&mut self, entry: &Entry) {
        let variants = section_of(&entry.node, "variants");
        for variant in variants {
            let parts = ["evaluator", "fuser"].into_iter().filter_map(|key| variant.node.get(key));
            for node in parts.chain([&variant.node]) {
                self.known_model(node);
                if let Some(leaf) = node.get("system_instructions") {
                    self.exists(leaf, false);
                }
            }
            for item in variant.node.get("candidates").map(Node::items).unwrap_or_default() {
                self.known_variant(variants, item);
            }
        }
        let active =
            variants.iter().filter(|variant| variant.node.get("active").and_then(Node::flag) == Some(true)).count();
        if variants.len() > 1 && active != 1 {
            self.say(
                Code::SettingValue,
                format!("of the variants of the evaluator `{}` {active} are active", entry.key),
                entry.key_span,
                "exactly one must be",
                "write `active = true` in one of them",
            );
        }
    }
}
