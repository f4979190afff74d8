//! The shared files of AWS's tools, `~/.aws/credentials` and `~/.aws/config`, and what a profile in them may be: keys, a
//! program that prints keys, a role taken on with the keys of another profile, or a web identity.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use super::super::{home, read_file};
use super::{Chain, Keys, metadata, sts};

/// Profiles may take their keys from profiles; this many in a row.
const DEEPEST: usize = 8;
/// How long a program may take that prints keys.
const PROCESS: Duration = Duration::from_secs(15);
const PROCESS_OUTPUT: usize = 64 << 10;

type Section = BTreeMap<String, String>;
type Profiles = BTreeMap<String, Section>;

/// The keys of a profile; `None` where there is no such profile, or nothing in it that leads to keys.
pub(super) async fn keys(chain: &Chain, name: &str) -> Result<Option<Keys>, String> {
    let profiles = read(chain).await?;
    resolve(chain, &profiles, name, 0).await
}

/// The region that `config` names for a profile.
pub fn region_of_profile(config: &str, profile: &str) -> Option<String> {
    sections(config, true).remove(profile)?.remove("region").filter(|region| !region.is_empty())
}

async fn read(chain: &Chain) -> Result<Profiles, String> {
    let mut profiles = Profiles::new();
    // The keys of the file of credentials win.
    for (variable, file, is_config) in
        [("AWS_CONFIG_FILE", "config", true), ("AWS_SHARED_CREDENTIALS_FILE", "credentials", false)]
    {
        let named = chain.env.get(variable).map(|path| super::super::path_of(path, &chain.folder, &chain.env));
        let usual = || Some(PathBuf::from(home(&chain.env)?).join(".aws").join(file));
        let Some(path) = named.or_else(usual) else { continue };
        let text = read_file(path).await?.unwrap_or_default();
        for (name, section) in sections(&text, is_config) {
            profiles.entry(name).or_default().extend(section);
        }
    }
    Ok(profiles)
}

/// The profiles of a file. In `config` they are called `[profile NAME]`, all but `[default]`; settings that are indented
/// belong to the setting above them, and none of those is of interest here.
fn sections(text: &str, is_config: bool) -> Profiles {
    let mut profiles = Profiles::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) || is_nested {
            continue;
        }
        if let Some(header) =
            line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(header, _)| header.trim())
        {
            let named = header.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim);
            current = match (is_config, named) {
                (true, Some(name)) => Some(name.to_owned()),
                (true, None) => (header == "default").then(|| header.to_owned()),
                (false, _) => Some(header.to_owned()),
            };
        } else if let (Some(profile), Some((key, value))) = (&current, line.split_once('=')) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            profiles.entry(profile.clone()).or_default().insert(key.trim().to_ascii_lowercase(), value.to_owned());
        }
    }
    profiles
}

type Resolving<'c> = Pin<Box<dyn Future<Output = Result<Option<Keys>, String>> + Send + 'c>>;

fn resolve<'c>(chain: &'c Chain, profiles: &'c Profiles, name: &'c str, depth: usize) -> Resolving<'c> {
    Box::pin(async move {
        let Some(profile) = profiles.get(name) else { return Ok(None) };
        let get = |key: &str| profile.get(key).map(String::as_str).filter(|value| !value.is_empty());
        if depth > DEEPEST {
            return Err(format!("the profile `{name}` takes its keys from itself"));
        }
        if let Some(role) = get("role_arn") {
            if let Some(file) = get("web_identity_token_file") {
                return sts::with_web_identity(chain, role, file.into()).await.map(Some);
            }
            let keys = match (get("source_profile"), get("credential_source")) {
                // A role that a profile takes on with its own keys.
                (Some(source), _) if source == name => plain(profile),
                (Some(source), _) => resolve(chain, profiles, source, depth + 1).await?,
                (None, Some("Environment")) => chain.keys_of_environment(),
                (None, Some("Ec2InstanceMetadata")) => metadata::of_instance(chain).await.map(Some)?,
                (None, Some("EcsContainer")) => metadata::of_container(chain).await?,
                (None, _) => return Err(format!("the profile `{name}` has a `role_arn` and no `source_profile`")),
            };
            let keys = keys.ok_or_else(|| format!("there are no keys to take on the role of the profile `{name}`"))?;
            return sts::with_keys(chain, role, (get("role_session_name"), get("external_id")), keys).await.map(Some);
        }
        if let Some(keys) = plain(profile) {
            return Ok(Some(keys));
        }
        if let Some(command) = get("credential_process") {
            return from_process(name, command).await.map(Some);
        }
        if get("sso_session").or_else(|| get("sso_start_url")).is_some() {
            return Err(format!(
                "the profile `{name}` signs in with IAM Identity Center, which needs a browser; let another profile have \
                 `credential_process = aws configure export-credentials --profile {name} --format process`"
            ));
        }
        Ok(None)
    })
}

/// Keys as they stand in the file.
fn plain(profile: &Section) -> Option<Keys> {
    let get = |key: &str| profile.get(key).filter(|value| !value.is_empty()).cloned();
    Some(Keys {
        id: get("aws_access_key_id")?,
        secret: get("aws_secret_access_key")?,
        session: get("aws_session_token"),
        lifetime: None,
    })
}

/// Runs a program of the user's own file, which prints keys as JSON.
async fn from_process(profile: &str, command: &str) -> Result<Keys, String> {
    let failed = |problem: String| format!("the `credential_process` of the profile `{profile}` {problem}");
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROCESS, shell.output()).await;
    let output = output.map_err(|_| failed(format!("takes longer than {} s", PROCESS.as_secs())))?;
    let output = output.map_err(|error| failed(format!("cannot be run: {error}")))?;
    if !output.status.success() || output.stdout.len() > PROCESS_OUTPUT {
        return Err(failed(format!("fails ({})", output.status)));
    }
    let json = serde_json::from_slice(&output.stdout).map_err(|_| failed("does not print JSON".to_owned()))?;
    Keys::from_json(&json).map_err(|problem| failed(format!("prints what cannot be used: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read_as_their_tools_write_them() {
        let config = "[default]\nregion = eu-west-1\n[profile dev]\nrole_arn = arn:x # a note\nsource_profile=default\ns3 =\n  \
                      aws_access_key_id = nested\n[sso-session x]\nsso_start_url = u\n; end\n";
        let profiles = sections(config, true);
        assert_eq!(profiles.keys().collect::<Vec<_>>(), ["default", "dev"]);
        assert_eq!(profiles["dev"]["role_arn"], "arn:x");
        assert_eq!(profiles["dev"].get("aws_access_key_id"), None);
        let credentials =
            sections("[dev]\nAWS_ACCESS_KEY_ID = A\naws_secret_access_key = a=b/c+\n[profile x]\na=b\n", false);
        let keys = plain(&credentials["dev"]).unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str()), ("A", "a=b/c+"));
        assert!(credentials.contains_key("profile x"));
    }
}
