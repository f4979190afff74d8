//! Strategies: what each makes of a health, a draw and a request, without a gateway.

use std::collections::HashMap;

use proptest::prelude::*;
use routeplane::rule::request::RequestShape;
use routeplane::table::explain::explain;
use routeplane::table::wishes::Asked;
use routeplane::table::{Draw, Health, HealthView, Outcome, RoutingTable};

use crate::table::table;

const FILE: &str = r#"version: 1
providers:
  up:
    protocol: openai-chat
    base_url: "http://127.0.0.1:1/v1"
    models: [a, b, c, d]
    prices: { a: { input: 1, output: 10 }, b: { input: 3, output: 1 }, c: { input: 2, output: 2 } }
presets:
  turns: round_robin(up/a, up/b > up/d, up/c)
  both_turns: "@turns > @turns"
  cheap: cheapest(up/d, up/a, up/b, up/c)
  quick: fastest(up/a, up/b)
  quickest: fastest(up/a, up/b, up/c, up/d)
  idle: least_busy(up/a, up/b, up/c)
  sure: "hedge(up/a > up/b, up/c, after 1500ms) > up/d"
  surest: "cheapest(up/d, hedge(up/b, hedge(up/a, up/c, after 1s), after 3s))"
  seen: "up/a > shadow(up/b, mirror up/c > up/d, sample 25%)"
  all: "split(1 @quickest, 1 @idle, 2 hedge(@cheap, @turns, after 1s)) > @seen"
"#;

fn attempts(table: &RoutingTable, request: &RequestShape, health: &dyn HealthView, draw: f64) -> String {
    match table.select(request, health, Draw(draw)).outcome {
        Outcome::Attempts { attempts, .. } => attempts.iter().map(|attempt| attempt.model).collect::<Vec<_>>().join(""),
        other => panic!("{other:?}"),
    }
}

/// How often each list of attempts comes of evenly spread draws.
fn counted(table: &RoutingTable, model: &str, health: &dyn HealthView, draws: u32) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for n in 0..draws {
        let first = attempts(table, &RequestShape::new(model), health, f64::from(n) / f64::from(draws));
        *counts.entry(first).or_default() += 1;
    }
    counts
}

#[test]
fn turns_go_round_and_a_member_that_is_down_has_none() {
    let table = table(FILE, &[]);
    let mut health = Health::new(&table);
    let mut said = Vec::new();
    for turn in 0..4 {
        health.turns(turn);
        said.push(attempts(&table, &RequestShape::new("@turns"), &health, 0.5));
    }
    assert_eq!(said, ["abdc", "bdca", "cabd", "abdc"]);
    // One decision is one turn, however often it meets the route.
    health.turns(1);
    assert_eq!(attempts(&table, &RequestShape::new("@both_turns"), &health, 0.5), "bdca");
    health.down("up/b").unwrap();
    assert_eq!(attempts(&table, &RequestShape::new("@turns"), &health, 0.5), "dca");
}

#[test]
fn the_cheapest_depends_on_the_request_and_an_unknown_price_comes_last() {
    let table = table(FILE, &[]);
    let health = Health::new(&table);
    let order = |input_tokens, max_tokens| {
        let shape = RequestShape { input_tokens, max_tokens, ..RequestShape::new("@cheap") };
        attempts(&table, &shape, &health, 0.0)
    };
    assert_eq!(order(1_000_000, 10), "acbd");
    assert_eq!(order(10, 1_000_000), "bcad");
    // Without a limit an answer of 1,000 tokens is assumed.
    assert_eq!((order(100, 0), order(100, 1_000)), ("bcad".to_owned(), "bcad".to_owned()));
    let mut health = Health::new(&table);
    health.down("up/a").unwrap();
    let shape = RequestShape { input_tokens: 1_000_000, ..RequestShape::new("@cheap") };
    assert_eq!(attempts(&table, &shape, &health, 0.0), "cbd");
}

#[test]
fn the_quickest_is_first_but_for_a_few_requests_that_look_elsewhere() {
    let table = table(FILE, &[]);
    let mut health = Health::new(&table);
    for (name, ms) in [("up/a", 2_100.0), ("up/b", 100.0)] {
        health.state(name, |vitals| vitals.first_token_ms = Some(ms)).unwrap();
    }
    let counts = counted(&table, "@quick", &health, 10_000);
    let elsewhere = counts["ab"];
    assert!((50..=150).contains(&elsewhere) && counts["ba"] == 10_000 - elsewhere, "{counts:?}");
}

#[test]
fn of_many_two_are_drawn_and_the_slowest_is_never_the_better() {
    let table = table(FILE, &[]);
    let mut health = Health::new(&table);
    for (name, ms) in [("up/a", 100.0), ("up/b", 200.0), ("up/c", 300.0), ("up/d", 9_000.0)] {
        health.state(name, |vitals| vitals.first_token_ms = Some(ms)).unwrap();
    }
    let mut firsts: HashMap<char, u32> = HashMap::new();
    for (order, count) in counted(&table, "@quickest", &health, 12_000) {
        *firsts.entry(order.chars().next().unwrap()).or_default() += count;
        let mut all: Vec<char> = order.chars().collect();
        all.sort_unstable();
        assert_eq!(all, ['a', 'b', 'c', 'd'], "every member is tried once");
    }
    // Of six pairs three have the first, two the second, one the third as their better half.
    let near = |first: char, share: f64| (f64::from(firsts[&first]) / 12_000.0 - share).abs() < 0.03;
    assert!(near('a', 0.5) && near('b', 0.33) && near('c', 0.17) && near('d', 0.005), "{firsts:?}");
}

