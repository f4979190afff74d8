//! `routeplane providers`.

use serde::Serialize;

use super::config_file::ConfigArg;
use super::output::{Format, FormatArg, print, print_json};
use super::{Exit, compiled, table};
use crate::config::document::ProviderEntry;
use crate::config::{Env, activate, known};
use crate::provider::{Activation, AuthScheme, Provider, Transport};
use crate::table::RoutingTable;

/// List the providers: those that can be used, and what the others need
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those whose name or title has this in it
    filter: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, env: &Env) -> Exit {
    let routing_table = match compiled::table(&args.config, env) {
        Ok(routing_table) => routing_table,
        Err(exit) => return exit,
    };
    let mut rows = rows(&routing_table, &known::providers().entries);
    if let Some(filter) = args.filter.as_deref().map(str::to_lowercase) {
        rows.retain(|row| row.name.to_lowercase().contains(&filter) || row.title.to_lowercase().contains(&filter));
    }
    match args.format.format {
        Format::Human => print(human(&rows)),
        Format::Json => print_json(&rows),
    }
    Exit::Done
}

/// One provider, as `--format json` prints it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    title: String,
    /// It is in the table.
    active: bool,
    /// What made it so: `file`, `environment` or `built-in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_by: Option<&'static str>,
    /// The variable that did, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
    /// Of these one would activate it; empty where only the file can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs_one_of: Vec<String>,
    /// Why its requests are refused all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    endpoints: Vec<EndpointRow>,
    /// How many models it is known to serve.
    models: usize,
}

#[derive(Debug, Serialize)]
struct EndpointRow {
    protocol: &'static str,
    /// With `{placeholders}` where only variables could fill them.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
}

/// The active ones in the order of the table, then the known ones that are not.
fn rows(table: &RoutingTable, known: &[ProviderEntry]) -> Vec<Row> {
    let is_active = |name: &str| table.providers.iter().any(|provider| *provider.name == *name);
    let inactive = known.iter().filter(|entry| !is_active(&entry.name.value)).map(inactive);
    table.providers.iter().map(active).chain(inactive).collect()
}

fn active(provider: &Provider) -> Row {
    let (activated_by, variable) = match &provider.activation {
        Activation::File => ("file", None),
        Activation::Environment(variable) => ("environment", Some(variable.to_string())),
        Activation::Always => ("built-in", None),
    };
    let endpoints = provider.endpoints.iter().map(|endpoint| EndpointRow {
        protocol: endpoint.protocol.name(),
        base_url: (provider.transport == Transport::Http).then(|| endpoint.base_url.to_string()),
    });
    Row {
        name: provider.name.to_string(),
        title: provider.title.to_string(),
        active: true,
        activated_by: Some(activated_by),
        variable,
        needs_one_of: Vec::new(),
        refused: provider.endpoints.iter().find_map(|endpoint| match &endpoint.auth {
            AuthScheme::Unsupported(why) => Some(why.to_string()),
            AuthScheme::Bearer
            | AuthScheme::Header(_)
            | AuthScheme::AwsSigV4(_)
            | AuthScheme::GoogleOauth
            | AuthScheme::AzureEntra
            | AuthScheme::None => None,
        }),
        endpoints: endpoints.collect(),
        models: provider.models.len(),
    }
}

fn inactive(entry: &ProviderEntry) -> Row {
    let name = entry.name.value.as_str();
    let own_url = |protocol| {
        let (_, endpoint) = entry.endpoints.iter().find(|(other, _)| other.value == protocol)?;
        endpoint.base_url.as_ref()
    };
    let endpoints = entry.protocols.iter().flatten().map(|protocol| EndpointRow {
        protocol: protocol.value.name(),
        base_url: own_url(protocol.value).or(entry.base_url.as_ref()).map(|url| url.value.clone()),
    });
    Row {
        name: name.to_owned(),
        title: entry.title.as_ref().map_or(name, |title| &title.value).to_owned(),
        active: false,
        activated_by: None,
        variable: None,
        needs_one_of: activate::variables(entry).into_iter().map(str::to_owned).collect(),
        refused: None,
        endpoints: endpoints.collect(),
        models: crate::provider::catalogue::of_provider(name).len(),
    }
}

fn human(rows: &[Row]) -> String {
    let cells: Vec<[String; 4]> = rows.iter().map(cells).collect();
    table::columns(["PROVIDER", "PROTOCOLS", "BASE URL", "STATE"], &cells)
}

fn cells(row: &Row) -> [String; 4] {
    let protocols: Vec<&str> = row.endpoints.iter().map(|endpoint| endpoint.protocol).collect();
    let base_url = row.endpoints.first().and_then(|endpoint| endpoint.base_url.as_deref()).unwrap_or("in process");
    [row.name.clone(), protocols.join(", "), base_url.to_owned(), state(row)]
}

fn state(row: &Row) -> String {
    match (row.activated_by, &row.variable, &row.refused, row.needs_one_of.as_slice()) {
        (Some(_), _, Some(why), _) => format!("refused: {why}"),
        (Some(_), Some(variable), None, _) => format!("active ({variable})"),
        (Some(by), None, None, _) => format!("active ({by})"),
        (None, _, _, []) => "name it in the file".to_owned(),
        (None, _, _, variables) => format!("set {}", variables.join(" or ")),
    }
}
