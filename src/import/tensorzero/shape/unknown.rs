//! Keys that a table does not have: what is meant by them, and what to write.

use super::{Checker, Key};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, did_you_mean};
use crate::import::toml::{Entry, Node, Step, Value, quoted, rendered};

/// Keys that TensorZero once had, or that people invent, by the end of their path; and what to write.
const FORMER: &[(&str, &str)] = &[
    (
        "gateway.disable_observability",
        "it was removed from TensorZero: write `observability.enabled = false`, or leave it out (nothing is stored here)",
    ),
    (
        "gateway.enable_template_filesystem_access",
        "it was removed in 2025.11.0: write `template_filesystem_access.base_path = \".\"`",
    ),
    ("evals", "it is called `evaluations` today"),
    ("providers", "providers stand in their model: `[models.NAME.providers.NAME]`"),
    ("variants", "variants stand in their function: `[functions.NAME.variants.NAME]`"),
    ("api_keys", "keys are named where they are used: `api_key_location = \"env::NAME\"`"),
    ("include", "give several files on the command line, or a glob: `routeplane import-tensorzero 'config/**/*.toml'`"),
    (
        "load_balancing",
        "TensorZero spreads requests with variants and their weights, not between the providers of a model",
    ),
    ("retries", "TensorZero has retries at variants only: `[functions.NAME.variants.NAME.retries]`"),
    ("fallback", "a model's providers are tried in the order of `routing`"),
    ("fallbacks", "a model's providers are tried in the order of `routing`"),
    ("api_key", "a key is named by `api_key_location = \"env::NAME\"`"),
    ("base_url", "the key is called `api_base`"),
    ("model", "the model that a provider is asked for is `model_name`; `model` is a variant's"),
    ("prompt", "texts come from files: `system_template = \"path\"`"),
    ("system_prompt", "texts come from files: `system_template = \"path\"`"),
];

impl Checker<'_> {
    pub(super) fn unknown(&mut self, entry: &Entry, groups: &[&'static [Key]]) {
        // Real files hold keys of services in the oddest places.
        hide(&entry.node, self.diagnostics);
        let whole = rendered(&self.path);
        let within = rendered(self.path.split_last().map(|(_, rest)| rest).unwrap_or_default());
        let message = match within.as_str() {
            "" => format!("`{}` is not a section of a tensorzero.toml", quoted(&entry.key)),
            _ => format!("unknown key `{}` in `{within}`", quoted(&entry.key)),
        };
        let names = || groups.iter().flat_map(|keys| keys.iter()).map(|key| key.name);
        let diagnostic = Diagnostic::new(Code::SettingUnknown, message).label(entry.key_span, "TensorZero refuses it");
        let dotted = self.dotted(entry);
        if let Some(help) = dotted {
            self.diagnostics.push(diagnostic.help(help));
            return;
        }
        let former = FORMER.iter().find(|(name, _)| whole == *name || (!name.contains('.') && entry.key == *name));
        self.diagnostics.push(match (former, did_you_mean(&entry.key, names())) {
            (Some((_, help)), _) => diagnostic.help(*help),
            (None, Some(near)) => {
                diagnostic.help(format!("did you mean `{near}`?")).fix(entry.key_span, near.to_owned())
            }
            (None, None) => {
                let mut known: Vec<&str> = names().collect();
                known.sort_unstable();
                diagnostic.help(format!("the keys here are `{}`; remove it", known.join("`, `")))
            }
        });
    }

    /// What to write where a name with a dot in it stands without quotes: TOML takes what follows the dot for a key.
    fn dotted(&self, entry: &Entry) -> Option<String> {
        let [Step::Key(section), Step::Key(name), Step::Key(rest)] = self.path.as_slice() else { return None };
        let of_names = matches!(section.as_str(), "models" | "embedding_models" | "functions" | "tools" | "metrics");
        let begins = rest.starts_with(|c: char| c.is_ascii_digit()) && name.ends_with(|c: char| c.is_ascii_digit());
        (of_names && begins && entry.node.is_table())
            .then(|| format!("a name with a dot needs quotes: `[{section}.\"{name}.{rest}\"]`"))
    }
}

/// All values of a key, and the keys in them: names may be secrets, too.
fn hide(node: &Node, diagnostics: &mut Diagnostics) {
    match &node.value {
        Value::Table(entries) => {
            for entry in entries {
                diagnostics.hide(entry.key_span);
                hide(&entry.node, diagnostics);
            }
        }
        Value::List(items) => items.iter().for_each(|item| hide(item, diagnostics)),
        Value::Text(_) | Value::Whole(_) | Value::Number(_) | Value::Flag(_) | Value::Moment(_) => {
            diagnostics.hide(node.span)
        }
    }
}
