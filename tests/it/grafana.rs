//! The dashboard in Grafana's own models, which Grafana publishes for each of its releases: everything in it comes back as it is.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::sdk::python_with;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

async fn read(release: &str, dashboard: &Path) -> Output {
    let home = python_with(&format!("grafana-{release}"), &format!("observability/grafana-{release}.txt")).await;
    let script = Path::new(ROOT).join("tests/observability/grafana.py");
    tokio::process::Command::new(home.join("bin/python")).arg(script).arg(dashboard).output().await.unwrap()
}

#[tokio::test]
#[ignore = "needs Python 3 with its `venv` module, and PyPI"]
async fn the_dashboard_is_one_of_grafanas() {
    let path = Path::new(ROOT).join("docs/observability/dashboard.json");
    let mut wrong: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let panels = wrong["panels"].as_array().unwrap().len();
    wrong["panels"][0]["options"]["colourMode"] = json!("value");
    wrong["panels"][1]["targets"][0]["expression"] = json!("up");
    let folder = tempfile::tempdir().unwrap();
    let misspelt = folder.path().join("dashboard.json");
    std::fs::write(&misspelt, wrong.to_string()).unwrap();
    for release in ["10", "11"] {
        let output = read(release, &path).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, format!("{panels} panels\n"), "{release}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success());
        let output = read(release, &misspelt).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("colourMode") && said.contains("expression"), "{release}: {said}");
        assert_eq!(output.status.code(), Some(1));
    }
}
