//! `routeplane models`.

use serde::Serialize;

use super::config_file::ConfigArg;
use super::output::{Format, FormatArg, print, print_json};
use super::{Exit, compiled, table};
use crate::config::Env;
use crate::provider::Provider;
use crate::provider::catalogue::{self, Capability, Model};
use crate::table::RoutingTable;

/// List the models of the providers that can be used, with their windows, prices and capabilities
///
/// The list is not the limit: `provider/model` reaches any model that a provider serves, listed or not. Prices are list
/// prices in USD per million tokens.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those whose `provider/model` has this in it
    filter: Option<String>,
    /// Only those of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
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
    let rows = rows(&routing_table, args.provider.as_deref(), args.filter.as_deref());
    match args.format.format {
        Format::Human => print(human(&rows)),
        Format::Json => print_json(&rows),
    }
    Exit::Done
}

/// One model, as `--format json` prints it; what is not known is left out.
#[derive(Debug, Serialize)]
struct Row {
    /// What a request asks for: `provider/model`.
    model: String,
    provider: String,
    #[serde(flatten)]
    facts: Option<Facts>,
}

/// What the catalogue knows.
#[derive(Debug, Serialize)]
struct Facts {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    prices: Prices,
    capabilities: Vec<&'static str>,
}

/// USD per million tokens.
#[derive(Debug, Serialize)]
struct Prices {
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write: Option<f64>,
}

/// In the order of the table: providers, then their models.
fn rows(table: &RoutingTable, provider: Option<&str>, filter: Option<&str>) -> Vec<Row> {
    let filter = filter.map(str::to_lowercase);
    let wanted = |row: &Row| filter.as_ref().is_none_or(|filter| row.model.to_lowercase().contains(filter));
    let providers = table.providers.iter().filter(|entry| provider.is_none_or(|name| *entry.name == *name));
    providers.flat_map(|provider| provider.models.iter().map(|id| row(provider, id))).filter(wanted).collect()
}

fn row(provider: &Provider, id: &str) -> Row {
    let known = provider.catalogue.as_deref().and_then(|name| catalogue::find(name, id));
    Row { model: format!("{}/{id}", provider.name), provider: provider.name.to_string(), facts: known.map(facts) }
}

fn facts(model: &Model) -> Facts {
    let catalogue::Prices { input, output, cache_read, cache_write } = model.prices;
    Facts {
        mode: model.mode.name(),
        max_input_tokens: model.max_input_tokens,
        max_output_tokens: model.max_output_tokens,
        prices: Prices { input, output, cache_read, cache_write },
        capabilities: model.capabilities.iter().map(Capability::name).collect(),
    }
}

fn human(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no model; `routeplane providers` says which providers can be used".to_owned();
    }
    let cells: Vec<[String; 6]> = rows.iter().map(cells).collect();
    table::columns(["MODEL", "WINDOW", "OUTPUT", "$/M IN", "$/M OUT", "CAN"], &cells)
}

fn cells(row: &Row) -> [String; 6] {
    let Some(facts) = &row.facts else {
        return [row.model.clone(), unknown(), unknown(), unknown(), unknown(), unknown()];
    };
    let price = |price: Option<f64>| price.map_or_else(unknown, |price| price.to_string());
    let can = match (facts.mode, facts.capabilities.as_slice()) {
        ("chat", []) => unknown(),
        ("chat", capabilities) => capabilities.join(" "),
        (mode, _) => mode.to_owned(),
    };
    [
        row.model.clone(),
        facts.max_input_tokens.map_or_else(unknown, thousands),
        facts.max_output_tokens.map_or_else(unknown, thousands),
        price(facts.prices.input),
        price(facts.prices.output),
        can,
    ]
}

fn unknown() -> String {
    "-".to_owned()
}

/// `200k`, `1.05M`: as people write windows.
fn thousands(tokens: u32) -> String {
    match tokens {
        0..1_000 => tokens.to_string(),
        1_000..1_000_000 => format!("{}k", tokens / 1_000),
        _ => {
            let millions = format!("{:.2}", f64::from(tokens) / 1e6);
            format!("{}M", millions.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn windows_are_written_as_people_do() {
        let written: Vec<String> = [512, 8_192, 200_000, 1_000_000, 1_048_576].map(thousands).to_vec();
        assert_eq!(written, ["512", "8k", "200k", "1M", "1.05M"]);
    }
}
