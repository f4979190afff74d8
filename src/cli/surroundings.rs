//! What the files of clouds' own tools say where the environment says nothing: the region of the profile of AWS, the project
//! of an account of Google. Kept as the variables that the same tools know, so that everything else only looks there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::state::read_key_file;
use crate::state::tokens::aws;

type Variables = BTreeMap<String, String>;

/// Adds what is not set.
pub(super) fn complete(variables: &mut Variables) {
    let region = aws_region(variables).map(|region| ("AWS_DEFAULT_REGION", region));
    let project = google_project(variables).map(|project| ("GOOGLE_CLOUD_PROJECT", project));
    variables.extend(region.into_iter().chain(project).map(|(name, value)| (name.to_owned(), value)));
}

fn get<'v>(variables: &'v Variables, name: &str) -> Option<&'v str> {
    variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn home(variables: &Variables) -> Option<&Path> {
    get(variables, "HOME").or_else(|| get(variables, "USERPROFILE")).map(Path::new)
}

fn aws_region(variables: &Variables) -> Option<String> {
    if ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| get(variables, name).is_some()) {
        return None;
    }
    let file = match get(variables, "AWS_CONFIG_FILE") {
        Some(file) => PathBuf::from(file),
        None => home(variables)?.join(".aws").join("config"),
    };
    let profile = get(variables, "AWS_PROFILE").or_else(|| get(variables, "AWS_DEFAULT_PROFILE"));
    aws::region_of_profile(&read_key_file(&file).ok()?, profile.unwrap_or("default"))
}

fn google_project(variables: &Variables) -> Option<String> {
    let known = ["GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_PROJECT", "VERTEXAI_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"];
    if known.iter().any(|name| get(variables, name).is_some()) {
        return None;
    }
    let file = match get(variables, "GOOGLE_APPLICATION_CREDENTIALS") {
        Some(file) => PathBuf::from(file),
        None => home(variables)?.join(".config/gcloud/application_default_credentials.json"),
    };
    let account: serde_json::Value = serde_json::from_str(&read_key_file(&file).ok()?).ok()?;
    let project = account.get("project_id").or_else(|| account.get("quota_project_id"))?;
    project.as_str().filter(|project| !project.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(home: &Path, more: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let home = ("HOME", home.to_str().unwrap());
        let given = more.iter().copied().chain([home]);
        let mut variables: Variables = given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        complete(&mut variables);
        (variables.remove("AWS_DEFAULT_REGION"), variables.remove("GOOGLE_CLOUD_PROJECT"))
    }

    #[test]
    fn files_say_what_variables_leave_open() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(completed(folder.path(), &[]), (None, None));
        std::fs::create_dir_all(folder.path().join(".aws")).unwrap();
        std::fs::create_dir_all(folder.path().join(".config/gcloud")).unwrap();
        let config = "[default]\nregion = eu-west-1\n[profile dev]\nregion=ap-south-1\n";
        std::fs::write(folder.path().join(".aws/config"), config).unwrap();
        let login = folder.path().join(".config/gcloud/application_default_credentials.json");
        std::fs::write(&login, r#"{"type":"authorized_user","quota_project_id":"mine"}"#).unwrap();
        let said = |region: &str, project: &str| (Some(region.to_owned()), Some(project.to_owned()));
        assert_eq!(completed(folder.path(), &[]), said("eu-west-1", "mine"));
        assert_eq!(completed(folder.path(), &[("AWS_PROFILE", "dev")]), said("ap-south-1", "mine"));
        assert_eq!(completed(folder.path(), &[("AWS_REGION", "r"), ("VERTEXAI_PROJECT", "p")]), (None, None));
        let account = folder.path().join("account.json");
        std::fs::write(&account, r#"{"type":"service_account","project_id":"theirs"}"#).unwrap();
        let named = [("GOOGLE_APPLICATION_CREDENTIALS", account.to_str().unwrap())];
        assert_eq!(completed(folder.path(), &named), said("eu-west-1", "theirs"));
    }
}