#[test]
fn what_nobody_has_measured_is_tried_once() {
    let table = table(FILE, &[]);
    let mut health = Health::new(&table);
    health.state("up/a", |vitals| vitals.first_token_ms = Some(100.0)).unwrap();
    assert_eq!(attempts(&table, &RequestShape::new("@quick"), &health, 0.5), "ba");
    health.state("up/b", |vitals| vitals.in_flight = 1).unwrap();
    assert_eq!(attempts(&table, &RequestShape::new("@quick"), &health, 0.5), "ab");
}

#[test]
fn the_least_busy_is_first_and_equals_share() {
    let table = table(FILE, &[]);
    let mut health = Health::new(&table);
    let firsts = |health: &Health<'_>| {
        let mut firsts: HashMap<char, u32> = HashMap::new();
        for (order, count) in counted(&table, "@idle", health, 3_000) {
            *firsts.entry(order.chars().next().unwrap()).or_default() += count;
        }
        firsts
    };
    assert!(firsts(&health).values().all(|count| (900..1_100).contains(count)));
    for (name, in_flight) in [("up/a", 3), ("up/b", 1), ("up/c", 2)] {
        health.state(name, |vitals| vitals.in_flight = in_flight).unwrap();
    }
    assert_eq!(counted(&table, "@idle", &health, 100), HashMap::from([("bca".to_owned(), 100)]));
}

#[test]
fn a_hedge_stands_beside_what_it_hedges() {
    let table = table(FILE, &[]);
    let races = |model: &str| match table.select(&RequestShape::new(model), &Health::new(&table), Draw(0.0)).outcome {
        Outcome::Attempts { races, .. } => {
            races.iter().map(|race| (race.from, race.second, race.until, race.after.as_millis())).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(races("@sure"), [(0, 2, 3, 1_500)]);
    assert_eq!(races("@surest"), [(1, 2, 3, 1_000), (0, 1, 3, 3_000)]);
    let explained =
        explain(&table, &RequestShape::new("@sure"), (&Asked::Nothing, &[]), &Health::new(&table), Draw(0.0))
            .to_string();
    assert!(
        explained.contains("3. up/c, pass-through, beside 1 where that has no content after 1500 ms"),
        "{explained}"
    );
    // With one side down there is nothing to hedge.
    let mut health = Health::new(&table);
    health.down("up/c").unwrap();
    let shape = RequestShape::new("@sure");
    let decision = table.select(&shape, &health, Draw(0.0));
    assert!(matches!(&decision.outcome, Outcome::Attempts { races, .. } if races.is_empty()));
}

#[test]
fn a_shadow_falls_on_a_part_of_the_requests_and_changes_none() {
    let table = table(FILE, &[]);
    let health = Health::new(&table);
    let mut mirrored = 0;
    for n in 0..4_000 {
        let shape = RequestShape::new("@seen");
        let Outcome::Attempts { attempts, mirrors, .. } =
            table.select(&shape, &health, Draw(f64::from(n) / 4e3)).outcome
        else {
            panic!("attempts")
        };
        assert_eq!(attempts.iter().map(|attempt| attempt.model).collect::<String>(), "ab");
        assert!(mirrors.iter().all(|mirror| (mirror.from, mirror.until, mirror.attempt.model) == (1, 2, "c")));
        mirrored += mirrors.len();
    }
    assert!((900..1_100).contains(&mirrored), "{mirrored}");
}

proptest! {
    /// The same inputs give the same decision, and every target is tried once at most.
    #[test]
    fn a_decision_is_a_function_of_what_is_given(
        draw in 0.0..1.0f64,
        turn in 0..20u64,
        input_tokens in 0..200_000u64,
        vitals in prop::collection::vec((0..4u8, prop::option::of(1.0..5_000.0f64), 0..9u32), 4),
    ) {
        let table = table(FILE, &[]);
        let health = || {
            let mut health = Health::new(&table);
            for (name, (condition, first_token_ms, in_flight)) in ["up/a", "up/b", "up/c", "up/d"].into_iter().zip(&vitals) {
                health.state(name, |vitals| (vitals.first_token_ms, vitals.in_flight) = (*first_token_ms, *in_flight)).unwrap();
                match condition {
                    0 => health.down(name).unwrap(),
                    1 => health.cooling(name, std::time::Duration::from_secs(9)).unwrap(),
                    _ => {}
                }
            }
            health.turns(turn);
            health
        };
        let shape = RequestShape { input_tokens, ..RequestShape::new("@all") };
        let (one, other) = (table.select(&shape, &health(), Draw(draw)), table.select(&shape, &health(), Draw(draw)));
        prop_assert_eq!(&one, &other);
        let Outcome::Attempts { attempts, skipped, races, mirrors } = one.outcome else { panic!("attempts") };
        let mut seen: Vec<&str> = attempts.iter().chain(&skipped).map(|attempt| attempt.model).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, ["a", "b", "c", "d"]);
        for race in &races {
            prop_assert!(race.from < race.second && race.second < race.until && race.until <= attempts.len());
        }
        prop_assert!(mirrors.iter().all(|mirror| mirror.from < mirror.until && mirror.until <= attempts.len()));
    }
}
