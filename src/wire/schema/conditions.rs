//! Conditions (`if`, `then`, `else`, `dependentSchemas`) for dialects that have none. What a branch says of members stays:
//! they become members that may be there, and the condition itself is told in words.

use serde_json::{Map, Value};

/// Adds the properties of every branch that `node` does not name itself.
pub(super) fn keep_branches(node: &mut Map<String, Value>) {
    let mut branches: Vec<Value> = Vec::new();
    for keyword in ["then", "else"] {
        branches.extend(node.get(keyword).cloned());
    }
    for keyword in ["dependentSchemas", "dependencies"] {
        let named = node.get(keyword).and_then(Value::as_object);
        branches.extend(named.into_iter().flat_map(Map::values).cloned());
    }
    for branch in &mut branches {
        add_properties(node, branch, 0);
    }
}

fn add_properties(node: &mut Map<String, Value>, branch: &mut Value, depth: usize) {
    const DEEPEST: usize = 16;
    let Value::Object(branch) = branch else { return };
    if let Some(Value::Object(more)) = branch.get_mut("properties") {
        let more = std::mem::take(more);
        let known = node.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(known) = known {
            for (name, schema) in more {
                // A branch that only narrows a member that is there already adds nothing to see.
                if schema.is_object() && !known.contains_key(&name) {
                    known.insert(name, schema);
                }
            }
        }
    }
    if depth == DEEPEST {
        return;
    }
    for keyword in ["then", "else"] {
        if let Some(inner) = branch.get_mut(keyword) {
            add_properties(node, inner, depth + 1);
        }
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for inner in branch.get_mut(keyword).and_then(Value::as_array_mut).into_iter().flatten() {
            add_properties(node, inner, depth + 1);
        }
    }
}
