//! The state of the world that a test takes for granted.

use super::{nearest, unknown};
use crate::config::document::{PricesEntry, TestGiven};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::provider::catalogue::Prices;
use crate::source::Spanned;
use crate::table::dump::target_name;
use crate::table::health::COOLING;
use crate::table::{Draw, Health, RoutingTable};

pub(super) struct Given<'t> {
    pub(super) health: Health<'t>,
    pub(super) draw: Draw,
}

pub(super) fn read<'t>(given: &TestGiven, table: &'t RoutingTable, diagnostics: &mut Diagnostics) -> Option<Given<'t>> {
    let health = health(given, table, diagnostics);
    let draw = draw(given.draw, diagnostics);
    Some(Given { health: health?, draw: draw? })
}

fn draw(written: Option<Spanned<f64>>, diagnostics: &mut Diagnostics) -> Option<Draw> {
    let Some(written) = written else { return Some(Draw(0.0)) };
    if (0.0..1.0).contains(&written.value) {
        return Some(Draw(written.value));
    }
    diagnostics.push(
        Diagnostic::new(Code::BadValue, format!("`{}` is never drawn", written.value))
            .label(written.span, "not from 0 up to 1")
            .help("write a number from 0 to 0.999..., such as `0.5`"),
    );
    None
}

fn health<'t>(given: &TestGiven, table: &'t RoutingTable, diagnostics: &mut Diagnostics) -> Option<Health<'t>> {
    let mut health = Health::new(table);
    let mut strangers = Vec::new();
    for name in &given.cooling {
        strangers.extend(health.cooling(&name.value, COOLING).is_none().then_some(name));
    }
    for name in &given.down {
        strangers.extend(health.down(&name.value).is_none().then_some(name));
    }
    for (name, latency) in &given.latency {
        strangers.extend(health.latency(&name.value, latency.value).is_none().then_some(name));
    }
    for (name, count) in &given.in_flight {
        strangers.extend(health.in_flight(&name.value, count.value).is_none().then_some(name));
    }
    if let Some(turn) = given.turn {
        health.turns(turn.value);
    }
    for name in &strangers {
        diagnostics.push(unknown("target or provider", name, health.nearest(&name.value)));
    }
    strangers.is_empty().then_some(health)
}

/// The table with the prices of the test: `Some(None)` where it has none.
pub(super) fn priced(
    given: &TestGiven,
    table: &RoutingTable,
    diagnostics: &mut Diagnostics,
) -> Option<Option<RoutingTable>> {
    if given.prices.is_empty() {
        return Some(None);
    }
    let names: Vec<String> = table.targets.iter().map(|target| target_name(table, target)).collect();
    let mut priced = table.clone();
    let mut complete = Some(());
    for (name, prices) in &given.prices {
        let known = priced.targets.iter_mut().zip(&names).filter(|(_, known)| **known == name.value);
        let mut met = false;
        for (target, _) in known {
            target.prices = Some(of(prices));
            met = true;
        }
        if !met {
            let candidates = names.iter().map(String::as_str).filter(|known| !known.ends_with("/*"));
            diagnostics.push(unknown("target", name, nearest(&name.value, candidates)));
            complete = None;
        }
    }
    complete.map(|()| Some(priced))
}

fn of(written: &PricesEntry) -> Prices {
    let PricesEntry { input, output, cache_read, cache_write } = written;
    let price = |price: &Option<Spanned<f64>>| price.map(|price| price.value);
    Prices {
        input: price(input),
        output: price(output),
        cache_read: price(cache_read),
        cache_write: price(cache_write),
    }
}
