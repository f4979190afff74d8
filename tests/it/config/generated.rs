//! What is made from the declarations of the document is committed, and checked here. `ROUTEPLANE_UPDATE=1` writes it anew.

use std::path::PathBuf;

use routeplane::config::{reference, schema};

fn check(path: &str, made: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("ROUTEPLANE_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, made).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == made, "{path} is old: ROUTEPLANE_UPDATE=1 cargo test --test it config:: writes it anew");
}

#[test]
fn the_schema_is_the_one_that_is_committed() {
    check("schemas/routeplane.schema.json", &schema::json_schema());
}

#[test]
fn the_reference_is_the_one_that_is_committed() {
    check("docs/configuration.md", &reference::reference_markdown());
}
